"""What one face check costs: processor time, wall time with two at once, a 12-megapixel photo, and stalls.

The frames are a moving head made from a photo (tests/providers/moving_faces.py), 720 × 1280, JPEG 85.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from app.ports import Action, FaceDecision, FaceTemplate
from app.providers.face_engine import FaceEngine
from app.providers.face_images import PHOTO, pixels
from app.providers.face_models import FaceModels
from app.providers.face_pool import FacePool
from tests.providers.moving_faces import LEFT_THEN_MOUTH, Head, encoded, hopper

ASKED = (Action.LEFT, Action.MOUTH)
AT_ONCE = 2


def ground(models: FaceModels) -> tuple[FaceTemplate, list[bytes]]:
    """A template and twelve frames that pass."""
    photo = hopper()
    three = [encoded(photo), encoded(photo.rotate(5)), encoded(photo.crop((20, 10, 500, 590)))]
    return FaceEngine(models).enrol(three), Head(models, photo).frames(LEFT_THEN_MOUTH)


def checks(
    models: FaceModels, template: FaceTemplate, frames: Sequence[bytes], times: int, step: Callable[[], None]
) -> list[float]:
    """Processor seconds of each check, in this process."""
    engine, found = FaceEngine(models), []
    for _ in range(times):
        verdict = engine.verify(template, frames, ASKED)
        assert verdict.decision is FaceDecision.PASS, verdict
        found.append(verdict.cpu_seconds)
        step()
    return found


def large_photo(models: FaceModels, times: int, step: Callable[[], None]) -> list[float]:
    """Wall seconds from the bytes of a 12-megapixel JPEG to its embedding and quality."""
    photo = Image.new("RGB", (3000, 4000), (120, 128, 135))
    photo.paste(hopper().resize((2560, 3000)), (220, 500))
    data, engine, found = encoded(photo, 90), FaceEngine(models), []
    for _ in range(times):
        begun = time.perf_counter()
        assert engine.quality(data).ok
        found.append(time.perf_counter() - begun)
        picture = pixels(data, PHOTO)  # timed apart: enrolment decodes and finds once, and embeds
        box = models.find(picture, PHOTO.side)[0]
        begun = time.perf_counter()
        models.embed(picture, box)
        found[-1] += time.perf_counter() - begun
        step()
    return found


def together(
    template: FaceTemplate, frames: Sequence[bytes], times: int, step: Callable[[], None]
) -> dict[str, Any]:
    """Two people check at once, `times` each, over two workers: walls, and how long a thread here waited."""
    pool = FacePool(workers=AT_ONCE, queue_limit=8, timeout_seconds=60.0)
    walls: list[float] = []
    try:
        _both(lambda: pool.verify(template, frames, ASKED), 1)  # both models are loaded
        alone = _longest_stall(lambda: time.sleep(2.0))

        def check() -> None:
            begun = time.perf_counter()
            verdict = pool.verify(template, frames, ASKED)
            walls.append(time.perf_counter() - begun)
            assert verdict.decision is FaceDecision.PASS, verdict
            step()

        stall = _longest_stall(lambda: _both(check, times))
    finally:
        pool.close()
    p95 = statistics.quantiles(walls, n=20, method="inclusive")[-1]
    return {
        "walls": walls,
        "p95": p95,
        "longest_stall_ms": 1000 * stall,
        "longest_stall_alone_ms": 1000 * alone,
    }


def _both(task: Callable[[], object], times: int) -> None:
    def several() -> None:
        for _ in range(times):
            task()

    threads = [threading.Thread(target=several) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _longest_stall(task: Callable[[], object]) -> float:
    """Seconds another thread of this process waited at most while `task` ran."""
    over, stalls = threading.Event(), [0.0]
    watcher = threading.Thread(target=_watch, args=(over, stalls))
    watcher.start()
    task()
    over.set()
    watcher.join()
    return max(stalls)


def _watch(over: threading.Event, stalls: list[float]) -> None:
    """How much later than asked this thread gets its turn: what a request in the web process would feel."""
    while not over.is_set():
        begun = time.perf_counter()
        time.sleep(0.002)
        stalls.append(time.perf_counter() - begun - 0.002)
