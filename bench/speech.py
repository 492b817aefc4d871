"""What speaking and faces cost: processor time for an utterance, the API meanwhile, and memory.

All over HTTP against the real house (granian, worker, sandbox, SQLite), processor time and memory read from
the operating system for the server's whole process tree.
"""

from __future__ import annotations

import io
import itertools
import secrets
import statistics
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import requests

from app.cli.house import House, running
from app.config import REPOSITORY
from app.ports import Clip
from app.providers.audio import decode
from bench import load
from tests.live import free_port
from tests.providers.test_face_engine import three
from tests.world import Phone, a_key

SPEECH = REPOSITORY / "tests" / "data" / "speech"
CLIP = SPEECH / "jf_gongitsune_4.mp3"  # 3.35 s of continuous speech, cut to CLIP_SECONDS
CLIP_SECONDS = 3.0
RATE = 16_000
PEOPLE = 2
CONNECTIONS = 4


@dataclass
class Done:
    """What people did while the API was under load."""

    answers: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)


@contextmanager
def a_house(folder: Path) -> Iterator[House]:
    """Warm: the model is loaded and one utterance was heard."""
    house = House(folder / "speech-house", free_port(), free_port(), {"ANXIN_LOG_LEVEL": "WARNING"})
    with running(house) as started:
        speak(elder(started, "warm-up"), three_seconds())
        yield started


def elder(house: House, name: str) -> Phone:
    """Somebody logged in, with a card."""
    phone = Phone(house.base_url, name).log_in()
    phone.agree()
    phone.bind()
    return phone


def three_seconds() -> bytes:
    """A WAV of exactly CLIP_SECONDS of speech."""
    pcm = decode(Clip(CLIP.read_bytes()))[: int(RATE * CLIP_SECONDS)]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()


def speak(phone: Phone, clip: bytes) -> dict[str, object]:
    """One spoken turn, from bytes to screen."""
    answer = requests.post(
        f"{phone.base_url}/api/v1/conversation/turns",
        headers={"Authorization": f"Bearer {phone.token}"},
        files={"audio": ("clip.wav", clip, "audio/wav")},
        data={"client_key": a_key() + secrets.token_hex(4)},
        timeout=60,
    )
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def _tree(house: House) -> list[psutil.Process]:
    leader = psutil.Process(house.processes["server"].pid)
    return [leader, *leader.children(recursive=True)]


def _cpu_seconds(house: House) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _tree(house))


def utterance(house: House, times: int, step: Callable[[], None]) -> dict[str, object]:
    """Processor and wall seconds of one 3-second utterance, from bytes to screen, over all processes."""
    phone, clip = elder(house, "speaker"), three_seconds()
    cpu, wall = [], []
    for _turn in range(times):
        cpu_before, begun = _cpu_seconds(house), time.perf_counter()
        speak(phone, clip)
        wall.append(time.perf_counter() - begun)
        cpu.append(_cpu_seconds(house) - cpu_before)
        step()
    return {
        "clip_seconds": CLIP_SECONDS,
        "utterances": times,
        "cpu_seconds": statistics.median(cpu),
        "cpu_seconds_worst": max(cpu),
        "wall_seconds": statistics.median(wall),
        "rounds_cpu_seconds": cpu,
    }


def _again_and_again(act: Callable[[], object], over: threading.Event, done: Done) -> None:
    """Wait for as long as a person speaks or is looked at, send it, take the answer, begin again."""
    while not over.wait(CLIP_SECONDS):
        begun = time.perf_counter()
        try:
            act()
            done.answers += 1
            done.seconds.append(time.perf_counter() - begun)
        except requests.RequestException:
            done.failed += 1


def _screens(tokens: list[str]) -> load.Requests:
    def make(number: int) -> Iterator[bytes]:
        for turn in itertools.count():
            yield load.request_bytes("GET", "/api/v1/screen", token=tokens[(number + turn) % len(tokens)])

    return make


def speakers(house: House) -> list[Callable[[], object]]:
    """Two people who speak three seconds at a time."""
    clip = three_seconds()
    return [partial(speak, elder(house, f"speaker-{n}"), clip) for n in range(PEOPLE)]


def faces(house: House) -> list[Callable[[], object]]:
    """Two people whose three photos are looked at: three faces found, measured and embedded, which is the
    work of one check (`make face-eval` counts both)."""
    return [partial(_enrol, _agreed(house, f"face-{n}"), three()) for n in range(PEOPLE)]


def _agreed(house: House, name: str) -> Phone:
    phone = Phone(house.base_url, name).log_in()
    consents = phone.ok("GET", "/api/v1/me/consents")["consents"]
    version = next(each["version"] for each in consents if each["purpose"] == "face")
    phone.ok("POST", "/api/v1/me/consents", {"purpose": "face", "version": version})
    return phone


def _enrol(phone: Phone, photos: list[bytes]) -> None:
    answer = requests.post(
        f"{phone.base_url}/api/v1/me/face",
        headers={"Authorization": f"Bearer {phone.token}"},
        files=[("photos", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)],
        timeout=60,
    )
    answer.raise_for_status()


def api_meanwhile(
    house: House,
    acts: list[Callable[[], object]],
    rounds: int,
    seconds: float,
    step: Callable[[], None],
) -> dict[str, object]:
    """Requests a second alone and while `acts` are repeated side by side; medians and their ratio."""
    tokens = [elder(house, f"reader-{n}").token for n in range(CONNECTIONS)]
    done = Done()
    rates: dict[str, list[float]] = {"alone": [], "meanwhile": []}
    slow: dict[str, list[float]] = {"alone": [], "meanwhile": []}
    for act in acts:
        act()  # warm: models load once
    load.run(house.port, _screens(tokens), CONNECTIONS, 1.0)
    for _round in range(rounds):
        for name in rates:
            over = threading.Event()
            busy = [
                threading.Thread(target=_again_and_again, args=(act, over, done))
                for act in acts
                if name == "meanwhile"
            ]
            for thread in busy:
                thread.start()
            found = load.run(house.port, _screens(tokens), CONNECTIONS, seconds)
            over.set()
            for thread in busy:
                thread.join()
            assert found.bad == 0, f"{found.bad} bad answers"
            rates[name].append(found.per_second)
            slow[name].append(1000 * found.quantile(0.99))
            step()
    assert done.answers and not done.failed, done
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "per_second": medians,
        "rounds": rates,
        "p99_ms": {name: statistics.median(values) for name, values in slow.items()},
        "answers": done.answers,
        "answer_seconds": statistics.median(done.seconds),
        "ratio": medians["meanwhile"] / medians["alone"],
    }


def memory(house: House) -> dict[str, object]:
    """Resident megabytes after the work above: the web worker and the largest speech worker."""
    mib = 1024 * 1024
    resident = {"web": 0.0, "speech": 0.0}
    for process in _tree(house)[1:]:
        kind = "speech" if any("multiprocessing.spawn" in part for part in process.cmdline()) else "web"
        resident[kind] = max(resident[kind], process.memory_info().rss / mib)
    return {"web_worker_mib": resident["web"], "speech_worker_mib": resident["speech"]}
