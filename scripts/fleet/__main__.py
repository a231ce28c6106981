#!/usr/bin/env python3
"""Several replicas of serin on one PostgreSQL, behind nginx, on this machine.

Without a flag it starts them, prints their addresses and stays until Ctrl-C. With one, it checks or measures, and ends
all of it. If something is not as expected, it prints what was, what was seen, and the end of each log, and keeps the
folder.

    .venv/bin/python scripts/fleet --serin target/release/serin
    .venv/bin/python scripts/fleet --check
    .venv/bin/python scripts/fleet --faults --times 50 --only leader
    .venv/bin/python scripts/fleet --rollback-latency 200
    .venv/bin/python scripts/fleet --sizes 3 30 100
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent.parent
ROOT = SCRIPTS.parent
sys.path.insert(0, str(SCRIPTS))

from fleet import faults  # noqa: E402
from fleet import measures  # noqa: E402
from fleet import sizes  # noqa: E402
from fleet.keeper import Keeper  # noqa: E402
from fleet.replicas import Fleet  # noqa: E402


def say(words: str) -> None:
    print(f"fleet: {words}", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run several replicas of serin on PostgreSQL behind nginx.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    parser.add_argument("--replicas", metavar="N", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="everything that takes seconds")
    parser.add_argument("--faults", action="store_true", help="each fault under load")
    parser.add_argument("--times", metavar="N", type=int, default=50, help="how often each fault (50)")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="only the faults with these words in their names")
    parser.add_argument("--outage", metavar="SECONDS", type=float, help="PostgreSQL is gone (8; 30 for 50 times)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of times and commands (1)")
    parser.add_argument("--rollback-latency", metavar="N", type=int, help="time this many rollbacks")
    parser.add_argument("--evidence", action="store_true", help="one verdict on what all replicas observe")
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", help="what fleets of N replicas cost")
    parser.add_argument("--rolling", action="store_true", help="restart each replica in the middle of a ramp")
    return parser.parse_args()


def main() -> int:
    given = parsed()
    # All of it ends, also where Ctrl-C is ignored, as in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="serin-fleet-"))
    # PostgreSQL runs as another user.
    folder.chmod(0o711)
    keeper = Keeper(folder)
    logging.basicConfig(filename=folder / "events", level=logging.INFO, format="%(asctime)s %(message)s")
    logging.Formatter.converter = time.gmtime
    fleet: Fleet | None = None
    try:
        if given.sizes:
            say(sizes.HEAD)
        for size in given.sizes or []:
            (folder / f"{size}").mkdir()
            fleet = Fleet(given.serin.resolve(), folder / f"{size}", keeper, size, is_measured=True)
            say(sizes.measure(fleet))
            fleet.stop()
        if given.sizes:
            return 0
        start = time.monotonic()
        fleet = Fleet(given.serin.resolve(), folder, keeper, given.replicas)
        say(f"{given.replicas} replicas serve after {time.monotonic() - start:.1f} s")
        run(fleet, given)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 whatever it is, the logs say more
        keeper.keep_folder()
        print(f"fleet: {type(error).__name__}: {error}", file=sys.stderr)
        if fleet is not None:
            print(fleet.logs(), file=sys.stderr)
        else:
            for log in sorted(folder.glob("**/log")):
                print(f"--- {log}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        print(f"fleet: all logs are kept in {folder}", file=sys.stderr)
        return 1
    finally:
        keeper.end()
    return 0


def run(fleet: Fleet, given: argparse.Namespace) -> None:
    """Everything that is asked for, or the fleet alone until Ctrl-C."""
    tests: list[tuple[Callable[..., str], tuple[Any, ...]]] = []
    if given.check:
        tests += [(measures.scenarios, ()), (measures.automatic, ()), (measures.rollback_latency, (5,))]
        tests += [(faults.short, (given.seed,))] if len(fleet.replicas) > 1 else []
    if given.rollback_latency:
        tests += [(measures.rollback_latency, (given.rollback_latency,))]
    tests += [(measures.evidence, ()), (measures.outage, ())] if given.evidence else []
    tests += [(measures.rolling, ())] if given.rolling else []
    outage = given.outage or (30.0 if given.times >= 50 else 8.0)
    tests += [(faults.table, (given.times, given.only or [""], outage, given.seed))] if given.faults else []
    for test, arguments in tests:
        start = time.monotonic()
        said = test(fleet, *arguments)
        say(f"{test.__name__}: {said} ({time.monotonic() - start:.1f} s)")
    if tests:
        return
    say(f"the balancer:  http://{fleet.balancer.address}/")
    for replica in fleet.replicas:
        say(f"{replica}:     http://{replica.address}/")
    say(f"the database:  {fleet.database.url()}")
    say("Ctrl-C ends all of it")
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
