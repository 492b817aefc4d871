"""Whisper hears the committed sentences, offers other readings, and stays silent when nobody speaks."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from app.ports import Clip, Unavailable
from app.providers.audio import sound_of
from app.providers.log_mel import log_mel
from app.providers.speech_engines import hear_in_process, load_recogniser, model_problem
from app.providers.speech_whisper import FILES, WhisperRecogniser
from tests.providers.recordings import FIFTY_YUAN, RATE, SPEECH, noise, silence, speech
from tests.providers.speech_models import VOCABULARY, whisper_dir

pytestmark = pytest.mark.speech


@pytest.fixture(scope="module")
def recogniser() -> WhisperRecogniser:
    return WhisperRecogniser(whisper_dir(), VOCABULARY)


def plain(text: str) -> str:
    """Without spaces and punctuation, amounts in characters."""
    return "".join(each for each in text.replace("50", "五十") if each.isalnum())


def pcm_of(name: str) -> bytes:
    return sound_of(Clip((SPEECH / name).read_bytes())).pcm


def test_the_story_s_sentence_is_the_first_reading(recogniser: WhisperRecogniser) -> None:
    heard = hear_in_process(Clip(FIFTY_YUAN.read_bytes()), recogniser)
    assert plain(heard.hypotheses[0].text) == "我要充五十块钱"
    assert heard.engine == "whisper-base"
    assert heard.audio_seconds == pytest.approx(2.268, abs=0.01)
    assert heard.cpu_seconds > 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jf_alpha_0.mp3", "我要充五十块钱"),
        ("jf_nezumi_0.mp3", "我要充五十块钱"),
        ("jf_gongitsune_4.mp3", "请我女儿帮我充五十块"),
        ("jm_kumo_2.mp3", "充值两百元"),
        ("jf_nezumi_6.mp3", "不要充了"),
    ],
)
def test_the_reading_in_command_characters_is_word_for_word(
    recogniser: WhisperRecogniser, name: str, said: str
) -> None:
    constrained = [each for each in recogniser.recognise(pcm_of(name)) if each.source == "constrained"]
    assert [each.text for each in constrained] == [said]
    assert set(constrained[0].text) <= set(VOCABULARY)


def test_up_to_five_different_readings_come_best_first_and_the_constrained_one_last(
    recogniser: WhisperRecogniser,
) -> None:
    readings = recogniser.recognise(pcm_of("jf_gongitsune_3.mp3"))
    free = [each.score for each in readings if each.source == "free"]
    assert 2 <= len(readings) <= 5
    assert len({each.text for each in readings}) == len(readings)
    assert free == sorted(free, reverse=True)
    assert all(score <= 0 for score in free)
    assert [each.source for each in readings] == sorted((each.source for each in readings), reverse=True)


def test_without_a_vocabulary_every_reading_is_free() -> None:
    readings = WhisperRecogniser(whisper_dir()).recognise(pcm_of("jf_alpha_0.mp3"))
    assert {each.source for each in readings} == {"free"}


def test_the_same_sound_is_always_heard_the_same_way(recogniser: WhisperRecogniser) -> None:
    pcm = pcm_of("jf_nezumi_4.mp3")
    assert recogniser.recognise(pcm) == recogniser.recognise(pcm)


@pytest.mark.parametrize(
    "samples",
    [
        noise(3, 0.01),
        noise(3, 0.1),
        (np.sin(np.arange(48_000) * 2 * np.pi * 50 / RATE) * 3000).astype(np.int16),
        silence(2),
    ],
    ids=["hiss", "loud hiss", "mains hum", "digital silence"],
)
def test_nothing_is_read_into_a_sound_in_which_nobody_speaks(
    recogniser: WhisperRecogniser, samples: np.ndarray
) -> None:
    assert recogniser.recognise(samples.tobytes()) == ()


@pytest.mark.parametrize("pcm", [b"", b"\x01", bytes(200)])
def test_hardly_any_samples_are_no_speech(recogniser: WhisperRecogniser, pcm: bytes) -> None:
    assert recogniser.recognise(pcm) == ()


def test_half_a_sample_at_the_end_is_ignored(recogniser: WhisperRecogniser) -> None:
    pcm = pcm_of("jf_alpha_0.mp3")
    assert recogniser.recognise(pcm + b"\x07") == recogniser.recognise(pcm)


def test_endless_repetition_ends_soon(recogniser: WhisperRecogniser) -> None:
    syllable = speech()[6000:11000]
    started = time.process_time()
    recogniser.recognise(np.tile(syllable, 40)[: int(9.5 * RATE)].tobytes())
    assert time.process_time() - started < 5


def test_the_spectrogram_is_the_one_whisper_was_trained_on() -> None:
    samples = speech().astype(np.float32) / 32768
    reference = FeatureExtractor()(samples)
    ours = log_mel(samples, 1000)
    assert ours.shape == (80, 1000)
    assert ours.dtype == np.float32
    frames = len(samples) // 160
    assert np.abs(ours[:, :frames] - reference[:, :frames]).max() < 1e-4
    assert np.ptp(ours[:, frames + 3 :]) == 0


def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    problem = model_problem("whisper", tmp_path / "whisper-base")
    assert problem is not None
    assert "voice-models install whisper-base" in problem
    with pytest.raises(Unavailable):
        load_recogniser("whisper", tmp_path / "whisper-base")


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unknown speech engine"):
        load_recogniser("parrot", tmp_path)


@pytest.mark.parametrize("broken", ["model.bin", "tokenizer.json"])
def test_a_damaged_model_is_unavailable_not_a_crash(tmp_path: Path, broken: str) -> None:
    for name in FILES:
        if name == broken:
            (tmp_path / name).write_bytes((whisper_dir() / name).read_bytes()[:1000])
        else:
            (tmp_path / name).symlink_to(whisper_dir() / name)
    with pytest.raises(Unavailable):
        WhisperRecogniser(tmp_path)


def test_a_language_the_model_lacks_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="yue"):
        WhisperRecogniser(whisper_dir(), language="yue")


def test_a_folder_with_one_file_missing_says_which(tmp_path: Path) -> None:
    shutil.copy(whisper_dir() / "config.json", tmp_path)
    assert "tokenizer.json" in str(model_problem("whisper", tmp_path))
