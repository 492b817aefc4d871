"""Whisper on CTranslate2: one short Mandarin-ish utterance in, up to five readings out.

What differs from a stock transcription, and why (measured; docs/VOICE.md and the bench repeat it):
- the encoder sees ten seconds, not thirty: a fifth of the cost, the same words;
- decoding is bounded (length, no repeated triples), so that no clip can occupy a worker for seconds;
- no prompt: a prompt of command words turns unrelated talk into commands;
- a second decode may only use the characters of the commands. It reads what free decoding misspells,
  and it reads commands into anything, so it is marked and must never decide alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from numpy.typing import NDArray

from app.ports import Hypothesis, Unavailable
from app.providers.log_mel import HOP, RATE, log_mel

FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
CONTEXT_FRAMES = 1000
# Whisper mishears a word that starts with the recording; a breath of silence before it helps.
LEAD_SECONDS = 0.3
BEAM = 5
FREE_READINGS = 4
LONGEST_TOKENS = 48
LONGEST_COMMAND_TOKENS = 32
SHORTEST_SAMPLES = 2 * HOP
# Noise, hum and clicks measured 0.54..0.72 and below -1.5; every real and synthetic recording of a
# voice lay outside both limits (at most 0.48, and then above -0.95).
NO_SPEECH_ABOVE = 0.5
NO_SPEECH_SCORE_BELOW = -1.2


@dataclass(frozen=True, slots=True)
class _Ids:
    """Numbers of the special tokens, and which tokens the second decode must not use."""

    prompt: list[int]
    end: int
    outside_commands: list[int]


class WhisperRecogniser:
    """One loaded model; not for use by two threads at once. See `app.ports.Recogniser`."""

    def __init__(self, model_dir: Path, vocabulary: str = "", language: str = "zh") -> None:
        """`vocabulary`: the characters of the commands; empty means no second decode.

        Raise Unavailable when the folder is incomplete or does not load.
        """
        missing = [name for name in FILES if not (model_dir / name).is_file()]
        if missing:
            raise Unavailable("model_missing", f"{model_dir}: no {', '.join(missing)}")
        self.name = model_dir.name
        try:
            self._model = ctranslate2.models.Whisper(
                str(model_dir), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
            )
            self._tokenizer = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        except Exception as fault:  # both libraries raise bare RuntimeError or Exception
            raise Unavailable("model_faulty", f"{model_dir}: {fault}") from fault
        self._ids = self._make_ids(vocabulary, language)

    def recognise(self, pcm: bytes) -> tuple[Hypothesis, ...]:
        """See `app.ports.Recogniser`. Empty when nobody speaks: free decoding reads words into any noise."""
        samples = np.frombuffer(pcm[: len(pcm) & ~1], np.int16).astype(np.float32) / np.float32(32768)
        if len(samples) < SHORTEST_SAMPLES:
            return ()
        encoded = self._encode(samples)
        found, no_speech = self._decode(encoded, "free", FREE_READINGS)
        if no_speech > NO_SPEECH_ABOVE and found[0].score < NO_SPEECH_SCORE_BELOW:
            return ()
        if self._ids.outside_commands:
            found += self._decode(encoded, "constrained", 1)[0]
        return _distinct(found)

    def _encode(self, samples: NDArray[np.float32]) -> Any:
        lead = np.zeros(int(LEAD_SECONDS * RATE), np.float32)
        features = log_mel(np.concatenate([lead, samples]), CONTEXT_FRAMES)
        return self._model.encode(ctranslate2.StorageView.from_array(features[None]))

    def _decode(self, encoded: Any, source: str, count: int) -> tuple[list[Hypothesis], float]:
        """Readings, best first, and the model's own probability that nobody speaks."""
        ids = self._ids
        constrained = source == "constrained"
        longest = LONGEST_COMMAND_TOKENS if constrained else LONGEST_TOKENS
        result = self._model.generate(
            encoded,
            [ids.prompt],
            beam_size=BEAM,
            num_hypotheses=count,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=len(ids.prompt) + longest,
            no_repeat_ngram_size=3,
            suppress_blank=True,
            suppress_tokens=ids.outside_commands if constrained else [-1],
        )[0]
        pairs = zip(result.sequences_ids, result.scores, strict=True)
        readings = [Hypothesis(self._text(tokens), float(score), source) for tokens, score in pairs]
        return readings, float(result.no_speech_prob)

    def _text(self, tokens: Sequence[int]) -> str:
        """Half a character at the length limit decodes to U+FFFD and is dropped."""
        text: str = self._tokenizer.decode([token for token in tokens if token < self._ids.end])
        return text.replace("\ufffd", "").strip()

    def _make_ids(self, vocabulary: str, language: str) -> _Ids:
        names = ("startoftranscript", language, "transcribe", "notimestamps", "endoftext")
        numbers = [self._tokenizer.token_to_id(f"<|{name}|>") for name in names]
        known = [number for number in numbers if number is not None]
        if len(known) < len(names):
            raise Unavailable("model_faulty", f"its tokenizer lacks Whisper's tokens for {language}")
        *prompt, end = known
        return _Ids(prompt, end, self._outside(vocabulary, end))

    def _outside(self, vocabulary: str, end: int) -> list[int]:
        """Every token that no character of the vocabulary needs. Rare characters are two or three tokens."""
        if not vocabulary:
            return []
        inside = {end}
        for character in vocabulary:
            inside.update(self._tokenizer.encode(character, add_special_tokens=False).ids)
        return [token for token in range(self._tokenizer.get_vocab_size()) if token not in inside]


def _distinct(found: list[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Best first among the free readings, the constrained one last; each text once, empty ones dropped."""
    kept: dict[str, Hypothesis] = {}
    for hypothesis in found:
        if hypothesis.text:
            kept.setdefault(hypothesis.text, hypothesis)
    return tuple(kept.values())
