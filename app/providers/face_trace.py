"""How a head is held in one frame, the same for every encoding of it: the figures of `app.domain.replay`.

The 68 landmarks depend on where the detector's box lies, and a new JPEG, a crop or another size moves that by
up to a tenth of the face. So the box is laid anew from the landmarks themselves, twice, and then the mean of
thirteen boxes around it is taken: on frames encoded anew that makes the error a third of what it is.
"""

from __future__ import annotations

from app.domain.replay import Pose, pose
from app.providers.face_images import Pixels
from app.providers.face_models import Box, FaceModels, Points
from app.providers.face_quality import mouth_of, turn_of

# The detector's box from its own landmarks: medians over data/faces, in root mean squares of the points.
_SIDE, _RAISED = 2.79, 0.17
_AROUND = (
    *((0, 0, 1), (0.05, 0, 1), (-0.05, 0, 1), (0, 0.05, 1), (0, -0.05, 1)),
    *((0.05, 0.05, 1), (-0.05, -0.05, 1), (0.05, -0.05, 1), (-0.05, 0.05, 1)),
    *((0, 0, 1.08), (0, 0, 1.04), (0, 0, 0.965), (0, 0, 0.93)),
)
_UNIT = 100.0  # so large that no ratio is held back by what keeps it from dividing by nothing


def pose_of(models: FaceModels, picture: Pixels, box: Box) -> Pose:
    """One face's pose. Sixteen times the landmarks: 20 ms."""
    marks = models.marks(picture, box)
    for _ in range(2):
        marks = models.marks(picture, _box_of(marks))
    several = [models.marks(picture, _box_of(marks, *place)) for place in _AROUND]
    return pose(figures_of(sum(several[1:], several[0]) / len(several)))


def figures_of(marks: Points) -> tuple[float, ...]:
    """In the order of `app.domain.replay.FIGURES`."""
    own = _among_eyes(marks)
    nose, lips = own[30], own[48:60].mean(axis=0)
    return (
        turn_of(own),
        mouth_of(own),
        float(nose[0]) / _UNIT,
        float(nose[1]) / _UNIT,
        float(lips[1]) / _UNIT,
        float(own[54, 0] - own[48, 0]) / _UNIT,
        float(own[17:22, 1].mean()) / _UNIT,
        float(own[22:27, 1].mean()) / _UNIT,
    )


def _among_eyes(marks: Points) -> Points:
    """The points with the eyes' middle as origin, their line as x axis, and the eyes `_UNIT` apart."""
    import numpy as np

    left, right = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
    across = (right - left) / max(float(np.linalg.norm(right - left)) ** 2, 1.0) * _UNIT
    turned = np.array([[across[0], across[1]], [-across[1], across[0]]])
    found: Points = (marks - (left + right) / 2) @ turned.T
    return found


def _box_of(marks: Points, right: float = 0, down: float = 0, larger: float = 1) -> Box:
    """Where the detector would lay its box around these points, moved by shares of its side."""
    import numpy as np

    middle = marks.mean(axis=0)
    spread = float(np.sqrt(((marks - middle) ** 2).sum(axis=1).mean()))
    side = _SIDE * spread
    x, y = middle[0] + right * side, middle[1] - _RAISED * spread + down * side
    half = larger * side / 2
    return Box(round(y - half), round(x + half), round(y + half), round(x - half))
