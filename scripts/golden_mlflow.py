"""Golden folders of MLflow: one for each flavor, with rows and the answers of the models that MLflow loads from them.

Writes NAME/MLmodel, the model file that it names, and NAME.csv. The data are made up and seeded. Run with mlflow,
the packages of scripts/requirements.txt installed: python scripts/golden_mlflow.py src/model/importing/testdata [NAME]
"""
import os
import shutil
import sys
import warnings

import catboost.utils
import lightgbm as lgb
import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import xgboost as xgb
from mlflow.models import infer_signature
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")
OUT = sys.argv[1] if len(sys.argv) > 1 else "src/model/importing/testdata"
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
KEPT = {"MLmodel", "model.onnx", "model.skops", "model.ubj", "model.json", "model.lgb"}
rng = np.random.default_rng(7)
X = pd.DataFrame({"tenure months": rng.integers(0, 72, 300).astype(float), "monthly": rng.normal(70, 20, 300).round(2),
                  "tickets": rng.poisson(1, 300)})
y = (X.monthly / 40 - X["tenure months"] / 30 + X.tickets + rng.normal(size=300) > 1).astype(int)
words = X.assign(contract=rng.choice(["Month-to-month", "One year's", "Zwei Jahre für 2"], 300))


def write(name, module, model, frame, ask, **more):
    if ONLY not in name:
        return
    path = f"{OUT}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    module.save_model(model, path, signature=infer_signature(frame, y), **more)
    rows = frame.head(40)
    answers = np.asarray(ask(module.load_model(path), rows), dtype=np.float64)
    answers = answers[:, 1] if answers.ndim == 2 else answers
    rows.assign(expected=answers).to_csv(f"{OUT}/{name}.csv", index=False)
    for file in os.listdir(path):
        if file not in KEPT:
            os.remove(f"{path}/{file}")
    print(name, sorted(os.listdir(path)))


os.makedirs(OUT, exist_ok=True)
proba = lambda model, rows: model.predict_proba(rows)
trees = ["sklearn.tree._tree.Tree"]
pipe = make_pipeline(ColumnTransformer([("n", StandardScaler(), list(X.columns)),
                                        ("w", OneHotEncoder(handle_unknown="ignore"), ["contract"])]),
                     LogisticRegression())
write("sklearn_pipeline", mlflow.sklearn, pipe.fit(words, y), words, proba, serialization_format="skops")
write("sklearn_forest", mlflow.sklearn, RandomForestClassifier(2, max_depth=3, random_state=1).fit(X, y), X, proba,
      serialization_format="skops", skops_trusted_types=trees)
booster = xgb.train({"objective": "binary:logistic", "max_depth": 3}, xgb.DMatrix(X, y), 3)
write("xgboost_booster", mlflow.xgboost, booster, X, lambda model, rows: model.predict(xgb.DMatrix(rows)))
write("xgboost_json", mlflow.xgboost, booster, X, lambda model, rows: model.predict(xgb.DMatrix(rows)),
      model_format="json")
# Trained on an array: the names are those of the signature.
write("xgboost_bare", mlflow.xgboost, xgb.XGBClassifier(n_estimators=3, max_depth=3).fit(X.to_numpy(), y), X,
      lambda model, rows: model.predict_proba(rows.to_numpy()))
light = lgb.LGBMClassifier(n_estimators=3, num_leaves=5, verbose=-1).fit(X, y)
write("lightgbm_booster", mlflow.lightgbm, light.booster_, X, lambda model, rows: model.predict(rows))
write("lightgbm_classifier", mlflow.lightgbm, light, X, proba)


def by_columns(model, rows):
    """The answers of an ONNX model with an input for each column."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    # skl2onnx writes `_` for a blank in a name.
    inputs = {one.name: column.to_numpy(object if "string" in one.type else "f4").reshape(-1, 1)
              for one, (_, column) in zip(session.get_inputs(), rows.items())}
    return session.run(None, inputs)[1]


# One tensor without names of columns: the names are those of the signature.
cat = catboost.CatBoostClassifier(iterations=3, depth=3, verbose=False, allow_writing_files=False).fit(X, y)
write("onnx_catboost", mlflow.onnx, catboost.utils.convert_to_onnx_object(cat), X,
      lambda model, rows: cat.predict_proba(rows))
kinds = [(name, StringTensorType([None, 1]) if name == "contract" else FloatTensorType([None, 1])) for name in words]
write("onnx_columns", mlflow.onnx, convert_sklearn(pipe, initial_types=kinds, options={"zipmap": False}), words,
      by_columns)
