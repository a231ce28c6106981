#!/usr/bin/env python3
"""Compares what the real clients of other servers get from serin with what /predict answers.

tritonclient, the REST client of KServe, `mlserver infer` and MLflow's ScoringServerClient, with their defaults, ask for
metadata and readiness, and send one row and many, in JSON and in binary, with words and missing values, to a model of
two classes, one of many, and a regression. Then every block of docs/protocols.md runs. The exit code is 0 if every
answer is equal, to the bit.

    .venv/bin/python scripts/protocols --serin target/debug/serin --clients .venv-clients
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from parity.data import made_up  # noqa: E402
from parity.importing import Failure  # noqa: E402
from parity.server import Server  # noqa: E402
from parity.server import serving  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
PAGE = ROOT / "docs/protocols.md"
GOLDEN = ROOT / "src/model/kinds/testdata"
ROWS = 25

Rows = list[dict[str, Any]]
Answers = list[list[Any]]


def run(command: list[Any], folder: Path, seconds: float = 300) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def rows_of(frame: pd.DataFrame) -> Rows:
    """The rows as JSON has them: null for a missing value."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def two_classes(serin: Path, folder: Path) -> tuple[str, Rows]:
    """Numbers alone, some of them missing."""
    run([serin, "train", "--models", folder], folder.parent)
    random = np.random.default_rng(7)
    names = ["tenure_years", "charge_ratio", "usage_ratio", "late_payment_share", "support_calls"]
    frame = pd.DataFrame(random.gamma(2, 0.5, (ROWS, len(names))), columns=names)
    return "model_v1.bin", rows_of(frame.mask(random.random(frame.shape) < 0.1))


def words(serin: Path, folder: Path) -> tuple[str, Rows]:
    """Numbers and words, some of them missing, and a word that training has not seen."""
    data = made_up()
    train(serin, folder, data.holes.join(data.target), "churned")
    rows = rows_of(data.holes[-ROWS:])
    rows[3]["region"] = "Zürich"
    return "churned.bin", rows


def many_classes(serin: Path, folder: Path) -> tuple[str, Rows]:
    data = made_up()
    train(serin, folder, data.holes.join(data.tiers), "tier")
    return "tier.bin", rows_of(data.holes[-ROWS:])


def regression(_: Path, folder: Path) -> tuple[str, Rows]:
    """A model file of LightGBM."""
    name = "lgb_regression"
    # The ending under which serin lists it.
    shutil.copy(GOLDEN / f"{name}.txt", folder / f"{name}.lgb")
    tables, case = (json.loads((GOLDEN / file).read_text()) for file in ["rows.json", f"{name}.case.json"])
    table = tables[case["rows"]]
    return f"{name}.lgb", [dict(zip(table["columns"], row)) for row in table["rows"][:ROWS]]


def train(serin: Path, folder: Path, frame: pd.DataFrame, target: str) -> None:
    frame.to_csv(folder.parent / f"{target}.csv", index=False)
    command = [serin, "train", "--data", f"{target}.csv", "--target", target, "--out", folder / f"{target}.bin"]
    run(command, folder.parent)


MODELS: list[Callable[[Path, Path], tuple[str, Rows]]] = [two_classes, words, many_classes, regression]


def plain(prediction: dict[str, Any]) -> list[Any]:
    """The answer to a row of /predict, as rows.py has it. Classes are in the order in which they are sent."""
    many = prediction.get("probabilities")
    numbers = list(many.values()) if many else [prediction.get("probability", prediction.get("score"))]
    return [numbers, prediction.get("label")]


def by_predict(server: Server, rows: Rows) -> Answers:
    body = json.dumps({"instances": rows}).encode()
    return [plain(one) for one in server.send("POST", "/predict", body)["predictions"]]


def single(rows: Rows) -> Rows:
    return rows[:1]


def by_mlserver(server: Server, datatypes: dict[str, str], rows: Rows, mlserver: Path, folder: Path) -> Answers:
    """What `mlserver infer` writes for a file of requests: the first row alone, and then all."""
    requests = folder / "requests.jsonl"

    def request(rows: Rows) -> str:
        inputs = [
            {
                "name": name,
                "datatype": datatype,
                "shape": [len(rows), 1],
                "data": [("" if datatype == "BYTES" else np.nan) if row[name] is None else row[name] for row in rows],
            }
            for name, datatype in datatypes.items()
        ]
        # Its reader takes no NaN, so rows that lack a number are left to the other clients.
        return json.dumps({"inputs": inputs}, allow_nan=False)

    requests.write_text(request(single(rows)) + "\n" + request(rows) + "\n")
    written = folder / "answers.jsonl"
    run([mlserver, "infer", "-u", server.address, "-m", "model", "-i", requests, "-o", written], folder)
    # In any order.
    answers = sorted((json.loads(line) for line in written.read_text().splitlines()), key=len_of_outputs)
    found: Answers = []
    for answer in answers:
        assert "outputs" in answer, answer
        outputs = {one["name"]: one for one in answer["outputs"]}
        first = next(outputs[name] for name in ["probability", "probabilities", "score"] if name in outputs)
        count = first["shape"][0]
        numbers = np.array(first["data"]).reshape(count, -1).tolist()
        labels = outputs["label"]["data"] if "label" in outputs else [None] * count
        found += [[numbers[row], labels[row]] for row in range(count)]
    return found


def len_of_outputs(answer: dict[str, Any]) -> int:
    return int(answer["outputs"][0]["shape"][0])


def by_mlflow(server: Server, datatypes: dict[str, str], rows: Rows) -> dict[str, list[list[Any]]]:
    """Every form that MLflow's client sends."""
    host, port = server.address.split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=10)
    assert client.get_version().startswith("serin/"), client.get_version()
    # As pandas reads it: NaN for a missing number and for a missing word.
    frame = pd.DataFrame(rows)[list(datatypes)]
    for name, datatype in datatypes.items():
        frame[name] = frame[name].astype(np.float64 if datatype == "FP64" else object)
    frame = frame.where(frame.notna(), np.nan)
    sent = {
        "DataFrame": client.invoke(frame),
        "DataFrame with params": client.invoke(frame, params={"key": "customer-17"}),
        "list": client.invoke(frame.to_numpy().tolist()),
        "one row": client.invoke(frame[:1]),
    }
    if set(datatypes.values()) == {"FP64"}:
        sent["ndarray"] = client.invoke(frame.to_numpy())
    return {f"mlflow, {way}": [plain(one) for one in answer["predictions"]] for way, answer in sent.items()}


def compared(server: Server, rows: Rows, clients: Path, folder: Path) -> Iterator[tuple[str, str | None]]:
    """What each client got, and how it differs from what /predict answers."""
    metadata = server.send("GET", "/v2/models/model")
    datatypes = {one["name"]: one["datatype"] for one in metadata["inputs"]}
    right = by_predict(server, rows)

    def differs(way: str, found: Answers, right: Answers) -> tuple[str, str | None]:
        if found == right:
            return way, None
        pairs = [pair for pair in zip(found, right) if pair[0] != pair[1]]
        return way, f"{len(found)} answers for {len(right)} rows; the first that differs: {pairs[:1]}"

    for part in [rows, single(rows)]:
        case = folder / "case.json"
        address, version = server.address, metadata["versions"][0]
        case.write_text(json.dumps({"address": address, "version": version, "datatypes": datatypes, "rows": part}))
        python = clients / "kserve/bin/python"
        for way, found in json.loads(run([python, HERE / "kserve_triton.py", case], folder)).items():
            expected = right[: len(part)]
            if "FP32" in way:
                rounded = [{name: to_fp32(value) for name, value in row.items()} for row in part]
                expected = by_predict(server, rounded)
            if "v1" in way:
                found = [plain(one) for one in found]
            yield differs(f"{way}, {len(part)} rows", found, expected)
    complete = [row for row in rows if all(row[name] is not None for name, kind in datatypes.items() if kind == "FP64")]
    expected = by_predict(server, complete)
    found = by_mlserver(server, datatypes, complete, clients / "mlserver/bin/mlserver", folder)
    yield differs("mlserver infer, 1 row and many", found, expected[:1] + expected)
    for way, found in by_mlflow(server, datatypes, rows).items():
        yield differs(way, found, right[: len(found)] if way.endswith("one row") else right)


def to_fp32(value: Any) -> Any:
    return None if value is None else float(np.float32(value))


def blocks(server: Server, clients: Path) -> Iterator[tuple[str, list[Any]]]:
    """The blocks of the page as commands, against this server instead of that of the page."""
    host, port = server.address.split(":")
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        block = block.replace("127.0.0.1:8000", server.address).replace('"127.0.0.1", 8000', f'"{host}", {port}')
        first = block.splitlines()[0]
        if language == "python":
            python = Path(sys.executable) if "mlflow" in block else clients / "kserve/bin/python"
            yield first, [python, "-c", block]
        else:
            block = block.replace("curl ", "curl --fail-with-body --silent --show-error ")
            yield first, ["bash", "-euo", "pipefail", "-c", block]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the answers that real clients get with those of /predict.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    parser.add_argument("--clients", metavar="FOLDER", type=Path, default=ROOT / ".venv-clients")
    parser.add_argument("--only", choices=[model.__name__ for model in MODELS])
    arguments = parser.parse_args()
    serin, clients = arguments.serin.resolve(), arguments.clients.resolve()
    warnings.filterwarnings("ignore")
    failures = count = 0
    for model in (one for one in MODELS if arguments.only in [None, one.__name__]):
        with tempfile.TemporaryDirectory(prefix="serin-protocols-") as name:
            folder = Path(name)
            models = folder / "models"
            models.mkdir()
            stable, rows = model(serin, models)
            with serving(serin, models, stable) as server:
                found = list(compared(server, rows, clients, folder))
                if model is two_classes:
                    found += [(first, failed(command, folder)) for first, command in blocks(server, clients)]
        for way, difference in found:
            count += 1
            failures += difference is not None
            if difference is not None:
                print(f"{model.__name__}, {way}: {difference}", file=sys.stderr)
        equal = sum(difference is None for _, difference in found)
        print(f"protocols: {model.__name__}: {equal} of {len(found)} are equal", flush=True)
    return 1 if failures or not count else 0


def failed(command: list[Any], folder: Path) -> str | None:
    try:
        run(command, folder)
    except Failure as failure:
        return str(failure)
    return None


if __name__ == "__main__":
    sys.exit(main())
