"""Data made here with a fixed seed: customers of a telephone company."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

ROWS, HOLDOUT = 4_000, 1_000
SEED = 20261126
UNSEEN = "R99"
TARGET, POSITIVE = "churned", "yes"
NUMBERS = ["tenure", "monthly", "total", "senior", "tickets", "balance"]
WORDS = ["contract", "internet", "payment", "region"]


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
    tiers = pd.Series(
        pd.cut(score, [-np.inf, -1, 1, np.inf], labels=["basic", "silver", "gold"]).astype(str), name="tier"
    )
    return Data(complete, holes, categories, target, tiers, amounts)


def with_unseen_words(holdout: pd.DataFrame) -> pd.DataFrame:
    """Some regions become one that training did not see."""
    holdout = holdout.astype({name: object for name in WORDS if name in holdout})
    if "region" in holdout:
        holdout.iloc[::25, holdout.columns.get_loc("region")] = UNSEEN
    return holdout
