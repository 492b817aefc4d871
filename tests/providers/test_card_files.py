"""End-of-day files and the card system's own file of a day: each order credited once, however it came."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.clock import SHANGHAI, FakeClock, SystemClock
from app.domain.ids import Kind, new_id
from app.ports import BatchLine, CreditLine, CreditState, Refused, Unavailable, Unknown
from app.providers.card_system_files import BATCH_COLUMNS, BadFile, read_file, write_file
from app.providers.card_system_gateway import CardSystemGateway
from tests.providers.adapters import SHORT, gateway_config
from tests.providers.fault_server import FaultServer
from tests.providers.test_card_system import card_answer
from tests.providers.test_sandbox import process
from tests.sandbox_server import START, Sandbox, running_sandbox, sandbox_keys

DAY = date(2026, 11, 23)
BATCH = "bat_20261123_1"
GOOD, OTHER = "3104870300000000001", "3104870300000000002"
NEARLY_FULL = "3104870300000000006"
BLOCKED = "3104870300000000008"
CREDIT_REFUSED = "3104870300000000009"
CREDIT_UNAVAILABLE_ONCE = "3104870300000000010"
CHIP = "3104870400000000001"


def line(card_number: str = GOOD, amount_fen: int = 5000, order_id: str | None = None) -> BatchLine:
    return BatchLine(order_id or new_id(Kind.ORDER), card_number, amount_fen)


def balance(sandbox: Sandbox, number: str = GOOD) -> int:
    return int(sandbox.card(number)["balance_fen"])


# --- batches ---


def test_a_file_is_worked_through_when_its_time_has_come(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    lines = [line(), line(OTHER, 300), line(CHIP, 700)]
    cards.submit_batch(BATCH, lines)
    clock.tick(seconds=1.9)
    assert cards.batch_result(BATCH) is None and sandbox.credits() == [] and balance(sandbox) == 3650
    assert cards.query(lines[0].order_id) is None
    clock.tick(seconds=0.1)
    result = cards.batch_result(BATCH)
    assert result is not None and [outcome.order_id for outcome in result] == [one.order_id for one in lines]
    assert [outcome.credit and outcome.credit.state for outcome in result] == [
        CreditState.CREDITED,
        CreditState.CREDITED,
        CreditState.WRITE_ISSUED,
    ]
    assert [outcome.credit and outcome.credit.balance_fen for outcome in result] == [8650, 1120, 4200]
    assert [cards.query(one.order_id) for one in lines] == [outcome.credit for outcome in result]
    assert (balance(sandbox), balance(sandbox, OTHER)) == (8650, 1120)
    clock.tick(days=30)
    assert cards.batch_result(BATCH) == result


def test_a_line_that_cannot_be_credited_says_why_and_stops_no_other(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    wishes = {
        "ceiling_exceeded": line(NEARLY_FULL),
        "card_blocked": line(BLOCKED),
        "credit_refused": line(CREDIT_REFUSED),
        "card_unknown": line("3104870399999999999"),
        "amount_malformed": line(GOOD, 0),
        "order_id_malformed": line(GOOD, 5000, "short"),
    }
    fine = [line(), line(CREDIT_UNAVAILABLE_ONCE), line(GOOD, 5032), line(GOOD, 5033)]
    cards.submit_batch(BATCH, [*wishes.values(), *fine, line(GOOD, 5031)])
    clock.tick(seconds=2)
    result = cards.batch_result(BATCH) or ()
    assert [outcome.refused for outcome in result] == [*wishes, None, None, None, None, "credit_refused"]
    assert all((outcome.credit is None) is (outcome.refused is not None) for outcome in result)
    assert [credit["order_id"] for credit in sandbox.credits()] == [one.order_id for one in fine]


def test_an_order_is_credited_once_whether_it_comes_singly_or_in_files(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    before, meanwhile, after = line(), line(), line()
    first = cards.credit(before.order_id, GOOD, 5000)
    cards.submit_batch(BATCH, [before, meanwhile, after])
    cards.submit_batch("bat_20261123_2", [after])
    single = cards.credit(meanwhile.order_id, GOOD, 5000)
    clock.tick(seconds=2)
    late = cards.credit(after.order_id, GOOD, 5000)
    result = cards.batch_result(BATCH) or ()
    assert [outcome.credit for outcome in result] == [first, single, late]
    assert cards.batch_result("bat_20261123_2") == result[2:]
    assert len(sandbox.credits()) == 3 and balance(sandbox) == 3650 + 15_000


def test_an_order_that_was_credited_differently_is_a_conflict_in_a_file_too(
    cards: CardSystemGateway, clock: FakeClock
) -> None:
    done = line()
    cards.credit(done.order_id, GOOD, 5000)
    cards.submit_batch(BATCH, [line(OTHER, 5000, done.order_id)])
    clock.tick(seconds=2)
    assert [outcome.refused for outcome in cards.batch_result(BATCH) or ()] == ["conflict"]


def test_a_file_may_be_handed_in_again_and_again(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    lines = [line() for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cards.submit_batch(BATCH, lines), range(16)))
    clock.tick(seconds=2)
    cards.submit_batch(BATCH, lines[::-1])
    assert len(cards.batch_result(BATCH) or ()) == 20
    assert balance(sandbox) == 3650 + 20 * 5000 and len(sandbox.batches()) == 1


@pytest.mark.parametrize("change", ["fewer", "more", "amount", "card"])
def test_other_lines_under_the_same_id_are_a_conflict(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock, change: str
) -> None:
    first, second = line(), line()
    other = {
        "fewer": [first],
        "more": [first, second, line()],
        "amount": [first, line(GOOD, 4999, second.order_id)],
        "card": [first, line(OTHER, 5000, second.order_id)],
    }[change]
    cards.submit_batch(BATCH, [first, second])
    for _ in range(2):
        with pytest.raises(Refused, match="batch_conflict"):
            cards.submit_batch(BATCH, other)
        clock.tick(seconds=2)
    assert [credit["amount_fen"] for credit in sandbox.credits()] == [5000, 5000]


def test_a_file_that_is_none_is_refused_and_leaves_no_trace(
    cards: CardSystemGateway, sandbox: Sandbox
) -> None:
    twice = line()
    for batch_id, lines in (
        (BATCH, []),
        (BATCH, [twice, twice]),
        (BATCH, [line(GOOD, -5)]),
        (BATCH, [line("3104,870")]),
        (BATCH, [line("３１０４")]),
        ("b", [line()]),
        ("b" * 65, [line()]),
    ):
        with pytest.raises(Refused, match="batch_malformed"):
            cards.submit_batch(batch_id, lines)
    assert sandbox.batches() == [] and cards.batch_result(BATCH) is None


def test_a_file_has_five_thousand_lines_at_most(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    lines = [line(GOOD, 1) for _ in range(5001)]
    with pytest.raises(Refused, match="batch_too_large"):
        cards.submit_batch(BATCH, lines)
    cards.submit_batch(BATCH, lines[:5000])
    clock.tick(seconds=2)
    result = cards.batch_result(BATCH) or ()
    assert len(result) == 5000 and all(outcome.credit for outcome in result)
    assert balance(sandbox) == 3650 + 5000


def test_a_stalled_card_system_takes_files_and_never_ends_until_it_does(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.stall_batches()
    wish = line()
    cards.submit_batch(BATCH, [wish])
    clock.tick(days=1, hours=13)
    assert cards.batch_result(BATCH) is None and cards.query(wish.order_id) is None
    assert cards.credits_of(DAY) == ()
    sandbox.stall_batches(False)
    (outcome,) = cards.batch_result(BATCH) or ()
    assert outcome.credit is not None and balance(sandbox) == 8650
    assert cards.credits_of(DAY) == ()  # a file that was told never changes: this is today's
    clock.tick(days=1)
    assert [one.order_id for one in cards.credits_of(DAY + timedelta(days=1))] == [wish.order_id]


@pytest.mark.parametrize("mode", ["refuses", "silent", "lost"])
def test_a_card_system_that_is_out_takes_a_file_once_or_not_at_all(
    cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock, mode: str
) -> None:
    lines = [line(), line()]
    sandbox.outage("cards", mode)
    outcome = Unavailable if mode == "refuses" else Unknown
    for call in (
        lambda: cards.submit_batch(BATCH, lines),
        lambda: cards.batch_result(BATCH),
        lambda: cards.credits_of(DAY),
    ):
        with pytest.raises(outcome):
            call()
    sandbox.outage("cards", "none")
    assert len(sandbox.batches()) == (1 if mode == "lost" else 0)
    cards.submit_batch(BATCH, lines)
    clock.tick(seconds=2)
    assert len(cards.batch_result(BATCH) or ()) == 2 and balance(sandbox) == 13_650


def test_a_file_outlives_a_kill(tmp_path: Path) -> None:
    sandbox_keys().save(tmp_path)
    lines = [line(), line(BLOCKED)]
    with process(tmp_path, "--batch-seconds", "0.2") as (running, base_url):
        cards = CardSystemGateway(gateway_config(base_url, sandbox_keys()), SystemClock())
        cards.submit_batch(BATCH, lines)
        os.kill(running.pid, signal.SIGKILL)
        cards.close_connections()
    later = FakeClock(SystemClock().now() + timedelta(minutes=1))
    with running_sandbox(tmp_path, clock=later) as sandbox:
        cards = CardSystemGateway(gateway_config(sandbox.base_url, sandbox.keys), later)
        result = cards.batch_result(BATCH) or ()
        assert [outcome.refused for outcome in result] == [None, "card_blocked"]
        assert balance(sandbox) == 8650
        cards.close_connections()


# --- a day's file ---


def test_a_days_file_holds_every_credit_of_that_day_in_shanghai(
    cards: CardSystemGateway, clock: FakeClock
) -> None:
    single, batched, chip = line(), line(OTHER, 300), line(CHIP, 700)
    first = cards.credit(single.order_id, GOOD, 5000)
    clock.tick(hours=1)
    cards.submit_batch(BATCH, [batched, chip, line(BLOCKED)])
    clock.tick(hours=12)  # 23:00; nobody has looked since
    with pytest.raises(Unavailable, match="file_not_ready"):
        cards.credits_of(DAY)
    midnight = datetime(2026, 11, 24, tzinfo=SHANGHAI)
    clock.tick(seconds=(midnight - clock.now()).total_seconds() - 0.001)
    last = cards.credit("ord_the_last_one", GOOD, 100)
    with pytest.raises(Unavailable, match="file_not_ready"):
        cards.credits_of(DAY)
    clock.tick(seconds=0.001)
    cards.credit("ord_the_next_day", GOOD, 100)
    found = cards.credits_of(DAY)
    assert found[0] == CreditLine(single.order_id, GOOD, 5000, first.reference, START)
    worked = START + timedelta(hours=1, seconds=2)
    assert [(one.order_id, one.amount_fen, one.at) for one in found[1:]] == [
        *sorted([(batched.order_id, 300, worked), (chip.order_id, 700, worked)]),
        ("ord_the_last_one", 100, datetime(2026, 11, 23, 15, 59, 59, 999_000, tzinfo=UTC)),
    ]
    assert found[-1].reference == last.reference and cards.credits_of(DAY - timedelta(days=1)) == ()


# --- the format, written out a second time ---


def signed_get(sandbox: Sandbox, clock: FakeClock, path: str) -> requests.Response:
    timestamp, nonce = str(int(clock.now().timestamp())), hashlib.md5(path.encode()).hexdigest()
    text = f"GET\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(b'').hexdigest()}"
    headers = {
        "X-Card-Key": sandbox.keys.card_client_id,
        "X-Card-Timestamp": timestamp,
        "X-Card-Nonce": nonce,
        "X-Card-Signature": hmac.new(
            sandbox.keys.card_secret.encode(), text.encode(), hashlib.sha256
        ).hexdigest(),
    }
    return requests.get(sandbox.base_url + path, headers=headers, timeout=5)


def test_files_look_as_documented(cards: CardSystemGateway, sandbox: Sandbox, clock: FakeClock) -> None:
    cards.submit_batch(BATCH, [line(GOOD, 5000, "ord_000001"), line(BLOCKED, 70, "ord_000002")])
    path = f"/card-system/v1/batches/{BATCH}"
    assert (signed_get(sandbox, clock, path).status_code, sandbox.credits()) == (202, [])
    clock.tick(seconds=2)
    answer = signed_get(sandbox, clock, path)
    reference = sandbox.credits()[0]["reference"]
    assert answer.text == (
        "order_id,card_number,amount_fen,state,reference,balance_fen,refused\n"
        f"ord_000001,{GOOD},5000,credited,{reference},8650,\n"
        f"ord_000002,{BLOCKED},70,refused,,,card_blocked\n"
        f"#end,{BATCH},2,5070\n"
    )
    assert answer.headers["X-Card-File-Sha256"] == hashlib.sha256(answer.content).hexdigest()
    clock.tick(days=1)
    assert signed_get(sandbox, clock, "/card-system/v1/files/credits/2026-11-23").text == (
        "order_id,card_number,amount_fen,state,reference,credited_at\n"
        f"ord_000001,{GOOD},5000,credited,{reference},2026-11-23T10:00:02.000+08:00\n"
        "#end,2026-11-23,1,5000\n"
    )
    missing = signed_get(sandbox, clock, "/card-system/v1/files/credits/2026-13-01")
    assert (missing.status_code, missing.json()) == (422, {"code": "day_malformed"})


GOOD_RESULT = (
    b"order_id,new,card_number,amount_fen,state,reference,balance_fen,refused\n"
    b"ord_000001,x,3104,5000,credited,CS1,8650,\n"
    b"#end,bat_20261123_1,1,5000\n"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b",new,", b",order_id,"),
        (b",state,", b",status,"),
        (b",5000,credited", b",5001,credited"),
        (b",5000,credited", b",50.00,credited"),
        (b",8650,", b",,"),
        (b"credited,CS1", b"credited,"),
        (b"credited", b"done"),
        (b",8650,", b",8650,card_blocked"),
        (b"credited,CS1,8650,", b"refused,,,"),
        (b"#end,bat_20261123_1,1", b"#end,bat_20261123_1,2"),
        (b"bat_20261123_1", b"bat_20261123_2"),
        (b"#end,bat_20261123_1,1,5000\n", b""),
        (b"#end,bat_20261123_1,1,5000\n", b"#end,bat_20261123_1,1,5000"),
        (b"ord_000001", "订单".encode()),
        (b"ord_000001,x", b"ord_000001"),
    ],
)
def test_a_result_file_that_does_not_add_up_is_unknown(
    fault_server: FaultServer, clock: FakeClock, old: bytes, new: bytes
) -> None:
    cards = CardSystemGateway(gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    raw = GOOD_RESULT.replace(old, new, 1)
    fault_server.then = lambda request: card_answer(request, 200, raw)
    if old == new:
        (outcome,) = cards.batch_result(BATCH) or ()
        assert outcome.credit is not None and outcome.credit.balance_fen == 8650
    else:
        with pytest.raises(Unknown, match="file_malformed"):
            cards.batch_result(BATCH)
    cards.close_connections()


@pytest.mark.parametrize(
    "credited_at", ["2026-11-24T00:00:00+08:00", "2026-11-23T12:00:00", "yesterday", "2026-11-22T15:59:59Z"]
)
def test_a_credit_of_another_day_or_no_moment_is_unknown(
    fault_server: FaultServer, clock: FakeClock, credited_at: str
) -> None:
    cards = CardSystemGateway(gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    raw = (
        "order_id,card_number,amount_fen,state,reference,credited_at\n"
        f"ord_000001,3104,5000,credited,CS1,{credited_at}\n#end,2026-11-23,1,5000\n"
    ).encode()
    fault_server.then = lambda request: card_answer(request, 200, raw)
    with pytest.raises(Unknown, match="file_malformed"):
        cards.credits_of(DAY)
    cards.close_connections()


def test_an_unsigned_or_mistaken_answer_to_a_file_is_unknown(
    fault_server: FaultServer, clock: FakeClock
) -> None:
    cards = CardSystemGateway(gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    fault_server.then = lambda request: card_answer(request, 200, GOOD_RESULT, nonce="0" * 32)
    with pytest.raises(Unknown, match="unverified"):
        cards.batch_result(BATCH)
    mistaken = f'{{"batch_id":"{BATCH}","lines":2,"total_fen":5000}}'.encode()
    fault_server.then = lambda request: card_answer(request, 200, mistaken)
    with pytest.raises(Unknown, match="answer_mismatch"):
        cards.submit_batch(BATCH, [line()])
    cards.close_connections()


VALUES = st.text("abcXYZ019_-:.+", max_size=12)
ROWS = st.lists(st.tuples(VALUES, VALUES, st.integers(0, 10**11 - 1)), max_size=10)


@settings(deadline=None)
@given(ROWS, st.data())
def test_a_file_comes_back_as_it_went_and_never_in_part(
    rows: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    raw = write_file("name", BATCH_COLUMNS, rows)
    found = [
        (row["order_id"], row["card_number"], int(row["amount_fen"]))
        for row in read_file(raw, "name", BATCH_COLUMNS)
    ]
    assert found == rows
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(BadFile):
        list(read_file(raw[:cut], "name", BATCH_COLUMNS))
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    try:
        again = list(read_file(changed, "name", BATCH_COLUMNS))
    except BadFile:
        return
    assert len(again) == len(rows)  # a changed name; amounts and counts cannot change unseen
    assert sum(int(row["amount_fen"]) for row in again) == sum(row[2] for row in rows)


@pytest.mark.parametrize("value", ["a,b", "a\nb", "é", "`", " "])
def test_a_value_that_no_file_can_hold_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="value"):
        write_file("name", BATCH_COLUMNS, [(value, "x", 1)])
