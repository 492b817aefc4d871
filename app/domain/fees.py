"""What paying costs the payer: basis points rounded half up, then the bank's least and most, in whole fen."""

from __future__ import annotations

from dataclasses import dataclass

OTHER = "other"  # the schedule of every bank that has none of its own


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """One bank's fee. `least_fen` and `cap_fen` are inclusive."""

    bank: str
    bps: int
    least_fen: int
    cap_fen: int

    def fee_fen(self, amount_fen: int) -> int:
        """Monotone in the amount. 100 fen at 50 bps are half a fen, and round to one."""
        return min(max((amount_fen * self.bps + 5_000) // 10_000, self.least_fen), self.cap_fen)
