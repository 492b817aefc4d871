"""A trade bill as WeChat Pay writes it: BOM, CRLF, a backquote before every value, a summary row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.providers.sandbox.world import words

FEE_PER_MILLE = 6
RATE = "0.60%"
_CANNOT_STAND = re.compile(r"[`\r\n]")  # the format has no way to write these inside a value


@dataclass(frozen=True, slots=True)
class BillRow:
    """A payment, or a refund that was applied for (`refund_id` set). `at` is Asia/Shanghai, to the second."""

    at: str
    app_id: str
    merchant_id: str
    transaction_id: str
    order_id: str
    openid: str
    amount_fen: int
    description: str
    attach: str
    refund_id: str | None = None
    wechat_refund_id: str | None = None
    refund_state: str = ""

    @property
    def number(self) -> str:
        """WeChat's number of the payment or of the refund: no two rows share one."""
        return self.wechat_refund_id or self.transaction_id

    @property
    def fee_units(self) -> int:
        """WeChat's fee in units of 0.00001 yuan; a refund gives it back."""
        fee = self.amount_fen * FEE_PER_MILLE
        return fee if self.refund_id is None else -fee

    def cells(self) -> dict[str, str]:
        """The columns of words.toml [bill.detail]."""
        paid_fen, back_fen = (self.amount_fen, 0) if self.refund_id is None else (0, self.amount_fen)
        return {
            "at": self.at,
            "app_id": self.app_id,
            "merchant_id": self.merchant_id,
            "sub_merchant_id": "0",
            "device": "",
            "transaction_id": self.transaction_id,
            "order_id": self.order_id,
            "openid": self.openid,
            "trade_type": "JSAPI",
            "kind": "SUCCESS" if self.refund_id is None else "REFUND",
            "bank": "OTHERS",
            "currency": "CNY",
            "settled": yuan(paid_fen),
            "coupon": yuan(0),
            "wechat_refund_id": self.wechat_refund_id or "0",
            "refund_id": self.refund_id or "0",
            "refunded": yuan(back_fen),
            "coupon_refunded": yuan(0),
            "refund_type": "" if self.refund_id is None else "ORIGINAL",
            "refund_state": self.refund_state,
            "description": self.description,
            "attach": self.attach,
            "fee": decimal(self.fee_units, 5),
            "rate": RATE,
            "ordered": yuan(paid_fen),
            "refund_asked": yuan(back_fen),
            "rate_note": "",
        }


def decimal(units: int, digits: int) -> str:
    """`units` of 10**-digits as a decimal text: decimal(-150, 2) is "-1.50"."""
    whole, rest = divmod(abs(units), 10**digits)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{digits}d}"


def yuan(amount_fen: int) -> str:
    return decimal(amount_fen, 2)


def bill_file(rows: Iterable[BillRow]) -> bytes:
    """The whole file, unpacked. The fees' sum is rounded to fen in the summary, as the real one does."""
    told = words()["bill"]
    lines, count, paid_fen, back_fen, fee_units = [",".join(told["detail"].values())], 0, 0, 0, 0
    for row in rows:
        cells = row.cells()
        lines.append(_quoted(cells[name] for name in told["detail"]))
        count += 1
        fee_units += row.fee_units
        paid_fen += row.amount_fen if row.refund_id is None else 0
        back_fen += 0 if row.refund_id is None else row.amount_fen
    fee_fen = (abs(fee_units) + 500) // 1000
    sums = {
        "count": f"{count}.0",
        "settled": yuan(paid_fen),
        "refunded": yuan(back_fen),
        "coupon_refunded": "0.0",
        "fee": yuan(-fee_fen if fee_units < 0 else fee_fen),
        "ordered": yuan(paid_fen),
        "refund_asked": yuan(back_fen),
    }
    lines += [",".join(told["summary"].values()), _quoted(sums[name] for name in told["summary"])]
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


def with_wrong_summary(raw: bytes) -> bytes:
    """The same file, whose summary claims one fen more was ordered."""
    head, _, last = raw.removesuffix(b"\r\n").rpartition(b"\r\n")
    cells = last[1:].split(b",`")
    place = list(words()["bill"]["summary"]).index("ordered")
    whole, _, rest = cells[place].partition(b".")
    cells[place] = yuan(int(whole) * 100 + int(rest) + 1).encode()
    return head + b"\r\n`" + b",`".join(cells) + b"\r\n"


def _quoted(values: Iterable[str]) -> str:
    return ",".join("`" + _CANNOT_STAND.sub(" ", value) for value in values)
