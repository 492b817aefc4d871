"""Recordings for tests: committed speech, and the same speech in every container a phone may send."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from app.ports import Clip
from app.providers.audio import decode

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"
FIFTY_YUAN = SPEECH / "jf_alpha_0.mp3"  # 我要充五十块钱
RATE = 16_000


@cache
def speech() -> np.ndarray:
    """ "我要充五十块钱" as int16 samples at 16 kHz."""
    samples = decode(Clip(FIFTY_YUAN.read_bytes()))
    samples.setflags(write=False)
    return samples


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def noise(seconds: float, level: float = 0.05) -> np.ndarray:
    samples = np.random.default_rng(7).normal(0, level, int(seconds * RATE))
    return (samples.clip(-1, 1) * 32767).astype(np.int16)


def encoded(
    samples: np.ndarray,
    container: str,
    codec: str,
    rate: int = RATE,
    layout: str = "mono",
    options: dict[str, str] | None = None,
) -> bytes:
    """The bytes of one file of this container and codec."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout, options=options or {})
        resampler = AudioResampler(
            format=stream.codec_context.format or "s16",
            layout=layout,
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        for frame in [*_frames(samples), None]:
            for piece in resampler.resample(frame):
                output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return target.getvalue()


def _frames(samples: np.ndarray) -> list[AudioFrame]:
    frames, at = [], 0
    for part in np.array_split(samples, max(1, len(samples) // 4096)):
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(part.reshape(1, -1)), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = RATE, at
        at += len(part)
        frames.append(frame)
    return frames


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    return encoded(samples, "wav", "pcm_s16le", rate)
