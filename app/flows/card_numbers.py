"""Card numbers: sealed where they are kept, opened only where one leaves the house or is compared.

Screens need the last four digits, and whose card it is follows from the first eight: both are plain, so that
opening an order opens no seal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.domain.ids import Kind, new_id
from app.flows.deps import Deps
from app.ports import Vault, VaultFault
from app.store.cards import Card, SealedNumber

log = logging.getLogger(__name__)


def seal(vault: Vault, number: str) -> SealedNumber:
    """A number for a card that may be new, with the id it would have: the seal is bound to that."""
    card_id = new_id(Kind.CARD)
    sealed = vault.seal(number.encode(), _place(card_id))
    return SealedNumber(card_id, sealed, vault.lookups(number, "cards.card_number"))


def opened(deps: Deps, card_id: str, sealed: str | None) -> str:
    """The number, for the card system. LookupError for an erased person's card, VaultFault."""
    if sealed is None:
        raise LookupError(card_id)
    return deps.vault.open(sealed, _place(card_id)).decode()


def number_of(deps: Deps, card: Card) -> str:
    """The number of a bound card, for the card system. LookupError, VaultFault."""
    return opened(deps, card.id, card.card_number)


def for_comparing(deps: Deps) -> Callable[[str, str | None], str]:
    """Opens (card id, sealed number) for a comparison of books; "", which no book has, where there is none or
    it does not open: then that row differs, and a person looks at it, while the day goes on."""

    def number(card_id: str, sealed: str | None) -> str:
        try:
            return opened(deps, card_id, sealed)
        except LookupError:
            return ""
        except VaultFault:
            log.error("a card number does not open", extra={"card_id": card_id})
            return ""

    return number


def _place(card_id: str) -> str:
    return f"cards.card_number:{card_id}"
