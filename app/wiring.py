"""The only file that names a vendor: which adapter stands behind each port."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from apiflask import APIFlask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from app.cli import register as register_commands
from app.config import (
    REPOSITORY,
    FaceSettings,
    FaultySettings,
    GatewaySettings,
    Merchant,
    Settings,
    SpeechSettings,
)
from app.config_vault import VaultSettings
from app.domain.clock import SystemClock
from app.domain.orders import PRIMARY, STANDBY
from app.flows import trouble
from app.flows.channels import breakers
from app.flows.deps import Deps
from app.jobs.worker import Hints
from app.live.application import LiveHelp
from app.ports import Clock
from app.providers.bank_check_gateway import BankCheckGateway
from app.providers.barcode import ZxingBarcodes
from app.providers.card_system_gateway import CardSystemGateway
from app.providers.face_pool import FacePool
from app.providers.sandbox.keys import MerchantKeys, SandboxKeys, load_or_create_keys
from app.providers.signed_gateway import GatewayConfig
from app.providers.sms_gateway import SmsGateway
from app.providers.speech_pool import SpeechPool
from app.providers.streams import LiveStreams
from app.providers.vault import Sm4Vault
from app.providers.wechat import WeChatApi
from app.providers.wechat_face import WeChatFace
from app.providers.wechat_pay import PayConfig, WeChatPayV3
from app.providers.wechat_soter import WeChatSoter
from app.providers.wechat_wire import WeChatConfig
from app.store.database import Database
from app.store.models import db
from app.voice import command_characters
from app.web import openapi, routes
from app.web.edge import log_as_json
from app.web.gate import Gate


def application(settings: Settings | None, deps: Deps | None, clock: Clock | None = None) -> APIFlask:
    """Build the Flask application around `deps`, or around what `settings` ask for."""
    if deps is None:
        settings = settings or Settings.from_env()
        log_as_json(settings.log_level)
        deps = build_deps(settings, clock)
    app = APIFlask(
        "anxin",
        title="Anxin (安心充)",
        version="1",
        spec_path="/api/openapi.json",
        docs_path="/api/docs",
        docs_oauth2_redirect_path=None,
        static_folder=None,  # type: ignore[arg-type]  # /static/ is the built page's own
    )
    app.config["SQLALCHEMY_DATABASE_URI"] = deps.database.engine.url.render_as_string(hide_password=False)
    db.init_app(app)
    Migrate(app, db, directory=str(REPOSITORY / "migrations"))
    app.extensions["anxin"] = deps
    openapi.install(app)
    routes.install(app, sandbox_url=deps.settings.wechat.api_url if deps.settings.wechat.sandbox else None)
    register_commands(app, lambda other, time: application(other, None, time))
    if deps.settings.trusted_proxies:  # without: whoever we are connected to, whatever they write
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=deps.settings.trusted_proxies, x_proto=0, x_host=0
        )
    at_once, waiting = deps.settings.requests_at_once, deps.settings.requests_waiting
    app.wsgi_app = Gate(app.wsgi_app, at_once, waiting)  # type: ignore[method-assign]
    return app


def live_application(settings: Settings | None = None) -> LiveHelp:
    """Build the application of help sessions' streams, from what `settings` ask for."""
    settings = settings or Settings.from_env()
    log_as_json(settings.log_level)
    return LiveHelp(build_deps(settings))


def build_deps(settings: Settings, clock: Clock | None = None) -> Deps:
    """Everything behind the ports for these settings. FaultySettings when the merchant's keys are wrong."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if not settings.session_keys:
        settings = replace(settings, session_keys=(_kept_secret(settings.data_dir / "session.key"),))
    settings = replace(settings, vault=_with_kept_keys(settings.vault, settings.data_dir))
    if settings.sandbox:
        settings = with_sandbox_keys(settings, load_or_create_keys(settings.data_dir / "sandbox"))
    clock = clock or SystemClock()
    wechat = WeChatApi(_wechat_config(settings), clock)
    pays = {
        channel: WeChatPayV3(_pay_config(settings, merchant, channel), clock)
        for channel, merchant in ((PRIMARY, settings.wechat.merchant), (STANDBY, settings.standby))
        if merchant is not None
    }

    def outage(channel: str, over: bool) -> None:
        trouble.outage(deps, channel, over)

    deps = Deps(
        settings=settings,
        clock=clock,
        database=Database(settings.database_url, settings.replica_url),
        login=wechat,
        pays=pays,
        breakers=breakers(pays, settings.breaker_reset_seconds, outage),
        card_system=CardSystemGateway(_gateway_config(settings.card_system), clock),
        messages=wechat,
        remote_face=WeChatFace(wechat.wire),
        fingerprints=WeChatSoter(wechat.wire),
        texts=SmsGateway(_gateway_config(settings.texts), clock),
        bank_cards=BankCheckGateway(_gateway_config(settings.bank_checks), clock),
        speech=_speech_pool(settings.speech),
        faces=_face_pool(settings.face),
        barcodes=ZxingBarcodes(),
        vault=Sm4Vault(settings.vault.keys, settings.vault.lookup_keys),
        streams=LiveStreams(settings.live_url),
        nudge=Hints(settings.data_dir).nudge,
    )
    return deps


def _face_pool(face: FaceSettings) -> FacePool:
    return FacePool(face.workers, face.queue_limit, face.timeout_seconds)


def _speech_pool(speech: SpeechSettings) -> SpeechPool:
    pool = SpeechPool(
        engine=speech.engine,
        model_dir=speech.models_dir / speech.model,
        workers=speech.workers,
        queue_limit=speech.queue_limit,
        timeout_seconds=speech.timeout_seconds,
        vocabulary=command_characters(),
    )
    if speech.warm:
        pool.warm()
    return pool


def _wechat_config(settings: Settings) -> WeChatConfig:
    wechat = settings.wechat
    return WeChatConfig(base_url=wechat.api_url, app_id=wechat.app_id, app_secret=wechat.app_secret)


def _pay_config(settings: Settings, merchant: Merchant, channel: str) -> PayConfig:
    wechat = settings.wechat
    notices = f"{settings.public_url}/api/v1/callbacks/wechat-pay"
    if channel != PRIMARY:
        notices += f"/{channel}"
    config = PayConfig(
        base_url=wechat.pay_url,
        app_id=wechat.app_id,
        merchant_id=merchant.merchant_id,
        merchant_serial=merchant.merchant_serial,
        merchant_private_key_pem=merchant.merchant_key_pem,
        apiv3_key=merchant.apiv3_key,
        wechatpay_keys=merchant.keys,
        wechatpay_serial=merchant.answer_serial,
        notify_url=notices,
        refund_notify_url=notices,
        notice_window_seconds=wechat.notice_window_seconds,
        standby_url=None if wechat.sandbox else wechat.pay_standby_url,
    )
    faults = config.faults()
    if faults:
        raise FaultySettings(faults)
    return config


def _gateway_config(party: GatewaySettings) -> GatewayConfig:
    return GatewayConfig(base_url=party.url, key_id=party.key_id, secret=party.secret)


def _with_kept_keys(vault: VaultSettings, data_dir: Path) -> VaultSettings:
    """In development the vault's keys are made at first start; production has been refused without."""
    return VaultSettings(
        keys=vault.keys or (("kept", _kept_secret(data_dir / "vault.key", lambda: secrets.token_hex(16))),),
        lookup_keys=vault.lookup_keys or (("kept", _kept_secret(data_dir / "lookup.key")),),
    )


def _kept_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """A development secret, made once. Two processes starting together agree on one: the file gets its
    name only when it is whole, and only if nobody was first."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # readable by its owner only
            file.write(make())
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


def with_sandbox_keys(settings: Settings, keys: SandboxKeys) -> Settings:
    """Fill in what the sandbox made at its first start: in production these come from the environment."""
    wechat, standby = settings.wechat, settings.standby
    if wechat.sandbox:
        merchant = _sandbox_merchant(keys)
        wechat = replace(wechat, app_id=keys.app_id, app_secret=keys.app_secret, merchant=merchant)
        standby = _sandbox_merchant(keys.standby)
    return replace(
        settings,
        wechat=wechat,
        standby=standby,
        card_system=_keyed(settings.card_system, keys, keys.card_secret),
        texts=_keyed(settings.texts, keys, keys.gateway_secret("texts")),
        bank_checks=_keyed(settings.bank_checks, keys, keys.gateway_secret("bank_checks")),
    )


def _keyed(party: GatewaySettings, keys: SandboxKeys, secret: str) -> GatewaySettings:
    return replace(party, key_id=keys.card_client_id, secret=secret) if party.sandbox else party


def _sandbox_merchant(keys: MerchantKeys) -> Merchant:
    return Merchant(
        merchant_id=keys.merchant_id,
        merchant_serial=keys.merchant_serial,
        merchant_key_pem=keys.merchant_private_key_pem,
        apiv3_key=keys.apiv3_key,
        keys=keys.wechatpay_keys,
        answer_serial=keys.public_key_id,
    )
