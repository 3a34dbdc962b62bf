"""Regenerates costs.json: what pandas makes of the orders and mids that tests/costs.rs makes again.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python costs.py

Inputs are not stored: they come from SplitMix64 and IEEE operations only, as those of regenerate.py. A markout is the last mid at
or before the fill's time plus the horizon, `merge_asof(direction="backward")`, at most five seconds old.
"""

import json
import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
MASK = (1 << 64) - 1
SECOND = 1_000_000_000
ORDERS = 400
SPAN = 100 * SECOND
HORIZONS = {"1s": SECOND, "10s": 10 * SECOND, "1m": 60 * SECOND}
OLDEST = 5 * SECOND
QUANTITY = 10.0
MULTIPLIER = 50.0


class Random:
    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, limit):
        return self.next() % limit


def mids():
    random, at, rows = Random(1), 0, []
    mid = 100.0
    while at < (ORDERS + 2) * SPAN:
        # Now and then nothing is heard for longer than a mid may be old.
        at += random.below(2 * SECOND) + (8 * SECOND if random.below(10) == 0 else 0)
        mid = 100.0 + float(random.below(2_001)) / 100.0
        rows.append((at, mid))
    return pd.DataFrame(rows, columns=["at", "mid"]).drop_duplicates("at", keep="last")


def orders():
    random = Random(2)
    for number in range(ORDERS):
        start = number * SPAN + SPAN
        sign = 1.0 if random.below(2) == 0 else -1.0
        fills = []
        for k in range(random.below(4)):
            quantity = float(random.below(3) + 1)
            price = 100.0 + float(random.below(2_001)) / 100.0
            fills.append((start + (5 + 7 * k) * SECOND + random.below(SECOND), quantity, price))
        fee = float(random.below(100)) / 64.0
        yield start, sign, fills, fee


def last(frame, at):
    found = frame[frame["at"] <= at]
    return float(found["mid"].iloc[-1])


def directions(values):
    values = np.asarray([value for value in values if not np.isnan(value)])
    return {"adverse": float(values[values > 0].sum()), "favourable": float(-values[values < 0].sum())}


def main():
    market, all_orders = mids(), list(orders())
    closes = [number * 10 * SPAN + 50 * SECOND for number in range(1, ORDERS // 10)]
    rows = [(at, sign, quantity, price) for _, sign, fills, _ in all_orders for at, quantity, price in fills]
    fills = pd.DataFrame(rows, columns=["filled", "sign", "quantity", "price"])
    result = {"fills": len(fills), "markouts": {}, "shortfall": {}}
    for word, horizon in HORIZONS.items():
        due = fills.assign(at=fills["filled"] + horizon).sort_values("at")
        joined = pd.merge_asof(due, market.sort_values("at"), on="at", direction="backward", tolerance=OLDEST)
        crosses = np.array([any(f < c <= d for c in closes) for f, d in zip(joined["filled"], joined["at"])])
        measured = joined[joined["mid"].notna() & ~crosses]
        gained = measured["sign"] * (measured["mid"] - measured["price"])
        money = -gained * measured["quantity"] * MULTIPLIER
        result["markouts"][word] = {
            "bps": sorted((gained / measured["price"] * 1e4).tolist()),
            "closed": int(crosses.sum()),
            "stale": int((joined["mid"].isna() & ~crosses).sum()),
            **directions(money),
        }
    parts = {"delay": [], "execution": [], "opportunity": [], "fees": []}
    paper = []
    for start, sign, its_fills, fee in all_orders:
        decision, arrival, end = (last(market, start + s * SECOND) for s in (0, 2, 40))
        frame = pd.DataFrame(its_fills, columns=["at", "quantity", "price"], dtype=float)
        executed = frame["quantity"].sum()
        parts["delay"].append(sign * (arrival - decision) * executed * MULTIPLIER)
        parts["execution"].append(sign * (frame["quantity"] * (frame["price"] - arrival)).sum() * MULTIPLIER)
        parts["opportunity"].append(sign * (end - decision) * (QUANTITY - executed) * MULTIPLIER)
        parts["fees"].append(fee if its_fills else 0.0)
        paper.append(decision * QUANTITY * MULTIPLIER)
    for word, values in parts.items():
        bps = sorted((np.asarray(values) / np.asarray(paper) * 1e4).tolist())
        result["shortfall"][word] = {"bps": bps, **directions(values)}
    (HERE / "costs.json").write_text(json.dumps(result, indent=0) + "\n")


main()
