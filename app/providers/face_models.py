"""The three networks of dlib behind one small class: where is a face, what does it do, whose is it.

`face_recognition` loads them at its import (two seconds, 150 MB). When its models package is missing it
calls quit(): that ends a process, so it is caught here and told as Unavailable.

The 68-point landmark model was trained on iBUG 300-W, whose licence excludes commercial use
(docs/adr/013): it is used for turning and opening the mouth only, never for the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from app.ports import Unavailable
from app.providers.face_images import Pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Vector: TypeAlias = "npt.NDArray[np.float32]"
Points: TypeAlias = "npt.NDArray[np.float64]"
# The network, the alignment and the detector's family: templates of another id are not comparable.
MODEL_ID = "dlib-resnet-5pt-v1"
DIMENSIONS = 128


@dataclass(frozen=True, slots=True)
class Box:
    """Where a face is, in pixels of the picture it was given for."""

    top: int
    right: int
    bottom: int
    left: int

    @property
    def side(self) -> int:
        return self.bottom - self.top

    def scaled(self, factor: float) -> Box:
        return Box(*(round(value * factor) for value in (self.top, self.right, self.bottom, self.left)))

    def as_css(self) -> tuple[int, int, int, int]:
        return (self.top, self.right, self.bottom, self.left)


class FaceModels:
    """Loads at construction. Raise Unavailable when that is not possible. One thread only."""

    def __init__(self) -> None:
        try:
            import face_recognition  # type: ignore[import-untyped]
            from PIL import ImageFile
        except (Exception, SystemExit) as fault:
            raise Unavailable("face_models", f"face_recognition did not load: {fault}") from fault
        # The library lets Pillow take pictures that end too early, for the whole process: not with us.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        self._library: Any = face_recognition

    def warm(self) -> None:
        """The first embedding sets up buffers that stay (0.3 s)."""
        import numpy as np

        self.embed(np.zeros((400, 400, 3), np.uint8), Box(100, 300, 300, 100))

    def find(self, picture: Pixels, side: int) -> list[Box]:
        """Faces of at least 80 pixels after the picture was made to fit `side`, the largest first.

        The boxes are in the picture's own pixels. HOG, not upsampled: 33 ms of processor at 800 × 600."""
        small, factor = _fit(picture, side)
        found = [Box(*css) for css in self._library.face_locations(small, 0, "hog")]
        return sorted((box.scaled(factor) for box in found), key=lambda box: -box.side)

    def marks(self, picture: Pixels, box: Box) -> Points:
        """The 68 landmarks (x, y) in the iBUG order: 0–16 jaw, 27–35 nose, 36–47 eyes, 48–67 mouth."""
        import numpy as np

        named = self._library.face_landmarks(picture, [box.as_css()], "large")[0]
        top, bottom = named["top_lip"], named["bottom_lip"]
        ordered = [
            *named["chin"],
            *named["left_eyebrow"],
            *named["right_eyebrow"],
            *named["nose_bridge"],
            *named["nose_tip"],
            *named["left_eye"],
            *named["right_eye"],
            *top[:7],  # 48–54
            *bottom[1:6],  # 55–59
            *top[7:][::-1],  # 60–64, stored backwards
            *bottom[8:11][::-1],  # 65–67, stored backwards
        ]
        return np.asarray(ordered, np.float64)

    def embed(self, picture: Pixels, box: Box) -> Vector:
        """128 float32 by the 5-point alignment. 75 to 240 ms, whatever the picture's size; holds the GIL."""
        import numpy as np

        found = self._library.face_encodings(picture, [box.as_css()], 1, "small")[0]
        return np.asarray(found, np.float32)


def _fit(picture: Pixels, side: int) -> tuple[Pixels, float]:
    """A copy that fits `side`, and what its coordinates are multiplied with to be the picture's."""
    longest = max(picture.shape[:2])
    if longest <= side:
        return picture, 1.0
    import numpy as np
    from PIL import Image

    scaled = Image.fromarray(picture)
    scaled.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(scaled), longest / max(scaled.size)
