#!/usr/bin/env python3
"""Proof that serin answers as the libraries do: trains models, imports and serves them, and compares every answer.

For each model: train on rows that are made here with a fixed seed, export with `serin.export`, import with
`serin import`, start `serin serve`, send the holdout over HTTP, and compare with the library's predict_proba. The exit
code is 0 if no answer differs by more than 1e-6 (by ONNX 1e-5), if a file with one changed category is refused, and if
trees are that moved to other leaves in ONNX. Times are medians; serin's include HTTP and this client's part of it,
about 0.2 ms a request.

    make .venv/ready
    .venv/bin/python scripts/parity.py --serin target/release/serin [--only xgboost]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import xgboost
from catboost import CatBoostClassifier
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.preprocessing import StandardScaler

# The package of this checkout, not one that is installed.
PACKAGE = Path(__file__).resolve().parent.parent / "python"
sys.path.insert(0, str(PACKAGE))

from serin.export import export  # noqa: E402

ROWS, HOLDOUT = 4_000, 1_000
TOLERANCE, ONNX_TOLERANCE = 1e-6, 1e-5
SEED = 20261126
UNSEEN = "R99"
TARGET, POSITIVE = "churned", "yes"
NUMBERS = ["tenure", "monthly", "total", "senior", "tickets", "balance"]
WORDS = ["contract", "internet", "payment", "region"]

# Rows of a request for the comparison, of a batch that is timed, and requests of one row that are timed.
CHUNK, BATCH, SINGLES = 250, 1_000, 200

# Rows of an ONNX model's expected.csv.
ONNX_ROWS = 512


class Failure(Exception):
    """A step that did not do what it must."""


# The data.


@dataclass
class Data:
    """Rows in three forms, and the target of each."""

    complete: pd.DataFrame
    # Numbers and words are missing here and there.
    holes: pd.DataFrame
    # The same with category columns.
    categories: pd.DataFrame
    target: pd.Series
    # The same of three classes, and as a number.
    tiers: pd.Series
    amounts: pd.Series


def made_up() -> Data:
    """Customers of a telephone company: numbers of several kinds, and words of 3 to 40 levels."""
    random = np.random.default_rng(SEED)
    tenure = random.integers(0, 73, ROWS)
    monthly = np.round(random.uniform(18, 119, ROWS), 2)
    contract = random.choice(["Month-to-month", "One year", "Two year"], ROWS, p=[0.55, 0.2, 0.25])
    internet = random.choice(["DSL", "Fiber optic", "No"], ROWS)
    region = random.choice([f"R{number:02d}" for number in range(40)], ROWS)
    tickets = random.poisson(0.8, ROWS)
    # Many zeros, as in real balances.
    balance = np.round(random.normal(0, 1, ROWS), 4) * (random.random(ROWS) > 0.3)
    score = 1.4 * (contract == "Month-to-month") + 0.8 * (internet == "Fiber optic") - tenure / 40 + 0.3 * tickets
    score += 0.5 * np.isin(region, ["R03", "R07", "R11", "R29", "R35"]) + balance - 0.6 + random.logistic(size=ROWS)
    complete = pd.DataFrame(
        {
            "tenure": tenure.astype(float),
            "monthly": monthly,
            "total": tenure * monthly * 1.01,
            "senior": random.integers(0, 2, ROWS).astype(float),
            "tickets": tickets.astype(float),
            "balance": balance,
            "contract": contract,
            "internet": internet,
            "payment": random.choice(["Bank transfer", "Credit card", "Electronic check", "Mailed check"], ROWS),
            "region": region,
        }
    )
    holes = complete.copy()
    for column, share in [("monthly", 0.1), ("total", 0.15), ("balance", 0.1), ("region", 0.1), ("internet", 0.08)]:
        holes.loc[random.random(ROWS) < share, column] = np.nan
    categories = holes.copy()
    for column in WORDS:
        categories[column] = pd.Categorical(holes[column], categories=sorted(complete[column].unique()))
    target = pd.Series(np.where(score > 0, "yes", "no"), name=TARGET)
    amounts = pd.Series(1_000 * score, name="amount")
    tiers = pd.Series(pd.cut(score, [-np.inf, -1, 1, np.inf], labels=["basic", "silver", "gold"]).astype(str), name="tier")
    return Data(complete, holes, categories, target, tiers, amounts)


# The models.


@dataclass
class Case:
    """A model to train, the frame it takes, and whether its target must be 0 and 1."""

    name: str
    model: Any
    frame: pd.DataFrame
    is_encoded: bool = False
    # What it answers: a `probability`, one for each of many `classes`, or a `score`.
    kind: str = "probability"
    # The model as ONNX, for one that serin does not read from its own file.
    as_onnx: Callable[[Any], bytes] | None = None

    @property
    def tolerance(self) -> float:
        return TOLERANCE if self.as_onnx is None else ONNX_TOLERANCE

    def target(self, data: Data) -> pd.Series:
        if self.kind == "score":
            return data.amounts
        if self.kind == "classes":
            return data.tiers.map({"basic": 0, "silver": 1, "gold": 2}) if self.is_encoded else data.tiers
        return (data.target == POSITIVE).astype(int) if self.is_encoded else data.target

    def answer(self, frame: pd.DataFrame) -> np.ndarray:
        """The original's answers: a number for each row, or one for each class."""
        if self.kind == "score":
            return self.model.predict(frame)
        answers = self.model.predict_proba(frame)
        return answers if self.kind == "classes" else answers[:, 1]


def cases(data: Data) -> list[Case]:
    """One of each kind that serin reads."""
    numbers, holes = data.complete[NUMBERS], data.holes[NUMBERS]
    seed = {"random_state": 5}
    forest = {"n_estimators": 100, "max_depth": 10, "n_jobs": 1, **seed}
    light = {"n_estimators": 100, "n_jobs": 1, "verbose": -1}
    extreme = {"n_estimators": 100, "max_depth": 6, "n_jobs": 1}
    catboost = CatBoostClassifier(iterations=100, depth=6, verbose=False, allow_writing_files=False, thread_count=1)
    network = MLPClassifier((64, 32), max_iter=60, **seed)
    return [
        Case("logistic", LogisticRegression(max_iter=5_000), numbers),
        Case("logistic_pipeline", behind_columns(LogisticRegression(max_iter=5_000)), data.complete),
        Case("random_forest", RandomForestClassifier(**forest), numbers),
        Case("extra_trees", ExtraTreesClassifier(**forest), numbers),
        Case("gradient_boosting", GradientBoostingClassifier(n_estimators=100, **seed), numbers),
        Case("hist_missing", HistGradientBoostingClassifier(**seed), holes),
        Case(
            "hist_categories",
            HistGradientBoostingClassifier(categorical_features="from_dtype", **seed),
            data.categories,
        ),
        Case("forest_pipeline", behind_columns(RandomForestClassifier(**forest)), data.complete),
        Case("boosting_imputed", behind_imputers(GradientBoostingClassifier(n_estimators=100, **seed)), data.holes),
        Case("xgboost_numbers", xgboost.XGBClassifier(**extreme), holes, is_encoded=True),
        Case(
            "xgboost_categories",
            xgboost.XGBClassifier(enable_categorical=True, **extreme),
            data.categories,
            is_encoded=True,
        ),
        Case("lightgbm_numbers", lightgbm.LGBMClassifier(**light), holes),
        Case("lightgbm_categories", lightgbm.LGBMClassifier(min_data_per_group=5, **light), data.categories),
        Case("lightgbm_pipeline", behind_imputers(lightgbm.LGBMClassifier(**light)), data.holes),
        Case("logistic_classes", behind_columns(LogisticRegression(max_iter=5_000)), data.complete, kind="classes"),
        Case("forest_classes", RandomForestClassifier(**forest), numbers, kind="classes"),
        Case("xgboost_classes", xgboost.XGBClassifier(**extreme), holes, is_encoded=True, kind="classes"),
        Case("lightgbm_classes", lightgbm.LGBMClassifier(**light), data.categories, kind="classes"),
        Case("ridge", behind_imputers(Ridge()), data.holes, kind="score"),
        Case("hist_regression", HistGradientBoostingRegressor(**seed), holes, kind="score"),
        Case("xgboost_regression", xgboost.XGBRegressor(**extreme), holes, kind="score"),
        Case("lightgbm_regression", lightgbm.LGBMRegressor(**light), data.categories, kind="score"),
        Case("catboost_onnx", catboost, numbers, as_onnx=catboost_onnx),
        Case("network_onnx", behind_scaler(network), numbers, as_onnx=sklearn_onnx),
        Case("network_onnx_classes", behind_scaler(network), numbers, kind="classes", as_onnx=sklearn_onnx),
    ]


def behind_scaler(model: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), model)


def catboost_onnx(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return path.read_bytes()


def sklearn_onnx(model: Any) -> bytes:
    """With one input for all numbers, as networks have it."""
    kinds = [("input", FloatTensorType([None, len(NUMBERS)]))]
    content: bytes = convert_sklearn(model, initial_types=kinds, options={"zipmap": False}).SerializeToString()
    return content


def behind_columns(model: Any) -> Pipeline:
    """The model behind a scaler for the numbers and an encoder for the words."""
    columns = [("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(handle_unknown="ignore"), WORDS)]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", model)])


def behind_imputers(model: Any) -> Pipeline:
    """The same for data with missing values."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)], sparse_threshold=0)
    return Pipeline([("columns", columns), ("model", model)])


# What serin does with one.


@dataclass
class Line:
    """One line of the table."""

    name: str
    rows: int
    largest: float
    above: int
    import_seconds: float
    batch: float
    single: float
    original_batch: float
    original_single: float

    HEADER = (
        f"{'':20} {'rows':>5} {'largest':>9} {'rows above':>10} {'import':>7}   "
        f"{'serin, us a row':>19}   {'original, us a row':>19}\n"
        f"{'model':20} {'':>5} {'difference':>10}{'limit':>10} {'s':>7}   "
        f"{'batch':>9} {'single':>9}   {'batch':>9} {'single':>9}"
    )

    def __str__(self) -> str:
        return (
            f"{self.name:20} {self.rows:5} {self.largest:9.1e} {self.above:10} {self.import_seconds:7.2f}   "
            f"{self.batch:9.1f} {self.single:9.1f}   {self.original_batch:9.1f} {self.original_single:9.1f}"
        )


def prove(case: Case, data: Data, serin: Path, folder: Path) -> Line:
    """Trains, exports, imports, serves and compares one model."""
    training, sent = case.frame[:-HOLDOUT], with_unseen_words(case.frame[-HOLDOUT:])
    # A library's category column has no place for a word that training did not see: it is missing there.
    holdout = sent.copy()
    for column in training.select_dtypes("category").columns:
        holdout[column] = pd.Categorical(
            sent[column].where(sent[column] != UNSEEN), categories=training[column].cat.categories
        )
    case.model.fit(training, case.target(data)[:-HOLDOUT])
    frame = training.join(data.target)
    exported = exported_to(folder, case, frame) if case.as_onnx is None else exported_as_onnx(case, training, folder)
    import_seconds = run_import(serin, exported)
    expected = case.answer(holdout)
    models = folder / "models"
    models.mkdir()
    (folder / "model.bin").rename(models / "model.bin")
    with serving(serin, models, "model.bin") as server:
        rows = server.rows(sent)
        answers = np.array(server.answers(rows, case))
        batch = 1e6 * timed(server.request(rows[:BATCH]), 9) / min(BATCH, len(rows))
        single = 1e6 * timed_each(server.request(rows[place : place + 1]) for place in range(SINGLES))
    # Of a number above 1 as a share of it, and of many classes the largest.
    differences = np.abs(answers - expected) / np.maximum(np.abs(expected), 1)
    differences = differences.reshape(len(rows), -1).max(axis=1)
    original_batch = 1e6 * timed(lambda: case.answer(holdout[:BATCH]), 5) / len(holdout[:BATCH])
    original_single = 1e6 * timed(lambda: case.answer(holdout[:1]), 15)
    return Line(
        case.name,
        len(rows),
        float(differences.max()),
        int((differences > case.tolerance).sum()),
        import_seconds,
        batch,
        single,
        original_batch,
        original_single,
    )


def with_unseen_words(holdout: pd.DataFrame) -> pd.DataFrame:
    """Some regions become one that training did not see."""
    holdout = holdout.astype({name: object for name in WORDS if name in holdout})
    if "region" in holdout:
        holdout.iloc[::25, holdout.columns.get_loc("region")] = UNSEEN
    return holdout


def exported_to(folder: Path, case: Case, frame: pd.DataFrame) -> list[str]:
    """Exports the model to the folder; the command that imports it."""
    named = {"target": TARGET, "positive": POSITIVE} if case.kind == "probability" else {}
    exported = export(case.model, frame, folder, **named)
    from_command = exported_by_command(case, frame, folder / "command")
    if from_command.read_text() != exported.expected.read_text():
        raise Failure("serin.export wrote other rows from the pickle and the CSV file than from the frame")
    return exported.command


def exported_as_onnx(case: Case, training: pd.DataFrame, folder: Path) -> list[str]:
    """Writes model.onnx and rows with the original's answers; the command that imports it."""
    assert case.as_onnx is not None
    folder.mkdir()
    (folder / "model.onnx").write_bytes(case.as_onnx(case.model))
    rows = training[:ONNX_ROWS]
    answers = case.answer(rows)
    names = [f"expected:{name}" for name in case.model.classes_] if case.kind == "classes" else ["expected"]
    columns = pd.DataFrame(answers.reshape(len(rows), -1), columns=names, index=rows.index)
    rows.join(columns).to_csv(folder / "expected.csv", index=False)
    training.head(0).to_csv(folder / "columns.csv", index=False)
    command = ["serin", "import", folder / "model.onnx", "--expect", folder / "expected.csv"]
    command += ["--schema-from", folder / "columns.csv", "--out", folder / "model.bin"]
    return [str(part) for part in command]


def exported_by_command(case: Case, frame: pd.DataFrame, folder: Path) -> Path:
    """The rows that the command line writes, from a pickle and a CSV file."""
    folder.mkdir()
    model, data = folder / "model.pkl", folder / "data.csv"
    model.write_bytes(pickle.dumps(case.model))
    frame.to_csv(data, index=False)
    command = [sys.executable, "-m", "serin.export", str(model), str(data), "-o", str(folder)]
    if case.kind == "probability":
        command += ["--target", TARGET, "--positive", POSITIVE]
    done(subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}))
    return folder / "expected.csv"


def run_import(serin: Path, command: list[str]) -> float:
    """Runs a command that an export prints; the time it took."""
    start = time.perf_counter()
    done(subprocess.run([str(serin), *command[1:]], capture_output=True, text=True))
    return time.perf_counter() - start


def done(process: subprocess.CompletedProcess[str]) -> None:
    if process.returncode != 0:
        raise Failure(process.stderr.strip() or f"exit code {process.returncode}")


def timed(work: Callable[[], Any], rounds: int) -> float:
    """Median of the seconds, after one round that does not count."""
    return timed_each([work] * (rounds + 1))


def timed_each(works: Any) -> float:
    seconds = []
    for work in works:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


# The server.


class Server:
    """A connection to a running serin."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=60)
        models = self.send("GET", "/admin/models")["models"]
        # In the order of the model, which rows without names must have.
        self.features = [feature["name"] for feature in models[0]["card"]["features"]]

    def send(self, method: str, path: str, body: bytes | None = None) -> Any:
        self.connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise Failure(f"{method} {path}: {response.status} {answer.decode()[:500]}")
        return json.loads(answer)

    def rows(self, frame: pd.DataFrame) -> list[list[Any]]:
        """The rows as JSON has them: null for a missing value."""
        columns = frame[self.features].astype(object)
        return columns.where(columns.notna(), None).to_numpy().tolist()

    def answers(self, rows: list[list[Any]], case: Case) -> list[Any]:
        """The number of each row, or those of its classes in the order of the original."""
        parts = (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
        predictions = [one for part in parts for one in self.request(part)()["predictions"]]
        if case.kind == "classes":
            names = [str(name) for name in case.model.classes_]
            return [[one["probabilities"][name] for name in names] for one in predictions]
        return [one[case.kind] for one in predictions]

    def request(self, rows: list[list[Any]]) -> Callable[[], Any]:
        """A request with these rows, whose body is made once."""
        body = json.dumps({"instances": rows} if len(rows) > 1 else {"features": rows[0]}).encode()
        return lambda: self.send("POST", "/predict", body)


@contextmanager
def serving(serin: Path, models: Path, stable: str) -> Iterator[Server]:
    """serin with this folder of models on a free port, ended when the block ends."""
    state = models.with_name("state")
    state.mkdir()
    port_file, log = state / "port", state / "serin.log"
    command = [str(serin), "serve", "--models", str(models), "--stable", stable, "--log", "warn"]
    command += ["--store", f"sqlite:{state / 'serin.db'}", "--listen", "127.0.0.1:0", "--port-file", str(port_file)]
    with log.open("w") as errors:
        # In a folder of its own, where no serin.toml lies.
        process = subprocess.Popen(command, stdout=errors, stderr=errors, cwd=state)
        try:
            yield Server(address(process, port_file, log))
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def address(process: subprocess.Popen[bytes], port_file: Path, log: Path, seconds: float = 60) -> str:
    """The address in the port file, once the server writes it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failure(f"serin serve ended with {process.returncode}: {log.read_text()[-500:]}")
        if port_file.exists() and (text := port_file.read_text().strip()):
            return text
        time.sleep(0.02)
    raise Failure(f"serin serve did not start within {seconds:.0f} s: {log.read_text()[-500:]}")


# What must be refused.


def prove_refusal(data: Data, serin: Path, folder: Path) -> str:
    """An expected.csv with one changed category must be refused, with its row named; the message."""
    training = data.categories[:-HOLDOUT]
    model = lightgbm.LGBMClassifier(n_estimators=50, n_jobs=1, verbose=-1).fit(training, data.target[:-HOLDOUT])
    exported = export(model, training, folder)
    rows = pd.read_csv(exported.expected, dtype={name: str for name in WORDS})
    # The row in which another contract changes the answer most.
    changed = rows[training.columns].copy()
    changed["contract"] = changed["contract"].replace({"Month-to-month": "Two year", "Two year": "Month-to-month"})
    asked = changed.astype(training.dtypes.to_dict())
    place = int(np.abs(model.predict_proba(asked)[:, 1] - rows["expected"]).argmax())
    rows.loc[place, "contract"] = changed["contract"][place]
    rows.to_csv(exported.expected, index=False)
    process = subprocess.run([str(serin), *exported.command[1:]], capture_output=True, text=True)
    if process.returncode == 0:
        raise Failure(f"row {place + 1} has another contract, and was imported all the same")
    message = " ".join(process.stderr.split())
    if not re.search(rf"\brow {place + 1}\b", message) or "1 of" not in message:
        raise Failure(f"the message does not name row {place + 1}: {message}")
    if (folder / "model.bin").exists():
        raise Failure("the import was refused, and wrote the model all the same")
    return message


def onnx_runtime() -> str:
    """The library in onnxruntime's package."""
    return str(next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*")))


def prove_onnx_refusal(data: Data, serin: Path, folder: Path) -> str:
    """Trees behind a scaler take other leaves in single precision: the import must say so; the message."""
    training = data.complete[NUMBERS][:-HOLDOUT]
    forest = RandomForestClassifier(n_estimators=100, max_depth=10, n_jobs=1, random_state=5)
    case = Case("refusal_onnx", behind_scaler(forest), training, as_onnx=sklearn_onnx)
    case.model.fit(training, data.target[:-HOLDOUT])
    command = exported_as_onnx(case, training, folder)
    process = subprocess.run([str(serin), *command[1:]], capture_output=True, text=True)
    message = " ".join(process.stderr.split())
    if process.returncode == 0 or "single precision" not in message:
        raise Failure(f"trees with rounded thresholds were not refused for that: {message}")
    return message


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare serin's answers with those of the libraries, model by model.")
    parser.add_argument(
        "--serin",
        metavar="PATH",
        type=Path,
        default=Path(__file__).parent.parent / "target/release/serin",
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
        for name, prove_refused in [("refusal", prove_refusal), ("refusal_onnx", prove_onnx_refusal)]:
            if args.only not in name:
                continue
            try:
                print(f"{name:20} as it must be: {prove_refused(data, serin, Path(folder) / name)}", flush=True)
            except Failure as problem:
                failures += 1
                print(f"{name:20} FAILED: {problem}", flush=True)
    print(f"parity: {failures} failed" if failures else "parity: every answer is the original's")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
