"""A recording of any kind becomes 16 kHz mono signed 16-bit samples, or a fault that can be spoken.

Runs inside a speech worker: it imports PyAV and numpy, which a web worker must never do.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from app.errors import AppError
from app.ports import Clip
from app.providers.audio_formats import RawPcm, container_of
from app.providers.audio_silence import Samples, loudest_level_db, squeeze

RATE = 16_000  # samples a second of everything after this module
MIN_SECONDS = 0.2  # shorter than any syllable: a tap on the button
# A button press may hold long pauses, so up to a minute is listened to and its pauses are cut out.
MAX_CLIP_SECONDS = 60
# The recogniser sees ten seconds: its own 0.3 s of lead-in, then at most this much speech.
# A command fits in four; longer talk is a conversation and would be cut in mid-sentence.
MAX_SPEECH_SECONDS = 9.5
SILENT_BELOW_DB = -55.0  # loudest 20 ms; a whisper at arm's length is around -45 dBFS

# Real devices send these; every other decoder FFmpeg carries is attack surface.
_CODECS = frozenset(
    "mp3 mp3float aac amrnb amrwb libopencore_amrnb libopencore_amrwb opus libopus speex libspeex "
    "vorbis flac alac pcm_s16le pcm_s16be pcm_s24le pcm_s32le pcm_f32le pcm_u8 pcm_alaw pcm_mulaw "
    "adpcm_ima_wav adpcm_ms".split()
)
_AMR_CODECS = frozenset(("amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb"))
_AMR_FRAME_SAMPLES = RATE // 50
_STREAM_RATES = range(4_000, 192_001)  # a header may claim 1 Hz and ask for 16,000-fold resampling
_MAX_CHANNELS = 8
# PyAV raises its own errors, and ValueError for text that is no text or formats that do not match.
# MemoryError: a header that claims a gigabyte, met by the worker's limit.
_DECODE_FAULTS = (av.FFmpegError, ValueError, MemoryError)


@dataclass(frozen=True, slots=True)
class Sound:
    """`pcm`: 16 kHz mono s16le of the speech, pauses cut. `seconds`: length of the whole recording."""

    pcm: bytes
    seconds: float


def sound_of(clip: Clip) -> Sound:
    """Decode one clip and keep its speech, at most MAX_SPEECH_SECONDS of it.

    Raise AppError: audio_empty, audio_too_large, audio_format_unknown, audio_unreadable,
    audio_too_short, audio_too_long, audio_silent.
    """
    samples = decode(clip)
    seconds = len(samples) / RATE
    if seconds < MIN_SECONDS:
        raise AppError("audio_too_short")
    if loudest_level_db(samples, RATE) < SILENT_BELOW_DB:
        raise AppError("audio_silent")
    speech = squeeze(samples, RATE, MAX_SPEECH_SECONDS)
    if len(speech) > MAX_SPEECH_SECONDS * RATE:
        raise AppError("audio_too_long")
    return Sound(speech.tobytes(), seconds)


def decode(clip: Clip) -> Samples:
    """All samples of a clip: int16, mono, 16 kHz. Bad packets are skipped, good ones kept.

    Raise AppError: audio_empty, audio_too_large, audio_format_unknown, audio_unreadable, audio_too_long.
    """
    container = container_of(clip)
    if isinstance(container, RawPcm):
        return _decode_raw(clip.data, container)
    try:
        with av.open(io.BytesIO(clip.data), mode="r", format=container, metadata_errors="ignore") as opened:
            return _decode_container(opened)
    except _DECODE_FAULTS as fault:
        raise AppError("audio_unreadable") from fault


def _decode_raw(data: bytes, pcm: RawPcm) -> Samples:
    if len(data) > pcm.bytes_per_second * MAX_CLIP_SECONDS:
        raise AppError("audio_too_long")
    options = {"sample_rate": str(pcm.rate), "ch_layout": "mono" if pcm.channels == 1 else "stereo"}
    try:
        with av.open(io.BytesIO(data), mode="r", format=pcm.encoding, options=options) as opened:
            return _decode_container(opened)
    except _DECODE_FAULTS as fault:
        raise AppError("audio_unreadable") from fault


def _decode_container(opened: av.container.InputContainer) -> Samples:
    if not opened.streams.audio:
        raise AppError("audio_unreadable")
    stream = opened.streams.audio[0]
    codec = stream.codec_context
    if codec is None or codec.name not in _CODECS:  # None: PyAV knows no decoder for it
        raise AppError("audio_unreadable")
    codec.thread_count = 1
    reader = _Reader(silence_for_bad_frames=codec.name in _AMR_CODECS)
    try:
        for packet in opened.demux(stream):
            reader.packet(packet)
    except _DECODE_FAULTS:
        # The container itself is damaged here; what was decoded before it still counts.
        reader.bad += 1
    return reader.samples()


@dataclass
class _Reader:
    """Collects resampled samples, survives bad packets, and stops at the time limit.

    AMR with discontinuous transmission sends comfort-noise and empty frames that FFmpeg does not
    implement and reports as errors: each stands for 20 ms in which nobody spoke.
    """

    silence_for_bad_frames: bool
    bad: int = 0
    good: int = 0
    length: int = 0
    _parts: list[Samples] = field(default_factory=list)
    _resampler: AudioResampler | None = None
    _shape: tuple[object, ...] = ()

    def packet(self, packet: Packet[AudioStream]) -> None:
        try:
            frames = packet.decode()
            for frame in frames:
                self._frame(frame)
            self.good += bool(frames)
        except _DECODE_FAULTS:
            self.bad += 1
            if self.silence_for_bad_frames and packet.size:
                self._keep([np.zeros(_AMR_FRAME_SAMPLES, np.int16)])

    def samples(self) -> Samples:
        self._flush()
        # Noise that happens to carry a sync word decodes here and there; a damaged recording of a
        # person decodes nearly everywhere.
        if self.good == 0 or (self.bad > self.good and not self.silence_for_bad_frames):
            raise AppError("audio_unreadable" if self.bad or self.good else "audio_empty")
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)

    def _frame(self, frame: AudioFrame) -> None:
        if frame.sample_rate not in _STREAM_RATES or frame.layout.nb_channels > _MAX_CHANNELS:
            raise AppError("audio_unreadable")
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:  # joined recordings change their rate in the middle
            self._flush()
            self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            self._shape = shape
        assert self._resampler is not None
        frame.pts = None  # broken timestamps must not make the resampler invent or drop time
        self._keep(_samples_of(out) for out in self._resampler.resample(frame))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._keep(_samples_of(out) for out in self._resampler.resample(None))
            self._resampler = None

    def _keep(self, parts: Iterable[Samples]) -> None:
        for part in parts:
            self._parts.append(part)
            self.length += len(part)
        if self.length > MAX_CLIP_SECONDS * RATE:
            raise AppError("audio_too_long")


def _samples_of(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.int16).reshape(-1)
