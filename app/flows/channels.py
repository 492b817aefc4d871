"""Which merchant takes a payment: the primary one, or the standby while a circuit breaker is open.

Level 3 of PRODUCT.md "Money". The choice is written on the order before anybody is asked and stays with it:
an order of which we do not know how its request ended is never sent to the other channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import pybreaker

from app.domain.orders import PRIMARY
from app.flows.deps import Deps
from app.ports import PaymentRequest, Refused, Unavailable, WeChatPay
from app.store import cases, orders
from app.store.orders import Order

FAILURES_TO_OPEN = 5
NO_CHANNEL, CHANNEL_CHANGING = "no_channel", "channel_changing"
OPENING = "opening"  # what was asked, in the evidence


class _Tell(pybreaker.CircuitBreakerListener):
    def __init__(self, changed: Callable[[str, bool], None]) -> None:
        self._changed = changed

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        if new_state.name != pybreaker.STATE_HALF_OPEN:
            self._changed(str(cb.name), new_state.name == pybreaker.STATE_CLOSED)


def breakers(
    names: Mapping[str, WeChatPay], reset_seconds: float, changed: Callable[[str, bool], None]
) -> dict[str, pybreaker.CircuitBreaker]:
    """One for each channel of this process. `changed(channel, over)` is called when one opens or closes.

    A refusal is an answer: only silence and faults count.
    """
    return {
        name: pybreaker.CircuitBreaker(
            fail_max=FAILURES_TO_OPEN,
            reset_timeout=reset_seconds,
            exclude=[Refused],
            listeners=[_Tell(changed)],
            name=name,
            throw_new_error_on_trip=False,
        )
        for name in names
    }


def pay_of(deps: Deps, order: Order) -> WeChatPay:
    """The merchant this order was opened with, or would be asked about first."""
    return deps.pays[order.pay_channel or PRIMARY]


def open_payment(deps: Deps, order: Order, request: PaymentRequest, now: datetime) -> tuple[str, str]:
    """Have a payment opened; returns (prepay_id, channel).

    Refused as the channel refused; Unavailable when it certainly was not opened anywhere (the order is free
    to try another channel); Unknown when nobody knows (the order stays with its channel).
    """
    for channel in deps.pays:
        found, alone = _choose(deps, order, channel, now)
        try:
            return _ask(deps, found, request), found
        except Unavailable as not_done:
            if not alone or not _free(deps, order, found) or not isinstance(not_done, _NotAsked):
                raise
    raise Unavailable(NO_CHANNEL)


def _choose(deps: Deps, order: Order, channel: str, now: datetime) -> tuple[str, bool]:
    """Write down which merchant is asked: `channel`, or the one another request of the same person chose.
    Returns it, and whether nobody else asks there; who joins says so, and then it is never taken back."""
    with deps.database.write() as tx:
        if orders.set_channel(tx, order.id, None, channel):
            return channel, True
        found = orders.get(tx, order.id).pay_channel
        if found is None or not orders.set_channel(tx, order.id, found, found):  # it also locks the row
            raise Unavailable(CHANNEL_CHANGING)
        cases.asked(tx, order.id, OPENING, found, now)
        return found, False


def _free(deps: Deps, order: Order, channel: str) -> bool:
    """Nothing was opened by us: unless somebody joined, the order may go to another channel."""
    with deps.database.write() as tx:
        held = orders.set_channel(tx, order.id, channel, channel)
        if not held or cases.was_asked(tx, order.id, OPENING):
            return False
        return orders.set_channel(tx, order.id, channel, None)


class _NotAsked(Unavailable):
    """The breaker is open: nothing was sent."""


def _ask(deps: Deps, channel: str, request: PaymentRequest) -> str:
    try:
        with deps.breakers[channel].calling():  # not `call`, which lets one request through at a time
            return deps.pays[channel].open(request)
    except pybreaker.CircuitBreakerError:
        raise _NotAsked("breaker_open", channel) from None
