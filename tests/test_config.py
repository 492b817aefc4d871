"""Settings: every fault at once and in words, production without a sandbox, no secret ever shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import REPOSITORY, Environment, FaultySettings, Settings
from app.wiring import build_deps
from tests.sandbox_server import sandbox_keys

SECRETS = {
    "ANXIN_SESSION_KEYS": f"{'s' * 40} {'t' * 40}",
    "ANXIN_WECHAT_APP_SECRET": "app-secret-" + "a" * 32,
    "ANXIN_WECHAT_APIV3_KEY": "v" * 32,
    "ANXIN_CARD_SYSTEM_SECRET": "c" * 40,
    "ANXIN_SMS_SECRET": "m" * 40,
    "ANXIN_BANK_CHECK_SECRET": "b" * 40,
    "ANXIN_VAULT_KEYS": "k2=00112233445566778899aabbccddeeff k1=ffeeddccbbaa99887766554433221100",
    "ANXIN_LOOKUP_KEYS": f"l2={'n' * 40} l1={'l' * 40}",
    "ANXIN_DATABASE_URL": "postgresql://anxin:hunter2-hunter2@db.example/anxin",
}
NEEDED = {
    "SESSION_KEYS",
    "DATABASE_URL",
    "PUBLIC_URL",
    "WECHAT_APP_ID",
    "WECHAT_APP_SECRET",
    "WECHAT_MERCHANT_ID",
    "WECHAT_MERCHANT_SERIAL",
    "WECHAT_MERCHANT_KEY_FILE",
    "WECHAT_APIV3_KEY",
    "WECHAT_KEY_FILES",
    "WECHAT_ANSWER_SERIAL",
    "WECHAT_RECEIPT_TEMPLATE",
    "CARD_SYSTEM_URL",
    "CARD_SYSTEM_KEY_ID",
    "CARD_SYSTEM_SECRET",
    "SMS_URL",
    "SMS_KEY_ID",
    "SMS_SECRET",
    "BANK_CHECK_URL",
    "BANK_CHECK_KEY_ID",
    "BANK_CHECK_SECRET",
    "VAULT_KEYS",
    "LOOKUP_KEYS",
}


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """An environment a city could run on; the keys are real keys, only nobody's."""
    keys = sandbox_keys()
    merchant = tmp_path / "merchant.pem"
    merchant.write_text(keys.merchant_private_key_pem)
    pairs = []
    for number, (serial, pem) in enumerate(keys.wechatpay_keys.items()):
        file = tmp_path / f"wechat{number}.pem"
        file.write_text(pem)
        pairs.append(f"{serial}={file}")
    return {
        "ANXIN_ENV": "production",
        "ANXIN_DATA_DIR": str(tmp_path / "data"),
        "ANXIN_PUBLIC_URL": "https://anxin.example/",
        "ANXIN_WECHAT_APP_ID": "wx0123456789abcdef",
        "ANXIN_WECHAT_MERCHANT_ID": "1900000109",
        "ANXIN_WECHAT_MERCHANT_SERIAL": keys.merchant_serial,
        "ANXIN_WECHAT_MERCHANT_KEY_FILE": str(merchant),
        "ANXIN_WECHAT_KEY_FILES": " ".join(pairs),
        "ANXIN_WECHAT_ANSWER_SERIAL": keys.public_key_id,
        "ANXIN_WECHAT_RECEIPT_TEMPLATE": "template",
        "ANXIN_CARD_SYSTEM_URL": "https://cards.example",
        "ANXIN_CARD_SYSTEM_KEY_ID": "anxin",
        "ANXIN_SMS_URL": "https://texts.example",
        "ANXIN_SMS_KEY_ID": "anxin",
        "ANXIN_BANK_CHECK_URL": "https://banks.example",
        "ANXIN_BANK_CHECK_KEY_ID": "anxin",
        **SECRETS,
    }


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(FaultySettings) as refused:
        Settings.from_env(environ)
    assert all(fault in str(refused.value) for fault in refused.value.faults)
    return refused.value.faults


def test_an_empty_environment_is_a_development_one_with_sandboxes() -> None:
    settings = Settings.from_env({})
    assert settings.environment is Environment.DEVELOPMENT and settings.sandbox
    assert settings.database_url.startswith("sqlite:///") and settings.city == "guangzhou"
    assert settings.wechat.notice_window_seconds == 300 and settings.session_days == 30
    assert settings.session_keys == ()  # one is made and kept at the first start


def test_a_development_session_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    settings = Settings.from_env({"ANXIN_DATA_DIR": str(tmp_path)})
    keys = set()
    for _ in range(2):
        deps = build_deps(settings)
        keys.add(deps.settings.session_keys)
        deps.database.close()
        deps.speech.close()
    ((key,),) = keys
    assert len(key) >= 32 and os.stat(tmp_path / "session.key").st_mode & 0o777 == 0o600


def test_a_development_vault_opens_after_a_restart_what_it_sealed_before(
    tmp_path: Path,
) -> None:
    settings = Settings.from_env({"ANXIN_DATA_DIR": str(tmp_path)})
    vaults = []
    for _ in range(2):
        deps = build_deps(settings)
        vaults.append(deps.vault)
        deps.database.close()
        deps.speech.close()
    before, after = vaults
    sealed = before.seal(b"name", "real_names.name:usr_1")
    assert after.current(sealed) and after.open(sealed, "real_names.name:usr_1") == b"name"
    assert before.lookup("13800138000", "phone") == after.lookup("13800138000", "phone")
    for name in ("vault.key", "lookup.key"):
        assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree_on_the_keys_of_the_vault(tmp_path: Path) -> None:
    command = (
        "from app.config import Settings; from app.wiring import build_deps; "
        "vault = build_deps(Settings.from_env()).settings.vault; "
        "print(vault.keys, vault.lookup_keys)"
    )
    environ = {"ANXIN_DATA_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    started = [
        subprocess.Popen([sys.executable, "-c", command], cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    told = {process.communicate(timeout=120)[0] for process in started}
    assert len(told) == 1 and len(told.pop()) > 80


def test_a_whole_production_environment_starts(production: dict[str, str]) -> None:
    settings = Settings.from_env(production)
    assert settings.environment is Environment.PRODUCTION and not settings.sandbox
    assert settings.public_url == "https://anxin.example"  # without the slash
    assert settings.wechat.pay_url.startswith("https://") and settings.wechat.pay_standby_url
    assert len(settings.session_keys) == 2
    deps = build_deps(settings)
    deps.database.close()
    deps.speech.close()


def test_production_names_everything_it_lacks_at_once() -> None:
    told = faults({"ANXIN_ENV": "production"})
    missing = {fault.split()[0].removeprefix("ANXIN_") for fault in told if fault.endswith("is not set")}
    assert missing == NEEDED


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_production_refuses_to_start_without_any_one_of_its_settings(
    production: dict[str, str], name: str
) -> None:
    for absent in ({}, {f"ANXIN_{name}": ""}):
        left = {key: value for key, value in production.items() if key != f"ANXIN_{name}"} | absent
        assert f"ANXIN_{name} is not set" in faults(left)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SESSION_KEYS", "short", "key 1 is shorter than 32"),
        ("SESSION_KEYS", f"{'x' * 40} short", "key 2 is shorter than 32"),
        ("VAULT_KEYS", "00112233445566778899aabbccddeeff", "key 1 has no id"),
        ("VAULT_KEYS", "K1=00112233445566778899aabbccddeeff", "key 1 has no id"),
        ("VAULT_KEYS", f"{'k' * 17}=00112233445566778899aabbccddeeff", "key 1 has no id"),
        ("VAULT_KEYS", "k1=00112233445566778899aabbccddeef", "key 1 (k1) is not 32 hex digits"),
        ("VAULT_KEYS", f"k1={'0' * 32}", "key 1 (k1) is not a random key"),
        (
            "VAULT_KEYS",
            f"k1={'0123456789abcdef' * 2} k1={'fedcba9876543210' * 2}",
            "key 2 has the id of another",
        ),
        ("VAULT_KEYS", f"k1={'0123456789abcdef' * 2} k2={'0123456789ABCDEF' * 2}", "the same key as another"),
        ("LOOKUP_KEYS", "l" * 40, "key 1 has no id"),
        ("LOOKUP_KEYS", f"l1={'l' * 31}", "key 1 (l1) is shorter than 32"),
        ("LOOKUP_KEYS", f"l1={'l' * 40} l1={'m' * 40}", "key 2 has the id of another"),
        ("LOOKUP_KEYS", f"l1={'l' * 40} l2={'l' * 40}", "the same key as another"),
        ("LOOKUP_KEYS", "l1=00112233445566778899AABBCCDDEEFF", "must be a key of its own"),
        ("WECHAT_APIV3_KEY", "v" * 31, "not 32 bytes"),
        ("CARD_SYSTEM_SECRET", "c" * 31, "shorter than 32"),
        ("WECHAT", "sandbox", "refused in production"),
        ("CARD_SYSTEM", "sandbox", "refused in production"),
        ("WECHAT", "maybe", "not sandbox or real"),
        ("CARD_SYSTEM", "maybe", "not sandbox or real"),
        *(
            (f"{party}{end}", value, told)
            for party in ("SMS", "BANK_CHECK")
            for end, value, told in (
                ("", "sandbox", "refused in production"),
                ("", "maybe", "not sandbox or real"),
                ("_SECRET", "c" * 31, "shorter than 32"),
                ("_URL", "http://elsewhere.example", "must be https"),
            )
        ),
        ("PUBLIC_URL", "http://anxin.example", "must be https"),
        ("CARD_SYSTEM_URL", "http://cards.example", "must be https"),
        ("DATABASE_URL", "mysql://root:hunter2@db/anxin", "does not begin with"),
        ("DATABASE_REPLICA_URL", "sqlite:///copy.db", "do not both begin with postgresql"),
        ("DATABASE_REPLICA_URL", "mysql://root:hunter2@db/anxin", "do not both begin with postgresql"),
        ("WECHAT_ANSWER_SERIAL", "PUB_KEY_ID_0", "not among"),
        ("WECHAT_KEY_FILES", "PUB_KEY_ID_0=nowhere.pem", "No such file"),
        ("WECHAT_KEY_FILES", "no-pair", "directory"),
        ("WECHAT_MERCHANT_KEY_FILE", "nowhere.pem", "No such file"),
        ("ENV", "staging", "not one of development, production"),
        ("CITY", "atlantis", "not one of"),
        ("LOG_LEVEL", "LOUD", "not one of"),
        ("CALENDAR_DIR", "nowhere", "no such folder"),
        ("SPEECH_ENGINE", "ears", "not whisper or vosk"),
        ("NOTICE_WINDOW_SECONDS", "0", "whole number 1..86400"),
        ("NOTICE_WINDOW_SECONDS", "five", "whole number"),
        ("NOTICE_WINDOW_SECONDS", "300.0", "whole number"),
        ("NOTICE_WINDOW_SECONDS", "٣٠٠", "whole number"),
        ("SESSION_DAYS", "-1", "whole number"),
        ("SPEECH_WORKERS", "9" * 5000, "whole number"),
    ],
)
def test_a_bad_value_is_told_in_words(production: dict[str, str], name: str, value: str, told: str) -> None:
    found = faults(production | {f"ANXIN_{name}": value})
    assert any(told in fault and f"ANXIN_{name}" in fault for fault in found), found


def test_all_bad_values_are_told_together(production: dict[str, str]) -> None:
    bad = {"ANXIN_CITY": "atlantis", "ANXIN_LOG_LEVEL": "LOUD", "ANXIN_SESSION_DAYS": "0"}
    assert len(faults(production | bad)) == 3


def test_every_fault_of_the_holiday_calendar_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "2027.toml").write_text("year = 2027\nannounced = 1\n")
    (tmp_path / "2028.toml").write_text("year = ")
    told = faults({"ANXIN_CALENDAR_DIR": str(tmp_path), "ANXIN_LOG_LEVEL": "LOUD"})
    assert "ANXIN_CALENDAR_DIR: 2027.toml: announced is 1, not true or false" in told
    assert "ANXIN_CALENDAR_DIR: 2027.toml: off is missing" in told
    assert any(fault.startswith("ANXIN_CALENDAR_DIR: 2028.toml: not TOML") for fault in told)
    assert any("ANXIN_LOG_LEVEL" in fault for fault in told)


def test_a_folder_with_a_sound_calendar_is_taken(tmp_path: Path) -> None:
    (tmp_path / "2027.toml").write_text(
        'year = 2027\nannounced = true\nsource = "a notice"\n'
        '[[off]]\nname = "New Year"\nfirst = 2027-01-01\nlast = 2027-01-03\n'
    )
    assert Settings.from_env({"ANXIN_CALENDAR_DIR": str(tmp_path)}).calendar_dir == tmp_path
    assert Settings.from_env({}).calendar_dir is None


def test_a_key_file_that_is_no_text_is_told(production: dict[str, str], tmp_path: Path) -> None:
    binary = tmp_path / "key.der"
    binary.write_bytes(b"\x30\x82\xff\x00")
    for name, value in (
        ("ANXIN_WECHAT_MERCHANT_KEY_FILE", str(binary)),
        ("ANXIN_WECHAT_KEY_FILES", f"PUB_KEY_ID_0={binary}"),
    ):
        assert any("not a PEM text" in fault for fault in faults(production | {name: value}))


def certificate_as_key(production: dict[str, str]) -> dict[str, str]:
    """The most frequent confusion: a certificate where the private key belongs."""
    pairs = dict(pair.split("=", 1) for pair in production["ANXIN_WECHAT_KEY_FILES"].split())
    return {"ANXIN_WECHAT_MERCHANT_KEY_FILE": next(iter(pairs.values()))}


def keys_by_each_others_names(production: dict[str, str]) -> dict[str, str]:
    pairs = dict(pair.split("=", 1) for pair in production["ANXIN_WECHAT_KEY_FILES"].split())
    swapped = zip(pairs, reversed(list(pairs.values())), strict=True)
    return {"ANXIN_WECHAT_KEY_FILES": " ".join(f"{serial}={path}" for serial, path in swapped)}


@pytest.mark.parametrize("confused", [certificate_as_key, keys_by_each_others_names])
def test_keys_that_are_mixed_up_are_found_at_start_up_not_at_the_first_payment(
    production: dict[str, str], confused: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    settings = Settings.from_env(production | confused(production))
    with pytest.raises(FaultySettings):
        build_deps(settings)


def test_no_secret_is_shown_when_settings_are_printed(production: dict[str, str]) -> None:
    settings = Settings.from_env(production)
    shown = repr(settings) + str(settings) + repr(replace(settings, session_days=1))
    for secret in (*" ".join(SECRETS.values()).split(), "hunter2", "PRIVATE KEY", "BEGIN"):
        assert secret not in shown
    deps = build_deps(settings)
    shown = (
        repr(deps.settings)
        + repr(deps.database)
        + repr(deps.pays)
        + repr(deps.card_system)
        + repr(deps.texts)
    )
    deps.database.close()
    deps.speech.close()
    for secret in (*" ".join(SECRETS.values()).split(), "hunter2", "PRIVATE KEY"):
        assert secret not in shown


def test_no_secret_is_shown_when_settings_are_refused(production: dict[str, str]) -> None:
    short = {
        "ANXIN_SESSION_KEYS": "tooshort-session",
        "ANXIN_WECHAT_APIV3_KEY": "tooshort-apiv3",
        "ANXIN_CARD_SYSTEM_SECRET": "tooshort-card",
        "ANXIN_SMS_SECRET": "tooshort-sms",
        "ANXIN_BANK_CHECK_SECRET": "tooshort-bank",
        "ANXIN_DATABASE_URL": "mysql://root:hunter2@db/anxin",
    }
    told = "\n".join(faults(production | short))
    assert "tooshort" not in told and "hunter2" not in told


def test_the_processes_environment_is_what_is_read_by_default() -> None:
    assert Settings.from_env() == Settings.from_env(dict(os.environ))
