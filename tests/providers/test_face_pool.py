"""Faces in processes of their own: the same answers, bounded, and nothing heavy in the web worker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from app.config import REPOSITORY, FaultySettings, Settings
from app.errors import AppError
from app.ports import Action, FaceDecision, Faces, FaceTemplate
from app.providers.face_pool import FacePool
from tests.providers.moving_faces import LEFT_THEN_MOUTH, Head, encoded, hopper, the_models


@pytest.fixture(scope="module")
def pool() -> Iterator[FacePool]:
    made = FacePool(workers=1, queue_limit=1, timeout_seconds=20.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return Head(the_models(), hopper()).frames(LEFT_THEN_MOUTH)


def code_of(task: Callable[[], object]) -> str:
    with pytest.raises(AppError) as refused:
        task()
    return refused.value.code


def three() -> list[bytes]:
    photo = hopper()
    return [encoded(photo), encoded(photo.rotate(5)), encoded(photo.crop((20, 10, 500, 590)))]


def test_enrolment_and_a_check_go_through_another_process(pool: FacePool, frames: list[bytes]) -> None:
    faces: Faces = pool
    assert faces.problem() is None
    template = faces.enrol(three())
    assert template.model_id == faces.model_id and len(template.vector) == 512
    verdict = faces.verify(template, frames, (Action.LEFT, Action.MOUTH))
    assert (verdict.decision, verdict.reasons) == (FaceDecision.PASS, ())
    assert 0 < verdict.cpu_seconds < 2.5


def test_quality_and_its_figures_come_back(pool: FacePool) -> None:
    assert pool.quality(encoded(hopper())).ok
    empty = pool.quality(encoded(Image.new("RGB", (600, 800))))
    assert (empty.ok, empty.reason) == (False, "no_face")


def test_a_refusal_crosses_the_process_border_with_its_code(pool: FacePool, frames: list[bytes]) -> None:
    template = pool.enrol(three())
    assert code_of(lambda: pool.enrol(three()[:2])) == "face_three_needed"
    small = encoded(Image.new("RGB", (20, 20)))
    assert code_of(lambda: pool.quality(small)) == "face_image_pixels"
    assert code_of(lambda: pool.verify(template, [*frames[:11], frames[0]], [Action.LEFT])) == "face_frames"
    turned = [Action.LEFT, Action.MOUTH]
    other = FaceTemplate("another", bytes(512))
    assert code_of(lambda: pool.verify(other, frames, turned)) == "face_template_model"


def test_what_the_first_bytes_refuse_never_starts_a_process() -> None:
    idle = FacePool(workers=1, queue_limit=1, timeout_seconds=1.0)
    template = FaceTemplate(idle.model_id, bytes(512))
    begun = time.monotonic()
    assert code_of(lambda: idle.quality(b"")) == "face_image_empty"
    assert code_of(lambda: idle.enrol([b"<html>"] * 3)) == "face_image_format"
    assert code_of(lambda: idle.verify(template, [b""], [Action.LEFT])) == "face_frames"
    assert time.monotonic() - begun < 0.5
    idle.close()


def test_one_more_than_fits_is_told_at_once_and_the_others_are_served(
    pool: FacePool, frames: list[bytes]
) -> None:
    template = pool.enrol(three())
    answers: list[FaceDecision] = []

    def check() -> None:
        answers.append(pool.verify(template, frames, (Action.LEFT, Action.MOUTH)).decision)

    busy = [threading.Thread(target=check) for _ in range(2)]
    for thread in busy:
        thread.start()
    time.sleep(0.1)
    assert code_of(lambda: pool.quality(encoded(hopper()))) == "face_busy"
    for thread in busy:
        thread.join()
    assert answers == [FaceDecision.PASS] * 2


def test_a_pool_that_was_closed_is_unavailable() -> None:
    closed = FacePool(workers=1, queue_limit=1, timeout_seconds=1.0)
    closed.close()
    closed.close()
    assert code_of(lambda: closed.quality(encoded(hopper()))) == "face_unavailable"


WITHOUT_MODELS = """
import sys
sys.modules["face_recognition_models"] = None
from app.ports import Unavailable
from app.providers.face_models import FaceModels
try:
    FaceModels()
except Unavailable as fault:
    print("told:", fault.code)
"""


def test_a_library_that_quits_at_its_import_does_not_end_the_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MODELS], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "told: face_models" in done.stdout


def test_the_web_worker_s_side_carries_no_model_and_no_decoder() -> None:
    program = (
        "import sys; import app.providers.face_pool; "
        "heavy = {'numpy', 'PIL', 'dlib', 'face_recognition', 'face_recognition_models'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_pool_is_sized_by_settings() -> None:
    face = Settings.from_env({"ANXIN_FACE_WORKERS": "2", "ANXIN_FACE_QUEUE": "3"}).face
    assert (face.workers, face.queue_limit, face.timeout_seconds) == (2, 3, 10.0)
    with pytest.raises(FaultySettings) as refused:
        Settings.from_env({"ANXIN_FACE_WORKERS": "0", "ANXIN_FACE_TIMEOUT_SECONDS": "soon"})
    assert len(refused.value.faults) == 2
