"""A phone in a person's hand: the system's Chromium with a microphone that plays a file."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import av
from playwright.sync_api import Locator, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RATE = 48_000
LEAD_SECONDS = 1.0

# What is spoken is noted on its way to the browser's own speech, which has no voices here.
_NOTE_SPEECH = """
window.spoken = [];
const speak = SpeechSynthesis.prototype.speak;
SpeechSynthesis.prototype.speak = function (words) {
  window.spoken.push(words.text);
  speak.call(this, words);
};
"""


def microphone_file(spoken: Path | None, folder: Path) -> tuple[Path, float]:
    """A 48 kHz WAV of `spoken` (or of nobody) after a second of silence, and how many seconds it lasts."""
    pcm = bytearray(2 * int(RATE * LEAD_SECONDS))
    if spoken is not None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        with av.open(str(spoken)) as container:
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    pcm += bytes(part.planes[0])[: part.samples * 2]
    file = folder / "microphone.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(bytes(pcm))
    return file, len(pcm) / 2 / RATE


@dataclass
class Phone:
    """One person's phone. `requests` are all it ever sent, `faults` what its page complained of."""

    page: Page
    base_url: str
    requests: list[Request] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, name: str) -> None:
        """Press a button once it takes presses; a press leaves the app busy for half a second."""
        self.button(name).click()

    def question(self) -> str:
        """The screen's own heading."""
        return self.page.locator("[role=heading]:visible").inner_text()

    def wait_for_question(self, words: str, timeout_seconds: float = 15) -> None:
        heading = self.page.locator("[role=heading]:visible", has_text=words)
        heading.wait_for(timeout=timeout_seconds * 1000)

    def turns(self) -> list[Request]:
        """The conversation's turns this phone has sent."""
        return [sent for sent in self.requests if sent.url.endswith("/conversation/turns")]

    def foreign(self) -> list[str]:
        """Addresses of other hosts this phone's page asked for."""
        home = urlsplit(self.base_url).netloc
        web = [sent.url for sent in self.requests if urlsplit(sent.url).scheme not in ("data", "blob")]
        return [url for url in web if urlsplit(url).netloc != home]

    def spoken(self) -> list[str]:
        """What was handed to the browser to be read aloud."""
        said: list[str] = self.page.evaluate("window.spoken")
        return said

    def bind_card(self, card_number: str) -> None:
        """Type a card number into the card page and be back at a screen that offers a top-up."""
        self.press("充值")
        self.page.get_by_label("卡号", exact=True).fill(card_number)
        self.press("添加这张卡")
        self.wait_for_question("卡绑好了")


@contextmanager
def phone(
    base_url: str, *, microphone: Path | None = None, width: int = 390, height: int = 844
) -> Iterator[Phone]:
    """A fresh browser with a fresh person. Without `microphone` the phone refuses to record."""
    flags = [*QUIET, "--use-fake-device-for-media-stream"]
    if microphone is None:
        flags.append("--deny-permission-prompts")
    else:
        flags.append("--use-fake-ui-for-media-stream")
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=2,
            is_mobile=True,
            has_touch=True,
            locale="zh-CN",
        )
        context.add_init_script(_NOTE_SPEECH)
        page = context.new_page()
        held = Phone(page, base_url)
        page.on("request", lambda sent: held.requests.append(sent))
        page.on("pageerror", lambda fault: held.faults.append(str(fault)))
        try:
            page.goto(base_url)
            held.button("充值").wait_for()
            yield held
        finally:
            context.close()
            browser.close()
