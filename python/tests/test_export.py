"""Exports of fitted models, and their imports."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import serin
from catboost import CatBoostClassifier
from catboost import CatBoostRegressor
from serin import ExportError
from serin import export
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "tenure": random.integers(0, 72, 600).astype(float),
            "monthly fee": random.uniform(18, 119, 600).round(2),
            "contract": random.choice(["monthly", "yearly", "two years"], 600),
            "churned": random.choice(["no", "yes"], 600),
        }
    )
    frame.loc[::17, "monthly fee"] = np.nan
    return frame


@pytest.fixture(scope="session")
def fitted(customers):
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("numbers", SimpleImputer(), ["tenure", "monthly fee"]), ("words", words, ["contract"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(customers.drop(columns="churned"), customers.churned)


def test_a_model_is_exported_imported_and_compared_at_once(customers, fitted, tmp_path):
    done = export(fitted, customers, tmp_path / "churn.bin", target="churned", positive="yes")
    assert (done.model, done.command, done.rows) == (tmp_path / "churn.bin", None, 512)
    assert "512 rows" in str(done)
    with serin.Server(tmp_path) as server:
        answers = server.client.predict(customers.drop(columns="churned"))
        [model] = server.client.models()
    expected = fitted.predict_proba(customers)[:, 1]
    assert np.abs(answers.probability - expected).max() < 1e-9
    assert model.card["import"]["parity"]["rows"] == 512


def test_a_folder_gets_the_file_the_rows_and_the_command(customers, fitted, tmp_path):
    done = export(fitted, customers.drop(columns="churned"), tmp_path / "out", customers.churned, rows=100)
    rows = pd.read_csv(done.expected)
    assert list(rows.columns) == ["tenure", "monthly fee", "contract", "expected"]
    assert len(rows) == done.rows == 100
    assert rows["monthly fee"].isna().any(), "rows with missing values are among them"
    assert rows.tenure.max() == customers.tenure.max(), "so are the extremes"
    assert done.command[-6:-2] == ["--target", "churned", "--positive", "yes"]
    imported = subprocess.run([os.environ["SERIN_BINARY"], *done.command[1:]], capture_output=True, text=True)
    assert imported.returncode == 0, imported.stderr
    assert Path(done.command[-1]).is_file()


def test_boosters_are_exported_in_their_own_formats(customers, tmp_path):
    import lightgbm
    import xgboost

    frame = customers.drop(columns="churned").astype({"contract": "category"})
    target = (customers.churned == "yes").astype(int)
    light = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, target)
    extreme = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True).fit(frame, target)
    for name, model, file in [("light", light, "model.txt"), ("extreme", extreme, "model.ubj")]:
        done = export(model, frame, tmp_path / name)
        assert done.model.name == file
        export(model, frame, tmp_path / f"{name}.bin")
    with serin.Server(tmp_path, stable="light.bin") as server:
        answers = server.client.predict(frame)
        assert np.abs(answers.probability - light.predict_proba(frame)[:, 1]).max() < 1e-9


def test_a_fitted_model_is_served_and_another_deployed(customers, fitted):
    rows = customers.drop(columns="churned")
    forest = make_pipeline(fitted[0], RandomForestClassifier(5, random_state=1)).fit(rows, customers.churned)
    with serin.Server({"logistic": fitted}, X=rows) as server:
        assert server.client.status().stable.name == "logistic"
        effect = server.client.deploy(forest, rows, name="forest", traffic_percent=50)
        assert effect.canary.file == "forest.bin"
        server.client.rollback()
        assert server.client.deploy(forest, rows).canary.name == "Pipeline_1"
        server.client.rollback()
        before = (server.models / "logistic.bin").read_bytes()
        with pytest.raises(ValueError, match=r"the models folder has logistic\.bin already"):
            server.client.deploy(forest, rows, name="logistic")
        assert (server.models / "logistic.bin").read_bytes() == before
        with pytest.raises(ExportError, match="give them as X="):
            server.client.deploy(forest)
    with pytest.raises(serin.ServerError, match=r"another model has the file name logistic\.bin"):
        serin.Server({"logistic": fitted, "logistic.bin": forest}, X=rows).start()
    with pytest.raises(ExportError, match="logistic: a fitted Pipeline needs rows"):
        serin.Server({"logistic": fitted}).start()


def test_what_cannot_be_exported_is_an_error_with_a_remedy(customers, fitted, tmp_path):
    frame = customers[["tenure"]]
    cases = [
        (LogisticRegression(), frame, {}, "not fitted"),
        (RidgeClassifier().fit(frame, customers.churned), frame, {}, "CalibratedClassifierCV"),
        (object(), frame, {}, r"not a model of LightGBM(.|\n)*as ONNX(.|\n)*serin import model\.onnx"),
        ("churn.onnx", frame, {}, r"serin import churn\.onnx --expect expected\.csv"),
        (Path("churn.pkl"), frame, {}, r"python -m serin\.export churn\.pkl"),
        (CatBoostClassifier(), frame, {}, "CatBoostClassifier is not fitted"),
        ({"model": fitted}, frame, {}, "take the model out"),
        (fitted, frame, {}, "no column `monthly fee`"),
        (fitted, customers, {"positive": "yes"}, "name the target"),
        (fitted, customers, {"target": "churned", "positive": "no"}, "the first class"),
        (fitted, customers, {"target": "churned", "positive": "maybe"}, "has no value `maybe`"),
        (fitted, customers, {"rows": 0}, "rows: 0"),
        (
            LogisticRegression().fit(frame.rename(columns={"tenure": " tenure"}), customers.churned),
            frame.rename(columns={"tenure": " tenure"}),
            {},
            "column ` tenure`: blanks around a name are lost",
        ),
        (fitted, customers, {"y": [1, 2]}, "y: has no name"),
        (fitted, customers, {"y": [1, 2], "target": "gone"}, "2 labels for 600 rows"),
        (fitted, customers, {"y": customers.churned}, "has the column `churned` as well"),
    ]
    for model, data, options, said in cases:
        with pytest.raises(ExportError, match=said):
            export(model, data, tmp_path / "x", **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match="the folder .*none does not exist"):
        export(fitted, customers, tmp_path / "none" / "m.bin")


def test_many_classes_and_regressions_are_exported_and_answered(customers, tmp_path):
    rows = customers[["tenure", "monthly fee"]]
    classes = HistGradientBoostingClassifier(max_iter=5).fit(rows, customers.contract)
    regression = HistGradientBoostingRegressor(max_iter=5).fit(rows, customers.tenure * 2 - 70)
    with serin.Server({"contract": classes}, X=rows) as server:
        answers = server.client.predict(rows)
        names = [f"probability:{name}" for name in classes.classes_]
        assert np.abs(answers[names].to_numpy() - classes.predict_proba(rows)).max() < 1e-9
        assert list(answers.label) == list(classes.predict(rows))
        one = server.client.predict(rows.iloc[0])
        assert one.label == answers.label[0]
        assert one.probabilities[one.label] == max(one.probabilities.values())
        with pytest.raises(AttributeError, match="contract answers probabilities, not probability"):
            _ = one.probability
        with serin.Traffic(server.client, rows, per_second=100) as traffic:
            server.client.predict(rows)
        assert traffic.failed == 0
    with serin.Server({"fee": regression}, X=rows) as server:
        answers = server.client.predict(rows)
        assert np.abs(answers.score - regression.predict(rows)).max() < 1e-9
        assert "label" not in answers
        one = server.client.predict(rows.iloc[0])
        assert (one.score, one.label) == (answers.score[0], None)
    with pytest.raises(ExportError, match="only a model of two classes"):
        export(regression, customers, tmp_path / "x", target="tenure", positive="1")


def flagged(random: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """Rows with a flag, and what it decides."""
    frame = pd.DataFrame({"tenure": random.normal(size=300), "senior": random.random(300) < 0.5})
    return frame, (frame.tenure + 2 * frame.senior + random.normal(size=300) > 1).astype(int)


def test_flags_are_sent_as_they_were_exported():
    import lightgbm

    frame, target = flagged(np.random.default_rng(3))
    numbers = LogisticRegression().fit(frame, target)
    categories = frame.astype({"senior": "category"})
    words = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(categories, target)
    for model, rows in [(numbers, frame), (words, categories)]:
        expected = model.predict_proba(rows)[:, 1]
        with serin.Server({"flags": model}, X=rows) as server:
            client = server.client
            assert np.abs(client.predict(rows).probability - expected).max() < 1e-9
            for flag in (bool(frame.senior[0]), np.bool_(frame.senior[0])):
                row = {"tenure": frame.tenure[0], "senior": flag}
                for one in (row, pd.Series(row)):
                    assert abs(client.predict(one).probability - expected[0]) < 1e-9
                assert abs(client.predict([list(row.values())])[0].probability - expected[0]) < 1e-9
            with serin.Traffic(client, rows, per_second=200) as traffic:
                client.predict(rows.iloc[:1])
            assert (traffic.failed, traffic.errors) == (0, [])
    nullable = frame.astype({"senior": "boolean"})
    nullable.loc[0, "senior"] = pd.NA
    model = HistGradientBoostingClassifier(max_iter=5).fit(frame.astype(float), target)
    with serin.Server({"flags": model}, X=frame.astype(float), token="sixteen-letters-or-more") as server:
        answers = serin.Client(server.url, token="").predict(nullable)
        expected = model.predict_proba(nullable.astype("float64"))[:, 1]
        assert np.abs(answers.probability - expected).max() < 1e-9, "numbers also without the admin token"


def test_flags_follow_the_version_that_is_stable(tmp_path):
    import lightgbm

    frame, target = flagged(np.random.default_rng(3))
    categories = frame.astype({"senior": "category"})
    words = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(categories, target)
    client = serin.Client("http://127.0.0.1:9")
    # As it was known from a version that has been replaced.
    client._flags = {"tenure": False, "senior": False}
    with serin.Server({"flags": words}, X=categories) as server:
        server.client._flags = client._flags
        with pytest.raises(serin.ProblemError, match="expected a category"):
            server.client.predict(categories)
        assert len(server.client.predict(categories)) == 300


def test_a_marker_of_missing_values_that_is_a_category_is_a_word_and_pandas_types_are_understood(customers, tmp_path):
    import lightgbm
    import xgboost

    random = np.random.default_rng(5)
    words = random.choice(["None", "NA", "some words"], len(customers))
    numbers = pd.DataFrame({"in months": customers.tenure, "visits": pd.array(customers.index % 7, dtype="Int64")})
    numbers.loc[::5, "visits"] = pd.NA
    category = numbers.assign(
        plan=pd.Categorical(words),
        auto=pd.array(random.choice(np.array([True, False, None]), len(customers)), dtype="boolean"),
    )
    texts = customers[["tenure"]].assign(plan=pd.array(words, dtype="string"))
    target = (words == "None") ^ (random.random(len(customers)) < 0.2)
    encoded = ColumnTransformer([("words", OneHotEncoder(), ["plan"])], remainder="passthrough")
    light = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, min_data_per_group=5)
    extreme = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True)
    hist = HistGradientBoostingClassifier(max_iter=5)
    logistic = make_pipeline(encoded, LogisticRegression())
    for model, rows in [(light, category), (extreme, category), (hist, category), (logistic, texts)]:
        model.fit(rows, target.astype(int))
        done = export(model, rows, tmp_path / type(model).__name__)
        assert done.notes == [], done.notes
        with serin.Server({"words": model}, X=rows) as server:
            answers = server.client.predict(rows)
            assert list(server.client.models()[0].features) == list(rows.columns)
        assert np.abs(answers.probability - model.predict_proba(rows)[:, 1]).max() < 1e-6, type(model).__name__


def catboost(kind: type, **parameters: object) -> object:
    return kind(iterations=10, verbose=False, allow_writing_files=False, thread_count=1, **parameters)


def test_a_model_of_catboost_is_exported_as_onnx_and_served(customers, tmp_path):
    frame = customers[["tenure", "monthly fee"]]
    two = catboost(CatBoostClassifier).fit(frame, customers.churned)
    three = catboost(CatBoostClassifier).fit(frame.to_numpy(), customers.contract)
    regression = catboost(CatBoostRegressor).fit(frame, customers.tenure * 3 - 50)
    done = export(two, customers, tmp_path / "out", target="churned", positive="yes")
    assert done.model.name == "model.onnx"
    assert any(part.startswith("--onnxruntime=") for part in done.command)
    assert "a server needs it as well" in str(done)
    imported = subprocess.run([os.environ["SERIN_BINARY"], *done.command[1:]], capture_output=True, text=True)
    assert imported.returncode == 0, imported.stderr
    with serin.Server({"churn": two, "contract": three, "fee": regression}, X=frame) as server:
        answers = server.client.predict(frame)
        assert np.abs(answers.probability - two.predict_proba(frame)[:, 1]).max() < 1e-5
        assert [model.file for model in server.client.models()] == ["churn.bin", "contract.bin", "fee.bin"]
    with serin.Server({"contract": three}, X=frame) as server:
        answers = server.client.predict(frame.to_numpy())
        assert list(answers[0].probabilities) == list(three.classes_)
    with serin.Server({"fee": regression}, X=frame) as server:
        assert np.allclose(server.client.predict(frame).score, regression.predict(frame), atol=1e-4)


def test_a_server_that_began_without_a_model_in_onnx_takes_one_of_catboost_as_the_canary(customers, monkeypatch):
    monkeypatch.delenv("SERIN_ONNXRUNTIME", raising=False)
    rows = customers[["tenure", "monthly fee"]]
    model = catboost(CatBoostClassifier).fit(rows, customers.churned)
    other = HistGradientBoostingClassifier(max_iter=5).fit(rows, customers.churned)
    with serin.Server({"other": other}, X=rows, settings={"allow_track_header": True}) as server:
        server.client.deploy(model, rows, name="boosted", traffic_percent=50)
        answers = server.client.predict(rows, track="canary")
        assert set(answers.model_used) == {"canary"}
        assert np.abs(answers.probability - model.predict_proba(rows)[:, 1]).max() < 1e-5


def test_a_model_of_catboost_that_onnx_cannot_hold_is_refused(customers, tmp_path, monkeypatch):
    rows = customers[["tenure", "contract"]]
    words = catboost(CatBoostClassifier, cat_features=["contract"]).fit(rows, customers.churned)
    with pytest.raises(ExportError, match="numbers only as ONNX, and this one takes `contract`"):
        export(words, rows, tmp_path / "x.bin")
    flags = catboost(CatBoostClassifier).fit(rows[["tenure"]], customers.churned == "yes")
    with pytest.raises(ExportError, match="train with 0 and 1 or with words as labels"):
        export(flags, rows, tmp_path / "x.bin")
    numbers = catboost(CatBoostClassifier).fit(rows[["tenure"]], customers.churned)
    monkeypatch.setattr(sys.modules["serin.export.writing"], "find_onnxruntime", lambda: None)
    with pytest.raises(ExportError, match="pip install --upgrade onnxruntime"):
        export(numbers, rows, tmp_path / "x.bin")
    assert not list(tmp_path.iterdir())
    done = export(numbers, rows, tmp_path / "out")
    assert "pip install --upgrade onnxruntime" in str(done)
    assert not any("onnxruntime" in part for part in done.command)


def test_a_refused_import_is_an_error_and_writes_nothing(customers, tmp_path):
    # Requests and CSV files have no word with a blank around it, so no comparison could show that it is read.
    frame = customers[["tenure"]].assign(word=np.where(customers.index % 2, " x", "y"))
    words = ColumnTransformer([("words", OneHotEncoder(), ["word"])], remainder="passthrough")
    model = make_pipeline(words, LogisticRegression()).fit(frame, customers.index % 2 == 0)
    with pytest.raises(ExportError, match="` x` has blanks around it"):
        export(model, frame, tmp_path / "m.bin")
    assert not list(tmp_path.iterdir())


def test_the_command_line_writes_the_same_rows(customers, fitted, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(fitted))
    customers.to_csv(tmp_path / "data.csv", index=False, sep=";")
    export(fitted, customers, tmp_path / "here", target="churned")
    environment = {**os.environ, "PYTHONPATH": str(Path(serin.__file__).parent.parent)}
    command = [sys.executable, "-m", "serin.export", "model.pkl", "data.csv", "--target", "churned"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = run("-o", "there")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "serin import there/model.skops" in done.stdout
    assert (tmp_path / "there/expected.csv").read_text() == (tmp_path / "here/expected.csv").read_text()
    assert run("--positive", "yes", "-o", "m.bin").returncode == 0
    assert (tmp_path / "m.bin").is_file()
    failed = run("--positive", "maybe")
    assert (failed.returncode, failed.stderr.startswith("serin.export: positive:")) == (1, True)


def test_nothing_but_export_needs_pandas(tmp_path):
    code = (
        "import sys\n"
        "for name in ('pandas', 'numpy', 'sklearn', 'skops'): sys.modules[name] = None\n"
        "import serin, serin.testing\n"
        "with serin.Server() as server: print(server.client.predict([[0.5, 1.2, 0.8, 0.3, 1.1]])[0].label)\n"
        "try: serin.export(object(), [], 'x')\n"
        "except serin.ExportError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(serin.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "export needs pandas" in done.stdout


def test_an_array_without_names_is_exported(tmp_path):
    values = np.random.default_rng(3).normal(size=(200, 3))
    model = HistGradientBoostingClassifier(max_iter=5).fit(values, values[:, 0] > 0)
    export(model, values, tmp_path / "m.bin")
    with serin.Server(tmp_path) as server:
        answers = server.client.predict(values)
        assert [model.features for model in server.client.models()] == [["f0", "f1", "f2"]]
    assert np.abs([one.probability for one in answers] - model.predict_proba(values)[:, 1]).max() < 1e-9
