"""Writes tests/reference/training.csv and what scikit-learn learns from it, training.json; the same of three classes as
training_classes.csv and training_classes.json.

The data is made up here: numbers with blanks, words with blanks and rare levels, a target that depends on some of
them. Every fifth row is held out; the encoding is serin's: missing numbers become the mean, numbers are
standardized, words one-hot encoded, and a missing or unseen word is all zeros.

    .venv/bin/python scripts/reference_training.py
"""

import json
from pathlib import Path

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, log_loss
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

FOLDER = Path(__file__).parent.parent / "tests" / "reference"
ROWS = 600
LEVELS = {"plan": ["basic", "plus", "pro"], "region": ["north", "south", "east", "west", "abroad"]}


def made():
    """Names and columns of texts, and the target."""
    random = numpy.random.default_rng(12)
    age = random.integers(18, 90, ROWS)
    income = numpy.exp(random.normal(10, 0.5, ROWS)).round(2)
    visits = random.poisson(3, ROWS)
    plan = random.choice(3, ROWS, p=[0.5, 0.3, 0.2])
    region = random.choice(5, ROWS, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    odds = 0.04 * (age - 50) - 0.8 * (numpy.log(income) - 10) + 0.3 * (visits - 3)
    odds += numpy.array([0.5, 0.0, -1.0])[plan] + numpy.array([0, 0.3, -0.3, 0.8, 0])[region] - 0.6
    churned = random.random(ROWS) < 1 / (1 + numpy.exp(-odds))
    columns = {
        "age": [str(v) for v in age],
        "income": [repr(float(v)) for v in income],
        "visits": [str(v) for v in visits],
        "plan": [LEVELS["plan"][v] for v in plan],
        "region": [LEVELS["region"][v] for v in region],
    }
    for name, share in [("age", 0.1), ("income", 0.02), ("region", 0.05)]:
        blank = random.random(ROWS) < share
        columns[name] = ["" if b else v for v, b in zip(columns[name], blank)]
    return columns, churned


def encoded(columns, train):
    """The design matrix, its columns in serin's order, and the term of each: feature and level."""
    design, terms = [], []
    for name, values in columns.items():
        if name in LEVELS:
            seen = sorted({values[row] for row in train} - {""})
            design += [[float(value == level) for value in values] for level in seen]
            terms += [[name, level] for level in seen]
        else:
            numbers = numpy.array([float(value or "nan") for value in values])
            numbers[numpy.isnan(numbers)] = numpy.nanmean(numbers[train])
            design.append((numbers - numbers[train].mean()) / numbers[train].std())
            terms.append([name, None])
    return numpy.array(design).T, terms


def main():
    columns, churned = made()
    lines = [",".join([*columns, "churned"])]
    lines += [",".join([*row, "yes" if y else "no"]) for *row, y in zip(*columns.values(), churned)]
    (FOLDER / "training.csv").write_text("\n".join(lines) + "\n")
    train = [row for row in range(ROWS) if row % 5 != 4]
    test = [row for row in range(ROWS) if row % 5 == 4]
    x, terms = encoded(columns, train)
    fits = []
    for l2 in (1e-4, 0.1, 1.0, 30.0):
        model = LogisticRegression(C=1 / l2, tol=1e-12, max_iter=100_000, solver="newton-cholesky")
        model.fit(x[train], churned[train])
        p = model.predict_proba(x[test])[:, 1]
        fits.append({
            "l2": l2,
            "intercept": model.intercept_[0],
            "coefficients": model.coef_[0].tolist(),
            "probabilities": p.tolist(),
            "auc": roc_auc_score(churned[test], p),
            "log_loss": log_loss(churned[test], p),
            "brier": brier_score_loss(churned[test], p),
        })
    written = {"scikit_learn": sklearn.__version__, "terms": terms, "fits": fits}
    (FOLDER / "training.json").write_text(json.dumps(written, indent=1) + "\n")
    tiers = tiers_of(columns)
    lines = [",".join([*columns, "tier"])]
    lines += [",".join(row) for row in zip(*columns.values(), tiers)]
    (FOLDER / "training_classes.csv").write_text("\n".join(lines) + "\n")
    fits = [of_classes(x, tiers, train, test, l2) for l2 in (1e-4, 0.1, 1.0, 30.0)]
    written = {"scikit_learn": sklearn.__version__, "terms": terms, "fits": fits}
    (FOLDER / "training_classes.json").write_text(json.dumps(written, indent=1) + "\n")


def tiers_of(columns):
    """A class for each row: basic, silver or gold."""
    random = numpy.random.default_rng(21)
    number = lambda name, otherwise: numpy.array([float(value or otherwise) for value in columns[name]])
    age, income, visits = number("age", 50) - 50, numpy.log(number("income", 22_000)) - 10, number("visits", 3) - 3
    pro = numpy.array([value == "pro" for value in columns["plan"]])
    scores = numpy.stack([0.6 - 0.02 * age, 0.3 * visits, 1.5 * income + 1.2 * pro - 0.7], axis=1)
    places = (scores + random.gumbel(size=scores.shape)).argmax(axis=1)
    return numpy.array(["basic", "silver", "gold"])[places]


def of_classes(x, tiers, train, test, l2):
    """What scikit-learn learns of all classes. The intercepts are given the mean 0, which changes no probability."""
    model = LogisticRegression(C=1 / l2, tol=1e-12, max_iter=100_000, solver="newton-cholesky")
    model.fit(x[train], tiers[train])
    p = model.predict_proba(x[test])
    occurred = numpy.array([[tier == name for name in model.classes_] for tier in tiers[test]], dtype=float)
    predicted = model.classes_[p.argmax(axis=1)]
    precision, recall, _, rows = precision_recall_fscore_support(tiers[test], predicted, labels=model.classes_)
    return {
        "l2": l2,
        "classes": model.classes_.tolist(),
        "intercepts": (model.intercept_ - model.intercept_.mean()).tolist(),
        "coefficients": model.coef_.tolist(),
        "probabilities": p.tolist(),
        "log_loss": log_loss(tiers[test], p),
        "brier": ((p - occurred) ** 2).sum(axis=1).mean(),
        "accuracy": accuracy_score(tiers[test], predicted),
        "rows": rows.tolist(),
        "recall": recall.tolist(),
        "precision": precision.tolist(),
        "auc": [roc_auc_score(own, score) for own, score in zip(occurred.T, p.T)],
        "confusion": confusion_matrix(tiers[test], predicted, labels=model.classes_).tolist(),
    }


if __name__ == "__main__":
    main()
