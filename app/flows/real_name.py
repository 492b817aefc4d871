"""Who a person is: name and identity number, phone, bank card. Sealed before it is stored, shown masked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from app.domain import identity
from app.domain.clock import business_day
from app.domain.identity import CODE_WINDOW, Factor, masked
from app.domain.ids import Kind, new_id
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import check_code, identity_check, rates
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.ports import Refused, Unavailable, Unknown
from app.store import codes, real_names
from app.store.codes import CodePurpose
from app.store.people import Actor
from app.voice import replies

NAMES_A_DAY, BANK_CHECKS_A_DAY = 5, 5


@dataclass(frozen=True, slots=True)
class Opened:
    """A name and a number in plain text: for one outside question, never kept, never logged."""

    name: str
    id_number: str


@dataclass(frozen=True, slots=True)
class Masked:
    """What may be shown; None where nothing is known."""

    name: str | None
    id_number: str | None
    phone: str | None
    bank_card: str | None


def _context(column: str, user_id: str) -> str:
    return f"real_names.{column}:{user_id}"


def _open(deps: Deps, user_id: str, column: str, sealed: str | None) -> str | None:
    return None if sealed is None else deps.vault.open(sealed, _context(column, user_id)).decode()


def _sealed(deps: Deps, user_id: str, column: str, text: str) -> dict[str, object]:
    """The columns that hold `text`: sealed, and its keyed hash where it is searched."""
    values: dict[str, object] = {column: deps.vault.seal(text.encode(), _context(column, user_id))}
    if column != "name":
        values[f"{column}_lookup"] = deps.vault.lookup(text, f"real_names.{column}")
    return values


def opened(deps: Deps, user_id: str) -> Opened:
    """Name and number for an outside check. AppError real_name_missing."""
    with deps.database.read() as tx:
        known = real_names.of_user(tx, user_id)
    name = _open(deps, user_id, "name", known.name)
    id_number = _open(deps, user_id, "id_number", known.id_number)
    if name is None or id_number is None:
        raise AppError("real_name_missing")
    return Opened(name, id_number)


def shown(deps: Deps, actor: Actor) -> tuple[Masked, Screen]:
    """What we know of this person, masked."""
    with deps.database.read() as tx:
        known = real_names.of_user(tx, actor.user_id)
    name = _open(deps, actor.user_id, "name", known.name)
    id_number = _open(deps, actor.user_id, "id_number", known.id_number)
    phone = _open(deps, actor.user_id, "phone", known.phone)
    bank_card = _open(deps, actor.user_id, "bank_card", known.bank_card)
    found = Masked(
        None if name is None else masked(name, 0, 1),
        None if id_number is None else masked(id_number, 1, 1),
        None if phone is None else masked(phone, 3, 2),
        None if bank_card is None else masked(bank_card, 0, 4),
    )
    return found, replies.screen("real_name" if name else "real_name_none")


def set_name(deps: Deps, actor: Actor, name: str, id_number: str) -> Screen:
    """Keep name and identity number. A well-formed number is no proof of a person: it only names whom a
    check asks about, so changing it ends what was proven with the old one (bank card).

    AppError name_malformed, id_number_malformed, too_many_tries.
    """
    now = deps.clock.now()
    clean, number = identity.clean_name(name), identity.clean_id_number(id_number, business_day(now))
    if clean is None:
        raise AppError("name_malformed")
    if number is None:
        raise AppError("id_number_malformed")
    rates.spend(deps, f"name:{actor.user_id}", NAMES_A_DAY, timedelta(days=1))
    values = {
        **_sealed(deps, actor.user_id, "name", clean),
        **_sealed(deps, actor.user_id, "id_number", number),
        "named_at": now,
        "bank_card": None,
        "bank_card_lookup": None,
        "bank_card_at": None,
    }
    with deps.database.write() as tx:
        real_names.put(tx, actor.user_id, values)
    return replies.screen("real_name_kept")


def ask_phone(deps: Deps, actor: Actor, phone: str) -> Screen:
    """Send a code to a phone that shall be this person's. AppError phone_malformed, and those of a text."""
    number = identity.clean_phone(phone)
    if number is None:
        raise AppError("phone_malformed")
    now, code, bound_to = deps.clock.now(), check_code.new_code(), f"phone:{number}"
    with deps.database.write() as tx:
        code_id = codes.issue(
            tx,
            CodePurpose.PHONE,
            actor.user_id,
            deps.vault.lookup(bound_to, "code"),
            check_code.hashed(deps, code, bound_to),
            actor.user_id,
            now,
            now + CODE_WINDOW,
        )
    check_code.text(deps, actor.user_id, number, code_id, "phone_code", {"code": code})
    return replies.screen("phone_code_sent", last_four=number[-4:])


def answer_phone(deps: Deps, actor: Actor, phone: str, code: str) -> Screen:
    """The code came back: the phone is this person's from now on. AppError phone_malformed, code_wrong."""
    number = identity.clean_phone(phone)
    if number is None:
        raise AppError("phone_malformed")
    now, bound_to = deps.clock.now(), f"phone:{number}"
    rates.spend(deps, f"code:{actor.user_id}", check_code.WRONG_CODES_A_DAY, timedelta(days=1))
    bound, kept = deps.vault.lookups(bound_to, "code"), check_code.hashes(deps, code, bound_to)
    with deps.database.write() as tx:
        if codes.use(tx, CodePurpose.PHONE, actor.user_id, bound, kept, now) is not None:
            known = real_names.of_user(tx, actor.user_id)
            same = known.phone is not None and _open(deps, actor.user_id, "phone", known.phone) == number
            if not same:  # the same phone again keeps its age
                values = {**_sealed(deps, actor.user_id, "phone", number), "phone_at": now}
                real_names.put(tx, actor.user_id, values)
            return replies.screen("phone_kept", last_four=number[-4:])
    raise AppError("code_wrong")


def check_bank_card(deps: Deps, actor: Actor, order_id: str, bank_card: str) -> OrderView:
    """The bank's four-factor check for an order that needs it (Wenzhou, first use).

    AppError bank_card_malformed, real_name_missing, phone_missing, bank_card_refused, identity_unavailable,
    too_many_tries.
    """
    identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.BANK_CARD)
    number = identity.clean_bank_card(bank_card)
    if number is None:
        raise AppError("bank_card_malformed")
    known, phone = opened(deps, actor.user_id), check_code.phone_of(deps, actor.user_id)
    if phone is None:
        raise AppError("phone_missing")
    rates.spend(deps, f"bank:{actor.user_id}", BANK_CHECKS_A_DAY, timedelta(days=1))
    try:
        agrees = deps.bank_cards.verify(new_id(Kind.CHALLENGE), known.name, known.id_number, number, phone[0])
    except Refused as no:
        raise AppError("bank_card_refused") from no
    except (Unavailable, Unknown) as silence:
        raise AppError("identity_unavailable") from silence
    if not agrees:
        raise AppError("bank_card_refused")
    now = deps.clock.now()
    with deps.database.write() as tx:
        values = {**_sealed(deps, actor.user_id, "bank_card", number), "bank_card_at": now}
        real_names.put(tx, actor.user_id, values)
    identity_check.prove(deps, order_id, Factor.BANK_CARD, actor.user_id, now)
    return identity_check.go_on(deps, actor, order_id)
