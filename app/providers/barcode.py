"""The card number on a photo: `app.ports.Barcodes` with zxing-cpp, decoded in a worker process.

A photo of 50 megapixels needs well over a web worker's memory while it is decoded, and a picture is
as hostile as any other upload: both belong in a process that can be killed.
"""

from __future__ import annotations

import io
import warnings

from app.errors import AppError
from app.providers.worker_pool import WorkerPool

MAX_BYTES = 8 * 1024 * 1024
# A phone's largest photo is 48 million pixels. JPEG decodes at a fraction of its size; others do not.
MAX_JPEG_PIXELS = 50_000_000
MAX_PIXELS = 25_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_ENOUGH_PIXELS = 2400  # on the long side: a card that fills a third of the photo keeps 800
HEADROOM_BYTES = 768 * 1024 * 1024  # the largest allowed picture with transparency took 350 MB
_SHORTEST_NUMBER = 6  # shorter codes are stripes of a shirt that happen to read as something
_CODES = "Code128|Code39|Code93|Codabar|ITF|EAN13|EAN8|UPCA|QRCode|DataMatrix|PDF417|Aztec"


class ZxingBarcodes:
    """See `app.ports.Barcodes`. One worker process, started by the first photo."""

    def __init__(self, queue_limit: int = 8, timeout_seconds: float = 10.0, nice: int = 10) -> None:
        self._pool = WorkerPool(
            workers=1,
            queue_limit=queue_limit,
            timeout_seconds=timeout_seconds,
            busy_code="photo_busy",
            broken_code="photo_unavailable",
            headroom_bytes=HEADROOM_BYTES,
            nice=nice,
            tasks_per_worker=200,  # big pictures fragment memory: a fresh process now and then
        )

    def read(self, image: bytes) -> str:
        """See `app.ports.Barcodes`; also AppError photo_busy and photo_unavailable."""
        if not image:
            raise AppError("photo_empty")
        if len(image) > MAX_BYTES:
            raise AppError("photo_too_large")
        return self._pool.run(read_barcode, image)

    def close(self) -> None:
        """Stop the worker; idempotent."""
        self._pool.close()


# --- in the worker ---


def read_barcode(image: bytes) -> str:
    """The text of the one barcode on a picture. Several codes with the same text are one.

    Raise AppError photo_unreadable, photo_too_many_pixels, photo_no_barcode, photo_two_barcodes.
    """
    import zxingcpp

    picture = _grey(image)
    found = zxingcpp.read_barcodes(
        picture,
        formats=zxingcpp.barcode_formats_from_str(_CODES),
        text_mode=zxingcpp.TextMode.Plain,
    )
    texts = {text for code in found if len(text := code.text.strip()) >= _SHORTEST_NUMBER}
    if len(texts) > 1:
        raise AppError("photo_two_barcodes")
    if not texts:
        raise AppError("photo_no_barcode")
    return texts.pop()


def _grey(image: bytes):  # type: ignore[no-untyped-def] # Pillow must not load in a web worker
    """Upright, grey, on white where it was transparent."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # measured below instead
            picture = Image.open(io.BytesIO(image), formats=_FORMATS)
        jpeg = picture.format in ("JPEG", "MPO")
        if picture.width * picture.height > (MAX_JPEG_PIXELS if jpeg else MAX_PIXELS):
            raise AppError("photo_too_many_pixels")
        picture.draft("L", (_ENOUGH_PIXELS, _ENOUGH_PIXELS))
        ImageOps.exif_transpose(picture, in_place=True)
        if not picture.has_transparency_data:
            return picture.convert("L")
        coloured = picture.convert("RGBA")
        paper = Image.new("L", coloured.size, 255)
        paper.paste(coloured.convert("L"), mask=coloured.getchannel("A"))
        return paper
    except (Image.DecompressionBombError, MemoryError) as fault:
        raise AppError("photo_too_many_pixels") from fault
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError) as fault:
        # Pillow's readers raise all of these for damaged files.
        raise AppError("photo_unreadable") from fault
