"""Was this film shown before and only encoded anew? Judged from eight numbers a frame, without a picture.

A pose is `FIGURES` in thousandths, measured in the frame of the eyes (its origin between them, its x axis
through both, its unit their distance): another size, place, tilt, light or JPEG leaves them as they are.
How far two poses are apart is told in units of `NOISE`: what a new encoding moves each figure by.

`ALIKE` is measured (`make face-eval`, docs/adr/013): most replays lie below it, and two films of one person
above it, unless the face between the movements is the same to a hair. So a film that is alike proves nothing
by itself, and nobody is turned away for it. One that was changed in several ways at once, bent, or cut from
two is mostly not found.
"""

from __future__ import annotations

import math
import statistics
import struct
from collections.abc import Sequence
from typing import TypeAlias

FIGURES = ("turn", "mouth", "nose_x", "nose_y", "mouth_y", "mouth_width", "left_brow", "right_brow")
NOISE = (8, 10, 6, 8, 13, 9, 5, 5)  # root mean squares over 2,000 frames that were encoded anew
FAR = 6.0  # in units of noise: further apart is no more telling
ALIKE = 1.2

Pose: TypeAlias = tuple[int, ...]  # one number for each of FIGURES
Trace: TypeAlias = tuple[Pose, ...]  # the frames of one film in which a face was found, in order

LONGEST = 1.25  # a picture that is drawn longer or wider than by this is another person's to the embedding

_MOUTH_Y = FIGURES.index("mouth_y")
_HEIGHTS = frozenset(
    FIGURES.index(name) for name in ("mouth", "nose_y", "mouth_y", "left_brow", "right_brow")
)
_FORM = 1  # of the packed bytes and of what FIGURES mean: traces of another form are not comparable
_LARGEST = 32_767
_POSE = struct.Struct(f"<{len(FIGURES)}h")


def pose(figures: Sequence[float]) -> Pose:
    """One frame's figures as whole thousandths."""
    return tuple(max(-_LARGEST, min(_LARGEST, round(1000 * figure))) for figure in figures)


def pack(trace: Trace) -> bytes:
    """One byte for the form, 16 for each pose."""
    return bytes([_FORM]) + b"".join(_POSE.pack(*each) for each in trace)


def unpack(packed: bytes) -> Trace:
    """What was packed; nothing of another form, which is like no film."""
    if packed[:1] != bytes([_FORM]):
        return ()
    return tuple(_POSE.iter_unpack(packed[1:]))


def alike(trace: Trace, earlier: Trace) -> bool:
    """Whether one of two films is the other, as it is or in a mirror. A film without poses is like none."""
    if not trace or not earlier:
        return False
    return how_far(trace, earlier) <= ALIKE


def how_far(trace: Trace, earlier: Trace) -> float:
    """How far a film is from an earlier one, whether it was mirrored or drawn longer on the way or not."""
    return min(apart(_as_long_as(earlier, each), earlier) for each in (trace, mirrored(trace)))


def apart(one: Trace, other: Trace) -> float:
    """How far each pose is from the nearest of the other film, on average; the larger of both directions:
    neither film may show what the other does not."""
    between = [[_between(here, there) for there in other] for here in one]
    from_one = sum(min(row) for row in between) / len(one)
    from_other = sum(min(row[at] for row in between) for at in range(len(other))) / len(other)
    return max(from_one, from_other)


def mirrored(trace: Trace) -> Trace:
    """The film in a mirror: a turn to the left becomes one to the right."""
    return tuple(
        (-turn, mouth, -nose_x, nose_y, mouth_y, width, right, left)
        for turn, mouth, nose_x, nose_y, mouth_y, width, left, right in trace
    )


def _as_long_as(model: Trace, trace: Trace) -> Trace:
    """The trace with its heights drawn so that the mouth is as far below the eyes as in the model."""
    own, other = (statistics.median(each[_MOUTH_Y] for each in film) for film in (trace, model))
    by = min(max(other / own, 1 / LONGEST), LONGEST) if own > 0 else 1.0
    return tuple(
        tuple(round(figure * by) if at in _HEIGHTS else figure for at, figure in enumerate(each))
        for each in trace
    )


def _between(one: Pose, other: Pose) -> float:
    """Root mean square, in units of noise."""
    apiece = [abs(here - there) / noise for here, there, noise in zip(one, other, NOISE, strict=True)]
    return math.hypot(*[min(each, FAR) for each in apiece]) / math.sqrt(len(NOISE))
