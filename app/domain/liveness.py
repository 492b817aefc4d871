"""Were the asked movements made, one after the other? Judged from two numbers a frame, without a picture.

`turn` is the nose ratio (l - r) / (l + r): l and r are the distances, along x, of the nose's tip to the jaw
at the frame's left and right. It grows when a person turns to their own left (frames are not mirrored). A
flat print that is turned in the hand moves it by at most 0.17, a head by 0.3 and more; the yaw of a
solved pose cannot tell the two apart (notes/face.md 4). `mouth` is the opening between the inner lips
divided by their width.

Only TURN and the still figures are measured; OPEN, OPEN_TIMES and the way back are starting values that no
elder has tried yet.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, RIGHT, MOUTH = "left", "right", "mouth"

FACING = 0.20  # |turn| of somebody who looks into the camera
TURN = 0.30  # away from the person's own neutral
TURNED_BACK = 0.15
OPEN = 0.35
OPEN_TIMES = 3.0  # of the person's own neutral
CLOSED = 0.25
MOST_LOST = 1 / 3  # of the frames may be without a face: the detector loses it beyond 45 degrees


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame's figures, or None for a frame in which no face was found."""

    turn: float
    mouth: float


@dataclass(frozen=True, slots=True)
class Performance:
    """What was seen. `done`: (movement, index of the frame that shows it with the least turn), in order.

    `neutral`: indexes of the frames that face the camera with a closed mouth. `returned`: each movement was
    followed by the way back. `reason` is None when the
    frames can be judged, else "no_face" or "pose"."""

    done: tuple[tuple[str, int], ...]
    neutral: tuple[int, ...]
    returned: bool
    reason: str | None = None

    @property
    def movements(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.done)


def watch(moments: Sequence[Moment | None]) -> Performance:
    """Read the movements of one try. It begins and ends facing the camera with a closed mouth."""
    seen = [(at, moment) for at, moment in enumerate(moments) if moment is not None]
    if not moments or len(moments) - len(seen) > len(moments) * MOST_LOST:
        return Performance((), (), False, "no_face")
    first = next((moment for _, moment in seen if _faces_camera(moment)), None)
    if first is None:
        return Performance((), (), False, "pose")
    own = _own_neutral([moment for _, moment in seen], first)
    neutral = tuple(at for at, moment in seen if _is_neutral(moment, own) and _faces_camera(moment))
    done: list[tuple[str, int]] = []
    size, current, straight = 0.0, "", False  # straight: from one movement into another, without a way back
    for at, moment in seen:
        movement, amount = _movement(moment, own)
        if movement and movement == current:
            if amount < size:
                done[-1], size = (movement, at), amount
        elif movement:
            straight = straight or bool(current)
            done.append((movement, at))
            current, size = movement, amount
        elif _is_neutral(moment, own):
            current = ""
    return Performance(tuple(done), neutral, returned=not current and not straight)


def performed(seen: Performance, asked: Sequence[str]) -> bool:
    """Whether exactly the asked movements were made, in order, each with the way back.

    A further movement fails the try: a film of every movement would contain any two in order."""
    return seen.reason is None and seen.returned and seen.movements == tuple(asked)


def _faces_camera(moment: Moment) -> bool:
    return abs(moment.turn) <= FACING and moment.mouth < CLOSED


def _own_neutral(seen: Sequence[Moment], first: Moment) -> Moment:
    """The median of the frames like the first one: heads are not symmetric, and single frames jitter."""
    alike = [
        moment for moment in seen if _faces_camera(moment) and abs(moment.turn - first.turn) <= TURNED_BACK
    ]
    return Moment(
        statistics.median(moment.turn for moment in alike),
        statistics.median(moment.mouth for moment in alike),
    )


def _is_neutral(moment: Moment, own: Moment) -> bool:
    return abs(moment.turn - own.turn) <= TURNED_BACK and moment.mouth < max(CLOSED, own.mouth)


def _movement(moment: Moment, own: Moment) -> tuple[str, float]:
    """What this frame shows, and how much of it; "" for nothing. A turn distorts the mouth: it goes first."""
    turned = moment.turn - own.turn
    if abs(turned) >= TURN:
        return (LEFT if turned > 0 else RIGHT), abs(turned)
    if moment.mouth >= max(OPEN, OPEN_TIMES * own.mouth) and abs(turned) <= TURNED_BACK + 0.05:
        return MOUTH, moment.mouth
    return "", 0.0
