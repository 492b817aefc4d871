"""What may be topped up: the method's limits and the balance ceiling (PRODUCT.md "Money")."""

from __future__ import annotations

from app.domain.cities import Method
from app.domain.money import yuan_short
from app.errors import AppError

CEILING_REGISTERED_FEN = 500_000
CEILING_ANONYMOUS_FEN = 100_000


def check_amount(method: Method, amount_fen: int) -> None:
    """Raise AppError when the amount is outside the method's inclusive limits."""
    if amount_fen < method.min_fen:
        raise AppError("amount_too_small", least=yuan_short(method.min_fen))
    if amount_fen > method.max_fen:
        raise AppError("amount_too_large", most=yuan_short(method.max_fen))


def check_ceiling(balance_fen: int, amount_fen: int, registered: bool) -> None:
    """Raise AppError when the balance after the load would pass the card's ceiling."""
    ceiling_fen = CEILING_REGISTERED_FEN if registered else CEILING_ANONYMOUS_FEN
    if balance_fen + amount_fen > ceiling_fen:
        room_fen = max(0, ceiling_fen - balance_fen)
        raise AppError("balance_ceiling", ceiling=yuan_short(ceiling_fen), room=yuan_short(room_fen))
