"""The Vosk adapter with a real model. It is Korean, so what it makes of Mandarin is nonsense; how it
behaves is what is tested: streaming, readings, phrases, threads and odd input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from app.ports import Clip, Unavailable
from app.providers.audio import sound_of
from app.providers.speech_engines import hear_in_process, load_recogniser
from app.providers.speech_vosk import VoskRecogniser, _joined, grammar_problem
from tests.providers.recordings import FIFTY_YUAN, RATE, silence, speech
from tests.providers.speech_models import korean_dir

pytestmark = pytest.mark.speech
PHRASES = ("오만 원 충전", "잔액 확인", "취소")


@pytest.fixture(scope="module")
def recogniser() -> VoskRecogniser:
    return VoskRecogniser(korean_dir())


@pytest.fixture(scope="module")
def pcm() -> bytes:
    """The first 1.3 seconds of the sentence: free decoding costs as long as the sound lasts."""
    return sound_of(Clip(FIFTY_YUAN.read_bytes())).pcm[: int(1.3 * RATE) * 2]


def blocks(pcm: bytes, size: int) -> Iterator[bytes]:
    return (pcm[at : at + size] for at in range(0, len(pcm), size))


def alike(one: str, other: str) -> bool:
    """Kaldi adds a little random noise to what it hears: the same sound varies by a word."""
    return bool(one) and SequenceMatcher(None, one, other).ratio() > 0.6


def test_an_utterance_has_several_readings_best_first(recogniser: VoskRecogniser, pcm: bytes) -> None:
    readings = recogniser.recognise(pcm)
    assert 2 <= len(readings) <= 5
    assert len({each.text for each in readings}) == len(readings)
    scores = [each.score for each in readings]
    assert scores[0] == 0
    assert scores == sorted(scores, reverse=True)
    assert {each.source for each in readings} == {"free"}


def test_pauses_do_not_split_an_utterance(recogniser: VoskRecogniser) -> None:
    half = speech()[: int(1.3 * RATE)]
    twice = np.concatenate([half, silence(1.2), half, silence(1.2)])
    once = recogniser.recognise(half.tobytes())[0].text
    assert len(recogniser.recognise(twice.tobytes())[0].text) > 1.5 * len(once)


def test_words_appear_while_somebody_is_still_speaking(recogniser: VoskRecogniser, pcm: bytes) -> None:
    told_after: list[int] = []
    fed = 0

    def spoken() -> Iterator[bytes]:
        nonlocal fed
        for block in blocks(pcm, 3200):
            fed += len(block)
            yield block

    texts = []
    for text in recogniser.stream(spoken()):
        texts.append(text)
        told_after.append(fed)
    assert len(texts) >= 2
    assert told_after[0] < len(pcm)
    assert all(one != other for one, other in zip(texts, texts[1:], strict=False))


def test_blocks_may_be_of_any_length(recogniser: VoskRecogniser, pcm: bytes) -> None:
    final = {size: list(recogniser.stream(blocks(pcm, size)))[-1] for size in (1601, 3200)}
    assert alike(final[1601], final[3200])


@pytest.mark.parametrize("pcm", [b"", b"\x01", bytes(3), bytes(RATE)])
def test_nothing_is_heard_in_nothing(recogniser: VoskRecogniser, pcm: bytes) -> None:
    assert recogniser.recognise(pcm) == ()
    assert list(recogniser.stream([pcm])) == []


def test_a_grammar_adds_one_reading_made_of_its_words(pcm: bytes) -> None:
    with_phrases = VoskRecogniser(korean_dir(), PHRASES)
    assert with_phrases.grammar_problem is None
    assert with_phrases.grammar.unknown == ()
    readings = with_phrases.recognise(pcm)
    constrained = [each for each in readings if each.source == "constrained"]
    words = {word for phrase in PHRASES for word in phrase.split()}
    assert len(readings) <= 5
    assert len(constrained) == 1
    assert set(constrained[0].text.split()) <= words


def test_words_the_model_does_not_know_are_reported_and_their_phrase_left_out() -> None:
    listening = VoskRecogniser(korean_dir(), ("취소", "充值 五十", "충전 blorp"))
    assert listening.grammar.phrases == ("취소",)
    assert set(listening.grammar.unknown) == {"充", "值", "五", "十", "blorp"}


def test_a_folder_without_a_dynamic_graph_takes_no_grammar(tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "HCLr.fst").touch()
    assert grammar_problem(korean_dir()) is None
    assert grammar_problem(tmp_path) == "static graph: no graph/Gr.fst"


def test_eight_people_may_speak_to_one_model_at_once(recogniser: VoskRecogniser, pcm: bytes) -> None:
    alone = recogniser.recognise(pcm)
    with ThreadPoolExecutor(8) as people:
        heard = list(people.map(recogniser.recognise, [pcm] * 8))
    assert all(alike(each[0].text, alone[0].text) for each in heard)


def test_a_second_recogniser_shares_the_loaded_model(recogniser: VoskRecogniser) -> None:
    assert VoskRecogniser(korean_dir())._model is recogniser._model


def test_the_common_path_leads_here_too(pcm: bytes) -> None:
    heard = hear_in_process(Clip(FIFTY_YUAN.read_bytes()), load_recogniser("vosk", korean_dir()))
    assert heard.engine == "model"
    assert heard.hypotheses


def test_a_missing_folder_is_unavailable_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not installed"):
        load_recogniser("vosk", tmp_path / "vosk-model-small-cn-0.22")
    with pytest.raises(Unavailable, match="no Vosk model"):
        VoskRecogniser(tmp_path)


def test_a_damaged_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "am").mkdir()
    (tmp_path / "am" / "final.mdl").write_bytes(b"not a model")
    with pytest.raises(Unavailable):
        VoskRecogniser(tmp_path)


def test_chinese_words_are_written_without_the_spaces_vosk_puts_between_them() -> None:
    text = json.loads('{"text": "我 要 充 五十 块 钱"}')["text"]
    assert _joined([text, "请 用 WeChat 付"]) == "我要充五十块钱请用 WeChat 付"
