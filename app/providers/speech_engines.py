"""Which recogniser stands behind an engine's name, and the one path from bytes to hypotheses.

Importing this is cheap; numpy, PyAV and the engine itself are loaded by the functions that use them,
so that a web worker can ask `model_problem` without carrying them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from app.ports import Clip, Heard, Recogniser, Unavailable

# What must lie in a model's folder before it is worth starting a worker.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "whisper": ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"),
    "vosk": ("am/final.mdl", "conf/mfcc.conf", "conf/model.conf"),
}


def model_problem(engine: str, model_dir: Path) -> str | None:
    """None when this engine could load this folder, else a short English reason for /readyz."""
    if engine not in _NEEDED:
        return f"unknown speech engine {engine!r}, not one of {', '.join(sorted(_NEEDED))}"
    missing = [name for name in _NEEDED[engine] if not (model_dir / name).is_file()]
    if not missing:
        return None
    what = "is not installed" if len(missing) == len(_NEEDED[engine]) else f"lacks {', '.join(missing)}"
    return f"speech model {model_dir.name} {what}: flask --app wsgi voice-models install {model_dir.name}"


def load_recogniser(engine: str, model_dir: Path, vocabulary: str = "") -> Recogniser:
    """Load one engine into this process (seconds, hundreds of MB).

    `vocabulary`: the characters of the commands, for engines that can favour them.
    Raise Unavailable when the folder is missing or faulty or the engine unknown.
    """
    problem = model_problem(engine, model_dir)
    if problem is not None:
        raise Unavailable("model_missing", problem)
    return _LOADERS[engine](model_dir, vocabulary)


def hear_in_process(clip: Clip, recogniser: Recogniser) -> Heard:
    """Decode and recognise in this process: what a speech worker does, also for the command line.

    Raise AppError audio_* for an unusable clip.
    """
    from app.providers.audio import sound_of

    started = time.process_time()
    sound = sound_of(clip)
    hypotheses = recogniser.recognise(sound.pcm)
    return Heard(
        hypotheses=hypotheses,
        engine=recogniser.name,
        audio_seconds=round(sound.seconds, 3),
        cpu_seconds=round(time.process_time() - started, 4),
    )


def _whisper(model_dir: Path, vocabulary: str) -> Recogniser:
    from app.providers.speech_whisper import WhisperRecogniser

    return WhisperRecogniser(model_dir, vocabulary)


def _vosk(model_dir: Path, vocabulary: str) -> Recogniser:
    from app.providers.speech_vosk import VoskRecogniser

    return VoskRecogniser(model_dir)


_LOADERS: Mapping[str, Callable[[Path, str], Recogniser]] = {"whisper": _whisper, "vosk": _vosk}
