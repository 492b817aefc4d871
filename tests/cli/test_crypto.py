"""`crypto selftest`: every published answer is recomputed, and a wrong one is not overlooked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from app import create_app
from app.config import Settings
from app.domain.clock import FakeClock
from app.providers.known_answers import VECTORS, Case, answered, gm_cases, other_cases, vectors
from app.providers.known_answers_card import card_cases
from app.wiring import build_deps
from tests.conftest import MORNING

KEYS = "k2=00112233445566778899aabbccddeeff k1=ffeeddccbbaa99887766554433221100"


@pytest.fixture(scope="module")
def selftest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Result]]:
    settings = Settings.from_env(
        {"ANXIN_DATA_DIR": str(tmp_path_factory.mktemp("house")), "ANXIN_VAULT_KEYS": KEYS}
    )
    deps = build_deps(settings, FakeClock(MORNING))
    app = create_app(deps=deps)

    def run(*arguments: str) -> Result:
        with app.app_context():
            return app.test_cli_runner(env={"COLUMNS": "140"}).invoke(args=["crypto", "selftest", *arguments])

    yield run
    deps.speech.close()
    deps.database.close()


def test_every_published_answer_comes_out_and_every_key_of_the_vault_seals(
    selftest: Callable[..., Result],
) -> None:
    done = selftest("--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == 0 and told["ok"] and told["failed"] == 0
    assert told["run"] == len(told["answers"]) >= 70
    algorithms = {answer["algorithm"] for answer in told["answers"]}
    assert {"SM2", "SM3", "SM4-ECB", "SM4-CBC", "SM4-CTR", "SM4-GCM", "SM4-CCM"} <= algorithms
    keys = [answer["name"] for answer in told["answers"] if answer["algorithm"] == "vault"]
    assert keys == ["key k2", "key k1"]
    assert not any(key.split("=")[1] in done.output for key in KEYS.split())


def test_the_table_stands_in_columns_and_counts(selftest: Callable[..., Result]) -> None:
    shown = selftest().stdout.splitlines()
    rows = [line for line in shown if line.startswith("│")]
    assert len(rows) >= 70 and len({tuple(i for i, c in enumerate(row) if c == "│") for row in rows}) == 1
    assert any(f"{len(rows)} answers, all right" in line for line in shown)


def test_no_shipped_vector_is_left_out() -> None:
    read = {"gm_standards", "crypto_vectors", "wechatpay_java_rsa", "wechatpay_go_notice"}
    assert {path.stem for path in VECTORS.glob("*.json")} == read | {
        "wechat_message_crypto",
        "pboc_load_vectors",
    }


# What of the vectors is an expected answer: changed, it must be noticed.
EXPECTED = {
    "gm_standards": ("digest", "ct", "tag", "px", "py", "za", "e", "r", "s", "c1", "c3", "c2"),
    "crypto_vectors": ("ct", "ct_first8", "tag"),
    "pboc_load_vectors": ("session_key", "mac1", "mac2", "tac", "tac8", "sub_key"),
}


def expected_answers(value: Any, names: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place in a document where one of these stands."""
    if isinstance(value, list):
        for each in value:
            yield from expected_answers(each, names)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in names and isinstance(each, str):
                yield value, name
            else:
                yield from expected_answers(each, names)


@pytest.mark.parametrize("file", sorted(EXPECTED))
def test_a_single_changed_digit_of_any_expected_answer_is_noticed(file: str) -> None:
    cases = {"gm_standards": gm_cases, "crypto_vectors": other_cases, "pboc_load_vectors": card_cases}[file]
    places = len(list(expected_answers(vectors(file), EXPECTED[file])))
    assert places > 5
    for number in range(places):
        document = vectors(file)
        holder, name = list(expected_answers(document, EXPECTED[file]))[number]
        holder[name] = holder[name][:-1] + ("0" if holder[name][-1] != "0" else "1")
        quick = (case for case in cases(document) if case.name != "1,000,000 times")
        assert any(answer.fault for answer in answered(quick)), (file, holder, name)


def test_a_broken_algorithm_is_reported_and_the_others_still_run() -> None:
    def broken() -> bool:
        raise RuntimeError("no such cipher here")

    first, second, third = answered(
        iter(
            [Case("A", "a", "", broken), Case("B", "b", "", lambda: False), Case("C", "c", "", lambda: True)]
        )
    )
    assert first.fault == "RuntimeError: no such cipher here"
    assert second.fault == "differs" and third.fault is None
