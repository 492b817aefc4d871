"""Looking at faces without making anybody wait: `app.ports.Faces` over processes with the models loaded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from app.errors import AppError
from app.ports import Action, FaceQuality, FaceTemplate, FaceVerdict, OutsideError
from app.providers.face_frames import check_frames
from app.providers.face_images import PHOTO, check_bytes
from app.providers.face_models import MODEL_ID
from app.providers.worker_pool import WorkerPool

if TYPE_CHECKING:
    from app.providers.face_engine import FaceEngine

HEADROOM_BYTES = 768 * 1024 * 1024  # the largest photo that is taken, decoded, and fifteen frames fit twice
_NEEDED = ("face_recognition", "dlib", "face_recognition_models", "numpy", "PIL")


class FacePool:
    """See `app.ports.Faces`. Nothing heavy is imported into this process."""

    def __init__(self, workers: int, queue_limit: int, timeout_seconds: float, nice: int = 10) -> None:
        """`timeout_seconds` is for one check; `queue_limit` checks may wait. Processes (260 MB each) start
        with the first picture, or with `warm`."""
        self._pool = WorkerPool(
            workers=workers,
            queue_limit=queue_limit,
            timeout_seconds=timeout_seconds,
            busy_code="face_busy",
            broken_code="face_unavailable",
            prepare=prepare,
            headroom_bytes=HEADROOM_BYTES,
            nice=nice,
            tasks_per_worker=500,  # big photos fragment memory: a fresh process now and then
        )

    @property
    def model_id(self) -> str:
        """See `app.ports.Faces`."""
        return MODEL_ID

    def warm(self) -> None:
        """Start loading the models now, without waiting for it. Does nothing when there are none."""
        if self.problem() is None:
            self._pool.start()

    def quality(self, image: bytes) -> FaceQuality:
        """See `app.ports.Faces`."""
        self._ready()
        check_bytes(image, PHOTO)  # what its first bytes refuse never takes a place in the queue
        return self._pool.run(quality, image)

    def enrol(self, images: Sequence[bytes]) -> FaceTemplate:
        """See `app.ports.Faces`."""
        self._ready()
        for image in images:
            check_bytes(image, PHOTO)
        return self._pool.run(enrol, tuple(images))

    def verify(
        self, template: FaceTemplate, frames: Sequence[bytes], actions: Sequence[Action]
    ) -> FaceVerdict:
        """See `app.ports.Faces`."""
        self._ready()
        if template.model_id != MODEL_ID:
            raise AppError("face_template_model")
        check_frames(frames)
        return self._pool.run(verify, template, tuple(frames), tuple(actions))

    def problem(self) -> str | None:
        """See `app.ports.Faces`."""
        missing = [name for name in _NEEDED if find_spec(name) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    def close(self) -> None:
        """See `app.ports.Faces`."""
        self._pool.close()

    def _ready(self) -> None:
        if self.problem() is not None:
            raise AppError("face_unavailable")


# --- in the worker ---

_engine: FaceEngine | None = None


def prepare() -> None:
    """Load the models before the first person looks up.

    Models that do not load are remembered, not raised: raising here would end the whole pool.
    """
    global _engine
    from app.providers.face_engine import FaceEngine
    from app.providers.face_models import FaceModels

    try:
        models = FaceModels()
    except OutsideError:
        return
    models.warm()
    _engine = FaceEngine(models)


def quality(image: bytes) -> FaceQuality:
    """One photo, in a worker."""
    return _loaded().quality(image)


def enrol(images: Sequence[bytes]) -> FaceTemplate:
    """Three photos, in a worker."""
    return _loaded().enrol(images)


def verify(template: FaceTemplate, frames: Sequence[bytes], actions: Sequence[Action]) -> FaceVerdict:
    """One check, in a worker."""
    return _loaded().verify(template, frames, actions)


def _loaded() -> FaceEngine:
    if _engine is None:
        raise AppError("face_unavailable")
    return _engine
