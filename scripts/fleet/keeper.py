"""Processes that end with this one, however it ends.

A process of its own, the keeper, knows them all. When its standard input ends, because the script is over or was
killed, it ends them and deletes the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: A process that has not ended this long after its signal is killed.
PATIENCE = 10.0


class Keeper:
    """Starts processes and sees to their end."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        command = [sys.executable, str(Path(__file__).resolve()), str(folder)]
        # In a session of its own, so that Ctrl-C does not end it before the others.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True)

    def start(
        self,
        command: list[Any],
        log: Path,
        end_with: signal.Signals = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Starts a process that writes to this log. `end_with` is what the keeper sends it in the end."""
        options.setdefault("stdin", subprocess.DEVNULL)
        with log.open("a") as to:
            options.setdefault("stdout", to)
            process = subprocess.Popen(
                [str(part) for part in command],
                stderr=to,
                start_new_session=True,
                env={**settings_of_none(), **(env or {})},
                **options,
            )
        self._say(f"add {process.pid} {int(end_with)}")
        return process

    def forget(self, process: subprocess.Popen[Any]) -> None:
        """Of a process that has ended: its number may be another's soon."""
        self._say(f"del {process.pid}")

    def keep_folder(self) -> None:
        self._say("keep")

    def end(self) -> None:
        """Ends all, and waits until they have ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


def settings_of_none() -> dict[str, str]:
    """The environment of the caller, without settings of serin."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SERIN_")}


def exists(number: int) -> bool:
    """Whether this process runs. One that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def send(number: int, sent: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, sent)


def keep() -> None:
    """The process: reads what to end, and ends it when there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kept: dict[int, int] = {}
    is_kept = False
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "add":
            kept[int(rest[0])] = int(rest[1])
        elif word == "del":
            kept.pop(int(rest[0]), None)
        else:
            is_kept = True
    # The newest first: a database ends after those that use it.
    for number, sent in reversed(kept.items()):
        send(number, sent)
        send(number, signal.SIGCONT)
        end = time.monotonic() + PATIENCE
        while exists(number) and time.monotonic() < end:
            time.sleep(0.01)
        if exists(number):
            send(number, signal.SIGKILL)
    if not is_kept:
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    keep()
