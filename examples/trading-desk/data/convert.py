#!/usr/bin/env python3
"""Writes sp500.csv and nasdaq.csv from the price files that the PyPI package `arch` ships.

    python3 -m venv venv && venv/bin/pip install arch==8.0.0 && venv/bin/python convert.py

Digits are copied as text, so no figure is rounded on the way. Only the date is rewritten
(M/D/YYYY to ISO 8601), and the column `Adj Close` is left out: an index pays no dividends and
knows no splits, and the column repeats `Close`; a row where it does not is an error.
"""

import csv
import gzip
from importlib.resources import files
from pathlib import Path

COLUMNS = ["Open", "High", "Low", "Close", "Volume"]


def iso(date: str) -> str:
    """1/4/1999 -> 1999-01-04"""
    month, day, year = date.split("/")
    return f"{year}-{int(month):02}-{int(day):02}"


def convert(name: str) -> None:
    source = files(f"arch.data.{name}") / f"{name}.csv.gz"
    target = Path(__file__).parent / f"{name}.csv"
    with gzip.open(source.open("rb"), "rt", newline="") as rows, target.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["date", *(column.lower() for column in COLUMNS)])
        for row in csv.DictReader(rows):
            if row["Adj Close"] != row["Close"]:
                raise SystemExit(f"{name} {row['Date']}: Adj Close differs from Close")
            writer.writerow([iso(row["Date"]), *(row[column] for column in COLUMNS)])


if __name__ == "__main__":
    for name in ("sp500", "nasdaq"):
        convert(name)
