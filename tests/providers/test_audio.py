"""Any recording a phone may send is understood as sound; anything else is refused with a spoken code."""

from __future__ import annotations

import io
import time
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import AppError
from app.ports import Clip
from app.providers.audio import MAX_SPEECH_SECONDS, RATE, decode, sound_of
from app.providers.audio_formats import MAX_BYTES
from tests.providers.recordings import FIFTY_YUAN, encoded, noise, silence, speech, wav

SHAPES = {
    "mp3 at 16 kHz": ("mp3", "mp3", 16000, "mono"),
    "mp3 in stereo at 44.1 kHz": ("mp3", "mp3", 44100, "stereo"),
    "aac in adts": ("adts", "aac", 16000, "mono"),
    "m4a": ("ipod", "aac", 44100, "mono"),
    "wav": ("wav", "pcm_s16le", 16000, "mono"),
    "wav in stereo at 48 kHz": ("wav", "pcm_s16le", 48000, "stereo"),
    "wav in mu-law at 8 kHz": ("wav", "pcm_mulaw", 8000, "mono"),
    "wav in adpcm": ("wav", "adpcm_ima_wav", 16000, "mono"),
    "amr": ("amr", "amr_nb", 8000, "mono"),
    "opus in ogg": ("ogg", "libopus", 48000, "mono"),
    "opus in webm": ("webm", "libopus", 48000, "mono"),
    "flac": ("flac", "flac", 16000, "mono"),
}
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002"
    "0001e221bc330000000049454e44ae426082"
)
HOSTILE = {
    "a web page": b"<!DOCTYPE html><html><body>hello</body></html>" * 20,
    "a drawing": b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
    "a picture": PICTURE,
    "a playlist naming a local file": b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n",
    "a concat script naming a local file": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "words": "我要充五十块钱".encode(),
    "zeros": bytes(5000),
    "one byte": b"\xff",
}


def code_of(data: bytes, declared: str | None = None) -> str:
    with pytest.raises(AppError) as refused:
        sound_of(Clip(data, declared))
    return refused.value.code


def outcome(clip: Clip) -> str:
    """The refusal's code, or "audio_fine"; any other exception is the test's failure."""
    try:
        sound = sound_of(clip)
    except AppError as refused:
        return refused.code
    return "audio_fine" if len(sound.pcm) % 2 == 0 else "half a sample"


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Best correlation of two loudness contours (50 ms a step) within 150 ms: codecs add a delay."""

    def contour(samples: np.ndarray) -> np.ndarray:
        steps = len(samples) // 800
        return np.abs(samples[: steps * 800].astype(float)).reshape(steps, 800).mean(axis=1)

    mine, theirs = contour(one), contour(other)
    length = min(len(mine), len(theirs)) - 3
    shifts = [(mine[shift:], theirs) for shift in range(4)] + [(mine, theirs[shift:]) for shift in range(4)]
    return max(float(np.corrcoef(x[:length], y[:length])[0, 1]) for x, y in shifts)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_same_sentence_comes_out_of_every_container(shape: tuple[str, str, int, str]) -> None:
    samples = decode(Clip(encoded(speech(), *shape)))
    assert samples.dtype == np.int16
    assert abs(len(samples) - len(speech())) < 0.15 * RATE
    assert likeness(samples, speech()) > 0.85


@pytest.mark.parametrize(("encoding", "scale"), [("s16le", None), ("f32le", 32768)])
def test_raw_samples_are_read_as_declared(encoding: str, scale: int | None) -> None:
    data = speech().tobytes() if scale is None else (speech() / np.float32(scale)).astype("<f4").tobytes()
    assert likeness(decode(Clip(data, f"{encoding}/16000/1")), speech()) > 0.99


def test_raw_samples_in_stereo_become_mono() -> None:
    both = np.repeat(speech(), 2).tobytes()
    assert abs(len(decode(Clip(both, "s16le/16000/2"))) - len(speech())) < 100


def test_quiet_raw_samples_are_not_mistaken_for_the_mp3_they_look_like() -> None:
    data = np.concatenate([np.full(8, -1, np.int16), speech()]).tobytes()  # starts with ff ff ff ff
    assert likeness(decode(Clip(data, "s16le/16000/1")), speech()) > 0.9


@pytest.mark.parametrize("declared", ["s16le/0/1", "s16le/16000/9", "s16le/x/1", "s16le/9999999999/1"])
def test_an_impossible_declaration_is_refused(declared: str) -> None:
    assert code_of(speech().tobytes(), declared) == "audio_format_unknown"


def test_raw_samples_without_a_declaration_are_refused() -> None:
    assert code_of(speech().tobytes()) == "audio_format_unknown"


@pytest.mark.parametrize("declared", [None, "audio/mpeg", "s16le/16000/1", "wav", ""])
def test_a_file_is_what_its_bytes_say_whatever_it_was_called(declared: str | None) -> None:
    assert likeness(decode(Clip(wav(speech()), declared)), speech()) > 0.99


@pytest.mark.parametrize("dtx", ["0", "1"])
def test_pauses_that_an_amr_encoder_left_out_keep_their_length(dtx: str) -> None:
    with_pause = np.concatenate([speech(), silence(1.0), speech()])
    samples = decode(Clip(encoded(with_pause, "amr", "amr_nb", 8000, "mono", {"dtx": dtx})))
    assert abs(len(samples) - len(with_pause)) < 0.1 * RATE


def test_nothing_is_refused_as_nothing() -> None:
    assert code_of(b"") == "audio_empty"


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("declared", [None, "audio/mpeg"])
def test_what_is_no_recording_is_refused(data: bytes, declared: str | None) -> None:
    assert code_of(data, declared) == "audio_format_unknown"


def test_an_archive_with_a_recording_inside_is_refused() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("speech.mp3", FIFTY_YUAN.read_bytes())
    assert code_of(archive.getvalue()) == "audio_format_unknown"


@pytest.mark.parametrize(
    "magic", [b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"RIFF\x00\x00\x00\x00WAVE", b"\0\0\0\x20ftyp"]
)
def test_a_magic_number_in_front_of_rubbish_is_refused(magic: bytes) -> None:
    assert code_of(magic + b"<html>" * 400) == "audio_unreadable"


def test_an_amr_header_without_frames_is_refused() -> None:
    assert code_of(b"#!AMR\n") in ("audio_empty", "audio_unreadable")


def test_a_wav_header_without_samples_is_refused() -> None:
    assert code_of(wav(speech())[:44]) in ("audio_empty", "audio_unreadable")


def test_a_cut_off_m4a_is_refused() -> None:
    whole = encoded(speech(), "ipod", "aac")
    assert code_of(whole[: len(whole) // 2]) == "audio_unreadable"


def test_a_film_without_sound_is_refused() -> None:
    import av
    from av import VideoFrame

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(5):
            output.mux(
                stream.encode(VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
            )
        output.mux(stream.encode(None))
    assert code_of(target.getvalue()) == "audio_unreadable"


def test_a_cut_off_mp3_is_still_heard_as_far_as_it_goes() -> None:
    whole = FIFTY_YUAN.read_bytes()
    samples = decode(Clip(whole[: len(whole) * 2 // 3]))
    assert 0.5 < len(samples) / len(speech()) < 0.8


def test_a_recording_damaged_in_the_middle_keeps_its_good_parts() -> None:
    whole = bytearray(FIFTY_YUAN.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 400] = bytes(np.random.default_rng(3).integers(0, 256, 400, dtype=np.uint8))
    assert len(decode(Clip(bytes(whole)))) > 0.8 * len(speech())


def test_a_tap_on_the_button_is_too_short() -> None:
    assert code_of(wav(speech()[8000:10000])) == "audio_too_short"


@pytest.mark.parametrize("quiet", [silence(2.0), noise(2.0, 0.0005), silence(2.0) + np.int16(900)])
def test_a_recording_in_which_nobody_is_audible_is_silent(quiet: np.ndarray) -> None:
    assert code_of(wav(quiet)) == "audio_silent"


def test_a_single_click_is_silence() -> None:
    clicked = silence(2.0)
    clicked[16000:16100] = 20000
    assert code_of(wav(clicked)) == "audio_silent"


def test_too_many_bytes_are_refused_unread() -> None:
    assert code_of(b"OggS" + bytes(MAX_BYTES)) == "audio_too_large"


def test_an_hour_in_few_bytes_is_refused_without_decoding_the_hour() -> None:
    hour = encoded(silence(3600), "flac", "flac", 8000)
    assert len(hour) < MAX_BYTES
    started = time.process_time()
    assert code_of(hour) == "audio_too_long"
    assert time.process_time() - started < 2


def test_raw_samples_of_more_than_a_minute_are_too_long() -> None:
    assert code_of(bytes(8000 * 61), "mulaw/8000/1") == "audio_too_long"


def test_talk_that_does_not_fit_into_one_command_is_too_long() -> None:
    assert code_of(wav(np.tile(speech(), 6))) == "audio_too_long"


def test_long_pauses_around_and_inside_a_sentence_do_not_count_as_talk() -> None:
    half = len(speech()) // 2
    slow = np.concatenate([silence(8), speech()[:half], silence(9), speech()[half:], silence(12)])
    sound = sound_of(Clip(wav(slow)))
    assert sound.seconds == pytest.approx(len(slow) / RATE, abs=0.1)
    assert len(sound.pcm) / 2 / RATE < 4


def test_pauses_are_found_in_a_noisy_room_too() -> None:
    slow = np.concatenate([silence(5), speech(), silence(6)])
    sound = sound_of(Clip(wav(slow + noise(len(slow) / RATE, 0.004)[: len(slow)])))
    assert len(sound.pcm) / 2 / RATE <= MAX_SPEECH_SECONDS


def test_speech_itself_is_never_cut() -> None:
    sound = sound_of(Clip(FIFTY_YUAN.read_bytes()))
    kept = np.frombuffer(sound.pcm, np.int16)
    assert len(kept) <= len(speech())
    assert np.abs(kept.astype(float)).sum() > 0.99 * np.abs(speech().astype(float)).sum()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([b"", b"ID3", b"\xff\xfb\x90\x00", b"\xff\xf1P\x80", b"OggS", b"#!AMR\n", b"#!AMR-WB\n"]),
    st.binary(max_size=3000),
    st.sampled_from([None, "s16le/16000/1", "alaw/8000/2", "f32le/48000/1", "//", "s16le"]),
)
def test_no_bytes_whatever_escape_as_anything_but_a_spoken_fault(
    start: bytes, rest: bytes, declared: str | None
) -> None:
    assert outcome(Clip(start + rest, declared)).startswith("audio_")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(SHAPES.values())), st.data())
def test_no_damage_to_a_real_file_escapes_as_anything_but_a_spoken_fault(
    shape: tuple[str, str, int, str], data: st.DataObject
) -> None:
    whole = bytearray(encoded(speech(), *shape))
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    assert outcome(Clip(bytes(whole[:cut]))).startswith("audio_")
