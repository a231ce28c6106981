"""A way to the database for each replica, which can be cut and stalled. A process of its own: no load delays it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from pathlib import Path

from fleet.keeper import Keeper
from fleet.shared import free_port


class Proxies:
    """One for each replica, in front of one port."""

    def __init__(self, keeper: Keeper, folder: Path, target: int, count: int) -> None:
        self.log, self.ports = folder / "proxies.log", [free_port() for _ in range(count)]
        command = [sys.executable, "-m", "fleet.proxy", target, *self.ports]
        scripts = Path(__file__).resolve().parent.parent
        self._process = keeper.start(
            command, self.log, cwd=scripts, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def cut(self, replica: int) -> None:
        """Ends its connections and refuses new ones."""
        self._say(f"cut {replica}")

    def stall(self, replica: int) -> None:
        """Passes on nothing, and ends nothing, as a network without a route does."""
        self._say(f"stall {replica}")

    def heal(self, replica: int) -> None:
        """Ends what was stalled, and passes on what is new."""
        self._say(f"heal {replica}")

    def _say(self, words: str) -> None:
        assert self._process.stdin is not None
        logging.info("the way to the database: %s", words)
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the proxies have ended: {self.log.read_text()[-1000:]}")


class Way:
    """What passes from one port to another."""

    def __init__(self, port: int, target: int) -> None:
        self._port, self._target = port, target
        self._open: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._is_cut = False

    async def listen(self) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    def turn(self, word: str) -> None:
        self._is_cut = word == "cut"
        if word == "stall":
            self._passes.clear()
            return
        for writer in self._open:
            writer.transport.abort()
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self._open.add(writer)
        onward: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError):
            await self._passes.wait()
            back, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(onward)
            await asyncio.gather(self._pump(reader, onward), self._pump(back, writer))
        for one in [writer, onward]:
            if one is not None:
                self._open.discard(one)
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        finally:
            # The other side reads no more, either.
            writer.transport.abort()


async def run(target: int, ports: list[int]) -> None:
    ways = [Way(port, target) for port in ports]
    for way in ways:
        await way.listen()
    print("ready", flush=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        word, number = line.decode().split()
        ways[int(number)].turn(word)
        print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
