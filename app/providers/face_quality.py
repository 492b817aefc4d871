"""Will this picture do? One face, large enough, sharp, lit, looking here, with nothing in front of it.

All figures are of the face, cut out and made 160 × 160 grey. The first fault in the order below is the one
that is told: somebody who is not in the picture need not hear about the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.domain.liveness import FACING, Moment
from app.ports import FaceQuality
from app.providers.face_images import Pixels
from app.providers.face_models import Box, FaceModels, Points

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

REASONS = (
    "no_face",
    "several",
    "too_small",
    "too_big",
    "too_dark",
    "too_bright",
    "blur",
    "pose",
    "occluded",
)

# Starting values of notes/face.md 7, kept where `make face-eval`'s pictures agree.
ALONE = 1.5  # the largest face is this many times the second's side, or there are several
LEAST_SHARE = 0.10  # the face's side by the picture's long side: 80 of 800 pixels
MOST_SHARE = 0.85  # by its short side
DARKEST, BRIGHTEST = 50.0, 220.0  # mean grey
LEAST_SPREAD = 20.0  # standard deviation: less is fog, or light from behind
SHARP = 0.010  # variance of the Laplacian by variance of the grey; the bare Laplacian takes dark for blurred
# Measured on data/faces: the stills that face the camera reach 14.9 (a beard) and 0.35; painted masks, blue
# and black, 15.5 to 81, white ones 5 to 21 (some are missed), dark glasses at most 0.23.
MOST_CHROMA = 15.2
DARKEST_SOCKET = 0.30
_CROP = 160


@dataclass(frozen=True, slots=True)
class Look:
    """One face on one picture, measured. `fault` is one of REASONS, or None."""

    box: Box
    moment: Moment
    fault: str | None
    figures: dict[str, float]

    @property
    def sharpness(self) -> float:
        return self.figures["sharpness"]

    def quality(self) -> FaceQuality:
        return FaceQuality(self.fault is None, self.fault, self.figures)


def look(models: FaceModels, picture: Pixels, side: int, facing: bool = True) -> Look | str:
    """The one face, or the reason why there is none ("no_face", "several").

    `side`: how large the picture is searched; `facing`: whether the face has to look into the camera."""
    boxes = models.find(picture, side)
    if not boxes:
        return "no_face"
    if len(boxes) > 1 and boxes[0].side < ALONE * boxes[1].side:
        return "several"
    box = boxes[0]
    marks = models.marks(picture, box)
    figures = measure(picture, box, marks)
    return Look(box, Moment(figures["turn"], figures["mouth"]), fault_of(figures, facing), figures)


def measure(picture: Pixels, box: Box, marks: Points) -> dict[str, float]:
    """Every figure, rounded. Shares are of the picture's sides, greys 0 to 255."""
    grey = _grey_crop(picture, box)
    height, width = picture.shape[:2]
    variance = float(grey.var())
    found = {
        "share_long": box.side / max(height, width),
        "share_short": box.side / min(height, width),
        "grey": float(grey.mean()),
        "spread": variance**0.5,
        "sharpness": _laplacian_variance(grey) / max(variance, 1.0),
        "turn": turn_of(marks),
        "mouth": mouth_of(marks),
        **_coverings(picture, marks),
    }
    return {name: round(value, 4) for name, value in found.items()}


def fault_of(figures: dict[str, float], facing: bool) -> str | None:
    """The first of REASONS that applies to a found face."""
    dim = figures["grey"] < (DARKEST + BRIGHTEST) / 2
    flat = figures["spread"] < LEAST_SPREAD
    faults = (
        ("too_small", figures["share_long"] < LEAST_SHARE),
        ("too_big", figures["share_short"] > MOST_SHARE),
        ("too_dark", figures["grey"] < DARKEST or flat and dim),
        ("too_bright", figures["grey"] > BRIGHTEST or flat and not dim),
        ("blur", figures["sharpness"] < SHARP),
        ("pose", facing and abs(figures["turn"]) > FACING),
        ("occluded", facing and _is_covered(figures)),
    )
    return next((reason for reason, applies in faults if applies), None)


def turn_of(marks: Points) -> float:
    """The nose ratio of `app.domain.liveness`: the nose's tip (30) between the jaw's points 2 and 14."""
    left, right = marks[30, 0] - marks[2, 0], marks[14, 0] - marks[30, 0]
    return float((left - right) / max(abs(left) + abs(right), 1.0))


def mouth_of(marks: Points) -> float:
    """The mean opening of the inner lips (61–67, 62–66, 63–65) by their width (60–64)."""
    import numpy as np

    openings = np.linalg.norm(marks[[61, 62, 63]] - marks[[67, 66, 65]], axis=1)
    width = np.linalg.norm(marks[60] - marks[64])
    return float(openings.mean() / max(width, 1.0))


def _grey_crop(picture: Pixels, box: Box) -> npt.NDArray[np.float64]:
    import numpy as np
    from PIL import Image

    height, width = picture.shape[:2]
    cut = picture[max(box.top, 0) : min(box.bottom, height), max(box.left, 0) : min(box.right, width)]
    grey = Image.fromarray(np.ascontiguousarray(cut)).convert("L").resize((_CROP, _CROP))
    return np.asarray(grey, np.float64)


def _laplacian_variance(grey: npt.NDArray[np.float64]) -> float:
    inner = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(edges.var())


def _coverings(picture: Pixels, marks: Points) -> dict[str, float]:
    """What a mask or dark glasses change, compared with the cheeks under the eyes and the nose's bridge.

    `mask`: distance in chroma (Cb, Cr) of lips and chin from the cheeks. `glasses`: grey of the eye sockets
    by the cheeks' grey."""
    import numpy as np

    scale = float(np.linalg.norm(marks[36] - marks[45])) / 6  # about half an eye
    cheeks = [(marks[wing] + marks[lid]) / 2 for wing, lid in ((31, 41), (35, 46))]
    chin = [(marks[lip] + marks[jaw]) / 2 for lip, jaw in ((57, 8), (48, 5), (54, 11))]
    eyes = [marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)]
    skin, lower, sockets = (_mean_colour(picture, spots, scale / 2) for spots in (cheeks, chin, eyes))
    mask = float(np.linalg.norm(_chroma(skin) - _chroma(lower)))
    return {"mask": mask, "glasses": float(sockets.mean() / max(skin.mean(), 1.0))}


def _mean_colour(
    picture: Pixels, spots: Sequence[npt.NDArray[np.float64]], radius: float
) -> npt.NDArray[np.float64]:
    import numpy as np

    reach = max(round(radius), 1)
    found = []
    for x, y in spots:
        top, left = max(round(float(y)) - reach, 0), max(round(float(x)) - reach, 0)
        patch = picture[top : top + 2 * reach, left : left + 2 * reach]
        if patch.size:
            found.append(patch.reshape(-1, 3).mean(axis=0))
    return np.asarray(found, np.float64).mean(axis=0) if found else np.zeros(3)


def _chroma(colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cb and Cr of BT.601."""
    import numpy as np

    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.asarray([(blue - luma) * 0.564, (red - luma) * 0.713])


def _is_covered(figures: dict[str, float]) -> bool:
    return figures["mask"] > MOST_CHROMA or figures["glasses"] < DARKEST_SOCKET
