"""Golden ONNX files: small models, and what the original library answers for the rows of the other golden files.

Writes NAME.onnx and NAME.case.json: the data set of rows.json, the columns, the names where the file has none, and
the original's answers. The data are made up and seeded. Run with the packages of scripts/requirements.txt:
python scripts/golden_onnx.py src/model/kinds/onnx/testdata src/model/kinds/testdata/rows.json
"""
import json
import os
import sys
import warnings

import numpy as np
import onnx
import pandas as pd
from catboost import CatBoostClassifier
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")
OUT, ROWS = sys.argv[1:3]
os.makedirs(OUT, exist_ok=True)
N = 800
rng = np.random.default_rng(20261126)
with open(ROWS) as f:
    SETS = {name: pd.DataFrame(rows["rows"], columns=rows["columns"]) for name, rows in json.load(f).items()}

tenure = rng.integers(0, 73, N)
monthly = np.round(rng.uniform(18, 119, N), 2)
frame = pd.DataFrame({
    "tenure": tenure.astype(float), "monthly": monthly, "total": np.round(tenure * monthly * 1.01, 2),
    "senior": rng.integers(0, 2, N).astype(float), "tickets": rng.poisson(0.8, N).astype(float),
    "balance": np.round(rng.normal(0, 1, N), 4),
    "contract": rng.choice(["Month-to-month", "One year", "Two year"], N, p=[.55, .2, .25]),
    "internet": rng.choice(["DSL", "Fiber optic", "No"], N),
    "payment": rng.choice(["Bank transfer", "Credit card", "Electronic check", "Mailed check"], N)})
NUMBERS, WORDS = list(frame.columns[:6]), list(frame.columns[6:])
score = (1.4 * (frame.contract == "Month-to-month") + .8 * (frame.internet == "Fiber optic") - tenure / 40
         + .3 * frame.tickets + frame.balance + rng.logistic(size=N) - .6)
churn = (score > 0).astype(int)
plan = np.digitize(score + rng.normal(0, .5, N), [-1, 1])


def save(name, model, answers, rows, columns, bare=False, tolerance=1e-5):
    path = f"{OUT}/{name}.onnx"
    if isinstance(model, str):
        path = model
    else:
        onnx.save(model, path)
    answers = np.asarray(answers, dtype=np.float64)
    answers = answers[:, 1:] if answers.ndim == 2 and answers.shape[1] == 2 else answers.reshape(len(answers), -1)
    with open(f"{OUT}/{name}.case.json", "w") as f:
        json.dump({"file": os.path.basename(path), "rows": rows, "columns": columns, "bare": bare,
                   "tolerance": tolerance, "answers": answers.tolist()}, f)
    print(f"{name:28} {os.path.getsize(path):8}")


def pipeline(last):
    parts = [("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(handle_unknown="ignore"), WORDS)]
    return make_pipeline(ColumnTransformer(parts), last)


def mixed():
    numbers = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    return numbers + [(name, StringTensorType([None, 1])) for name in WORDS]


X, complete = frame[NUMBERS + WORDS], SETS["complete"]

model = pipeline(LogisticRegression(max_iter=2000)).fit(X, churn)
known = SETS["words"][NUMBERS + WORDS]
# One column per input, words as they are, probabilities as a list of maps: the defaults of skl2onnx.
save("pipeline", to_onnx(model, initial_types=mixed()), model.predict_proba(known), "words", NUMBERS + WORDS)
save("pipeline_tensor", to_onnx(model, initial_types=mixed(), options={"zipmap": False}),
     model.predict_proba(known), "words", NUMBERS + WORDS)
bare = LogisticRegression(max_iter=5000).fit(frame[NUMBERS].to_numpy(), churn)
save("logistic", to_onnx(bare, initial_types=[("X", FloatTensorType([None, 6]))]),
     bare.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)
save("logistic_double", to_onnx(bare, initial_types=[("X", DoubleTensorType([None, 6]))], options={"zipmap": False}),
     bare.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)
labels = LogisticRegression(max_iter=5000).fit(frame[NUMBERS].to_numpy(), np.where(churn, "yes", "no"))
save("logistic_words", to_onnx(labels, initial_types=[("X", FloatTensorType([None, 6]))]),
     labels.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)
three = LogisticRegression(max_iter=5000).fit(frame[NUMBERS].to_numpy(), plan)
save("classes", to_onnx(three, initial_types=[("X", FloatTensorType([None, 6]))], options={"zipmap": False}),
     three.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)
linear = LinearRegression().fit(frame[NUMBERS].to_numpy(), score)
save("regression", to_onnx(linear, initial_types=[("X", FloatTensorType([None, 6]))]),
     linear.predict(complete.to_numpy()), "complete", NUMBERS, True, 1e-4)
# Thresholds in single precision, behind a scaler: rows next to one go the other way. The training has neighbors of the
# rows on both sides, so that some thresholds are in the middle, at the rows themselves.
forest = make_pipeline(StandardScaler(), RandomForestClassifier(5, max_depth=9, random_state=1))
rows = complete.iloc[:12]
near = pd.concat([rows - .01, rows + .01, frame[NUMBERS].iloc[:300]])
forest.fit(near.to_numpy(), np.concatenate([np.repeat([0, 1], len(rows)), churn[:300]]))
save("forest", to_onnx(forest, initial_types=[("X", FloatTensorType([None, 6]))]),
     forest.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)

cat = CatBoostClassifier(iterations=8, depth=4, verbose=False, allow_writing_files=False, random_seed=1)
cat.fit(frame[NUMBERS].to_numpy(), churn)
cat.save_model(f"{OUT}/catboost.onnx", format="onnx")
save("catboost", f"{OUT}/catboost.onnx", cat.predict_proba(complete.to_numpy()), "complete", NUMBERS, True)

# A network as PyTorch and Keras write it: Gemm, Relu, Sigmoid, one output.
scaler = StandardScaler().fit(frame[NUMBERS])
network = MLPClassifier((16, 8), max_iter=300, random_state=1).fit(scaler.transform(frame[NUMBERS]), churn)
weights = [scaler.mean_, 1 / scaler.scale_]
nodes = [helper.make_node("Sub", ["input", "mean"], ["c"]), helper.make_node("Mul", ["c", "rate"], ["x0"])]
tensors = [numpy_helper.from_array(weights[0].astype(np.float32), "mean"),
           numpy_helper.from_array(weights[1].astype(np.float32), "rate")]
for layer, (w, b) in enumerate(zip(network.coefs_, network.intercepts_)):
    last = layer == len(network.coefs_) - 1
    tensors += [numpy_helper.from_array(w.T.astype(np.float32).copy(), f"w{layer}"),
                numpy_helper.from_array(b.astype(np.float32), f"b{layer}")]
    nodes.append(helper.make_node("Gemm", [f"x{layer}", f"w{layer}", f"b{layer}"], [f"g{layer}"], transB=1,
                                  name=f"/layers.{2 * layer}/Gemm"))
    nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"g{layer}"],
                                  ["output" if last else f"x{layer + 1}"]))
graph = helper.make_graph(
    nodes, "main_graph", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 6])],
    [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1])], tensors)
net = helper.make_model(graph, producer_name="pytorch", opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
save("network", net, network.predict_proba(scaler.transform(complete)), "complete", NUMBERS, True, 1e-4)

# An endless loop, which is valid ONNX.
body = helper.make_graph(
    [helper.make_node("Identity", ["more"], ["again"]), helper.make_node("Identity", ["v"], ["w"])], "body",
    [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("more", TensorProto.BOOL, []),
     helper.make_tensor_value_info("v", TensorProto.FLOAT, [None, 1])],
    [helper.make_tensor_value_info("again", TensorProto.BOOL, []),
     helper.make_tensor_value_info("w", TensorProto.FLOAT, [None, 1])])
one = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])]
loop = helper.make_graph([helper.make_node("Loop", ["", "yes", "x"], ["p"], body=body, name="forever")], "g", one,
                         [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
                         [numpy_helper.from_array(np.array(True), "yes")])
onnx.save(helper.make_model(loop, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), f"{OUT}/refused_loop.onnx")
