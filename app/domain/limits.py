"""What may be topped up: the way to pay, its limits, and the balance ceiling (PRODUCT.md "Money")."""

from __future__ import annotations

from app.domain.cities import City, IdentityRule, Method
from app.domain.money import yuan_short
from app.errors import AppError

CEILING_REGISTERED_FEN = 500_000
CEILING_ANONYMOUS_FEN = 100_000
_LIST = "、"


def offered_method(city: City, name: str) -> Method:
    """The method, if it is offered here. AppError method_not_offered names the ones that are."""
    method = city.method(name)
    if method is None:
        raise AppError("method_not_offered", offered=_LIST.join(each.label for each in city.methods))
    return method


def check_amount(method: Method, amount_fen: int) -> None:
    """Raise AppError when the amount is outside the method's inclusive limits."""
    if amount_fen < method.min_fen:
        raise AppError("amount_too_small", least=yuan_short(method.min_fen))
    if amount_fen > method.max_fen:
        raise AppError("amount_too_large", most=yuan_short(method.max_fen))


def check_ceiling(balance_fen: int, amount_fen: int, registered: bool) -> None:
    """Raise AppError when the balance after the load would pass the card's ceiling."""
    room = room_fen(balance_fen, registered)
    if amount_fen > room:
        ceiling = yuan_short(_ceiling_fen(registered))
        raise AppError("balance_ceiling", ceiling=ceiling, room=yuan_short(room))


def room_fen(balance_fen: int, registered: bool) -> int:
    """What still fits on the card, in fen; never negative."""
    return max(0, _ceiling_fen(registered) - balance_fen)


def _ceiling_fen(registered: bool) -> int:
    return CEILING_REGISTERED_FEN if registered else CEILING_ANONYMOUS_FEN


def check_real_name(city: City, registered: bool) -> None:
    """Raise AppError where only a real-name card may pay (Shanghai) and this one is anonymous."""
    if city.entry.identity is IdentityRule.REAL_NAME and not registered:
        raise AppError("real_name_required", card_name=city.card_name)


def is_large(city: City, amount_fen: int, paid_today_fen: int = 0) -> bool:
    """Whether the payment needs a fresh check: by itself, or with what was paid on the same day before."""
    return amount_fen >= city.large.single_fen or paid_today_fen + amount_fen >= city.large.day_fen
