"""One person's face against a template, inside a worker: quality, enrolment, verification.

Where the thresholds come from (Euclidean distance of dlib's embedding, 5-point alignment):
- `STRICT` 0.40: notes/face.md 3 counted 0 of 1690 strangers and 0 of 45 pairs of East-Asian actors at 0.40,
  4 of 45 at 0.45. On data/faces (`make face-eval`) against the mean of an enrolment: 0 of 612 strangers; of
  22 press photos taken years apart 3 are not passed, and 2 of those fall into the middle band.
- `MIDDLE` 0.50: up to here one more factor is asked for instead of a refusal. 15 of 45 East-Asian pairs lie
  within it, so the band proves nothing by itself.
- `SAME_NOW` 0.40 and `SAME_TURNED` 0.45 (frames of one minute) and `SAME_PHOTOS` 0.45 (enrolment): starting
  values. No film of a real turn was at hand.
None of these bounds a false accept rate below 0.2 %, nor below 7 % for East-Asian faces: this is never the
only factor (docs/adr/013).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from app.domain.liveness import Performance, performed, watch
from app.domain.replay import Trace
from app.errors import AppError
from app.ports import Action, FaceDecision, FaceQuality, FaceTemplate, FaceVerdict
from app.providers.face_frames import unpack, unpack_photos
from app.providers.face_images import PHOTO, Pixels, pixels
from app.providers.face_models import DIMENSIONS, MODEL_ID, FaceModels, Vector
from app.providers.face_quality import REASONS, Look, fault_of, look
from app.providers.face_trace import pose_of

STRICT, MIDDLE = 0.40, 0.50
SAME_NOW, SAME_TURNED, SAME_PHOTOS = 0.40, 0.45, 0.45
PHOTOS = 3
MOST_ACTIONS = 3
SEARCHED = 640  # pixels on a frame's long side: a face is found from 80 on, and that takes 25 ms
_TURNED_SAMPLES = 2  # embeddings cost five times as much as finding a face: four a check, whatever was asked

ERROR_OF = {reason: f"face_{reason}" for reason in REASONS}
_UNUSABLE = frozenset({"no_face", "several"})


class FaceEngine:
    """Everything `app.ports.Faces` promises, in this process. One thread only."""

    def __init__(self, models: FaceModels) -> None:
        self._models = models

    def quality(self, image: bytes) -> FaceQuality:
        """Raise AppError face_image_*."""
        seen = look(self._models, pixels(image, PHOTO), PHOTO.side)
        return FaceQuality(False, seen, {}) if isinstance(seen, str) else seen.quality()

    def enrol(self, images: Sequence[bytes]) -> FaceTemplate:
        """See `app.ports.Faces`: every photo faces the camera, all are one person's, none is a copy."""
        return self.enrolled([self._faced(picture, facing=True) for picture in _three(images)])

    def enrolled(self, vectors: Sequence[Vector]) -> FaceTemplate:
        """The mean of three embeddings. Raise AppError face_not_one_person."""
        if any(distance(one, other) > SAME_PHOTOS for one, other in combinations(vectors, 2)):
            raise AppError("face_not_one_person")
        mean = np.mean(vectors, axis=0, dtype=np.float64)
        return FaceTemplate(MODEL_ID, mean.astype("<f4").tobytes())

    def enrol_stills(self, images: Sequence[bytes]) -> FaceTemplate:
        """As `enrol`, for measuring: press photos seldom look straight into the camera."""
        return self.enrolled([self._faced(picture, facing=False) for picture in _three(images)])

    def compare_still(self, template: FaceTemplate, image: bytes) -> tuple[FaceVerdict, FaceQuality]:
        """One still against a template, for measuring: nothing here shows that anybody is there.

        A pose that verification would not take is among the reasons, and compared all the same."""
        started = time.process_time()
        own = vector_of(template)
        picture = pixels(image, PHOTO)
        seen = look(self._models, picture, PHOTO.side)
        if isinstance(seen, str):
            return _verdict(FaceDecision.RETRY, None, (seen,), started), FaceQuality(False, seen, {})
        apart = distance(own, self._models.embed(picture, seen.box))
        reasons = (seen.fault,) if seen.fault else ()
        decision = decide(apart) if seen.fault in (None, "pose") else FaceDecision.RETRY
        return _verdict(decision, apart, reasons, started), seen.quality()

    def verify(
        self, template: FaceTemplate, frames: Sequence[bytes], actions: Sequence[Action]
    ) -> FaceVerdict:
        """See `app.ports.Faces`."""
        started = time.process_time()
        own = vector_of(template)
        if not 1 <= len(actions) <= MOST_ACTIONS:
            raise ValueError(f"one to {MOST_ACTIONS} actions")
        pictures = unpack(frames)
        looks = [look(self._models, picture, SEARCHED, facing=False) for picture in pictures]
        seen = watch([None if isinstance(found, str) else found.moment for found in looks])
        trace = self._trace(pictures, looks) if seen.done else ()
        fault = self._fault(pictures, looks, seen, actions)
        if fault is not None:
            return _verdict(FaceDecision.RETRY, None, (fault,), started, trace)
        best = max(_usable(looks, seen), key=lambda at: _found(looks, at).sharpness)
        face = self._models.embed(pictures[best], _found(looks, best).box)
        apart = distance(own, face)
        if not self._one_person(pictures, looks, seen, best, face):
            return _verdict(FaceDecision.NO_MATCH, apart, ("not_one_person",), started, trace)
        return _verdict(decide(apart), apart, (), started, trace)

    def _trace(self, pictures: Sequence[Pixels], looks: Sequence[Look | str]) -> Trace:
        found = zip(pictures, looks, strict=True)
        return tuple(
            pose_of(self._models, picture, seen.box) for picture, seen in found if not isinstance(seen, str)
        )

    def _faced(self, picture: Pixels, facing: bool) -> Vector:
        seen = look(self._models, picture, PHOTO.side, facing)
        fault = seen if isinstance(seen, str) else seen.fault
        if fault is not None or isinstance(seen, str):
            raise AppError(ERROR_OF[fault or REASONS[0]])
        return self._models.embed(picture, seen.box)

    def _fault(
        self,
        pictures: Sequence[Pixels],
        looks: Sequence[Look | str],
        seen: Performance,
        actions: Sequence[Action],
    ) -> str | None:
        """Why this try is repeated for free, or None. First what the person can see for themselves."""
        if sum(found == "several" for found in looks) > 1:
            return "several"
        if seen.reason == "no_face":
            return self._why_no_face(pictures[0])
        spoilt = Counter(found.fault for found in looks if not isinstance(found, str) and found.fault)
        if sum(spoilt.values()) > len(looks) / 2:
            return spoilt.most_common(1)[0][0]
        if seen.reason is not None:
            return seen.reason
        if not performed(seen, actions):
            return "action_missed"
        if not _usable(looks, seen):
            faults = [fault_of(_found(looks, at).figures, facing=True) for at in seen.neutral]
            return Counter(fault or "pose" for fault in faults or ["pose"]).most_common(1)[0][0]
        return None

    def _why_no_face(self, picture: Pixels) -> str:
        """A face that is too far away for the quick search is told so."""
        far = look(self._models, picture, PHOTO.side, facing=False)
        return "no_face" if isinstance(far, str) else far.fault or "too_small"

    def _one_person(
        self,
        pictures: Sequence[Pixels],
        looks: Sequence[Look | str],
        seen: Performance,
        best: int,
        face: Vector,
    ) -> bool:
        """The movements were made by the face that is compared, and it was there at another moment too.

        Frames *within* the movements are sampled: a film of somebody else moving, with a photo of the
        owner between, has another face there."""
        turned = [at for _, at in seen.done[:_TURNED_SAMPLES]]
        other = max(seen.neutral, key=lambda at: abs(at - best))
        samples = [(at, SAME_TURNED) for at in turned] + ([(other, SAME_NOW)] if other != best else [])
        return all(
            distance(face, self._models.embed(pictures[at], _found(looks, at).box)) <= most
            for at, most in samples
        )


def decide(apart: float) -> FaceDecision:
    """By distance alone."""
    if apart <= STRICT:
        return FaceDecision.PASS
    return FaceDecision.MIDDLE if apart <= MIDDLE else FaceDecision.NO_MATCH


def distance(one: Vector, other: Vector) -> float:
    """Euclidean."""
    return float(np.linalg.norm(one.astype(np.float64) - other.astype(np.float64)))


def vector_of(template: FaceTemplate) -> Vector:
    """Raise AppError face_template_model for a template this engine cannot compare."""
    if template.model_id != MODEL_ID or len(template.vector) != 4 * DIMENSIONS:
        raise AppError("face_template_model")
    found = np.frombuffer(template.vector, "<f4")
    if not np.isfinite(found).all():
        raise AppError("face_template_model")
    return found


def _three(images: Sequence[bytes]) -> list[Pixels]:
    if len(images) != PHOTOS:
        raise AppError("face_three_needed")
    return unpack_photos(images, PHOTO)


def _found(looks: Sequence[Look | str], at: int) -> Look:
    found = looks[at]
    assert not isinstance(found, str), "only frames with a face are asked for"
    return found


def _usable(looks: Sequence[Look | str], seen: Performance) -> list[int]:
    """The neutral frames that are good enough to compare."""
    return [at for at in seen.neutral if fault_of(_found(looks, at).figures, facing=True) is None]


def _verdict(
    decision: FaceDecision,
    apart: float | None,
    reasons: tuple[str, ...],
    started: float,
    trace: Trace = (),
) -> FaceVerdict:
    spent = round(time.process_time() - started, 4)
    return FaceVerdict(decision, None if apart is None else round(apart, 4), reasons, spent, trace)
