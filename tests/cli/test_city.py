"""`flask --app wsgi city …`: what a city offers, costs and promises, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from app import create_app
from app.config import Settings
from app.domain.clock import FakeClock
from app.wiring import build_deps
from tests.conftest import MORNING

NAMES = ("beijing", "chengdu", "guangzhou", "hangzhou", "lanzhou", "shanghai", "shenzhen", "wenzhou", "wuhan")
BALANCE = ("--method", "wechat_balance", "--amount", "200")
Typed = Callable[..., Result]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """Runs one command of the group in an application whose clock stands on a Monday morning."""
    folder = tmp_path_factory.mktemp("house")
    settings = Settings.from_env(
        {"ANXIN_DATA_DIR": str(folder), "ANXIN_VOICE_MODELS": str(folder / "no-models")}
    )
    deps = build_deps(settings, FakeClock(MORNING))
    app = create_app(deps=deps)
    runner = app.test_cli_runner(env={"COLUMNS": "200"})

    def run(*arguments: str) -> Result:
        with app.app_context():
            return runner.invoke(args=["city", *arguments])

    yield run
    deps.speech.close()
    deps.database.close()


def document(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def quote(city: Typed, name: str, *arguments: str) -> dict[str, Any]:
    return document(city("quote", name, *arguments, "--json"))


def test_the_list_has_every_city_and_counts_who_takes_other_cities_cards(city: Typed) -> None:
    told = document(city("list", "--json"))
    assert tuple(each["name"] for each in told["cities"]) == NAMES
    assert told["cross_region"]["yangtze_delta"] == {"cities": 3, "supporting": 3}
    assert told["cross_region"]["west"] == {"cities": 2, "supporting": 1}
    shown = city("list").stdout
    assert all(name in shown for name in NAMES) and "west: 1 of 2" in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_city_is_shown_with_all_its_methods_on_or_off(city: Typed, name: str) -> None:
    told = document(city("show", name, "--json"))
    assert {method["name"] for method in told["methods"]} == {"wechat_balance", "bank_card", "credit_card"}
    shown = city("show", name)
    assert shown.exit_code == 0 and told["card_name"] in shown.stdout and "credit_card" in shown.stdout


def test_what_a_row_of_the_table_must_show_is_shown(city: Typed) -> None:
    told = {name: document(city("show", name, "--json")) for name in NAMES}
    assert told["shanghai"]["entry"]["identity"] == "real_name" and told["shanghai"]["entry"]["steps"] == 4
    assert told["hangzhou"]["entry"]["identity_days"] == 180
    assert told["lanzhou"]["batch"] == {
        "cut_offs": ["07:30", "15:30", "23:00"],
        "processing_minutes": 120,
        "promise_hours": 12,
    }
    assert told["shenzhen"]["card_modes"] == ["chip"] and told["shenzhen"]["writing"] == ["nfc"]
    assert told["shenzhen"]["service"]["active_sites"] == 2 and told["wuhan"]["service"]["queue"] is True
    assert told["beijing"]["service"]["write_p99_ms"] == 200 and told["chengdu"]["dialects"][0] == "chengdu"
    assert told["wuhan"]["cards_accepted_in"] == ["guangzhou"]


def test_lanzhou_is_quoted_at_eight_in_the_evening(city: Typed) -> None:
    told = quote(city, "lanzhou", *BALANCE, "--at", "2026-11-20T20:00")
    assert told["accepted"] and (told["fee_fen"], told["total_fen"]) == (0, 20_000)
    assert [method["name"] for method in told["methods_offered"]] == ["wechat_balance"]
    assert (told["min_fen"], told["max_fen"], told["steps"], told["identity"]) == (5_000, 200_000, 3, "none")
    promise = told["promise"]
    assert promise["batch_cutoff"] == promise["earliest"] == "2026-11-20T23:00:00+08:00"
    assert promise["by"] == "2026-11-21T08:00:00+08:00" and "最多十二个小时" in promise["words"]


@pytest.mark.parametrize(
    ("at", "earliest", "by", "words"),
    [
        ("2026-11-23T15:59:59.999", "15:59:59.999", "16:00:59.999", "马上"),
        ("2026-11-23T16:00:00", "17:00", "18:00", "下午四点以后付的款，一到两个小时到账"),
        ("2026-11-23T08:00:00Z", "17:00", "18:00", "一到两个小时"),
        ("2026-11-21T12:00", "14:00", "18:00", "休息日"),
        ("2026-02-14T12:00", "12:00", "12:01", "马上"),
        ("2026-02-17T12:00", "14:00", "18:00", "休息日"),
        ("2027-01-01", "02:00", "06:00", "两到六个小时"),
    ],
)
def test_the_standard_clock_is_quoted(city: Typed, at: str, earliest: str, by: str, words: str) -> None:
    promise = quote(city, "wuhan", *BALANCE, "--at", at)["promise"]
    assert promise["earliest"].partition("T")[2].startswith(earliest)
    assert promise["by"].partition("T")[2].startswith(by) and promise["by"].endswith("+08:00")
    assert words in promise["words"] and promise["batch_cutoff"] is None


def test_an_unannounced_year_is_told_as_such(city: Typed) -> None:
    promise = quote(city, "wuhan", *BALANCE, "--at", "2027-01-04T12:00")["promise"]
    assert promise["workday"] is False and promise["calendar_announced"] is False
    announced = quote(city, "wuhan", *BALANCE, "--at", "2026-12-31T12:00")["promise"]
    assert announced["workday"] is True and announced["calendar_announced"] is True


def test_without_a_time_it_is_the_applications_clock(city: Typed) -> None:
    assert quote(city, "wuhan", *BALANCE)["promise"]["paid_at"] == "2026-11-23T10:00:00+08:00"


@pytest.mark.parametrize(
    ("method", "amount", "code"),
    [
        ("wechat_balance", "49.99", "amount_too_small"),
        ("wechat_balance", "50", None),
        ("wechat_balance", "2000.00", None),
        ("wechat_balance", "2000.01", "amount_too_large"),
        ("bank_card", "99.99", "amount_too_small"),
        ("bank_card", "100.0", None),
        ("bank_card", "5000", None),
        ("bank_card", "5000.01", "amount_too_large"),
        ("credit_card", "299.99", "amount_too_small"),
        ("credit_card", "300", None),
        ("credit_card", "1000", None),
        ("credit_card", "1000.01", "amount_too_large"),
    ],
)
@pytest.mark.parametrize("name", ["guangzhou", "lanzhou"])
def test_limits_are_quoted_exactly_and_a_method_that_is_off_has_none(
    city: Typed, name: str, method: str, amount: str, code: str | None
) -> None:
    told = quote(city, name, "--method", method, "--amount", amount)
    if name == "lanzhou" and method != "wechat_balance":
        code = "method_not_offered"
        assert told["offered"] is False and told["min_fen"] is None
    assert told["code"] == code and told["accepted"] is (code is None)
    assert (told["fee_fen"] is None) is (code is not None) and (told["say"] is None) is (code is None)


@pytest.mark.parametrize(
    ("bank", "schedule", "fee_fen"), [("icbc", "icbc", 100), ("ICBC", "icbc", 100), ("abc", "other", 200)]
)
def test_the_fee_is_the_banks_own_or_the_one_for_others(
    city: Typed, bank: str, schedule: str, fee_fen: int
) -> None:
    told = quote(city, "wuhan", "--method", "bank_card", "--amount", "1000", "--bank", bank)
    assert (told["fee_schedule"], told["fee_fen"]) == (schedule, fee_fen)
    assert told["total_fen"] == 100_000 + fee_fen
    assert told["large"] is True and told["fee_words"].startswith("手续费")


def test_a_quote_reads_well_as_a_table(city: Typed) -> None:
    shown = city("quote", "兰州", "--method", "bank_card", "--amount", "88.8", "--at", "2026-11-20T20:00")
    assert shown.exit_code == 0 and "method_not_offered" in shown.stdout and "88.80" in shown.stdout
    assert "2026-11-21T08:00:00+08:00" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "atlantis"), "choose one of beijing, chengdu"),
        (("quote", "atlantis", *BALANCE), "'atlantis' is no city of ours"),
        (("quote", "wuhan", "--method", "cash", "--amount", "200"), "'wechat_balance', 'bank_card'"),
        (("quote", "wuhan", "--amount", "200"), "Missing option '--method'"),
        (("quote", "wuhan", "--method", "bank_card"), "Missing option '--amount'"),
        (("quote", "wuhan", *BALANCE, "--bank", "icbc"), "leave --bank out"),
        *(
            (("quote", "wuhan", "--method", "bank_card", "--amount", amount), "write it like 200 or 88.80")
            for amount in (
                "",
                "x",
                "-5",
                "1.234",
                "1e3",
                ".5",
                "5.",
                "1,000",
                "１００",
                "9" * 9,
                "0x10",
                "nan",
            )
        ),
        *(
            (("quote", "wuhan", *BALANCE, "--at", at), "write it like 2026-11-20T20:00")
            for at in ("", "yesterday", "2026-02-30", "2026-11-20T24:01", "20:00")
        ),
        *(
            (("quote", "wuhan", *BALANCE, "--at", at), "is not of the years 2000 to 2199")
            for at in ("0001-01-01T00:00", "1999-12-31T23:59", "2200-01-01", "9999-12-31T23:59:59Z")
        ),
    ],
)
def test_what_cannot_be_understood_is_told_with_the_next_step(
    city: Typed, arguments: tuple[str, ...], told: str
) -> None:
    for more in ((), ("--json",)):
        done = city(*arguments, *more)
        assert done.exit_code == 2 and told in done.stderr and done.stdout == ""
        assert "Traceback" not in done.stderr
