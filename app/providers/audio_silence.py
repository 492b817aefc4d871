"""Where in a recording somebody speaks, by loudness alone, and the same recording without its pauses.

Loudness cannot tell speech from noise; it is only used where being wrong costs nothing: to refuse a
recording in which nothing is audible, and to cut pauses that would push words out of ten seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Levels = NDArray[np.float32]
Flags = NDArray[np.bool_]

_WINDOW_SECONDS = 0.02
_MARGIN_SECONDS = 0.2  # soft beginnings (sh, ch, q) lie far below the vowel that follows
_PAUSE_SECONDS = 0.6  # longer pauses inside a sentence shrink to this
# How far below the loudest moment still counts as speech. The first is safe in noise; the others
# are tried only when the recording would otherwise be refused as too long.
_DEPTHS_DB = (35.0, 25.0, 18.0)


def levels_db(samples: Samples, rate: int) -> Levels:
    """Level of each 20 ms window in dB of full scale, the window's mean removed: an offset is silent."""
    window = int(rate * _WINDOW_SECONDS)
    count = max(1, -(-len(samples) // window))
    padded = np.zeros(count * window, np.float32)
    padded[: len(samples)] = samples
    power = padded.reshape(count, window).var(axis=1) / 32768.0**2
    levels: Levels = 10 * np.log10(np.maximum(power, 1e-12))
    return levels


def loudest_level_db(samples: Samples, rate: int) -> float:
    """Level of the loudest 20 ms that is not a lone click (the third loudest window)."""
    levels = np.sort(levels_db(samples, rate))
    return float(levels[-min(3, len(levels))])


def squeeze(samples: Samples, rate: int, limit_seconds: float) -> Samples:
    """Cut silence at both ends and shorten pauses inside. May still be longer than the limit.

    `samples` int16; the result is a contiguous int16 array.
    """
    levels = levels_db(samples, rate)
    loudest = loudest_level_db(samples, rate)
    kept = samples
    for depth in _DEPTHS_DB:
        kept = _cut(samples, levels > loudest - depth, int(rate * _WINDOW_SECONDS))
        if len(kept) <= limit_seconds * rate:
            break
    return np.ascontiguousarray(kept)


def _cut(samples: Samples, active: Flags, window: int) -> Samples:
    """Keep active windows with a margin, and of each pause no more than the allowed part."""
    margin = round(_MARGIN_SECONDS / _WINDOW_SECONDS)
    reach = np.ones(2 * margin + 1)
    near = np.convolve(active, reach)[margin : margin + len(active)] > 0
    spoken = np.flatnonzero(near)
    if not len(spoken):
        return samples
    keep = np.zeros(len(active), bool)
    keep[spoken[0] : spoken[-1] + 1] = True
    spare = round(_PAUSE_SECONDS / _WINDOW_SECONDS) - 2 * margin
    for start, end in _gaps(near, spoken[0], spoken[-1]):
        keep[start + spare : end] = False
    cut: Samples = samples[np.repeat(keep, window)[: len(samples)]]
    return cut


def _gaps(near: Flags, first: int, last: int) -> list[tuple[int, int]]:
    """Index ranges [start, end) of quiet windows between the first and the last spoken one."""
    edges = np.flatnonzero(np.diff(near[first : last + 1].astype(np.int8))) + first + 1
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
