"""The history an elder can hear: who did what, when, in sentences."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import SHANGHAI
from app.domain.ids import Kind, new_id
from app.flows import told_history
from app.flows.deps import Deps
from app.flows.told_history import Known
from app.ports import CardMode
from app.store import deeds
from app.store.cards import Card
from app.store.deeds import Deed
from app.voice import replies
from app.voice.amounts import spoken_yuan
from app.voice.moments import told_moment
from tests.flows.family_ground import Family, a_family
from tests.rules.test_words import assert_speakable
from tests.world import World

HISTORY = "/api/v1/me/history"
KINDS = sorted(key for key in replies.templates()["phrases"] if key.startswith("deed_"))
ELDER, DAUGHTER, STRANGER = (new_id(Kind.USER) for _ in range(3))
CARD = Card(new_id(Kind.CARD), ELDER, None, "31048703", "0001", "guangzhou", CardMode.ACCOUNT, True, None, 1)
KNOWN = Known(ELDER, {DAUGHTER: "女儿"}, {CARD.id: CARD})


@pytest.fixture
def family(world: World) -> Family:
    return a_family(world, "女儿")


def write(world: World, family: Family, kind: str, number: int = 1, **facts: object) -> None:
    with world.deps.database.write() as tx:
        deeds.write(tx, family.elder_id, family.id_of("女儿"), kind, f"s-{number}", world.clock.now(), facts)


def shanghai(*when: int) -> datetime:
    return datetime(*when, tzinfo=SHANGHAI).astimezone(UTC)  # type: ignore[misc,arg-type]


# --- over HTTP ---


def test_it_is_told_newest_first_for_the_eye_and_for_the_ear(world: World, family: Family) -> None:
    family.ask("女儿", 5050)
    family.relatives["女儿"].ok(
        "POST", f"/api/v1/pay-requests/{family.asked_of('女儿')[0]}/no", {"reason": "too_much"}
    )
    page = family.elder.ok("GET", HISTORY)
    assert [each["text"] for each in page["history"]] == [
        "今天上午11点，请家人给羊城通，尾号0001充50.50元，没有人办成，没有动钱。".replace("11", "十一"),
        "今天上午十一点，女儿这次不给羊城通，尾号0001充50.50元：觉得这次充得多了一点。",
        "今天上午十一点，您请女儿给羊城通，尾号0001充50.50元。",
    ]
    assert page["history"][2]["say"] == "今天上午十一点，您请女儿给羊城通，尾号零零零幺充五十点五元。"
    assert page["next_before"] is None and page["screen"]["next"] == "choose"
    assert page["screen"]["say"].startswith("最近有三件事，我念给您听。今天上午十一点，请家人")
    assert len(page["screen"]["body"]) == 3
    world.clock.tick(days=1)
    assert family.elder.ok("GET", HISTORY)["history"][0]["say"].startswith("昨天上午十一点")


def test_twenty_a_page_and_the_next_page_goes_on_where_it_ended(world: World, family: Family) -> None:
    for number in range(45):
        write(world, family, "proposal_declined", number, card_id=family.card_id, amount_fen=5000 + number)
    seen: list[str] = []
    before: str | None = ""
    while before is not None:
        page = family.elder.ok("GET", f"{HISTORY}?before={before}" if before else HISTORY)
        seen += [each["text"] for each in page["history"]]
        before = page["next_before"]
    assert len(seen) == len(set(seen)) == 45
    assert len(page["screen"]["body"]) == 5


def test_nobody_has_a_history_without_a_deed_and_it_says_what_to_do(world: World, family: Family) -> None:
    page = family.elder.ok("GET", HISTORY)
    assert page["history"] == [] and "请点充值" in page["screen"]["say"]


def test_a_relatives_and_a_strangers_history_is_their_own(world: World, family: Family) -> None:
    write(world, family, "proposal_declined", card_id=family.card_id, amount_fen=5000)
    deed_id = new_id(Kind.DEED)
    for phone in (family.relatives["女儿"], world.phone("li")):
        assert phone.ok("GET", HISTORY)["history"] == []
        assert phone.ok("GET", f"{HISTORY}?before={deed_id}")["history"] == []


@pytest.mark.parametrize("before", ["x", "dee_", "ord_01JD0000000000000000000000", "' or 1=1"])
def test_a_before_that_is_no_deed_is_refused(family: Family, before: str) -> None:
    status, body = family.elder.get(HISTORY, params={"before": before})
    assert (status, body["code"]) == (422, "request_invalid")


def test_the_orders_are_one_button_away_and_the_other_way_round(family: Family) -> None:
    orders = family.elder.tap("history")["screen"]
    family.elder.open_order()
    orders = family.elder.tap("history")["screen"]
    assert "told" in [choice["id"] for choice in orders["choices"]]
    assert family.elder.tap("told")["screen"]["title"] == "还没有事情"
    family.ask("女儿")
    told = family.elder.tap("told")["screen"]
    assert told["title"] == "谁办了什么" and "history" in [choice["id"] for choice in told["choices"]]
    assert family.elder.tap("repeat")["screen"] == told


def test_a_kind_only_a_newer_release_knows_is_told_as_something(world: World, family: Family) -> None:
    write(world, family, "from_the_future", card_id=family.card_id)
    (told,) = family.elder.ok("GET", HISTORY)["history"]
    assert told["say"].endswith("女儿办了一件事。")


# --- every kind ---


def facts_for(key: str, amount_fen: int) -> dict[str, object]:
    """Facts of each kind of name that fill this phrase."""
    phrase = str(replies.templates()["phrases"][key])
    names = {name for _, name, _, _ in string.Formatter().parse(phrase) if name} - {"who"}
    made: dict[str, object] = {}
    for name in names:
        if name in ("yuan", "amount", "threshold"):
            made[f"{name}_fen"] = amount_fen
        elif name in ("card", "relative"):
            made[f"{name}_id"] = CARD.id if name == "card" else DAUGHTER
        elif name == "reason":
            made["reason_phrase"] = "reason_call_first"
        else:
            made[name] = 5
    return made


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize(
    "actor", [None, ELDER, DAUGHTER, STRANGER], ids=["house", "elder", "daughter", "gone"]
)
def test_every_kind_of_deed_is_a_sentence_that_can_be_said(
    world_of_words: Callable[[], Deps], key: str, actor: str | None
) -> None:
    for amount_fen in (1, 205, 5000, 20_050, 500_000):
        facts = facts_for(key, amount_fen)
        deed = Deed("dee_1", ELDER, actor, key.removeprefix("deed_"), "s", facts, shanghai(2026, 11, 3, 20))
        said = told_history.sentence(world_of_words(), deed, KNOWN, aloud=True)
        assert_speakable(said)
        assert not set(said) & set(string.digits), said
        assert "系统" in said or actor is not None or "{who}" not in replies.templates()["phrases"][key]


@pytest.fixture(scope="module")
def world_of_words(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Deps]:
    """Only the city is needed for words."""
    from app.config import Settings
    from app.domain.clock import FakeClock
    from app.wiring import build_deps

    folder = tmp_path_factory.mktemp("words")
    deps = build_deps(
        Settings.from_env({"ANXIN_DATA_DIR": str(folder), "ANXIN_VOICE_MODELS": str(folder)}),
        FakeClock(shanghai(2026, 11, 4, 9)),
    )
    return lambda: deps


# --- when ---


@pytest.mark.parametrize(
    ("at", "now", "said"),
    [
        ((2026, 11, 24, 9, 5), (2026, 11, 24, 23, 59), "今天上午九点"),
        ((2026, 11, 24, 23, 59), (2026, 11, 25, 0, 0), "昨天晚上十一点"),
        ((2026, 11, 3, 14), (2026, 11, 24, 9), "十一月三号下午两点"),
        ((2026, 11, 3, 0, 30), (2026, 11, 3, 8), "今天凌晨零点"),
        ((2026, 12, 31, 12), (2027, 1, 1, 0), "昨天中午十二点"),
        ((2021, 12, 20, 6), (2027, 1, 1, 0), "二零二一年十二月二十号早上六点"),
        ((2028, 2, 29, 18), (2028, 3, 2, 0), "二月二十九号晚上六点"),
    ],
)
def test_a_moment_is_said_as_people_say_it(at: tuple[int, ...], now: tuple[int, ...], said: str) -> None:
    assert told_moment(shanghai(*at), shanghai(*now)) == said


@given(st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1)), st.integers(0, 4000))
def test_every_moment_can_be_said(moment: datetime, days: int) -> None:
    at = moment.replace(tzinfo=UTC)
    assert_speakable(told_moment(at, at + timedelta(days=days)) + "。")


@given(st.integers(0, 10_000_000))
def test_every_sum_can_be_said_before_yuan(amount_fen: int) -> None:
    said = spoken_yuan(amount_fen)
    assert said and not set(said) & set(string.printable)


@pytest.mark.parametrize(
    ("fen", "said"), [(5000, "五十"), (200, "两"), (20_000, "两百"), (3050, "三十点五"), (205, "二点零五")]
)
def test_sums_as_people_say_them(fen: int, said: str) -> None:
    assert spoken_yuan(fen) == said
