"""The log-mel spectrogram Whisper was trained on (Radford et al. 2022, section 2.2), in numpy alone.

Taking it from faster-whisper would load that package's downloader, voice detector and their
dependencies into every speech worker. A test holds this to faster-whisper's own numbers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
HOP = 160  # samples between frames: 100 frames a second
MELS = 80
_WINDOW = 400  # samples in one frame (25 ms)
_EDGE = _WINDOW // 2
_LINEAR_MELS, _HZ_A_MEL = 15.0, 200 / 3  # Slaney's scale: linear below 1 kHz, logarithmic above
_LOG_STEP = np.log(6.4) / 27
_RANGE = 8.0  # log10 units kept below the loudest value


def log_mel(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """`samples` in -1..1 at 16 kHz, at least 201 of them -> float32 of shape (80, frames).

    Longer input is cut to frames * HOP samples; shorter input is followed by digital silence.
    """
    samples = samples[: frames * HOP]
    # Two frames past the end still touch the last samples; after them everything is silence.
    used = min(frames, len(samples) // HOP + 2)
    buffer = np.zeros(used * HOP + _WINDOW, np.float32)
    buffer[:_EDGE] = samples[_EDGE:0:-1]  # the reference transform mirrors the beginning
    room = len(buffer) - _EDGE
    buffer[_EDGE : _EDGE + min(room, len(samples))] = samples[:room]
    windows = np.lib.stride_tricks.sliding_window_view(buffer, _WINDOW)[::HOP][:used]
    shape = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(windows * shape, axis=-1)).astype(np.float32) ** 2
    levels = np.log10(np.maximum(power @ _filters().T, 1e-10))
    floor = max(float(levels.max()) - _RANGE, -10.0)
    mel = np.full((frames, MELS), floor, np.float32)
    mel[:used] = np.maximum(levels, floor)
    return np.ascontiguousarray((mel.T + 4) / 4)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area, evenly spaced in mel from 0 to 8 kHz: shape (80, 201)."""
    bins = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)
    top = _LINEAR_MELS + np.log(RATE / 2 / 1000) / _LOG_STEP
    mels = np.linspace(0, top, MELS + 2)
    logarithmic = 1000 * np.exp((mels - _LINEAR_MELS) * _LOG_STEP)
    edges = np.where(mels < _LINEAR_MELS, mels * _HZ_A_MEL, logarithmic)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    filters: NDArray[np.float32] = (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)
    return filters
