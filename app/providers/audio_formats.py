"""What a recording is, told from its first bytes and never from its name. Nothing is decoded here.

This module is imported by web workers, so it needs the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import AppError
from app.ports import Clip

MAX_BYTES = 2_000_000  # a minute of 256 kbit/s; a ten-second command is 20 to 320 kB

# FFmpeg's demuxer for each shape. Naming it keeps hostile bytes away from every other demuxer
# (concat lists, playlists, pictures that "play" as video).
_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"#!AMR-WB\n", "amr"),
    (b"#!AMR\n", "amr"),
    (b"OggS", "ogg"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"fLaC", "flac"),
)

_PCM_ENCODINGS = {"s16le": 2, "f32le": 4, "mulaw": 1, "alaw": 1}
_PCM_RATES = range(8_000, 48_001)
_PCM_CHANNELS = (1, 2)


@dataclass(frozen=True, slots=True)
class RawPcm:
    """Samples without a header, as the sender declared them."""

    encoding: str
    rate: int
    channels: int

    @property
    def bytes_per_second(self) -> int:
        return _PCM_ENCODINGS[self.encoding] * self.rate * self.channels


def container_of(clip: Clip) -> str | RawPcm:
    """The FFmpeg demuxer for this clip, or its raw PCM declaration.

    Raise AppError: audio_empty, audio_too_large (over 2,000,000 bytes), audio_format_unknown.
    A four-letter magic wins over a declaration (mislabelled files are common); the eleven-bit
    sync of MP3 and AAC does not, because quiet PCM starts with the same bits.
    """
    data = clip.data
    if not data:
        raise AppError("audio_empty")
    if len(data) > MAX_BYTES:
        raise AppError("audio_too_large")
    magic = _magic(data)
    if magic is not None:
        return magic
    declared = _declared_pcm(clip.declared)
    if declared is not None:
        return declared
    sync = _frame_sync(data)
    if sync is None:
        raise AppError("audio_format_unknown")
    return sync


def _magic(data: bytes) -> str | None:
    for prefix, demuxer in _PREFIXES:
        if data.startswith(prefix):
            return demuxer
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[4:8] == b"ftyp":
        return "mov"
    if data[:3] == b"ID3" and len(data) > 10:
        return _frame_sync(data[_id3_length(data) :]) or "mp3"
    return None


def _id3_length(data: bytes) -> int:
    """Bytes of a leading ID3v2 tag: four 7-bit digits after its ten-byte header."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _frame_sync(data: bytes) -> str | None:
    """MP3 or ADTS AAC by the fields of the first frame header (ISO 11172-3 2.4.1.3, 13818-7 6.2)."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    layer = data[1] >> 1 & 0b11
    if layer == 0:
        rate_index = data[2] >> 2 & 0b1111
        return "aac" if data[1] & 0xF0 == 0xF0 and rate_index < 13 else None
    version = data[1] >> 3 & 0b11
    bitrate_index, rate_index = data[2] >> 4, data[2] >> 2 & 0b11
    if version == 0b01 or bitrate_index in (0, 15) or rate_index == 0b11:
        return None
    return "mp3"


def _declared_pcm(declared: str | None) -> RawPcm | None:
    """Parse "encoding/rate/channels". Anything else (a MIME type, say) declares nothing."""
    parts = (declared or "").strip().lower().split("/")
    if len(parts) != 3 or parts[0] not in _PCM_ENCODINGS:
        return None
    if not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts[1:]):
        raise AppError("audio_format_unknown")
    pcm = RawPcm(parts[0], int(parts[1]), int(parts[2]))
    if pcm.rate not in _PCM_RATES or pcm.channels not in _PCM_CHANNELS:
        raise AppError("audio_format_unknown")
    return pcm
