"""What `city list`, `city show` and `city quote` tell, as plain values: the documents of docs/CITIES.md."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from app.domain import limits
from app.domain.arrival import batch_cutoff, promise
from app.domain.calendar import Calendar
from app.domain.cities import BATCH_PROMISE, Batch, City, Method, cities
from app.domain.clock import SHANGHAI
from app.errors import AppError
from app.flows import views
from app.voice import replies

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def city_facts(city: City) -> dict[str, Any]:
    """One city with everything its file says; methods that are off are told as off."""
    return {
        "name": city.name,
        "label": city.label,
        "card_name": city.card_name,
        "card_prefixes": list(city.card_prefixes),
        "card_modes": list(city.card_kinds),
        "writing": list(city.writing),
        "region": city.region,
        "hotline": city.hotline,
        "dialects": list(city.dialects),
        "entry": asdict(city.entry),
        "clearing": city.clearing,
        "batch": _batch(city.batch) if city.batch else None,
        "methods": [_method(method) for method in (*city.methods, *city.methods_off)],
        "large_payment": asdict(city.large),
        "accepts_cards_of": list(city.accepts),
        "cards_accepted_in": [other.name for other in cities().values() if city.name in other.accepts],
        "service": asdict(city.service),
    }


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "cut_offs": [f"{cut_off:%H:%M}" for cut_off in batch.cut_offs],
        "processing_minutes": batch.processing // _MINUTE,
        "promise_hours": BATCH_PROMISE // _HOUR,
    }


def _method(method: Method) -> dict[str, Any]:
    fees = [
        {"bank": fee.bank, "bps": fee.bps, "min_fen": fee.least_fen, "cap_fen": fee.cap_fen}
        for fee in method.fees
    ]
    return {
        "name": method.name,
        "label": method.label,
        "enabled": method.enabled,
        "min_fen": method.min_fen,
        "max_fen": method.max_fen,
        "fees": fees,
    }


def quote(
    city: City, method_name: str, amount_fen: int, bank: str | None, at: datetime, days: Calendar
) -> dict[str, Any]:
    """What a payment that succeeds at `at` would cost and when it would arrive.

    `accepted` is false for a method that is off or an amount outside its limits: then `code` and `say` tell
    why, and there is no fee, for nothing is quoted that could not be charged.
    """
    method = city.method(method_name)
    refused = _refused(city, method_name, amount_fen)
    told: dict[str, Any] = {
        "city": city.name,
        "label": city.label,
        "method": method_name,
        "offered": method is not None,
        "methods_offered": [_method(each) for each in city.methods],
        "min_fen": method.min_fen if method else None,
        "max_fen": method.max_fen if method else None,
        "amount_fen": amount_fen,
        "accepted": refused is None,
        "code": refused.code if refused else None,
        "say": refused.say if refused else None,
        "fee_fen": None,
        "fee_schedule": None,
        "fee_words": None,
        "total_fen": None,
        "large": limits.is_large(city, amount_fen),
        "menu_depth": city.entry.menu_depth,
        "steps": city.step_budget,
        "identity": city.entry.identity,
        "identity_days": city.entry.identity_days,
        "promise": _promise(city, at, days),
    }
    if method is not None and refused is None:
        fee_fen, schedule = method.fee_fen(amount_fen, bank), method.schedule(bank)
        told["fee_fen"], told["total_fen"] = fee_fen, amount_fen + fee_fen
        told["fee_schedule"] = schedule.bank if schedule else None
        told["fee_words"] = views.fee_texts(fee_fen, amount_fen + fee_fen)[1]
    return told


def _refused(city: City, method_name: str, amount_fen: int) -> AppError | None:
    try:
        limits.check_amount(limits.offered_method(city, method_name), amount_fen)
    except AppError as fault:
        return fault
    return None


def _promise(city: City, at: datetime, days: Calendar) -> dict[str, Any]:
    """Times are Asia/Shanghai's. `words` is heard before paying, `paid_words` after it."""
    paid_at = at.astimezone(SHANGHAI)
    promised = promise(city, paid_at, days)
    cut_off = batch_cutoff(city, paid_at)
    return {
        "clearing": city.clearing,
        "paid_at": paid_at.isoformat(),
        "workday": days.is_workday(paid_at.date()),
        "calendar_announced": days.announced(paid_at.year),
        "batch_cutoff": cut_off.isoformat() if cut_off else None,
        "earliest": promised.earliest.isoformat(),
        "by": promised.by.isoformat(),
        "words": replies.phrase(promised.words),
        "paid_words": replies.phrase(promised.paid_words),
    }
