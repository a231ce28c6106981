"""What must be refused, with the reason."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from .data import HOLDOUT
from .data import NUMBERS
from .data import WORDS
from .data import Data
from .importing import Failure
from .importing import export
from .importing import exported_as_onnx
from .models import Case
from .models import behind_scaler
from .models import sklearn_onnx


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
