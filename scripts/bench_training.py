"""Compares training with pandas and scikit-learn: CPU time and peak memory, one after the other in one run.

The data is made here with a fixed seed: 24 columns of numbers (some blank), 6 of words with 4 to 9 levels, and a
target drawn from a logistic model of some of them. scikit-learn reads the file, imputes, standardizes, one-hot
encodes, fits LogisticRegression, and evaluates on a holdout of the same size. Its solver is lbfgs, the default, or
newton-cholesky, which it recommends for many more rows than columns. Both numbers are of the whole process, imports
included.

    .venv/bin/python scripts/bench_training.py target/release/serin [--rows 1000000] [--rounds 3]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NUMBERS, WORDS = 24, (4, 5, 6, 7, 8, 9)

# The tolerance of serin's fit (src/model/training/newton.rs), which is the remaining step; scikit-learn's is the
# largest gradient per row, whose step is several times larger.
TOLERANCE = 1e-9

# The solvers of scikit-learn, each with serin's tolerance and with its own default.
PEERS = [(solver, tolerance) for solver in ("lbfgs", "newton-cholesky") for tolerance in (TOLERANCE, 1e-4)]

PEER = """
import sys
import numpy, pandas
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

data = pandas.read_csv(sys.argv[1])
y = (data.pop("churned") == "yes").to_numpy()
train, test, y_train, y_test = train_test_split(data, y, test_size=0.2, random_state=42, stratify=y)
del data
encoder = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
)
logistic = LogisticRegression(C=1.0, tol=float(sys.argv[2]), max_iter=10000, solver=sys.argv[3])
model = make_pipeline(encoder, logistic)
model.fit(train, y_train)
p = model.predict_proba(test)[:, 1]
print(f"AUC {roc_auc_score(y_test, p):.4f}, log-loss {log_loss(y_test, p):.4f}")
"""


def write_data(path, rows, seed=7):
    """Writes the CSV file in parts, so that the generator needs little memory."""
    import numpy

    random = numpy.random.default_rng(seed)
    names = [f"n{i}" for i in range(NUMBERS)] + [f"w{i}" for i in range(len(WORDS))]
    weights = random.normal(0, 0.3, NUMBERS)
    effects = [random.normal(0, 0.3, levels) for levels in WORDS]
    with open(path, "w") as file:
        file.write(",".join([*names, "churned"]) + "\n")
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            x = random.normal(0, 1, (count, NUMBERS))
            codes = [random.integers(0, levels, count) for levels in WORDS]
            odds = x @ weights - 1 + sum(effect[code] for effect, code in zip(effects, codes))
            yes = random.random(count) < 1 / (1 + numpy.exp(-odds))
            scaled = x * (1 + numpy.arange(NUMBERS)) + 10
            blank = random.random((count, NUMBERS)) < 0.01
            for row in range(count):
                cells = ["" if blank[row, i] else f"{scaled[row, i]:.5f}" for i in range(NUMBERS)]
                cells += [f"level{code[row]}" for code in codes]
                cells.append("yes" if yes[row] else "no")
                file.write(",".join(cells) + "\n")


def run(command):
    """Output, CPU seconds (user and system) and peak resident megabytes of a command."""
    read, write = os.pipe()
    child = subprocess.Popen(command, stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"bench-train: {command[0]} failed with {child.returncode}: {text}")
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("serin")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.csv"
        print(f"making {args.rows:,} rows of {NUMBERS + len(WORDS)} columns", flush=True)
        write_data(data, args.rows)
        print(f"{data.stat().st_size / 1e6:.0f} MB, {args.rounds} rounds, each tool in turn", flush=True)
        serin = [args.serin, "train", "--data", str(data), "--target", "churned", "--positive", "yes"]
        serin += ["--out", str(Path(folder) / "model.bin")]
        peers = {"serin": serin}
        for solver, tolerance in PEERS:
            command = [sys.executable, "-c", PEER, str(data), f"{tolerance:g}", solver]
            peers[f"scikit-learn, {solver}, tol={tolerance:g}"] = command
        # One thread each: CPU time then compares work and not the spinning of idle threads.
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        measured = {name: [] for name in peers}
        for _ in range(args.rounds):
            for name, command in peers.items():
                measured[name].append(run(command))
    median = lambda values: sorted(values)[len(values) // 2]
    rows = {name: [median([one[i] for one in runs]) for i in (1, 2)] for name, runs in measured.items()}
    print(f"{'':40} {'CPU s':>7} {'peak MB':>8} {'CPU ratio':>10} {'memory ratio':>13}")
    for name, (cpu, memory) in rows.items():
        text = measured[name][0][0]
        quality = [re.search(what + r"\s+(\d\.\d+)", text).group(1) for what in ("AUC", "log-loss")]
        ratios = f"{rows['serin'][0] / cpu:10.2f} {rows['serin'][1] / memory:13.2f}"
        print(f"{name:40} {cpu:7.2f} {memory:8.0f} {ratios}   AUC {quality[0]}, log-loss {quality[1]}")
    others = [rows[name] for name in peers if name != "serin"]
    met = all(ours <= theirs for other in others for ours, theirs in zip(rows["serin"], other))
    print("goal (every ratio at most 1.0):", "met" if met else "missed")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
