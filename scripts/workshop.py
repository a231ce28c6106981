#!/usr/bin/env python3
"""Runs docs/workshop.md as people do: blocks in order, those of a window in the background.

A block ```sh window N``` replaces what runs in that window, which is ended with Ctrl-C. A block ```sh setup``` prepares the
shell and is left out. Every other block must end with 0, and print the exit code that it announces. It takes about four
minutes, most of which the exercises wait for verdicts. The exit code is 0 if all of it holds.

    python3 scripts/workshop.py --serin target/release/serin
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/workshop.md"

# What a command ends with that is not 0, as the page has it.
ANNOUNCED = {"rolled back": 1, "refused": 2}


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of shell in order, each with what stands behind the language."""
    return re.findall(r"^```sh ?(.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Windows:
    """What runs in the background."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables
        self.running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start(self, window: str, block: str) -> None:
        self.end(window)
        log = self.folder / f"log of {window}"
        with log.open("ab") as output:
            # Replaces the shell, so that Ctrl-C reaches the command.
            process = subprocess.Popen(
                ["bash", "-c", f"exec {block.strip()}"],
                cwd=self.folder,
                env=self.variables,
                stdout=output,
                stderr=output,
            )
        self.running[window] = (process, log)

    def end(self, window: str) -> None:
        if window not in self.running:
            return
        process, log = self.running.pop(window)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=30)
        if code != 0:
            raise RuntimeError(f"{window} ended with {code}: {log.read_text()[-1000:]}")

    def end_all(self) -> None:
        # Those who send before the server.
        for window in sorted(self.running, reverse=True):
            self.end(window)


def wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).read()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def problem(block: str, folder: Path, variables: dict[str, str]) -> str | None:
    """What is wrong with a block in the foreground, if anything."""
    script = "set -euo pipefail\n" + block
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if done.returncode != 0:
        return f"ended with {done.returncode}\n{output}"
    for what, code in ANNOUNCED.items():
        if f"$?: {what}" in block and f"exit code {code}: {what}" not in output:
            return f"nothing was {what}\n{output}"
    return None


def run(serin: Path) -> int:
    """Runs the page with this binary. Returns how many blocks failed."""
    found = blocks(PAGE.read_text())
    failures = 0
    with tempfile.TemporaryDirectory(prefix="serin-workshop-") as name:
        folder = Path(name)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "serin").symlink_to(serin)
        address = f"127.0.0.1:{free_port()}"
        own = {"SERIN_LISTEN": address, "SERIN_URL": f"http://{address}"}
        variables = {**os.environ, **own, "PATH": f"{programs}:{os.environ['PATH']}"}
        windows = Windows(folder, variables)
        try:
            for number, (kind, block) in enumerate(found, 1):
                wrong = None
                if kind.startswith("window"):
                    windows.start(kind, block)
                    wait_for(own["SERIN_URL"])
                elif kind != "setup":
                    wrong = problem(block, folder, variables)
                failures += wrong is not None
                first = block.splitlines()[0]
                print(f"workshop block {number}: {'FAILED' if wrong else 'ok'}: {first}", flush=True)
                if wrong:
                    print(wrong, file=sys.stderr)
        finally:
            windows.end_all()
    print(f"workshop: {failures} of {len(found)} blocks failed" if failures else "workshop: every block ran")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every block of docs/workshop.md.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    return 1 if run(parser.parse_args().serin.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main())
