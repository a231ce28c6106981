#!/usr/bin/env python3
"""Runs every block of shell and of Python in docs/models.md and docs/workshop.md: they do what the pages say.

Each block runs in one folder with the files that the page names (a trained model in several formats, rows with its
answers, data), against a server with a logistic regression of the same data as stable. A block that deploys is
followed by a rollback, so that the next one can deploy. A block of Python must be what serin prints. The exit code is 0
if every command of every block ends with 0. docs/workshop.md runs as a whole, on a server of its own: workshop.py.

    .venv/bin/python scripts/docs_commands.py --serin target/debug/serin
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import xgboost
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.data_types import StringTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from parity.data import HOLDOUT
from parity.data import WORDS
from parity.data import made_up
from parity.importing import ONNX_ROWS
from parity.importing import PACKAGE
from parity.importing import export
from parity.importing import onnx_runtime
from parity.models import behind_columns
from parity.server import serving

import workshop

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/models.md"
TARGET, POSITIVE = "Churn", "Yes"
STABLE = "churn_lr.bin"
PICKLED = "mlflow/pickled"

# The docs' server stands at port 8000; this one has a port of its own.
CURL = """#!/usr/bin/env bash
exec "$REAL_CURL" --fail-with-body --silent --show-error "${@//127.0.0.1:8000/$SERIN_ADDRESS}"
"""


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of a page in order, each with its language."""
    return re.findall(r"^```(sh|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def prepare(folder: Path, serin: Path) -> None:
    """Writes the files that the page names."""
    data = made_up()
    target = data.target.map({"yes": "Yes", "no": "No"}).rename(TARGET)
    training = data.complete[:-HOLDOUT].join(target)
    training.to_csv(folder / "customers.csv", index=False)
    data.complete[-HOLDOUT:].join(target).to_csv(folder / "november.csv", index=False)

    inputs = training.drop(columns=TARGET)
    tiers = ["basic", "silver", "gold"]
    inputs.assign(tier=[tiers[row % 3] for row in range(len(inputs))]).to_csv(folder / "tiers.csv", index=False)
    forest = behind_columns(RandomForestClassifier(n_estimators=20, max_depth=6, random_state=1))
    (folder / "model.pkl").write_bytes(pickle.dumps(forest.fit(inputs, training[TARGET])))
    boosted = xgboost.XGBClassifier(n_estimators=20, max_depth=3, enable_categorical=True)
    categories = data.categories[:-HOLDOUT]
    boosted.fit(categories, (training[TARGET] == POSITIVE).astype(int))
    exported = export(boosted, categories, folder / "xgboost")
    for name in ["model.ubj", "expected.csv"]:
        (folder / "xgboost" / name).rename(folder / name)
    assert exported.model.name == "model.ubj"

    shutil.copytree(ROOT / "src/model/importing/testdata/sklearn_forest", folder / "mlflow/churn")
    mlflow.sklearn.save_model(forest, str(folder / PICKLED), serialization_format="cloudpickle")
    (folder / "onnx").mkdir()
    linear = behind_columns(LogisticRegression(max_iter=2_000)).fit(inputs, training[TARGET])
    (folder / "onnx/model.onnx").write_bytes(by_column(linear, inputs))
    rows = inputs[:ONNX_ROWS]
    rows.assign(expected=linear.predict_proba(rows)[:, 1]).to_csv(folder / "onnx/expected.csv", index=False)

    (folder / "models").mkdir()
    command = [serin, "train", "--data", "customers.csv", "--target", TARGET, "--out", f"models/{STABLE}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def by_column(model: Any, inputs: pd.DataFrame) -> bytes:
    """The model as ONNX, with an input for each column, so that the file has their names."""
    kinds = [
        (name, StringTensorType([None, 1]) if name in WORDS else FloatTensorType([None, 1])) for name in inputs.columns
    ]
    content: bytes = convert_sklearn(model, initial_types=kinds).SerializeToString()
    return content


def environment(folder: Path, serin: Path, address: str) -> dict[str, str]:
    """`serin`, `python` and `curl` as the page calls them."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "serin").symlink_to(serin)
    curl = programs / "curl"
    curl.write_text(CURL)
    curl.chmod(curl.stat().st_mode | stat.S_IXUSR)
    real = subprocess.run(["which", "curl"], capture_output=True, text=True, check=True).stdout.strip()
    # With the packages of this interpreter.
    python = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{programs}:{python}:{os.environ['PATH']}",
        "PYTHONPATH": str(PACKAGE),
        "REAL_CURL": real,
        "SERIN_ADDRESS": address,
        "SERIN_URL": f"http://{address}",
        "SERIN_ONNXRUNTIME": "",
    }


def run(block: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = "set -euo pipefail\n" + block
    return subprocess.run(["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True)


def run_python(block: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs lines that serin prints for the folder that it does not read."""
    refused = run(f"serin import {PICKLED} --out models/pickled.bin", folder, variables)
    if not refused.stderr.rstrip().endswith(block.rstrip()):
        refused.stderr += "docs-commands: serin prints other lines than the page has\n"
        refused.returncode = 1
        return refused
    return subprocess.run(["python", "-c", block], cwd=folder, env=variables, capture_output=True, text=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every block of docs/models.md and docs/workshop.md.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    serin = parser.parse_args().serin.resolve()
    warnings.filterwarnings("ignore")
    found = blocks(PAGE.read_text())
    if not found:
        print(f"docs-commands: {PAGE}: no block", file=sys.stderr)
        return 2
    failures = 0
    # For the server; a block sets it for its own commands.
    os.environ["SERIN_ONNXRUNTIME"] = onnx_runtime()
    with tempfile.TemporaryDirectory(prefix="serin-docs-") as name:
        folder = Path(name)
        prepare(folder, serin)
        with serving(serin, folder / "models", STABLE) as server:
            variables = environment(folder, serin, server.address)
            for number, (language, block) in enumerate(found, 1):
                first = block.splitlines()[0]
                ended = (run_python if language == "python" else run)(block, folder, variables)
                if ended.returncode == 0 and re.search(r"^serin deploy\b", block, re.MULTILINE):
                    ended = run("serin rollback", folder, variables)
                failures += ended.returncode != 0
                print(f"block {number}: {'ok' if ended.returncode == 0 else 'FAILED'}: {first}", flush=True)
                if ended.returncode != 0:
                    print(ended.stdout + ended.stderr, file=sys.stderr)
    print(f"docs-commands: {failures} of {len(found)} blocks failed" if failures else "docs-commands: every block ran")
    return 1 if failures + workshop.run(serin) else 0


if __name__ == "__main__":
    sys.exit(main())
