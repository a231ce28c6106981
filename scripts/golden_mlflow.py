"""Golden folders of MLflow: one for each flavor, with rows and the answers of the models that MLflow loads from them.

Writes NAME/MLmodel, the model file that it names, and NAME.csv. The data are made up and seeded. Run with mlflow,
scikit-learn, xgboost, lightgbm and skops installed: python scripts/golden_mlflow.py src/model/importing/testdata
"""
import os
import shutil
import sys
import warnings

import lightgbm as lgb
import mlflow
import numpy as np
import pandas as pd
import xgboost as xgb
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")
OUT = sys.argv[1] if len(sys.argv) > 1 else "src/model/importing/testdata"
KEPT = {"MLmodel", "model.skops", "model.ubj", "model.json", "model.lgb"}
rng = np.random.default_rng(7)
X = pd.DataFrame({"tenure months": rng.integers(0, 72, 300).astype(float), "monthly": rng.normal(70, 20, 300).round(2),
                  "tickets": rng.poisson(1, 300)})
y = (X.monthly / 40 - X["tenure months"] / 30 + X.tickets + rng.normal(size=300) > 1).astype(int)
words = X.assign(contract=rng.choice(["Month-to-month", "One year's", "Zwei Jahre für 2"], 300))


def write(name, module, model, frame, ask, **more):
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
