#!/usr/bin/env python3
"""Proof that serin answers as the libraries do: trains models, imports and serves them, and compares every answer.

For each model: train on rows that are made here with a fixed seed, export with `serin.export`, import with
`serin import`, start `serin serve`, send the holdout over HTTP, and compare with the library's predict_proba. The exit
code is 0 if no answer differs by more than 1e-6 (by ONNX 1e-5), if a file with one changed category is refused, if
trees are that moved to other leaves in ONNX, and if the Python that serin prints for a model folder of MLflow that it
does not read writes one that it reads. Times are medians; serin's include HTTP and this client's part of it, about
0.2 ms a request.

    make .venv/ready
    .venv/bin/python scripts/parity --serin target/release/serin [--only xgboost]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from parity.data import made_up  # noqa: E402
from parity.folders import prove_folders  # noqa: E402
from parity.importing import Failure  # noqa: E402
from parity.importing import onnx_runtime  # noqa: E402
from parity.models import cases  # noqa: E402
from parity.proof import Line  # noqa: E402
from parity.proof import prove  # noqa: E402
from parity.refusals import prove_onnx_refusal  # noqa: E402
from parity.refusals import prove_refusal  # noqa: E402

CHECKS = [("refusal", prove_refusal), ("refusal_onnx", prove_onnx_refusal), ("mlflow_folders", prove_folders)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare serin's answers with those of the libraries, model by model.")
    parser.add_argument(
        "--serin",
        metavar="PATH",
        type=Path,
        default=SCRIPTS.parent / "target/release/serin",
        help="the serin binary (default: %(default)s)",
    )
    parser.add_argument("--only", metavar="NAME", default="", help="only models whose name contains this")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    # LightGBM warns on every call that a frame has names; what a comparison needs is in the table.
    warnings.filterwarnings("ignore")
    serin = args.serin.resolve()
    if not serin.is_file():
        print(f"parity: {serin}: no such file; build serin, or name the binary with --serin", file=sys.stderr)
        return 2
    os.environ["SERIN_ONNXRUNTIME"] = onnx_runtime()
    data, failures = made_up(), 0
    print(Line.HEADER, flush=True)
    with tempfile.TemporaryDirectory(prefix="serin-parity-") as folder:
        for case in cases(data):
            if args.only not in case.name:
                continue
            try:
                line = prove(case, data, serin, Path(folder) / case.name)
                failures += line.above > 0
                print(line, flush=True)
            except Exception as problem:
                # One model does not end the table, whatever is wrong with it.
                failures += 1
                kind = "" if isinstance(problem, Failure) else f"{type(problem).__name__}: "
                print(f"{case.name:20} FAILED: {kind}{problem}", flush=True)
        for name, check in CHECKS:
            if args.only not in name:
                continue
            try:
                print(f"{name:20} as it must be: {check(data, serin, Path(folder) / name)}", flush=True)
            except Failure as problem:
                failures += 1
                print(f"{name:20} FAILED: {problem}", flush=True)
    print(f"parity: {failures} failed" if failures else "parity: every answer is the original's")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
