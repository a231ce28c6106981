#!/usr/bin/env python3
"""schemathesis tests serin against its OpenAPI document: all checks, every route.

Four servers: without and with a canary, without and with a token. A canary that a request promotes or rolls back is
deployed again, so that the rollout routes are tested in both states. Requests are generated from the document, valid
ones and invalid ones; an answer that the document does not describe, a server error, an invalid request that is
accepted or a valid one that is refused ends the run with an error.

    .venv/bin/python scripts/openapi.py --serin target/debug/serin [--examples 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

import serin  # noqa: E402

CONFIG = ROOT / "scripts/schemathesis.toml"
TOKEN = "token-of-the-tests"


def main() -> int:
    parser = argparse.ArgumentParser(description="Test serin against its OpenAPI document.")
    parser.add_argument("--serin", type=Path, default=ROOT / "target/release/serin", help="the binary to test")
    parser.add_argument("--examples", type=int, default=20, help="generated requests per route and phase")
    parser.add_argument("--seed", type=int, default=1, help="another seed generates other requests")
    given = parser.parse_args()
    os.environ["SERIN_BINARY"] = str(given.serin.resolve())
    states = [(token, has_canary) for token in (None, TOKEN) for has_canary in (False, True)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = list(pool.map(lambda state: tested_in(*state, given.examples, given.seed), states))
    for (token, has_canary), verdict in zip(states, verdicts, strict=True):
        state = f"{'with' if has_canary else 'without'} a canary, {'with' if token else 'without'} a token"
        print(f"openapi: {state}: {verdict or 'passed'}")
    return 1 if any(verdicts) else 0


def tested_in(token: str | None, has_canary: bool, examples: int, seed: int) -> str | None:
    """Tests a server in this state; returns what is wrong, if anything is."""
    with serin.Server(token=token) as server, contextlib.ExitStack() as stack:
        if has_canary:
            stack.enter_context(canary_in(server))
        return tested(server, token, examples, seed)


def tested(server: serin.Server, token: str | None, examples: int, seed: int) -> str | None:
    """Runs schemathesis; returns what is wrong, if anything is."""
    address = f"{server.url}/openapi.json"
    with urllib.request.urlopen(address, timeout=10) as answer:
        document = json.load(answer)
    # schemathesis leaves out the route that it read the document from.
    operations = sum(len(item) for item in document["paths"].values()) - 1
    program = Path(sys.executable).parent / "schemathesis"
    command: list[object] = [program, "--config-file", CONFIG, "run", address, "--no-color"]
    command += ["--checks", "all", "--continue-on-failure", "--max-examples", examples, "--seed", seed]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    # schemathesis writes into the folder that it runs in.
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder)
    # A run that tested nothing must not pass.
    count = re.search(r"Tested: (\d+)", ended.stdout)
    cases = re.search(r"(\d+) generated", ended.stdout)
    if ended.returncode == 0 and count and int(count[1]) == operations and cases and int(cases[1]) > 10 * operations:
        return None
    print(ended.stdout, ended.stderr)
    return f"{count[1] if count else 0} of {operations} routes tested, exit code {ended.returncode}"


@contextlib.contextmanager
def canary_in(server: serin.Server) -> Iterator[None]:
    """Deploys a canary, and again whenever there is none."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(0.05):
            # Refused while there is one.
            with contextlib.suppress(serin.SerinError):
                server.client.deploy("model_v2.bin")

    server.client.deploy("model_v2.bin")
    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


if __name__ == "__main__":
    sys.exit(main())
