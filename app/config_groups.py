"""Groups of settings that belong together: one merchant, one gateway, the engines, the vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant number at WeChat Pay. `keys` maps serials and PUB_KEY_IDs to PEM texts."""

    merchant_id: str = ""
    merchant_serial: str = ""
    merchant_key_pem: str = field(default="", repr=False)
    apiv3_key: str = field(default="", repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer_serial: str = ""


@dataclass(frozen=True, slots=True)
class WeChatSettings:
    """The mini-program, and where its first merchant is reached."""

    sandbox: bool
    api_url: str
    pay_url: str
    pay_standby_url: str | None = None
    app_id: str = ""
    app_secret: str = field(default="", repr=False)
    merchant: Merchant = Merchant()
    receipt_template: str = "anxin-receipt"
    device_template: str = "anxin-device"  # "": nobody is told of a new device in WeChat
    family_template: str = "anxin-family"  # "": relatives are asked by SMS only
    notice_window_seconds: int = 300


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One of the parties we exchange signed requests with."""

    sandbox: bool
    url: str
    key_id: str = "anxin"
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    engine: str = "whisper"
    model: str = "whisper-base"
    models_dir: Path = REPOSITORY / "voice_models"
    workers: int = 1
    queue_limit: int = 8
    timeout_seconds: float = 15.0
    warm: bool = False  # load the model when the server starts, not when the first person speaks


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """`provider`: who compares faces, our own engine (`local`) or WeChat (`wechat`)."""

    provider: str = "local"
    workers: int = 1
    queue_limit: int = 8
    timeout_seconds: float = 10.0
