"""Golden files: small models of every kind, their inputs, and the answers of the original library.

Writes rows.json (the data sets) and, for each kind, the model file and NAME.case.json with the data set, the columns,
and what the original answers for each row. The data are made up and seeded. Run with scikit-learn, xgboost, lightgbm,
skops and pandas installed: python scripts/golden_models.py src/model/kinds/testdata
"""
import json
import os
import sys
import warnings

import lightgbm as lgb
import numpy as np
import pandas as pd
import skops.io as sio
import xgboost as xgb
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier,
                              GradientBoostingRegressor, HistGradientBoostingClassifier,
                              HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.filterwarnings("ignore")
OUT = sys.argv[1] if len(sys.argv) > 1 else "src/model/kinds/testdata"
os.makedirs(OUT, exist_ok=True)
ROWS, TEST, TREES = 800, 60, 3
rng = np.random.default_rng(20261126)

tenure = rng.integers(0, 73, ROWS)
monthly = np.round(rng.uniform(18, 119, ROWS), 2)
contract = rng.choice(["Month-to-month", "One year", "Two year"], ROWS, p=[.55, .2, .25])
internet = rng.choice(["DSL", "Fiber optic", "No"], ROWS)
payment = rng.choice(["Bank transfer", "Credit card", "Electronic check", "Mailed check"], ROWS)
region = rng.choice([f"R{i:02d}" for i in range(40)], ROWS)
tickets = rng.poisson(0.8, ROWS)
senior = rng.integers(0, 2, ROWS)
balance = np.round(rng.normal(0, 1, ROWS), 4) * (rng.random(ROWS) > .3)
score = (1.4 * (contract == "Month-to-month") + .8 * (internet == "Fiber optic") - tenure / 40 + .3 * tickets
         + .5 * np.isin(region, ["R03", "R07", "R11", "R29", "R35"]) + balance + rng.logistic(size=ROWS) - .6)
frame = pd.DataFrame({
    "tenure": tenure.astype(float), "monthly": monthly, "total": np.round(tenure * monthly * 1.01, 2),
    "senior": senior.astype(float), "tickets": tickets.astype(float), "balance": balance,
    "contract": contract, "internet": internet, "payment": payment, "region": region})
NUMBERS = list(frame.columns[:6])
WORDS = list(frame.columns[6:])
churn = (score > 0).astype(int)
plan = np.digitize(score + rng.normal(0, .5, ROWS), [-1, 1])
spend = np.round(20 + 10 * np.abs(score) + monthly / 3 + rng.exponential(3, ROWS), 3)
visits = rng.poisson(np.exp(score / 4))

holes = frame.copy()
for column, share in [("monthly", .1), ("total", .15), ("balance", .1), ("region", .1), ("internet", .08)]:
    holes.loc[rng.random(ROWS) < share, column] = np.nan if column in NUMBERS else None
# Rows no training saw: extremes, zeros of all kinds, and values just around a rounded number.
edge = holes.iloc[:14].copy()
edge.loc[:, "balance"] = [0.0, -0.0, 1e-36, -1e-36, 1e-34, 1e30, -1e30, 29.85, np.float32(29.85), 5e-324,
                          16777217.0, .1, -.1, np.nan]
edge.loc[:, "monthly"] = [np.nan, 1e6, -5, 0, 29.85, 29.850000381469727, 29.849999999, 70, 70.00000000001, 1, 2, 3, 4, 5]


def test_rows(data):
    if data is SETS["strange"]:
        rows = test_rows(holes)
        for number, column in enumerate(WORDS):
            rows.loc[number::7, column] = "Never seen"
        return rows
    rows = pd.concat([data.iloc[ROWS - TEST:], edge[data.columns]], ignore_index=True)
    if not data[NUMBERS].isna().any().any():
        rows[NUMBERS] = rows[NUMBERS].fillna(0.0)
        for column in set(WORDS) & set(rows.columns):
            rows[column] = rows[column].fillna(frame[column].iloc[0])
    return rows


SETS = {"complete": frame[NUMBERS], "numbers": holes[NUMBERS], "words": frame, "holes": holes, "strange": holes.copy()}


def plain(value):
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else float(value)


# Names of cases to write; none: all.
ONLY = sys.argv[2:]


def save(name, kind, model, ask, data, tolerance=0.0, columns=None, raw=None, **more):
    if ONLY and name not in ONLY:
        return
    rows = test_rows(SETS[data])
    if columns:
        rows = rows[columns]
    path = f"{OUT}/{name}.{kind}"
    if kind == "txt":
        getattr(model, "booster_", model).save_model(path)
    elif kind in ("ubj", "json"):
        path = path.replace(".json", ".xgb.json")
        model.save_model(path)
    else:
        sio.dump(model, path)
    answers = np.asarray(ask(rows), dtype=np.float64)
    if answers.ndim == 2 and answers.shape[1] == 2:
        answers = answers[:, 1]
    answers = answers.reshape(len(rows), -1)
    case = {"file": os.path.basename(path), "rows": data, "columns": list(rows.columns),
            "tolerance": tolerance, "answers": answers.tolist(), **more}
    if raw is not None:
        case["scores"] = np.asarray(raw(rows), dtype=np.float64).reshape(len(rows), -1).tolist()
    with open(f"{OUT}/{name}.case.json", "w") as f:
        json.dump(case, f)
    print(f"{name:32} {os.path.getsize(path):8}")


with open(f"{OUT}/rows.json", "w") as f:
    json.dump({name: {"columns": list(data.columns),
                      "rows": [[plain(v) for v in row] for row in test_rows(data).itertuples(index=False)]}
               for name, data in SETS.items()}, f)


def categories(data):
    data = data.copy()
    for column in set(WORDS) & set(data.columns):
        data[column] = pd.Categorical(data[column], categories=sorted(frame[column].unique()))
    return data


TARGETS = {"binary": churn, "classes": plan, "spend": spend, "visits": visits}


def lightgbm():
    base = dict(n_estimators=TREES, num_leaves=12, verbose=-1, n_jobs=1, min_child_samples=5)
    cats = dict(min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=2)

    def one(name, model, target, data, cat=False, booster_params=None):
        X = categories(SETS[data]) if cat else SETS[data]
        model.fit(X, TARGETS[target])
        prepare = categories if cat else (lambda x: x)
        ask = getattr(model, "predict_proba", model.predict)
        save(name, "txt", model, lambda x: ask(prepare(x)), data, 0.0,
             raw=lambda x: model.predict(prepare(x), raw_score=True))
        return model

    C, R = lgb.LGBMClassifier, lgb.LGBMRegressor
    one("lgb_binary", C(**base), "binary", "complete")
    one("lgb_missing", C(**base), "binary", "numbers")
    one("lgb_zero_missing", C(**base, zero_as_missing=True), "binary", "numbers")
    one("lgb_no_missing", C(**base, use_missing=False), "binary", "numbers")
    one("lgb_sigmoid", C(**base, sigmoid=1.7, is_unbalance=True), "binary", "numbers")
    one("lgb_categories", C(**base, **cats), "binary", "holes", True)
    one("lgb_multiclass", C(**base, **cats), "classes", "holes", True)
    one("lgb_multiclassova", C(**base, objective="multiclassova"), "classes", "numbers")
    one("lgb_regression", R(**base, **cats), "spend", "holes", True)
    one("lgb_poisson", R(**base, objective="poisson"), "visits", "numbers")
    one("lgb_gamma", R(**base, objective="gamma"), "spend", "numbers")
    one("lgb_sqrt", R(**base, reg_sqrt=True), "spend", "numbers")
    one("lgb_quantile", R(**base, objective="quantile", alpha=.8), "spend", "numbers")
    one("lgb_rf", C(**base, boosting_type="rf", bagging_freq=1, bagging_fraction=.7), "binary", "numbers")
    one("lgb_dart", C(**base, boosting_type="dart"), "binary", "numbers")
    one("lgb_xentropy", R(**base, objective="cross_entropy"), "binary", "numbers")
    one("lgb_tiny", C(**{**base, "min_child_samples": 500}), "binary", "numbers")
    linear = C(**base, linear_tree=True).fit(SETS["complete"], churn)
    linear.booster_.save_model(f"{OUT}/refused_linear.txt")
    wrapped = C(**base, **cats)
    wrapped.set_params(n_estimators=60, learning_rate=.5)
    X = categories(holes)
    wrapped.fit(X.iloc[:400], churn[:400], eval_set=[(X.iloc[400:], churn[400:])],
                callbacks=[lgb.early_stopping(3, verbose=False)])
    save("skops_lightgbm", "skops", wrapped, lambda x: wrapped.predict_proba(categories(x)), "holes", 0.0)


def xgboost():
    base = dict(n_estimators=TREES, max_depth=4, n_jobs=1)

    def one(name, model, target, data, cat=False, kind="ubj", tolerance=1e-7, fit=None):
        X = categories(SETS[data]) if cat else SETS[data]
        prepare = categories if cat else (lambda x: x)
        model.fit(X, TARGETS[target], **(fit or {}))
        ask = getattr(model, "predict_proba", model.predict)
        save(name, kind, model, lambda x: ask(prepare(x)), data, tolerance,
             raw=lambda x: model.predict(prepare(x), output_margin=True))
        return model

    C, R = xgb.XGBClassifier, xgb.XGBRegressor
    one("xgb_binary", C(**base), "binary", "complete")
    one("xgb_missing", C(**base), "binary", "numbers", kind="json")
    one("xgb_categories", C(**base, enable_categorical=True), "binary", "holes", True)
    one("xgb_categories_json", C(**base, enable_categorical=True, max_cat_to_onehot=30), "binary", "holes", True,
        kind="json")
    one("xgb_multiclass", C(**base, enable_categorical=True), "classes", "holes", True)
    one("xgb_regression", R(**base), "spend", "numbers", kind="json", tolerance=0.0)
    one("xgb_absolute", R(**base, objective="reg:absoluteerror"), "spend", "numbers", tolerance=0.0)
    one("xgb_poisson", R(**base, objective="count:poisson"), "visits", "numbers", tolerance=1e-6)
    one("xgb_gamma", R(**base, objective="reg:gamma"), "spend", "numbers", tolerance=1e-5)
    one("xgb_tweedie", R(**base, objective="reg:tweedie"), "spend", "numbers", tolerance=1e-5)
    one("xgb_logitraw", C(**base, objective="binary:logitraw"), "binary", "numbers") if False else None
    one("xgb_base_score", C(**base, base_score=.2), "binary", "numbers", kind="json")
    one("xgb_dart", C(**base, booster="dart", rate_drop=.3, random_state=3), "binary", "numbers")
    one("xgb_dart_multiclass", C(**base, booster="dart", rate_drop=.3, random_state=3), "classes", "numbers", kind="json")
    one("xgb_forest", xgb.XGBRFClassifier(**base), "binary", "numbers")
    one("xgb_lossguide", C(**base, grow_policy="lossguide", max_leaves=9, tree_method="hist"), "binary", "numbers")
    one("xgb_exact", C(**base, tree_method="exact", gamma=2.0), "binary", "numbers")
    X = SETS["numbers"]
    one("xgb_early_stop", C(**{**base, "n_estimators": 60}, early_stopping_rounds=3, learning_rate=.6), "binary",
        "numbers", fit=dict(eval_set=[(X.iloc[::2], churn[::2])], verbose=False))
    m = C(**{**base, "n_estimators": 60}, early_stopping_rounds=3, learning_rate=.6)
    m.fit(X.iloc[:400], churn[:400], eval_set=[(X.iloc[400:], churn[400:])], verbose=False)
    save("xgb_early_stop2", "ubj", m, m.predict_proba, "numbers", 1e-7,
         raw=lambda x: m.predict(x, output_margin=True))
    d = xgb.DMatrix(X.to_numpy(), churn)
    b = xgb.train({"objective": "binary:logistic", "max_depth": 3}, d, TREES)
    save("xgb_bare", "json", b, lambda x: b.predict(xgb.DMatrix(x.to_numpy())), "numbers", 1e-7,
         raw=lambda x: b.predict(xgb.DMatrix(x.to_numpy()), output_margin=True), bare=True)
    b = xgb.train({"objective": "binary:logistic", "booster": "gblinear"}, xgb.DMatrix(SETS["complete"], churn), 3)
    b.save_model(f"{OUT}/refused_gblinear.xgb.json")
    wrapped = C(**base, enable_categorical=True).fit(categories(holes), churn)
    save("skops_xgboost", "skops", wrapped, lambda x: wrapped.predict_proba(categories(x)), "holes", 1e-7)


def forests():
    def one(name, model, target, data, tolerance=0.0, columns=None):
        X = SETS[data]
        X = X[columns] if columns else X
        model.fit(X, TARGETS[target])
        ask = getattr(model, "predict_proba", model.predict)
        save(name, "skops", model, ask, data, tolerance, columns)

    def bare(name, model, target, data):
        X = SETS[data].to_numpy()
        model.fit(X, TARGETS[target])
        ask = getattr(model, "predict_proba", model.predict)
        save(name, "skops", model, lambda x: ask(x.to_numpy()), data, 0.0, bare=True)

    seed = dict(random_state=5)
    few = dict(n_estimators=TREES, **seed)
    one("sk_tree", DecisionTreeClassifier(max_depth=6, **seed), "binary", "numbers")
    one("sk_tree_classes", DecisionTreeClassifier(max_depth=6, **seed), "classes", "complete")
    one("sk_tree_regression", DecisionTreeRegressor(max_depth=6, **seed), "spend", "numbers")
    one("sk_forest", RandomForestClassifier(max_depth=6, **few), "binary", "numbers")
    bare("sk_forest_bare", RandomForestClassifier(max_depth=6, **few), "binary", "complete")
    one("sk_forest_classes", RandomForestClassifier(max_depth=6, class_weight="balanced", **few), "classes", "complete")
    one("sk_forest_regression", RandomForestRegressor(max_depth=6, **few), "spend", "numbers")
    one("sk_extra", ExtraTreesClassifier(max_depth=6, **few), "binary", "numbers")
    one("sk_extra_regression", ExtraTreesRegressor(max_depth=6, **few), "spend", "complete")
    one("sk_boosting", GradientBoostingClassifier(**few), "binary", "complete")
    one("sk_boosting_exponential", GradientBoostingClassifier(loss="exponential", **few), "binary", "complete", 1e-15)
    one("sk_boosting_zero", GradientBoostingClassifier(init="zero", **few), "binary", "complete")
    one("sk_boosting_classes", GradientBoostingClassifier(**few), "classes", "complete", 1e-15)
    one("sk_boosting_regression", GradientBoostingRegressor(**few), "spend", "complete")
    one("sk_boosting_huber", GradientBoostingRegressor(loss="huber", **few), "spend", "complete")
    hist = dict(max_iter=TREES, **seed)
    one("sk_hist", HistGradientBoostingClassifier(**hist), "binary", "numbers")
    one("sk_hist_classes", HistGradientBoostingClassifier(**hist), "classes", "numbers", 1e-15)
    one("sk_hist_regression", HistGradientBoostingRegressor(**hist), "spend", "numbers")
    one("sk_hist_poisson", HistGradientBoostingRegressor(loss="poisson", **hist), "visits", "numbers", 1e-14)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", **hist).fit(categories(holes), churn)
    save("sk_hist_categories", "skops", model, lambda x: model.predict_proba(categories(x)), "holes")
    labeled = RandomForestClassifier(max_depth=4, **few).fit(SETS["complete"], np.where(churn, "Yes", "No"))
    save("sk_forest_labels", "skops", labeled, labeled.predict_proba, "complete")

    one("sk_logistic", LogisticRegression(max_iter=2000), "binary", "complete", 1e-15)
    one("sk_logistic_classes", LogisticRegression(max_iter=2000), "classes", "complete", 1e-14)
    one("sk_sgd", make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", **seed)), "binary", "complete", 1e-15)
    one("sk_ridge", Ridge(), "spend", "complete", 1e-12)
    one("sk_linear", LinearRegression(), "spend", "complete", 1e-12)
    for name, model, tolerance in [
        ("logistic", LogisticRegression(max_iter=500), 1e-14), ("forest", RandomForestClassifier(max_depth=6, **few), 0.0),
        ("boosting", GradientBoostingClassifier(**few), 0.0),
    ]:
        columns = ColumnTransformer([
            ("num", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("cat", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), WORDS)])
        one(f"sk_pipe_{name}", Pipeline([("prep", columns), ("model", model)]), "binary", "holes", tolerance)
    columns = ColumnTransformer([
        ("a", MinMaxScaler(), ["tenure", "monthly"]), ("b", RobustScaler(), ["total"]),
        ("c", "passthrough", ["senior"]), ("d", "drop", ["tickets"]),
        ("e", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["region"]),
        ("f", OneHotEncoder(drop="if_binary", sparse_output=False), ["contract", "internet"]),
        ("g", SimpleImputer(add_indicator=True), ["balance"])], remainder="drop")
    one("sk_pipe_mixed", Pipeline([("prep", columns), ("model", RandomForestClassifier(max_depth=5, **few))]), "binary",
        "words", 0.0)
    columns = ColumnTransformer([
        ("cat", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20), ["region", "payment"]),
        ("ord", OrdinalEncoder(), ["contract"])], remainder=StandardScaler())
    one("sk_pipe_remainder", Pipeline([("prep", columns), ("model", LogisticRegression(max_iter=500))]), "binary", "holes",
        1e-14, NUMBERS[:1] + ["senior"] + ["region", "payment", "contract"])


def nested():
    model = make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=300)))
    model.fit(SETS["complete"], churn)
    save("sk_pipe_nested", "skops", model, model.predict_proba, "complete", 1e-14)


def coefficients():
    """Linear models as serin.model/v1 (docs/models.md), written as any tool would write them."""
    def write(name, model, features, data, ask, tolerance):
        path = f"{OUT}/{name}.json"
        with open(path, "w") as f:
            json.dump({"format": "serin.model/v1", **model, "features": features}, f, indent=1)
        rows = test_rows(SETS[data])
        answers = np.asarray(ask(rows), dtype=np.float64)
        answers = answers[:, 1] if answers.ndim == 2 else answers
        case = {"file": os.path.basename(path), "rows": data, "columns": list(rows.columns),
                "tolerance": tolerance, "answers": answers.reshape(len(rows), -1).tolist()}
        with open(f"{OUT}/{name}.case.json", "w") as f:
            json.dump(case, f)
        print(f"{name:32} {os.path.getsize(path):8}")

    names = ["tenure", "monthly", "total", "balance"]
    codes = ["senior", "tickets"]
    pipe = Pipeline([("prep", ColumnTransformer([
        ("n", make_pipeline(SimpleImputer(), StandardScaler()), names),
        ("c", OneHotEncoder(handle_unknown="ignore"), codes + WORDS)])), ("model", LogisticRegression(max_iter=500))])
    train = holes.copy()
    train[WORDS] = frame[WORDS]
    pipe.fit(train, churn)
    (_, numbers, _), (_, hot, _) = pipe["prep"].transformers_[:2]
    weights = iter(pipe["model"].coef_[0].tolist())
    features = {name: {"name": name, "kind": "number", "coefficient": next(weights), "mean": mean, "scale": scale,
                       "missing": fill}
                for name, mean, scale, fill in zip(names, numbers[1].mean_.tolist(), numbers[1].scale_.tolist(),
                                                   numbers[0].statistics_.tolist())}
    for name, levels in zip(codes + WORDS, hot.categories_):
        features[name] = {"name": name, "kind": "category", "levels": levels.tolist(),
                          "coefficients": [next(weights) for _ in levels]}
    write("coefficients_logistic",
          {"model": "logistic_regression", "intercept": float(pipe["model"].intercept_[0]), "threshold": .35},
          [features[name] for name in frame.columns], "strange", pipe.predict_proba, 1e-12)
    line = LinearRegression().fit(SETS["complete"], spend)
    write("coefficients_linear", {"model": "linear_regression", "intercept": float(line.intercept_)},
          [{"name": name, "kind": "number", "coefficient": weight}
           for name, weight in zip(NUMBERS, line.coef_.tolist())], "complete", line.predict, 1e-12)


def extra():
    few = dict(n_estimators=TREES, random_state=5)
    X = categories(holes)
    model = lgb.LGBMClassifier(n_estimators=TREES, num_leaves=12, verbose=-1, n_jobs=1, min_data_per_group=5).fit(X, churn)
    save("lgb_strange", "txt", model, lambda x: model.predict_proba(categories(x)), "strange")
    model = HistGradientBoostingClassifier(max_iter=TREES, random_state=5, categorical_features="from_dtype").fit(X, churn)
    save("sk_hist_strange", "skops", model, lambda x: model.predict_proba(categories(x)), "strange")
    model = HistGradientBoostingClassifier(max_iter=TREES, random_state=5, categorical_features=["senior", "tickets"])
    model.fit(SETS["numbers"], plan)
    save("sk_hist_codes", "skops", model, model.predict_proba, "numbers", 1e-15)

    def pipe(name, columns, model, data, tolerance=0.0, target=churn, train=holes):
        model = Pipeline([("prep", columns), ("model", model)]).fit(train, target)
        ask = getattr(model, "predict_proba", model.predict)
        save(name, "skops", model, ask, data, tolerance)

    numbers = make_pipeline(SimpleImputer(strategy="mean", add_indicator=True), RobustScaler(unit_variance=True))
    hot = lambda **more: OneHotEncoder(**more)
    pipe("sk_pipe_strange", ColumnTransformer([("n", numbers, NUMBERS), ("w", hot(handle_unknown="ignore"), WORDS)]),
         GradientBoostingClassifier(**few), "strange")
    pipe("sk_pipe_infrequent", ColumnTransformer([
        ("n", numbers, NUMBERS), ("w", hot(handle_unknown="infrequent_if_exist", min_frequency=25, drop="first"), WORDS)]),
        ExtraTreesClassifier(max_depth=6, **few), "strange")
    pipe("sk_pipe_ordinal", ColumnTransformer([
        ("n", MinMaxScaler(clip=True), NUMBERS),
        ("w", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7, encoded_missing_value=-3), WORDS)]),
        DecisionTreeClassifier(max_depth=7, random_state=1), "strange")
    pipe("sk_pipe_constant", ColumnTransformer([
        ("n", SimpleImputer(strategy="constant", fill_value=-1), NUMBERS),
        ("w", make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), hot(handle_unknown="ignore")), WORDS)],
        sparse_threshold=0), RandomForestRegressor(max_depth=6, **few), "strange", 0.0, spend)
    pipe("sk_pipe_codes", ColumnTransformer([("c", hot(handle_unknown="ignore"), ["senior", "tickets"])],
                                            remainder="drop"), LogisticRegression(solver="liblinear"), "holes", 1e-15)
    pipe("sk_pipe_lightgbm", ColumnTransformer([("n", numbers, NUMBERS), ("w", hot(handle_unknown="ignore"), WORDS)],
                                               sparse_threshold=0),
         lgb.LGBMClassifier(n_estimators=TREES, num_leaves=12, verbose=-1, n_jobs=1), "strange")
    pipe("sk_pipe_xgboost", ColumnTransformer([("n", "passthrough", NUMBERS), ("w", hot(handle_unknown="ignore"), WORDS)],
                                              sparse_threshold=0),
         xgb.XGBClassifier(n_estimators=TREES, max_depth=4, n_jobs=1), "strange", 1e-7)
    pipe("sk_pipe_sgd_classes", ColumnTransformer([("n", numbers, NUMBERS), ("w", hot(handle_unknown="ignore"), WORDS)]),
         SGDClassifier(loss="log_loss", random_state=1), "strange", 1e-14, plan)
    # A scaler keeps its mean even if it does not subtract it.
    pipe("sk_pipe_uncentered", ColumnTransformer([
        ("n", make_pipeline("passthrough", SimpleImputer(), StandardScaler(with_mean=False)), NUMBERS),
        ("w", make_pipeline(hot(handle_unknown="ignore"), StandardScaler(with_mean=False)), WORDS)]),
         LogisticRegression(max_iter=300), "strange", 1e-14)
    model = Pipeline([("nothing", "passthrough"), ("model", LogisticRegression(max_iter=300))])
    model.fit(SETS["complete"], churn)
    save("sk_pipe_passthrough", "skops", model, model.predict_proba, "complete", 1e-14)


lightgbm()
xgboost()
forests()
extra()
nested()
coefficients()
