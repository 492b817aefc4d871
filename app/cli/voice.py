"""`flask --app wsgi voice understand FILE…` and `voice evaluate LABELS.tsv`: what was heard and meant."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask import current_app
from rich.console import Console
from rich.table import Table

from app.cli import voice_evaluation
from app.config import SpeechSettings
from app.errors import AppError
from app.flows.deps import Deps
from app.ports import Clip, Hypothesis, OutsideError, Recogniser
from app.providers.speech_engines import hear_in_process, load_recogniser
from app.voice import Decision, Intent, State, Understanding, command_characters, understand

_STATES = click.Choice([state.value for state in State])
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")


@click.group("voice")
def group() -> None:
    """Try recognition and understanding on files or text."""


class Listener:
    """Loads the model with the first file that needs it, and then hears file after file."""

    def __init__(self, settings: SpeechSettings, declared: str | None = None) -> None:
        self._settings = settings
        self._declared = declared
        self._recogniser: Recogniser | None = None

    def hear(self, path: Path) -> tuple[tuple[Hypothesis, ...], str]:
        """Hypotheses and the engine's name. Raise AppError audio_* for an unusable clip, OSError for a
        file that cannot be read, click.ClickException when there is no model."""
        data = path.read_bytes()
        if self._recogniser is None:
            self._recogniser = self._load()
        heard = hear_in_process(Clip(data, self._declared), self._recogniser)
        return heard.hypotheses, heard.engine

    def warm(self) -> None:
        """Load now, so that no file's time includes it. Does nothing when there is no model."""
        try:
            self._recogniser = self._recogniser or self._load()
        except click.ClickException:
            pass  # said again, with the first file that needs the model

    def _load(self) -> Recogniser:
        folder = self._settings.models_dir / self._settings.model
        try:
            return load_recogniser(self._settings.engine, folder, command_characters())
        except OutsideError as fault:
            raise click.ClickException(fault.detail or fault.code) from fault


def _speech_settings() -> SpeechSettings:
    deps: Deps = current_app.extensions["anxin"]
    return deps.settings.speech


@group.command("understand")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="Words instead of a recording; may be repeated.")
@click.option(
    "--state", type=_STATES, default=State.ANY.value, show_default=True, help="What was asked last."
)
@click.option("--declared", help='The format of raw PCM files, e.g. "s16le/16000/1".')
@_AS_JSON
def understand_files(
    files: Sequence[Path], texts: Sequence[str], state: str, declared: str | None, as_json: bool
) -> None:
    """One line a file: what was heard and what it means. Exit 1 when a file could not be read."""
    if not files and not texts:
        raise click.UsageError("name a file, or give --text")
    listener = Listener(_speech_settings(), declared)
    understand((Hypothesis("充", 0.0),))  # reads the dialect's data, so that no file's time includes it
    if any(path.is_file() for path in files):
        listener.warm()
    found: list[dict[str, Any]] = []
    for line in _lines(files, texts, State(state), listener):
        found.append(line)
        if as_json:
            click.echo(json.dumps(line, ensure_ascii=False))
    if not as_json:
        _show(found)
    if any(line.get("error") == "file_unreadable" for line in found):
        sys.exit(1)


def _lines(
    files: Sequence[Path], texts: Sequence[str], state: State, listener: Listener
) -> Iterator[dict[str, Any]]:
    for path in files:
        yield _of_file(path, state, listener)
    for text in texts:
        started, cpu = time.monotonic(), time.process_time()
        meant = understand((Hypothesis(text, 0.0),), state)
        yield _line(None, (text,), meant, "text", started, cpu)


def _of_file(path: Path, state: State, listener: Listener) -> dict[str, Any]:
    started, cpu = time.monotonic(), time.process_time()
    try:
        hypotheses, engine = listener.hear(path)
    except AppError as fault:
        line = _line(path, (), _not_understood(), None, started, cpu)
        return {**line, "error": fault.code}
    except OSError as fault:
        line = _line(path, (), _not_understood(), None, started, cpu)
        return {**line, "error": "file_unreadable", "detail": fault.strerror or type(fault).__name__}
    meant = understand(hypotheses, state)
    return _line(path, [hypothesis.text for hypothesis in hypotheses], meant, engine, started, cpu)


def _not_understood() -> Understanding:
    return Understanding(Intent.NONE, None, None, None, Decision.REJECT, (), 0.0, ())


def _line(
    path: Path | None,
    heard: Sequence[str],
    meant: Understanding,
    engine: str | None,
    started: float,
    cpu: float,
) -> dict[str, Any]:
    return {
        "file": str(path) if path else None,
        "heard": list(heard),
        "intent": meant.intent.value,
        "amount_fen": meant.amount_fen,
        "card_index": meant.card_index,
        "decision": meant.decision.value,
        "choices": [asdict(choice) for choice in meant.choices],
        "engine": engine,
        "cpu_seconds": round(time.process_time() - cpu, 4),
        "seconds": round(time.monotonic() - started, 4),
    }


def _show(lines: Sequence[dict[str, Any]]) -> None:
    table = Table("file", "heard", "meaning", "decision", "CPU s")
    for line in lines:
        heard = line["heard"][0] if line["heard"] else line.get("error", "")
        if line["choices"]:
            meaning = " | ".join(_in_words(choice) for choice in line["choices"])
        else:
            meaning = _in_words(line)
        name = Path(line["file"]).name if line["file"] else "(text)"
        table.add_row(name, heard, meaning, line["decision"], f"{line['cpu_seconds']:.2f}")
    Console().print(table)


def _in_words(meaning: dict[str, Any]) -> str:
    parts = [meaning["intent"]]
    if meaning["amount_fen"] is not None:
        parts.append(f"{meaning['amount_fen'] // 100}.{meaning['amount_fen'] % 100:02d} yuan")
    if meaning["card_index"] is not None:
        parts.append(f"card {meaning['card_index']}")
    return " ".join(parts)


@group.command("evaluate")
@click.argument("labels", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--state", type=_STATES, default=None, help="For rows without a state. Default: any.")
@click.option(
    "--heard",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep what was heard here, and use it instead of the recordings when it exists.",
)
@_AS_JSON
def evaluate(labels: Path, state: str | None, heard: Path | None, as_json: bool) -> None:
    """Score a table of recordings (file, text, intent, slot) or of texts (text, state, intent,
    amount_fen, allowed): right, accepted wrongly, choice, again, reject, for each variant."""
    listener = Listener(_speech_settings())
    try:
        rows = voice_evaluation.read_labels(labels)
        kept = voice_evaluation.hear_all(rows, labels.parent, listener.hear, heard)
    except voice_evaluation.FaultyLabels as fault:
        raise click.ClickException(str(fault)) from fault
    result = voice_evaluation.score(rows, kept, State(state) if state else State.ANY)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    outcomes = voice_evaluation.OUTCOMES
    table = Table("variant", "n", *outcomes)
    for name, counts in result["variants"].items():
        number = sum(counts.values())
        shares = [f"{counts[outcome]} ({counts[outcome] / number:.1%})" for outcome in outcomes]
        table.add_row(name, str(number), *shares)
    console = Console()
    console.print(table)
    for miss in result["wrong"]:
        console.print(f"wrong: {miss}", highlight=False, soft_wrap=True)
