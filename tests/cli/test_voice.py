"""`flask --app wsgi voice …`: what was heard and meant, file by file.

Where a model is loaded the command runs as a process, as a script would run it; the rest runs in this one.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.config import REPOSITORY, Settings
from app.providers.voice_models import models_dir_default
from app.voice import State
from app.wiring import build_deps
from tests.providers.speech_models import whisper_dir

SPEECH = REPOSITORY / "tests" / "data" / "speech"
SENTENCES = REPOSITORY / "tests" / "voice" / "data" / "paraphrases_dev.tsv"
KEYS = [
    "file",
    "heard",
    "intent",
    "amount_fen",
    "card_index",
    "decision",
    "choices",
    "engine",
    "cpu_seconds",
    "seconds",
]


@pytest.fixture
def flask(tmp_path: Path) -> Any:
    """Runs one command with a data directory of its own; answers the finished process."""

    def run(*arguments: str | Path, models: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANXIN_")}
        environment["ANXIN_DATA_DIR"] = str(tmp_path / "data")
        environment["ANXIN_VOICE_MODELS"] = str(models or models_dir_default())
        environment["COLUMNS"] = "160"
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "voice", *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@dataclass
class Finished:
    """The same three facts as of a process."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Runs one command in this process, in an application that has no speech model."""
    folder = tmp_path_factory.mktemp("house")
    settings = Settings.from_env(
        {"ANXIN_DATA_DIR": str(folder), "ANXIN_VOICE_MODELS": str(folder / "no-models")}
    )
    deps = build_deps(settings)
    app = create_app(deps=deps)
    runner = app.test_cli_runner(env={"COLUMNS": "160"})

    def run(*arguments: str | Path) -> Finished:
        with app.app_context():  # as the `flask` command does
            done = runner.invoke(args=["voice", *map(str, arguments)])
        return Finished(done.exit_code, done.stdout, done.stderr)

    yield run
    deps.speech.close()
    deps.database.close()


def lines_of(done: subprocess.CompletedProcess[str] | Finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def labels() -> list[dict[str, str]]:
    with (SPEECH / "labels.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# --- listening for real ---


@pytest.mark.speech
def test_every_committed_clip_is_heard_and_understood(flask: Any) -> None:
    whisper_dir()
    rows = labels()
    done = flask("understand", *(SPEECH / row["file"] for row in rows), "--json")
    assert done.returncode == 0, done.stderr
    found = lines_of(done)
    assert [Path(line["file"]).name for line in found] == [row["file"] for row in rows]
    for line, row in zip(found, rows, strict=True):
        assert list(line) == KEYS
        wanted = (row["intent"], int(row["slot"]) if row["slot"] else None, "accept")
        assert (line["intent"], line["amount_fen"], line["decision"]) == wanted, line
        assert 1 <= len(line["heard"]) <= 5 and line["choices"] == [] and line["card_index"] is None
        assert line["engine"] == "whisper-base" and 0 < line["cpu_seconds"] < 30 and line["seconds"] > 0


@pytest.mark.speech
def test_a_recording_that_cannot_be_used_is_one_line_among_the_others(flask: Any, tmp_path: Path) -> None:
    whisper_dir()
    page, missing = tmp_path / "page.mp3", tmp_path / "missing.mp3"
    page.write_text("<html>no sound here</html>")
    done = flask("understand", missing, page, SPEECH / "jf_alpha_0.mp3", "--json")
    assert done.returncode == 1  # a file that is not there is the caller's mistake
    lines = lines_of(done)
    assert [line.get("error") for line in lines] == ["file_unreadable", "audio_format_unknown", None]
    assert lines[0]["detail"] == "No such file or directory"
    assert [line["decision"] for line in lines] == ["reject", "reject", "accept"]
    for line in lines[:2]:
        nothing = ([], "none", None, None, None)
        told = (line["heard"], line["intent"], line["amount_fen"], line["card_index"], line["engine"])
        assert told == nothing
        assert list(line)[: len(KEYS)] == KEYS


@pytest.mark.speech
def test_sound_that_cannot_be_used_is_an_answer_and_no_failure(flask: Any, tmp_path: Path) -> None:
    whisper_dir()
    silent, empty = tmp_path / "silent.pcm", tmp_path / "empty.pcm"
    silent.write_bytes(bytes(64_000))
    empty.write_bytes(b"")
    done = flask("understand", silent, empty, "--declared", "s16le/16000/1", "--json")
    assert done.returncode == 0, done.stderr
    assert [line["error"] for line in lines_of(done)] == ["audio_silent", "audio_empty"]


@pytest.mark.speech
def test_recordings_are_scored_against_their_labels_and_kept_for_the_next_time(
    flask: Any, tmp_path: Path
) -> None:
    whisper_dir()
    few = tmp_path / "labels.tsv"
    rows = labels()[:2]
    few.write_text(
        "file\ttext\tintent\tslot\tvoice\n" + "".join("\t".join(row.values()) + "\n" for row in rows), "utf-8"
    )
    for row in rows:
        (tmp_path / row["file"]).write_bytes((SPEECH / row["file"]).read_bytes())
    kept = tmp_path / "kept.json"
    first = flask("evaluate", few, "--heard", kept, "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["variants"]["all"]["right"] == 2
    assert set(json.loads(kept.read_text("utf-8"))) == {row["file"] for row in rows}
    for row in rows:
        (tmp_path / row["file"]).unlink()
    again = flask("evaluate", few, "--heard", kept, "--json", models=tmp_path / "none")
    assert again.stdout == first.stdout


# --- words instead of a recording ---


def test_words_are_understood_without_any_model(typed: Any) -> None:
    done = typed("understand", "--text", "充五十块", "--text", "昨天交了八十块电费", "--json")
    assert done.returncode == 0, done.stderr
    wish, talk = lines_of(done)
    assert list(wish) == KEYS and list(talk) == KEYS
    assert (wish["file"], wish["heard"], wish["engine"]) == (None, ["充五十块"], "text")
    assert (wish["intent"], wish["amount_fen"], wish["decision"]) == ("top_up", 5000, "accept")
    assert (talk["intent"], talk["decision"]) == ("none", "reject")


def test_the_state_decides_what_a_bare_sum_is(typed: Any) -> None:
    told = {
        state: lines_of(typed("understand", "--text", "一百五", "--state", state.value, "--json"))[0]
        for state in (State.HOME, State.AMOUNT)
    }
    assert told[State.HOME]["decision"] == "again" and told[State.HOME]["amount_fen"] is None
    assert told[State.AMOUNT]["decision"] == "accept" and told[State.AMOUNT]["amount_fen"] == 15_000


def test_choices_are_whole_meanings(typed: Any) -> None:
    line = lines_of(typed("understand", "--text", "充五十还是一百", "--json"))[0]
    assert line["decision"] == "choose"
    assert [choice["amount_fen"] for choice in line["choices"]] == [5000, 10_000]
    assert all(
        set(choice) == {"intent", "amount_fen", "card_index", "card_words", "confidence"}
        for choice in line["choices"]
    )


def test_for_people_the_same_is_a_table(typed: Any) -> None:
    done = typed("understand", "--text", "给第二张卡充三十块五")
    assert done.returncode == 0, done.stderr
    assert "top_up 30.50 yuan card 2" in done.stdout and "accept" in done.stdout


# --- mistakes of the caller ---


def test_without_a_model_a_recording_is_refused_with_what_to_do(typed: Any) -> None:
    done = typed("understand", SPEECH / "jf_alpha_0.mp3", "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert "voice-models install whisper-base" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["understand"], ["understand", "--text", "充", "--state", "asleep"], ["evaluate"]]
)
def test_a_command_that_makes_no_sense_is_explained(typed: Any, arguments: list[str]) -> None:
    done = typed(*arguments)
    assert done.returncode == 2 and "Usage:" in done.stderr and "Traceback" not in done.stderr


# --- scoring ---


def test_sentences_are_scored_by_their_own_states(typed: Any) -> None:
    done = typed("evaluate", SENTENCES, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == [] and set(told["variants"]) == {"rows", "all"}
    assert sum(told["variants"]["all"].values()) == len(SENTENCES.read_text("utf-8").splitlines()) - 1


def test_a_wrong_acceptance_is_named(typed: Any, tmp_path: Path) -> None:
    table = tmp_path / "labels.tsv"
    table.write_text(
        "text\tstate\tintent\tamount_fen\tallowed\n充五十块\tany\ttop_up\t6000\taccept\n", "utf-8"
    )
    done = typed("evaluate", table)
    assert done.returncode == 0, done.stderr
    assert "wrong: 充五十块 充五十块: top_up 5000 None" in done.stdout


@pytest.mark.parametrize(
    ("table", "told"), [("", "no rows"), ("a\tb\n1\t2\n", "no column named text"), ("text\n", "no rows")]
)
def test_a_table_that_cannot_be_scored_is_refused(typed: Any, tmp_path: Path, table: str, told: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(table, "utf-8")
    done = typed("evaluate", path)
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr


def test_a_recording_that_a_table_names_and_nobody_has_is_said(typed: Any, tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("file\ttext\tintent\ngone.mp3\t充五十块\ttop_up\n", "utf-8")
    done = typed("evaluate", path)
    assert done.returncode == 1 and "gone.mp3: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
