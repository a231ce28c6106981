"""Chromium without a window, driven by its DevTools protocol over a pipe.

The pipe needs no library and no port, and Chromium ends when the pipe closes, however this process ends. A library that
brings a Chromium of its own would test another one than Debian's.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# An answer of Chromium, or something on a page, that takes longer has failed.
PATIENCE = 120.0

#: File descriptors of Chromium on which it reads commands and writes answers: `--remote-debugging-pipe`.
READS, WRITES = 3, 4

PROBES = Path(__file__).with_name("probes.js").read_text()

#: The first that is installed. That of Debian without windows opens a page in a tenth of the time, because the others
#: start the processes of a whole window for it.
PROGRAMS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]

OPTIONS = [
    "--headless",
    "--remote-debugging-pipe",
    # Its sandbox refuses to run as root; it loads nothing but the page under test.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    # Pages behind another one are tested, too.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]


class BrowserError(Exception):
    """Chromium refused a command, or did not answer."""


class Chromium:
    """A running Chromium. Threads may share it, each with tabs of its own."""

    def __init__(self, folder: Path) -> None:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise BrowserError("Chromium is not installed; run `make setup`")
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        # Bash puts both ends where Chromium expects them.
        script = f'exec "$@" {READS}<&{commands} {WRITES}>&{answers}'
        command = ["bash", "-c", script, "chromium", program, *OPTIONS, f"--user-data-dir={folder / 'chromium'}"]
        with (folder / "chromium.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=(commands, answers))
        os.close(commands)
        os.close(answers)
        self._lock, self._answered = threading.Lock(), threading.Condition()
        self._number = 0
        self._answers: dict[int, Any] = {}
        self._listeners: dict[str, Callable[[str, Any], None]] = {}
        self._is_over = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The result of a command."""
        message: dict[str, Any] = {"method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        with self._lock:
            self._number += 1
            number = message["id"] = self._number
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self._to, data) :]
        with self._answered:
            is_here = self._answered.wait_for(lambda: number in self._answers or self._is_over, PATIENCE)
            if not is_here or number not in self._answers:
                raise BrowserError(f"{method}: no answer")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def listen(self, session: str, listener: Callable[[str, Any], None]) -> None:
        self._listeners[session] = listener

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._from, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            for text in messages:
                message = json.loads(text)
                if "id" in message:
                    with self._answered:
                        self._answers[message["id"]] = message
                        self._answered.notify_all()
                elif listener := self._listeners.get(message.get("sessionId", "")):
                    listener(message["method"], message["params"])
        with self._answered:
            self._is_over = True
            self._answered.notify_all()


class Tab:
    """A page in a profile of its own, with all that it has complained about and asked for."""

    def __init__(self, chromium: Chromium, *, scripts: bool = True) -> None:
        self._chromium = chromium
        self._context = chromium.call("Target.createBrowserContext")["browserContextId"]
        target = chromium.call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        attached = chromium.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        #: Errors of the console, of scripts and of the security policy.
        self.complaints: list[str] = []
        #: The addresses that the page asked for.
        self.requested: list[str] = []
        self._loaded = threading.Event()
        chromium.listen(self._session, self._heard)
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        # The page is the same without scripts, so this one must not depend on them.
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.size(1440)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self._chromium.call("Target.disposeBrowserContext", browserContextId=self._context)

    def _heard(self, method: str, params: Any) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}".strip())
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            words = " ".join(str(one.get("value", one.get("description"))) for one in params["args"])
            self.complaints.append(f"console: {words}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            self.complaints.append(f"exception: {thrown}")
        elif method == "Audits.issueAdded" and params["issue"]["code"] == "ContentSecurityPolicyIssue":
            violation = params["issue"]["details"]["contentSecurityPolicyIssueDetails"]
            self.complaints.append(f"security policy: {json.dumps(violation)}")

    def call(self, method: str, **parameters: Any) -> Any:
        return self._chromium.call(method, self._session, **parameters)

    def open(self, url: str) -> Tab:
        """Loads an address, with its style sheet and its scripts."""
        self._loaded.clear()
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed or not self._loaded.wait(PATIENCE):
            raise BrowserError(f"{url}: {failed or 'did not load'}")
        return self

    def js(self, expression: str) -> Any:
        """The value of an expression, or of its promise."""
        # Not the evaluation, but the page itself is what the security policy is about.
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def probe(self, name: str, *arguments: Any) -> Any:
        """What a function of probes.js returns."""
        given = ", ".join(json.dumps(one) for one in arguments)
        return self.js(f"(() => {{ {PROBES}; return {name}({given}) }})()")

    def text(self, selector: str) -> str:
        """What is written in an element; empty without one."""
        return str(self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def brief(self) -> str:
        """The beginning of the page, for a message."""
        return " ".join(self.text("body").split())[:600]

    def wait(self, expression: str, seconds: float = PATIENCE) -> Any:
        """The value of an expression once it holds."""
        end = time.monotonic() + seconds
        while not (value := self.js(expression)):
            if time.monotonic() > end:
                raise BrowserError(f"{expression} does not hold after {seconds:g} s; the page says: {self.brief()}")
            time.sleep(0.05)
        return value

    def size(self, width: int, height: int = 900) -> None:
        """The size of the window in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def media(self, medium: str = "", **features: str) -> None:
        """Features of the medium, such as `prefers_color_scheme="dark"`; those that are left out are as usual."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=medium, features=listed)

    def key(self, key: str, code: int, text: str = "") -> None:
        """Presses and releases a key."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Writes into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Clicks into the middle of an element, as a hand would."""
        where = self.probe("middle", selector)
        if where is None:
            raise BrowserError(f"{selector}: nothing to click on; the page says: {self.brief()}")
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def picture(self, *, whole: bool = True) -> bytes:
        """The page as PNG: all of it, or what is in the window."""
        clip: dict[str, Any] = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole, **clip)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])
