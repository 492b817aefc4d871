"""Listening without making anybody wait: `app.ports.Speech` over worker processes with the model loaded."""

from __future__ import annotations

from pathlib import Path

from app.errors import AppError
from app.ports import Clip, Heard, OutsideError, Recogniser
from app.providers.audio_formats import container_of
from app.providers.speech_engines import hear_in_process, load_recogniser, model_problem
from app.providers.worker_pool import WorkerPool

HEADROOM_BYTES = 256 * 1024 * 1024  # a minute of sound at 192 kHz and the decoder's beam fit many times


class SpeechPool:
    """See `app.ports.Speech`. Nothing heavy is imported into this process."""

    def __init__(
        self,
        engine: str,
        model_dir: Path,
        workers: int,
        queue_limit: int,
        timeout_seconds: float,
        vocabulary: str,
        nice: int = 10,
    ) -> None:
        """`timeout_seconds` is for one clip, from bytes to hypotheses; `queue_limit` clips may wait.

        Processes start with the first clip, or with `warm`. `vocabulary`: characters of the commands.
        """
        self._engine = engine
        self._model_dir = model_dir
        self._pool = WorkerPool(
            workers=workers,
            queue_limit=queue_limit,
            timeout_seconds=timeout_seconds,
            busy_code="speech_busy",
            broken_code="speech_unavailable",
            prepare=prepare,
            prepare_args=(engine, str(model_dir), vocabulary),
            headroom_bytes=HEADROOM_BYTES,
            nice=nice,
        )

    def warm(self) -> None:
        """Start loading the model now, without waiting for it. Does nothing when there is none."""
        if self.problem() is None:
            self._pool.start()

    def hear(self, clip: Clip) -> Heard:
        """See `app.ports.Speech`."""
        if self.problem() is not None:
            raise AppError("speech_unavailable")
        container_of(clip)  # what can be refused by its first bytes never takes a place in the queue
        return self._pool.run(hear, clip)

    def problem(self) -> str | None:
        """See `app.ports.Speech`."""
        return model_problem(self._engine, self._model_dir)

    def close(self) -> None:
        """See `app.ports.Speech`."""
        self._pool.close()


# --- in the worker ---

_recogniser: Recogniser | None = None
_refused = ""


def prepare(engine: str, model_dir: str, vocabulary: str) -> None:
    """Load the model, and everything that decodes, before the first person speaks.

    A model that does not load is remembered, not raised: raising here would end the whole pool.
    """
    global _recogniser, _refused
    from app.providers import audio  # noqa: F401 (its import is part of getting ready)

    try:
        _recogniser = load_recogniser(engine, Path(model_dir), vocabulary)
        _recogniser.recognise(bytes(32_000))  # the first run sets up buffers that stay
    except OutsideError as fault:
        _refused = str(fault)


def hear(clip: Clip) -> Heard:
    """One clip in a worker. Raise AppError audio_* or speech_unavailable."""
    if _recogniser is None:
        raise AppError("speech_unavailable")
    return hear_in_process(clip, _recogniser)
