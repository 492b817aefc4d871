"""The other side's books of a day, each fetched, kept, and compared with ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection

from app.domain.differences import Standing, knowing
from app.domain.orders import CARD_SYSTEM, INTER_CITY, PAY_ACCOUNTS
from app.domain.reconciliation import Class, Comparison, Row, RowKind, Tally, compare
from app.domain.regions import issuer_of
from app.flows import card_numbers
from app.flows.deps import Deps
from app.flows.reconcile_report import CARDS, newest_by_name
from app.flows.trouble import quarantine
from app.ports import BillLine, CreditLine, OutsideError, WeChatPay
from app.store import differences, reconciliation, reconciliation_files
from app.store.reconciliation_files import BillChanged

BILL_CHANGED = "bill_changed"
_VOID = ("CLOSED", "FAIL")  # refund states of a bill in which the money is back with the merchant


class Silent(Exception):
    """A side did not hand its book over. Nothing was opened; the day stays open."""

    def __init__(self, book: str, code: str) -> None:
        super().__init__(f"{book}: {code}")
        self.book = book
        self.code = code


@dataclass(slots=True)
class Book:
    """One book of the other side, compared with ours. `channel` is None for the card system's; `shifted`
    counts the rows that another day's book explains."""

    name: str
    source: str
    channel: str | None
    account: str
    statement: bool
    sha1: str | None
    comparison: Comparison
    shifted: Tally = field(default_factory=Tally)


def read_books(deps: Deps, day: date, now: datetime) -> Iterator[Book]:
    """Every book, fetched and compared; one at a time, because a bill is large. Silent when one is not to
    be had."""
    with deps.database.read() as tx:
        watched = newest_by_name(differences.of_day(tx, day))
    for channel, pay in deps.pays.items():
        yield _bill(deps, channel, pay, day, {name for book, name in watched if book == channel}, now)
    yield _card_file(deps, day, {name for book, name in watched if book == CARDS})


def _bill(deps: Deps, channel: str, pay: WeChatPay, day: date, watched: set[str], now: datetime) -> Book:
    account = PAY_ACCOUNTS[channel]
    try:
        bill = pay.trade_bill(day)
    except OutsideError as silence:
        raise Silent(channel, silence.code) from silence
    if bill is not None:
        folder = reconciliation_files.folder_of(deps.settings.data_dir, day)
        try:
            reconciliation_files.keep_bill(folder, channel, bill.raw, bill.sha1)
        except BillChanged as changed:
            with deps.database.write() as tx:
                quarantine(tx, BILL_CHANGED, f"{day}:{channel}", str(changed), now)
            raise Silent(channel, BILL_CHANGED) from changed
    sha1 = None if bill is None else bill.sha1
    lines = () if bill is None else bill.lines
    del bill  # the raw file is on disk by now, and need not be in memory twice
    with reconciliation.snapshot(deps.database) as tx:
        ours = reconciliation.money(tx, channel, day)
        comparison = compare(day, ours, _bill_rows(lines, account), watched)
        _look_around(deps, tx, channel, day, comparison)
    return Book(channel, differences.WECHAT_BILL, channel, account, sha1 is not None, sha1, comparison)


def _bill_rows(lines: Sequence[BillLine], account: str) -> Iterator[Row]:
    for line in lines:
        if line.refund_id is None:
            number, fen, counts = line.transaction_id, line.amount_fen, True
            kind = RowKind.PAYMENT
        else:
            number, fen, counts = line.refund_id, -line.amount_fen, line.state not in _VOID
            kind = RowKind.REFUND
        yield Row(kind, number, line.order_id, line.order_id, fen, line.at, counts, account)


def _card_file(deps: Deps, day: date, watched: set[str]) -> Book:
    account_of = _account_of(deps)
    try:
        lines = deps.card_system.credits_of(day)
    except OutsideError as silence:
        raise Silent(CARDS, silence.code) from silence
    with reconciliation.snapshot(deps.database) as tx:
        ours = reconciliation.credits(tx, day, account_of, card_numbers.for_comparing(deps))
        comparison = compare(day, ours, _credit_rows(lines, account_of), watched)
        _look_around(deps, tx, None, day, comparison)
    return Book(CARDS, differences.CARD_FILE, None, CARD_SYSTEM, True, None, comparison)


def _credit_rows(lines: Sequence[CreditLine], account_of: Callable[[str], str]) -> Iterator[Row]:
    for line in lines:
        account = account_of(line.card_number)
        yield Row(
            RowKind.CREDIT,
            line.order_id,
            line.card_number,
            line.order_id,
            -line.amount_fen,
            line.at,
            True,
            account,
        )


def _account_of(deps: Deps) -> Callable[[str], str]:
    """Whom we owe for a credit to a card, by its number or prefix: the same rule as at its delivery."""
    here = deps.city.name

    def account_of(card_number: str) -> str:
        issuer = issuer_of(card_number)
        return CARD_SYSTEM if issuer is None or issuer.name == here else INTER_CITY

    return account_of


def _look_around(deps: Deps, tx: Connection, channel: str | None, day: date, comparison: Comparison) -> None:
    """What only they show may be known to us from another day, or be on its way."""
    missing = [one.theirs for one in comparison.findings if one.found is Class.MISSING_OURS and one.theirs]
    known = reconciliation.standings(tx, channel, day, missing, card_numbers.for_comparing(deps))
    comparison.findings = [
        knowing(one, known.get(one.theirs, Standing.ABSENT)) if one.theirs else one
        for one in comparison.findings
    ]
