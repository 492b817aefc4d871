"""Settings from the environment, frozen, with every fault listed at once.

Secrets come from the environment only. In development they are made at first start and kept under the
data folder, and everybody outside is the shipped sandbox; production refuses sandboxes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from app.config_groups import (
    REPOSITORY,
    FaceSettings,
    GatewaySettings,
    Merchant,
    SpeechSettings,
    WeChatSettings,
)
from app.config_vault import VaultSettings, vault_settings

__all__ = [
    "REPOSITORY",
    "Environment",
    "FaceSettings",
    "FaultySettings",
    "GatewaySettings",
    "Merchant",
    "Settings",
    "SpeechSettings",
    "VaultSettings",
    "WeChatSettings",
]

SHORTEST_SECRET = 32
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
POSTGRES = ("postgresql://", "postgresql+psycopg://")
DATABASES = ("sqlite:///", *POSTGRES)


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class FaultySettings(ValueError):
    """`faults` lists everything wrong with the environment."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("faulty settings:\n  " + "\n  ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between installations."""

    environment: Environment
    data_dir: Path
    database_url: str = field(repr=False)  # may hold a password
    public_url: str  # where WeChat reaches us, without a trailing slash
    session_keys: tuple[str, ...] = field(repr=False)  # the first signs, all verify: rotation
    city: str
    wechat: WeChatSettings
    card_system: GatewaySettings
    texts: GatewaySettings  # SMS
    bank_checks: GatewaySettings
    speech: SpeechSettings
    vault: VaultSettings = VaultSettings()  # seals personal columns
    face: FaceSettings = FaceSettings()
    standby: Merchant | None = None  # takes new orders in an outage; the same app, another number
    breaker_reset_seconds: int = 60  # how long a channel that failed is left alone
    session_days: int = 30
    log_level: str = "INFO"
    replica_url: str | None = field(default=None, repr=False)  # a streaming replica of database_url
    requests_at_once: int = 8  # worked on in one lane of one web worker's gate
    requests_waiting: int = 32  # in one lane; the next is told to come again
    logins_per_minute: int = 60  # from one address: a village may stand behind it
    trusted_proxies: int = 0  # how many reverse proxies of ours write X-Forwarded-For
    live_url: str = ""  # where phones open the streams of help sessions, without a trailing slash
    calendar_dir: Path | None = None  # years of the holiday calendar that are added or replaced

    @property
    def sandbox(self) -> bool:
        parties = (self.wechat, self.card_system, self.texts, self.bank_checks)
        return any(party.sandbox for party in parties)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ANXIN_* variables. Raise FaultySettings naming every fault."""
        return _Reader(os.environ if environ is None else environ).settings()


class _Reader:
    """Reads one environment, collecting faults instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(f"ANXIN_{name}", "")
        if value:
            return value
        if default is None:
            self.faults.append(f"ANXIN_{name} is not set")
            return ""
        return default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 10) or not least <= int(value) <= most:
            self.faults.append(f"ANXIN_{name} is {value!r}, not a whole number {least}..{most}")
            return default
        return int(value)

    def file(self, name: str) -> str:
        path = self.text(name)
        if not path:
            return ""
        return self._read(f"ANXIN_{name}", path)

    def _read(self, what: str, path: str) -> str:
        try:
            return Path(path).read_text("ascii")  # PEM
        except OSError as fault:
            self.faults.append(f"{what}: {fault.strerror}: {path}")
        except UnicodeDecodeError:
            self.faults.append(f"{what}: not a PEM text: {path}")
        return ""

    def settings(self) -> Settings:
        name = self.text("ENV", Environment.DEVELOPMENT.value)
        if name not in set(Environment):
            self.faults.append(f"ANXIN_ENV is {name!r}, not one of {', '.join(Environment)}")
            name = Environment.DEVELOPMENT.value
        production = name == Environment.PRODUCTION.value
        data_dir = Path(self.text("DATA_DIR", str(REPOSITORY / "var"))).resolve()
        settings = Settings(
            environment=Environment(name),
            data_dir=data_dir,
            database_url=self._database_url(data_dir, production),
            public_url=self.text("PUBLIC_URL", None if production else "http://127.0.0.1:8000").rstrip("/"),
            live_url=self._live_url(production),
            session_keys=self._session_keys(production),
            city=self._city(),
            wechat=self._wechat(production),
            card_system=self._gateway("CARD_SYSTEM", production),
            texts=self._gateway("SMS", production),
            bank_checks=self._gateway("BANK_CHECK", production),
            speech=self._speech(),
            face=self._face(production),
            vault=vault_settings(self.text, self.faults, production),
            standby=self._standby(),
            breaker_reset_seconds=self.number("BREAKER_RESET_SECONDS", 60, 1, 3600),
            session_days=self.number("SESSION_DAYS", 30, 1, 180),
            log_level=self._log_level(),
            calendar_dir=self._calendar_dir(),
            replica_url=self._replica_url(),
            requests_at_once=self.number("REQUESTS_AT_ONCE", 8, 1, 16),  # each may need a connection
            requests_waiting=self.number("REQUESTS_WAITING", 32, 2, 1000),
            logins_per_minute=self.number("LOGINS_PER_MINUTE", 60, 1, 1_000_000),
            trusted_proxies=self.number("TRUSTED_PROXIES", 0, 0, 8),
        )
        if production and not settings.public_url.startswith("https://"):
            self.faults.append("ANXIN_PUBLIC_URL must be https in production")
        if self.faults:
            raise FaultySettings(self.faults)
        return settings

    def _log_level(self) -> str:
        level = self.text("LOG_LEVEL", "INFO").upper()
        if level not in LOG_LEVELS:
            self.faults.append(f"ANXIN_LOG_LEVEL is {level!r}, not one of {', '.join(LOG_LEVELS)}")
        return level

    def _database_url(self, data_dir: Path, production: bool) -> str:
        url = self.text("DATABASE_URL", None if production else f"sqlite:///{data_dir / 'anxin.db'}")
        if url and not url.startswith(DATABASES):  # the address itself is not told: it may hold a password
            self.faults.append(f"ANXIN_DATABASE_URL does not begin with {' or '.join(DATABASES)}")
        return url

    def _live_url(self, production: bool) -> str:
        """In production behind the same address, unless it is said otherwise."""
        public = self.text("PUBLIC_URL", "-") if production else "http://127.0.0.1:8002"
        url = self.text("LIVE_URL", public).rstrip("/")
        if production and url != "-" and not url.startswith("https://"):
            self.faults.append("ANXIN_LIVE_URL must be https in production")
        return url

    def _replica_url(self) -> str | None:
        """Only of PostgreSQL: SQLite has no replicas."""
        url, primary = self.text("DATABASE_REPLICA_URL", ""), self.text("DATABASE_URL", "sqlite")
        if url and not (url.startswith(POSTGRES) and primary.startswith(POSTGRES)):
            both = "ANXIN_DATABASE_REPLICA_URL and ANXIN_DATABASE_URL"
            self.faults.append(f"{both} do not both begin with {' or '.join(POSTGRES)}")
        return url or None

    def _session_keys(self, production: bool) -> tuple[str, ...]:
        """Production must bring its own; in development wiring makes and keeps one."""
        keys = tuple(self.text("SESSION_KEYS", None if production else "").split())
        for index, key in enumerate(keys):
            if len(key) < SHORTEST_SECRET:
                self.faults.append(f"ANXIN_SESSION_KEYS: key {index + 1} is shorter than {SHORTEST_SECRET}")
        return keys

    def _city(self) -> str:
        from app.domain.cities import FaultyCity, cities

        name = self.text("CITY", "guangzhou")
        try:
            known = cities()
        except FaultyCity as fault:
            self.faults += fault.faults
            return name
        if name not in known:
            self.faults.append(f"ANXIN_CITY is {name!r}, not one of {', '.join(known)}")
        return name

    def _calendar_dir(self) -> Path | None:
        from app.domain.calendar import FaultyCalendar, calendar

        given = self.text("CALENDAR_DIR", "")
        folder = Path(given).resolve() if given else None
        try:
            calendar(folder)
        except FaultyCalendar as fault:
            self.faults += [f"ANXIN_CALENDAR_DIR: {told}" if folder else told for told in fault.faults]
        return folder

    def _wechat(self, production: bool) -> WeChatSettings:
        sandbox_url = self.text("SANDBOX_URL", "http://127.0.0.1:8001").rstrip("/")
        mode = self.text("WECHAT", "real" if production else "sandbox")
        window = self.number("NOTICE_WINDOW_SECONDS", 300, 1, 86_400)
        if mode == "sandbox":
            if production:
                self.faults.append("ANXIN_WECHAT=sandbox is refused in production")
            return WeChatSettings(True, sandbox_url, sandbox_url, notice_window_seconds=window)
        if mode != "real":
            self.faults.append(f"ANXIN_WECHAT is {mode!r}, not sandbox or real")
        return WeChatSettings(
            sandbox=False,
            api_url=self.text("WECHAT_API_URL", "https://api.weixin.qq.com"),
            pay_url=self.text("WECHAT_PAY_URL", "https://api.mch.weixin.qq.com"),
            pay_standby_url=self.text("WECHAT_PAY_STANDBY_URL", "https://api2.mch.weixin.qq.com"),
            app_id=self.text("WECHAT_APP_ID"),
            app_secret=self.text("WECHAT_APP_SECRET"),
            merchant=self._merchant("WECHAT"),
            receipt_template=self.text("WECHAT_RECEIPT_TEMPLATE"),
            device_template=self.text("WECHAT_DEVICE_TEMPLATE", ""),
            family_template=self.text("WECHAT_FAMILY_TEMPLATE", ""),
            notice_window_seconds=window,
        )

    def _standby(self) -> Merchant | None:
        """None without one, and in the sandbox: wiring brings its second merchant then."""
        if not self.text("WECHAT_STANDBY_MERCHANT_ID", ""):
            return None
        return self._merchant("WECHAT_STANDBY")

    def _merchant(self, prefix: str) -> Merchant:
        """One merchant's material: ids and the APIv3 key as they are, keys as the files they are in."""
        apiv3_key = self.text(f"{prefix}_APIV3_KEY")
        if apiv3_key and len(apiv3_key.encode()) != 32:
            self.faults.append(f"ANXIN_{prefix}_APIV3_KEY is not 32 bytes")
        keys = self._key_files(f"{prefix}_KEY_FILES")
        serial = self.text(f"{prefix}_ANSWER_SERIAL")
        if serial and serial not in keys:
            self.faults.append(f"ANXIN_{prefix}_ANSWER_SERIAL is not among ANXIN_{prefix}_KEY_FILES")
        return Merchant(
            merchant_id=self.text(f"{prefix}_MERCHANT_ID"),
            merchant_serial=self.text(f"{prefix}_MERCHANT_SERIAL"),
            merchant_key_pem=self.file(f"{prefix}_MERCHANT_KEY_FILE"),
            apiv3_key=apiv3_key,
            keys=keys,
            answer_serial=serial,
        )

    def _key_files(self, name: str) -> dict[str, str]:
        """A list "serial=path serial=path": certificates and public keys alike."""
        keys = {}
        for pair in self.text(name).split():
            serial, _, path = pair.partition("=")
            keys[serial] = self._read(f"ANXIN_{name}: {serial}", path)
        return keys

    def _gateway(self, name: str, production: bool) -> GatewaySettings:
        """A party behind a signed gateway: ANXIN_<name>, and its _URL, _KEY_ID and _SECRET."""
        sandbox_url = self.text("SANDBOX_URL", "http://127.0.0.1:8001").rstrip("/")
        mode = self.text(name, "real" if production else "sandbox")
        if mode == "sandbox":
            if production:
                self.faults.append(f"ANXIN_{name}=sandbox is refused in production")
            return GatewaySettings(True, sandbox_url)
        if mode != "real":
            self.faults.append(f"ANXIN_{name} is {mode!r}, not sandbox or real")
        secret = self.text(f"{name}_SECRET")
        if secret and len(secret) < SHORTEST_SECRET:
            self.faults.append(f"ANXIN_{name}_SECRET is shorter than {SHORTEST_SECRET}")
        url = self.text(f"{name}_URL").rstrip("/")
        if production and url and not url.startswith("https://"):
            self.faults.append(f"ANXIN_{name}_URL must be https in production")
        return GatewaySettings(False, url, self.text(f"{name}_KEY_ID"), secret)

    def _face(self, production: bool) -> FaceSettings:
        provider = self.text("FACE", "wechat" if production else "local")
        if provider not in ("local", "wechat"):
            self.faults.append(f"ANXIN_FACE is {provider!r}, not local or wechat")
        return FaceSettings(
            provider=provider,
            workers=self.number("FACE_WORKERS", 1, 1, 64),
            queue_limit=self.number("FACE_QUEUE", 8, 1, 1000),
            timeout_seconds=self.number("FACE_TIMEOUT_SECONDS", 10, 1, 120),
        )

    def _speech(self) -> SpeechSettings:
        engine = self.text("SPEECH_ENGINE", "whisper")
        if engine not in ("whisper", "vosk"):
            self.faults.append(f"ANXIN_SPEECH_ENGINE is {engine!r}, not whisper or vosk")
        return SpeechSettings(
            engine=engine,
            model=self.text("SPEECH_MODEL", "whisper-base"),
            models_dir=Path(self.text("VOICE_MODELS", str(REPOSITORY / "voice_models"))).resolve(),
            workers=self.number("SPEECH_WORKERS", 1, 1, 64),
            queue_limit=self.number("SPEECH_QUEUE", 8, 1, 1000),
            timeout_seconds=self.number("SPEECH_TIMEOUT_SECONDS", 15, 1, 120),
            warm=self.number("SPEECH_WARM", 0, 0, 1) == 1,
        )
