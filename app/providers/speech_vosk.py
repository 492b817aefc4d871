"""Vosk (Kaldi): streaming words while somebody speaks, n-best at the end, phrases where the graph allows.

What an operator should know, seen with a real model: Vosk's confidences are 1.0 on wrong words and are
used here for order only; in grammar mode everything becomes some phrase, so such a reading is marked
"constrained"; a word the model does not know vanishes from a grammar without an error, so each is looked
up and reported. One model serves many threads; a recogniser belongs to one utterance.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vosk

from app.ports import Hypothesis, Unavailable

RATE = 16_000
BLOCK_BYTES = 8_000  # a quarter of a second: how often a partial can change
READINGS = 5
_DYNAMIC_GRAPH = ("graph/HCLr.fst", "graph/Gr.fst")
_BETWEEN_HANZI = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_HANZI = re.compile(r"[\u3400-\u9fff]+")
_LONGEST_WORD = 8  # characters; for cutting a Chinese phrase into words the model knows

_models: dict[Path, vosk.Model] = {}
_loading = threading.Lock()


def _shared_model(model_dir: Path) -> vosk.Model:
    """Load each folder once a process. Raise Unavailable when it is no model."""
    path = model_dir.resolve()
    with _loading:
        if path not in _models:
            if not (path / "am" / "final.mdl").is_file():
                raise Unavailable("model_missing", f"no Vosk model in {model_dir}")
            vosk.SetLogLevel(-1)  # Kaldi writes what it hears about a model to standard error
            try:
                _models[path] = vosk.Model(str(path))
            except Exception as fault:  # vosk raises a bare Exception
                raise Unavailable("model_faulty", f"{model_dir}: {fault}") from fault
        return _models[path]


def grammar_problem(model_dir: Path) -> str | None:
    """None when this model's graph takes a grammar at run time, else why not."""
    missing = [name for name in _DYNAMIC_GRAPH if not (model_dir / name).is_file()]
    return f"static graph: no {', '.join(missing)}" if missing else None


@dataclass(frozen=True, slots=True)
class Grammar:
    """Phrases cut into the model's own words. `unknown` were asked for and are not in the model."""

    phrases: tuple[str, ...]
    unknown: tuple[str, ...]


class VoskRecogniser:
    """One engine for any number of threads. See `app.ports.Recogniser`."""

    def __init__(self, model_dir: Path, phrases: Sequence[str] = ()) -> None:
        """`phrases`: whole commands to also listen for, ignored (see `grammar_problem`) on a static graph.

        Raise Unavailable when the folder is missing or does not load.
        """
        self.name = model_dir.name
        self._model = _shared_model(model_dir)
        self.grammar_problem = grammar_problem(model_dir)
        self.grammar = Grammar((), ()) if self.grammar_problem else self._grammar(phrases)

    def recognise(self, pcm: bytes) -> tuple[Hypothesis, ...]:
        """Four free readings, best first, and one in grammar mode. Empty when nothing was understood."""
        found = self._free(pcm)
        if self.grammar.phrases and found:
            found = [*found[: READINGS - 1], *self._constrained(pcm)]
        distinct: dict[str, Hypothesis] = {}
        for hypothesis in found[:READINGS]:
            distinct.setdefault(hypothesis.text, hypothesis)
        return tuple(distinct.values())

    def stream(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Words as they become known: each new partial of all so far, the final text last.

        `blocks` are pieces of 16 kHz mono s16le of any length; feeding them slowly is the point.
        """
        recogniser = vosk.KaldiRecognizer(self._model, RATE)
        settled: list[str] = []
        told, half = "", b""
        for block in blocks:
            whole = half + block
            half = whole[len(whole) & ~1 :]
            if _accept(recogniser, whole[: len(whole) & ~1]):
                settled.append(json.loads(recogniser.Result())["text"])
                text = _joined(settled)
            else:
                text = _joined([*settled, json.loads(recogniser.PartialResult()).get("partial", "")])
            if text and text != told:
                told = text
                yield text
        settled.append(json.loads(recogniser.FinalResult())["text"])
        if _joined(settled) != told:
            yield _joined(settled)

    def _free(self, pcm: bytes) -> list[Hypothesis]:
        recogniser = vosk.KaldiRecognizer(self._model, RATE)
        recogniser.SetMaxAlternatives(READINGS)
        # Vosk ends a segment at every pause: the utterance is the best few combinations of them.
        whole: list[tuple[str, float]] = [("", 0.0)]
        for segment in _results(recogniser, pcm):
            choices = [(each["text"], float(each["confidence"])) for each in segment["alternatives"]]
            pairs = [
                (f"{text} {more}", so_far + confidence)
                for text, so_far in whole
                for more, confidence in choices
            ]
            whole = sorted(pairs, key=lambda pair: -pair[1])[:READINGS] or whole
        best, weight_of_best = whole[0]
        # Un-normalised weights: only the distance to the best means anything, spread over the best's words.
        # One divisor for all of them, so that a longer reading never overtakes by being longer.
        words = max(1, len(best.split()))
        return [
            Hypothesis(_joined([text]), min(0.0, (weight - weight_of_best) / words))
            for text, weight in whole
            if text.strip()
        ]

    def _constrained(self, pcm: bytes) -> list[Hypothesis]:
        phrases = json.dumps(self.grammar.phrases, ensure_ascii=False)
        recogniser = vosk.KaldiRecognizer(self._model, RATE, phrases)
        text = _joined([segment["text"] for segment in _results(recogniser, pcm)])
        return [Hypothesis(text, 0.0, "constrained")] if text else []

    def _grammar(self, phrases: Sequence[str]) -> Grammar:
        kept, unknown = [], []
        for phrase in phrases:
            words = [word for piece in phrase.split() for word in self._words(piece)]
            strange = [word for word in words if not self._knows(word)]
            unknown += strange
            if words and not strange:
                kept.append(" ".join(words))
        if kept and self._knows("[unk]"):
            kept.append("[unk]")
        return Grammar(tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(unknown)))

    def _words(self, piece: str) -> list[str]:
        """Cut unspaced Chinese into the longest words the model knows; anything else stays whole."""
        if self._knows(piece) or not _HANZI.fullmatch(piece):
            return [piece]
        words, at = [], 0
        while at < len(piece):
            lengths = range(min(_LONGEST_WORD, len(piece) - at), 1, -1)
            length = next((n for n in lengths if self._knows(piece[at : at + n])), 1)
            words.append(piece[at : at + length])
            at += length
        return words

    def _knows(self, word: str) -> bool:
        return bool(self._model.vosk_model_find_word(word) >= 0)


def _results(recogniser: Any, pcm: bytes) -> Iterator[dict[str, Any]]:
    """Each segment's result, the last included."""
    pcm = pcm[: len(pcm) & ~1]
    for at in range(0, len(pcm), BLOCK_BYTES):
        if _accept(recogniser, pcm[at : at + BLOCK_BYTES]):
            yield json.loads(recogniser.Result())
    yield json.loads(recogniser.FinalResult())


def _accept(recogniser: Any, block: bytes) -> bool:
    """True when Vosk closed a segment."""
    return bool(block) and recogniser.AcceptWaveform(block) == 1


def _joined(parts: Sequence[str]) -> str:
    """One text; Vosk puts a space between all words, which Chinese does not have."""
    return _BETWEEN_HANZI.sub("", " ".join(part.strip() for part in parts if part.strip()))
