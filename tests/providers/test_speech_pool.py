"""Listening in processes of its own: bounded, killable, restarted, polite, and nothing left behind."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.errors import AppError
from app.ports import Clip
from app.providers.audio_formats import container_of
from app.providers.speech_pool import SpeechPool
from app.providers.worker_pool import WorkerPool
from tests.providers.recordings import FIFTY_YUAN, silence, wav
from tests.providers.speech_models import VOCABULARY, whisper_dir

REPOSITORY = Path(__file__).resolve().parents[2]
SENTENCE = Clip(FIFTY_YUAN.read_bytes())


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


def my_workers(before: set[int]) -> list[psutil.Process]:
    return [worker for worker in workers_of(psutil.Process()) if worker.pid not in before]


def code_of(task: Callable[[], object]) -> str:
    with pytest.raises(AppError) as refused:
        task()
    return refused.value.code


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    ends_at = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.05)
    return True


# --- the pool itself, with work that needs no model ---


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(
        workers=1,
        queue_limit=1,
        timeout_seconds=1.0,
        busy_code="speech_busy",
        broken_code="speech_unavailable",
        headroom_bytes=64 * 1024 * 1024,
    )
    yield made
    made.close()


def test_work_happens_in_another_process_of_low_priority(pool: WorkerPool) -> None:
    assert pool.run(os.getpid) != os.getpid()
    assert pool.run(os.nice, 0) == min(19, os.nice(0) + 10)
    assert pool.run(os.getenv, "OMP_NUM_THREADS") == "1"


def test_a_task_that_overruns_is_killed_and_the_next_one_works(pool: WorkerPool) -> None:
    first = pool.run(os.getpid)
    assert code_of(lambda: pool.run(time.sleep, 60)) == "speech_unavailable"
    assert not psutil.pid_exists(first)
    assert pool.run(os.getpid) != first


def test_a_worker_that_dies_at_work_is_replaced(pool: WorkerPool) -> None:
    assert code_of(lambda: pool.run(os._exit, 3)) == "speech_unavailable"
    assert pool.run(os.getpid) != os.getpid()


def test_a_worker_killed_while_idle_is_replaced(pool: WorkerPool) -> None:
    first = pool.run(os.getpid)
    os.kill(first, signal.SIGKILL)
    assert until(lambda: not psutil.pid_exists(first) or psutil.Process(first).status() == "zombie")

    def works() -> bool:
        try:
            return pool.run(os.getpid) != first
        except AppError:
            return False

    assert until(works)


def test_what_does_not_fit_into_the_queue_is_told_at_once(pool: WorkerPool) -> None:
    pool.run(os.getpid)
    busy = [threading.Thread(target=pool.run, args=(time.sleep, 0.6)) for _ in range(2)]
    for thread in busy:
        thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    assert code_of(lambda: pool.run(os.getpid)) == "speech_busy"
    assert time.monotonic() - started < 0.2
    for thread in busy:
        thread.join()
    assert pool.run(os.getpid)


def test_a_task_that_wants_too_much_memory_fails_alone(pool: WorkerPool) -> None:
    worker = pool.run(os.getpid)
    assert code_of(lambda: pool.run(bytearray, 1 << 31)) == "speech_unavailable"
    assert pool.run(os.getpid) == worker


def test_a_spoken_fault_crosses_the_process_border_with_its_code(pool: WorkerPool) -> None:
    assert code_of(lambda: pool.run(container_of, Clip(b"<html>"))) == "audio_format_unknown"


def test_closing_ends_the_workers_and_may_be_repeated(pool: WorkerPool) -> None:
    worker = pool.run(os.getpid)
    pool.close()
    pool.close()
    assert not psutil.pid_exists(worker)
    assert code_of(lambda: pool.run(os.getpid)) == "speech_unavailable"


PARENT = """
import os, sys, time
from app.providers.worker_pool import WorkerPool
if __name__ == "__main__":
    pool = WorkerPool(workers=2, queue_limit=2, timeout_seconds=60, busy_code="speech_busy",
                      broken_code="speech_unavailable", headroom_bytes=1 << 26)
    print(pool.run(os.getpid), flush=True)
    {then}
"""


@pytest.mark.parametrize("then", ["pool.run(time.sleep, 50)", "time.sleep(50)"], ids=["at work", "idle"])
def test_workers_do_not_outlive_a_server_that_is_killed(then: str, tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(PARENT.format(then=then))
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        workers = workers_of(psutil.Process(server.pid))
        server.kill()
    assert len(workers) == 2
    assert until(lambda: not any(worker.is_running() for worker in workers))


def test_a_server_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(PARENT.format(then="pass"))
    subprocess.run(
        [sys.executable, str(script)],
        check=True,
        timeout=30,
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


# --- with the real model ---


@pytest.fixture(scope="module")
def speech() -> Iterator[tuple[SpeechPool, set[int]]]:
    before = {worker.pid for worker in workers_of(psutil.Process())}
    made = SpeechPool("whisper", whisper_dir(), 1, 2, 15.0, VOCABULARY)
    yield made, before
    made.close()


@pytest.mark.speech
def test_a_sentence_is_heard_and_its_cost_told(speech: tuple[SpeechPool, set[int]]) -> None:
    pool, _ = speech
    assert pool.problem() is None
    heard = pool.hear(SENTENCE)
    assert "我要充五十块钱" in [each.text for each in heard.hypotheses]
    assert heard.engine == "whisper-base"
    assert 0 < heard.cpu_seconds < 10
    assert heard.audio_seconds == pytest.approx(2.268, abs=0.01)


@pytest.mark.speech
def test_a_speech_worker_keeps_below_400_megabytes(speech: tuple[SpeechPool, set[int]]) -> None:
    pool, before = speech
    for _ in range(3):
        pool.hear(SENTENCE)
    (worker,) = my_workers(before)
    assert worker.memory_info().rss < 400 * 1024 * 1024


@pytest.mark.speech
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "audio_empty"),
        (b"<html>", "audio_format_unknown"),
        (b"OggS" + bytes(3_000_000), "audio_too_large"),
        (b"OggS" + b"rubbish" * 100, "audio_unreadable"),
        (wav(silence(2)), "audio_silent"),
    ],
    ids=["empty", "a page", "too large", "rubbish", "silent"],
)
def test_what_cannot_be_heard_is_refused_with_its_code(
    speech: tuple[SpeechPool, set[int]], data: bytes, code: str
) -> None:
    assert code_of(lambda: speech[0].hear(Clip(data))) == code


@pytest.mark.speech
def test_a_small_file_that_asks_for_two_gigabytes_gets_nothing(speech: tuple[SpeechPool, set[int]]) -> None:
    pool, before = speech
    shape = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    claim = b"LIST" + struct.pack("<I", 0x7FFFFFFC) + b"INFO" + b"ISFT" + struct.pack("<I", 0x7FFFFFF0)
    bomb = b"RIFF" + struct.pack("<I", 1_000_000) + b"WAVE" + shape + claim + bytes(3000)
    assert code_of(lambda: pool.hear(Clip(bomb))) == "audio_unreadable"
    assert pool.hear(SENTENCE).hypotheses
    (worker,) = my_workers(before)
    assert worker.memory_info().rss < 400 * 1024 * 1024


@pytest.mark.speech
def test_warming_up_starts_the_worker_before_anybody_speaks() -> None:
    before = {worker.pid for worker in workers_of(psutil.Process())}
    pool = SpeechPool("whisper", whisper_dir(), 1, 2, 15.0, "")
    try:
        assert not my_workers(before)
        pool.warm()
        assert until(lambda: len(my_workers(before)) == 1)
    finally:
        pool.close()
    assert not my_workers(before)


def test_without_a_model_speech_says_so_and_starts_nothing(tmp_path: Path) -> None:
    before = {worker.pid for worker in workers_of(psutil.Process())}
    pool = SpeechPool("whisper", tmp_path / "whisper-base", 1, 2, 15.0, VOCABULARY)
    pool.warm()
    assert "not installed" in str(pool.problem())
    assert code_of(lambda: pool.hear(SENTENCE)) == "speech_unavailable"
    assert not my_workers(before)
    pool.close()


@pytest.mark.speech
def test_a_model_that_does_not_load_is_unavailable_and_does_not_restart_for_ever(tmp_path: Path) -> None:
    for file in whisper_dir().iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "model.bin").unlink()
    (tmp_path / "model.bin").write_bytes(b"not a model")
    pool = SpeechPool("whisper", tmp_path, 1, 2, 15.0, VOCABULARY)
    before = {worker.pid for worker in workers_of(psutil.Process())}
    try:
        assert code_of(lambda: pool.hear(SENTENCE)) == "speech_unavailable"
        (worker,) = my_workers(before)
        assert code_of(lambda: pool.hear(SENTENCE)) == "speech_unavailable"
        assert [each.pid for each in my_workers(before)] == [worker.pid]
    finally:
        pool.close()


def test_the_web_worker_s_side_carries_no_decoder_and_no_model() -> None:
    program = (
        "import sys; import app.providers.speech_pool, app.providers.barcode; "
        "heavy = {'numpy', 'av', 'ctranslate2', 'tokenizers', 'vosk', 'PIL', 'zxingcpp'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
