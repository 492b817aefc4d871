"""Faces: pictures in, a verdict out. A picture never leaves the worker that looked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.domain.replay import Trace


class Action(StrEnum):
    """What a person is asked to do. Left and right are the person's own, not the screen's."""

    LEFT = "left"
    RIGHT = "right"
    MOUTH = "mouth"


class FaceDecision(StrEnum):
    """How one check ended. MIDDLE asks for one more factor; RETRY (quality, a missed action) costs no try."""

    PASS = "pass"  # noqa: S105
    MIDDLE = "middle"
    NO_MATCH = "no_match"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class FaceTemplate:
    """One person's face: 128 float32, little-endian (512 bytes). Comparable only within one `model_id`."""

    model_id: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """`distance` is Euclidean, 0 for the same picture; None when nothing was compared.

    `reasons`: short codes for the audit and, for RETRY, for the sentence to say (one of FaceQuality's
    reasons, or `action_missed`). Neither goes to the person as it is.

    `trace`: how the head was held, frame by frame (`app.domain.replay`), by which the film is known again
    when it is encoded anew; empty when no movement was seen.
    """

    decision: FaceDecision
    distance: float | None
    reasons: tuple[str, ...]
    cpu_seconds: float
    trace: Trace = ()


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Whether a picture will do. `reason`: no_face several too_small too_big too_dark too_bright blur pose
    occluded; AppError `face_<reason>` has its sentence. `figures` are what was measured."""

    ok: bool
    reason: str | None
    figures: Mapping[str, float]


class Faces(Protocol):
    """Finds and compares faces in a process pool, never in a web thread.

    Every call may raise AppError `face_image_*` (not a picture we take), `face_busy` (queue full) and
    `face_unavailable` (no models, or the worker died or overran).
    """

    @property
    def model_id(self) -> str:
        """Names the network and the alignment; part of every template."""
        ...

    def quality(self, image: bytes) -> FaceQuality:
        """Look at one photo of at most 8 MiB, JPEG, PNG or WebP."""
        ...

    def enrol(self, images: Sequence[bytes]) -> FaceTemplate:
        """The mean of exactly three photos. Raise AppError `face_<reason>` for one of poor quality,
        `face_three_needed` for another number, `face_same_photo`, `face_not_one_person`."""
        ...

    def verify(
        self, template: FaceTemplate, frames: Sequence[bytes], actions: Sequence[Action]
    ) -> FaceVerdict:
        """Compare 8 to 15 frames, in the order they were taken and *not mirrored*, each at most 1 MiB and
        1280 pixels, with the template, and see that exactly `actions` were done, one after the other.

        Raise AppError `face_template_model` for a template of another model, `face_frames` for too few,
        too many, too large, or repeated frames."""
        ...

    def problem(self) -> str | None:
        """None when faces can be compared, else a short English reason for /readyz."""
        ...

    def close(self) -> None:
        """Stop the workers; idempotent."""
        ...
