"""From a city's file to a City, noting every fault on the way."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

from app.domain.cities.model import (
    BATCH_PROMISE,
    Batch,
    CardKind,
    Channel,
    City,
    Clearing,
    Dialect,
    Entry,
    IdentityRule,
    LargePayment,
    Method,
    MethodName,
    Region,
    Service,
    Writing,
)
from app.domain.fees import OTHER, FeeSchedule
from app.domain.tables import Table

MOST_FEN = 10_000_000  # no limit, fee or threshold of ours lies above a hundred thousand yuan
_DAY_MINUTES = 24 * 60


def read_city(stem: str, raw: dict[str, Any], faults: list[str]) -> City:
    """The city of one file. It is worth something only when nothing was added to `faults`."""
    table = Table(stem, raw, faults)
    name = table.text("name")
    if name and name != stem:
        table.fault(f"name is {name!r}, not the file's own")
    clearing = table.one_of("clearing", Clearing)
    methods = _methods(table)
    kinds, writing = _cards(table.table("cards"))
    city = City(
        name=stem,
        label=table.text("label"),
        card_name=table.text("card_name"),
        card_prefixes=table.texts("card_prefixes", "[0-9]{8}", "8 digits"),
        region=table.one_of("region", Region) or Region.NORTH,
        hotline=table.text("hotline", "[0-9]{3,12}", "a telephone number of 3 to 12 digits"),
        dialects=table.each_of("dialects", Dialect),
        entry=_entry(table.table("entry")),
        clearing=clearing or Clearing.STANDARD,
        batch=_batch(table, clearing),
        card_kinds=kinds,
        writing=writing,
        methods=tuple(method for method in methods if method.enabled),
        methods_off=tuple(method for method in methods if not method.enabled),
        large=_large(table.table("large_payment")),
        accepts=_accepts(table),
        service=_service(table.table("service", needed=False)),
    )
    table.end()
    return city


def _entry(table: Table) -> Entry:
    channel = table.one_of("channel", Channel)
    identity = table.one_of("identity", IdentityRule)
    days = None
    if identity is IdentityRule.FACE_FIRST_USE:
        days = table.whole("identity_days", 1, 366)
    entry = Entry(
        channel or Channel.MINI_PROGRAM,
        table.whole("menu_depth", 1, 3),
        table.whole("steps", 1, 5),
        identity or IdentityRule.NONE,
        days,
    )
    table.end()
    return entry


def _cards(table: Table) -> tuple[tuple[CardKind, ...], tuple[Writing, ...]]:
    kinds = table.each_of("modes", CardKind)
    writing: tuple[Writing, ...] = ()
    if CardKind.CHIP in kinds:
        writing = table.each_of("writing", Writing)
    table.end()
    return kinds, writing


def _large(table: Table) -> LargePayment:
    single = table.whole("single_fen", 1, MOST_FEN)
    day = _upper(table, "day_fen")
    if day < single:
        table.fault(f"day_fen {day} is less than single_fen {single}")
    table.end()
    return LargePayment(single, day)


def _service(table: Table) -> Service:
    service = Service(
        active_sites=table.whole("active_sites", 1, 9, 1),
        standby_sites=table.whole("standby_sites", 0, 9, 0),
        queue=table.flag("queue", False),
        split_reads=table.flag("split_reads", False),
        write_p99_ms=table.whole("write_p99_ms", 1, 60_000) if table.has("write_p99_ms") else None,
    )
    table.end()
    return service


def _accepts(table: Table) -> tuple[str, ...]:
    """Whether the partners exist is known only when all files have been read."""
    if not table.has("cross_region"):
        return ()
    cross = table.table("cross_region")
    accepts = cross.texts("accepts", "[a-z_]+", "the name of a city", least=0)
    cross.end()
    return accepts


def _upper(table: Table, key: str) -> int:
    """The upper one of two sums; a faulty one is not also told to lie below the lower."""
    return table.whole(key, 1, MOST_FEN, stand_in=MOST_FEN)


# --- batches --------------------------------------------------------------------------------------


def _batch(table: Table, clearing: Clearing | None) -> Batch | None:
    if clearing is not Clearing.BATCH:
        if clearing is not None and table.has("batch"):
            table.table("batch")
            table.fault(f"batch belongs to clearing = {Clearing.BATCH.value!r}")
        elif clearing is None:
            table.table("batch", needed=False)
        return None
    batch = table.table("batch")
    told = "a time such as 16:00"
    texts = batch.texts("cut_offs", "([01][0-9]|2[0-3]):[0-5][0-9]", told)
    processing = timedelta(minutes=batch.whole("processing_minutes", 1, _DAY_MINUTES))
    cut_offs = tuple(time.fromisoformat(text) for text in texts)
    if list(cut_offs) != sorted(cut_offs):
        batch.fault("cut_offs are not in the order of the day")
    elif cut_offs:
        slowest = _longest_gap(cut_offs) + processing
        if slowest > BATCH_PROMISE:
            batch.fault(f"a payment just after a cut-off arrives after {slowest}, later than {BATCH_PROMISE}")
    batch.end()
    return Batch(cut_offs, processing)


def _longest_gap(cut_offs: tuple[time, ...]) -> timedelta:
    minutes = [cut_off.hour * 60 + cut_off.minute for cut_off in cut_offs]
    following = [*minutes[1:], minutes[0] + _DAY_MINUTES]
    return timedelta(minutes=max(after - before for before, after in zip(minutes, following, strict=True)))


# --- ways to pay ----------------------------------------------------------------------------------


def _methods(table: Table) -> list[Method]:
    found: list[Method] = []
    for one in table.tables("methods"):
        method = _method(one)
        if method is None:
            continue
        if any(method.name == other.name for other in found):
            one.fault(f"{method.name} is there twice")
        found.append(method)
    if found and not any(method.enabled for method in found):
        table.fault("no payment method is enabled")
    return found


def _method(table: Table) -> Method | None:
    name = table.one_of("name", MethodName)
    if name:
        table.where = f"{table.where} ({name})"
    least, most = table.whole("min_fen", 1, MOST_FEN), _upper(table, "max_fen")
    if least > most:
        table.fault(f"min_fen {least} is more than max_fen {most}")
    fees = tuple(_fee(one) for one in table.tables("fees", needed=False))
    banks = [fee.bank for fee in fees]
    if len(set(banks)) < len(banks):
        table.fault("fees name a bank twice")
    if name is MethodName.WECHAT_BALANCE and fees:
        table.fault("the balance is free: it has no fees")
    elif name not in (None, MethodName.WECHAT_BALANCE) and OTHER not in banks:
        table.fault(f"fees lack the bank {OTHER!r}, the schedule of every bank that has none of its own")
    label, enabled = table.text("label"), table.flag("enabled")
    table.end()
    return Method(name.value, label, enabled, least, most, fees) if name else None


def _fee(table: Table) -> FeeSchedule:
    fee = FeeSchedule(
        bank=table.text("bank", "[a-z]{2,16}", "2 to 16 small letters"),
        bps=table.whole("bps", 0, 9_999),
        least_fen=table.whole("min_fen", 0, MOST_FEN),
        cap_fen=table.whole("cap_fen", 0, MOST_FEN, stand_in=MOST_FEN),
    )
    if fee.least_fen > fee.cap_fen:
        table.fault(f"min_fen {fee.least_fen} is more than cap_fen {fee.cap_fen}")
    table.end()
    return fee
