"""Codes: an SMS to the person's own phone, or one from the desk; bound to one order as it was read."""

from __future__ import annotations

import secrets
from datetime import timedelta

from app.domain.identity import CODE_WINDOW, COOLING, DESK_CODE_WINDOW, Factor, binding
from app.domain.money import yuan_short
from app.domain.orders import State
from app.domain.risk import Level
from app.errors import AppError
from app.flows import identity_check, rates
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.identity_check import Pending
from app.ports import Refused, Unavailable, Unknown
from app.store import cards, codes, orders, real_names
from app.store.codes import CodePurpose
from app.store.people import Actor

TEXTS_AN_HOUR, TEXTS_A_DAY = 5, 10
WRONG_CODES_A_DAY = 10
DIGITS = 6


def new_code() -> str:
    """Six digits nobody can foresee."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def hashed(deps: Deps, code: str, bound_to: str) -> str:
    """How a code is kept: a keyed hash over it and what it is bound to."""
    return deps.vault.lookup(f"{code}|{bound_to}", "code")


def hashes(deps: Deps, code: str, bound_to: str) -> tuple[str, ...]:
    """How it may have been kept by any of our processes."""
    return deps.vault.lookups(f"{code}|{bound_to}", "code")


def phone_of(deps: Deps, user_id: str) -> tuple[str, timedelta] | None:
    """The person's phone number, opened, and for how long it has been theirs."""
    with deps.database.read() as tx:
        known = real_names.of_user(tx, user_id)
    if known.phone is None or known.phone_at is None:
        return None
    number = deps.vault.open(known.phone, f"real_names.phone:{user_id}").decode()
    return number, deps.clock.now() - known.phone_at


def text(deps: Deps, user_id: str, phone: str, request_id: str, template: str, facts: dict[str, str]) -> None:
    """Send one SMS. AppError text_refused, text_unavailable, too_many_tries. Unknown counts as sent: the
    person looks, and may ask once more."""
    rates.spend(deps, f"text:user:{user_id}", TEXTS_AN_HOUR, timedelta(hours=1))
    rates.spend(deps, f"text:phone:{phone}", TEXTS_A_DAY, timedelta(days=1))
    try:
        deps.texts.send(request_id, phone, template, facts)
    except Refused as no:
        raise AppError("text_refused") from no
    except Unavailable as not_sent:
        raise AppError("text_unavailable") from not_sent
    except Unknown:
        return


def send_sms(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """Send a code for exactly this order. AppError phone_missing, phone_too_new, and those of `text`."""
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.SMS)
    phone = _trusted_phone(deps, actor, found)
    now, code, bound_to = deps.clock.now(), new_code(), found.bound_to()
    with deps.database.write() as tx:
        code_id = codes.issue(
            tx,
            CodePurpose.ORDER,
            actor.user_id,
            bound_to,
            hashed(deps, code, bound_to),
            actor.user_id,
            now,
            now + CODE_WINDOW,
        )
    facts = {"code": code, "card": found.card.last_four, "amount": yuan_short(found.order.amount_fen)}
    text(deps, actor.user_id, phone, code_id, "order_code", facts)
    return identity_check.show(deps, found, "check_sms", last_four=phone[-4:])


def _trusted_phone(deps: Deps, actor: Actor, found: Pending) -> str:
    """Who just took over an account binds a phone of their own: that proves nothing for a day."""
    known = phone_of(deps, actor.user_id)
    if known is None:
        raise AppError("phone_missing")
    number, age = known
    if found.check.level != Level.NONE.value and age < COOLING:
        raise AppError("phone_too_new")
    return number


def answer_sms(deps: Deps, actor: Actor, order_id: str, code: str) -> OrderView:
    """Take the code of an SMS in. AppError code_wrong for any that is not the live one of this order."""
    return _answer(deps, actor, order_id, code, CodePurpose.ORDER, Factor.SMS)


def answer_desk(deps: Deps, actor: Actor, order_id: str, code: str) -> OrderView:
    """Take a desk's code in. AppError code_wrong."""
    return _answer(deps, actor, order_id, code, CodePurpose.DESK, Factor.DESK)


def _answer(
    deps: Deps, actor: Actor, order_id: str, code: str, purpose: CodePurpose, factor: Factor
) -> OrderView:
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), factor)
    now, bound_to = deps.clock.now(), found.bound_to()
    rates.spend(deps, f"code:{actor.user_id}", WRONG_CODES_A_DAY, timedelta(days=1))
    with deps.database.write() as tx:
        taken = codes.use(tx, purpose, actor.user_id, (bound_to,), hashes(deps, code, bound_to), now)
    if taken is None:
        raise AppError("code_wrong")
    identity_check.prove(deps, order_id, factor, taken.issued_by, now)
    return identity_check.go_on(deps, actor, order_id)


def issue_desk_code(deps: Deps, order_id: str, operator: str) -> str:
    """An operator saw the person and their papers: a code for exactly this order, once, for 15 minutes.

    LookupError when no order of that number waits for a check that a desk may pass.
    """
    now, code = deps.clock.now(), new_code()
    with deps.database.write() as tx:
        order = orders.find(tx, order_id)
        if order is None or order.state is not State.AWAITING_CHECK or order.expires_at <= now:
            raise LookupError(order_id)
        card = cards.get(tx, order.card_id)
        bound_to = binding(order.user_id, order.id, order.amount_fen, card.id)
        codes.issue(
            tx,
            CodePurpose.DESK,
            order.user_id,
            bound_to,
            hashed(deps, code, bound_to),
            f"desk:{operator}",
            now,
            now + DESK_CODE_WINDOW,
        )
    return code
