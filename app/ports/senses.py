"""Speech and pictures: bytes in, hypotheses or one text out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio as it arrived. `declared` is only needed for raw PCM, e.g. "s16le/16000/1"."""

    data: bytes
    declared: str | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading of what was said. `score` is the mean log-probability a token (≤ 0, higher is better)."""

    text: str
    score: float
    source: str = "free"  # "free" decoding, or "constrained" to the command vocabulary


@dataclass(frozen=True, slots=True)
class Heard:
    """What one clip sounded like: at most 5 hypotheses, best first. An empty tuple means no speech."""

    hypotheses: tuple[Hypothesis, ...]
    engine: str
    audio_seconds: float
    cpu_seconds: float


class Recogniser(Protocol):
    """One engine with its model loaded (inside a speech worker process)."""

    name: str

    def recognise(self, pcm: bytes) -> tuple[Hypothesis, ...]:
        """`pcm` is 16 kHz mono signed 16-bit little-endian, at most 10 s. Up to 5 hypotheses."""
        ...


class Speech(Protocol):
    """Bytes in, hypotheses out, never in a web thread: decode and recognise in the process pool."""

    def hear(self, clip: Clip) -> Heard:
        """Raise AppError `audio_*` for unusable clips, `speech_busy` when the queue is full,
        `speech_unavailable` when no model is installed or the worker died or timed out."""
        ...

    def problem(self) -> str | None:
        """None when speech can work, else a short English reason for /readyz."""
        ...

    def close(self) -> None:
        """Stop the workers; idempotent."""
        ...


class Barcodes(Protocol):
    """Reads the one card number on a photo."""

    def read(self, image: bytes) -> str:
        """The text of the single barcode. Raise AppError `photo_*` when there is none, two, or no photo."""
        ...
