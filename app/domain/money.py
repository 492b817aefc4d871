"""Money is integer fen. These are the only places where it becomes text for the eye."""

from __future__ import annotations


def yuan_text(amount_fen: int) -> str:
    """`5000 -> "50.00"`, `-5 -> "-0.05"`."""
    sign = "-" if amount_fen < 0 else ""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{sign}{yuan}.{fen:02d}"


def yuan_short(amount_fen: int) -> str:
    """For buttons and large print: `5000 -> "50"`, `3050 -> "30.50"`."""
    return yuan_text(amount_fen).removesuffix(".00")
