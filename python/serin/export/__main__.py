"""`python -m serin.export MODEL DATA`: exports a model from its file and data in a CSV file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import ROWS
from . import ExportError


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m serin.export",
        description="Write a trained model for serin, and compare the answers. Loading a pickle runs the code in it: "
        "give only files that you trust.",
        epilog="example: python -m serin.export churn.pkl customers.csv --target Churn --positive Yes "
        "-o models/churn.bin",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="pickle, joblib or cloudpickle file, .skops, LightGBM's text, or XGBoost's .json, .ubj or binary",
    )
    parser.add_argument(
        "data", metavar="DATA", type=Path, help="CSV file with the model's inputs; other columns are ignored"
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="PATH",
        type=Path,
        default=Path("."),
        help="model file for serin, which ends in .bin; or a folder for the library's file and expected.csv, which "
        "serin import takes (default: this folder)",
    )
    parser.add_argument("--target", metavar="COL", help="column that the model predicts")
    parser.add_argument(
        "--positive", metavar="VALUE", help="value of the target that the model gives the probability of"
    )
    parser.add_argument(
        "--rows", metavar="N", type=int, default=ROWS, help="most rows to compare (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    args = arguments()
    try:
        from .files import load_model
        from .files import read_data
        from .rows import as_frame
        from .writing import describe
        from .writing import write_original
    except ImportError as cause:
        print(f"serin.export: needs pandas, in the Python environment of the model: {cause}", file=sys.stderr)
        return 1
    try:
        original = describe(load_model(args.model))
        data = as_frame(read_data(args.data, original, args.target))
        print(write_original(original, data, args.out, args.target, args.positive, args.rows))
    except (ExportError, OSError) as problem:
        print(f"serin.export: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
