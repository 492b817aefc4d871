"""When a person picks a way of the check: a code is sent, a relative asked, or the next page shown."""

from __future__ import annotations

from app.domain.identity import Factor
from app.errors import AppError
from app.flows import check_code, check_relative, identity_check
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store.people import Actor

_SHOWN = {  # the phone does the rest: camera, keyboard
    Factor.FACE: "check_face",
    Factor.DESK: "check_desk",
    Factor.BANK_CARD: "check_bank_card",
}


def choose(deps: Deps, actor: Actor, order_id: str, factor: str) -> OrderView:
    """Begin one way. AppError choice_unknown for no way we offer, and what the way itself raises."""
    if factor == Factor.SMS.value:
        return check_code.send_sms(deps, actor, order_id)
    if factor == Factor.RELATIVE.value:
        return check_relative.ask(deps, actor, order_id)
    name = next((screen for way, screen in _SHOWN.items() if way.value == factor), None)
    if name is None:
        raise AppError("choice_unknown")
    return identity_check.show(deps, identity_check.pending(deps, actor, order_id), name)
