"""Regenerates reference.json: what empyrical-reloaded and quantstats say of the inputs that tests/golden.rs makes again.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python regenerate.py

Inputs are not stored. Random ones come from SplitMix64 and IEEE additions and multiplications only, so that this script and
the test make the same numbers to the last bit; real ones are the closes in examples/trading-desk/data.
"""

import json
import math
import pathlib
import warnings

import empyrical
import numpy as np
import pandas as pd
import quantstats.stats as qs

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[3] / "examples" / "trading-desk" / "data"
MASK = (1 << 64) - 1
CASES = 1000
FIRST_DAY = "2024-01-01"
# Conventions in turn: periods per year, yearly risk-free rate.
PERIODS = [252, 365]
YEARLY = [0.0, 0.02, 0.05]


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

    def unit(self):
        return (self.next() >> 11) / float(1 << 53)

    def normal(self):
        """Nearly: the sum of twelve uniform numbers."""
        total = 0.0
        for _ in range(12):
            total += self.unit()
        return total - 6.0


def curve(seed):
    """Equity at the end of each day, the first being the start."""
    random = Random(seed)
    days = 3 + random.below(400)
    drift = (random.unit() - 0.4) * 0.002
    spread = 0.001 + random.unit() * 0.03
    equity = [10_000.0 + random.unit() * 1e6]
    for _ in range(days):
        equity.append(equity[-1] * (1.0 + (drift + spread * random.normal())))
    return equity


def profits(seed):
    """P/L of trades; about one in sixteen breaks even."""
    random = Random(1_000_000 + seed)
    trades = 1 + random.below(300)
    lean = random.unit() - 0.5
    size = 1.0 + random.unit() * 10_000.0
    return [
        0.0 if random.unit() < 0.0625 else size * (lean + random.normal())
        for _ in range(trades)
    ]


def plain(number):
    """JSON has no NaN and no infinity: they are written as text."""
    number = float(number)
    return number if math.isfinite(number) else str(number)


def ratios(equity, days, periods, yearly):
    """Sharpe, Sortino and maximum drawdown by both; the longest recovery and the open drawdown's age in days, by the drawdown
    series of quantstats."""
    equity = pd.Series(equity, index=days)
    returns = equity.pct_change(fill_method=None).iloc[1:]
    # As quantstats takes a yearly rate apart.
    rate = float(np.power(1 + yearly, 1.0 / periods) - 1.0)
    result = [
        empyrical.sharpe_ratio(returns, risk_free=rate, annualization=periods),
        empyrical.sortino_ratio(returns, required_return=rate, annualization=periods),
        empyrical.max_drawdown(returns),
    ]
    try:
        result += [
            qs.sharpe(returns, rf=yearly, periods=periods),
            qs.sortino(returns, rf=yearly, periods=periods),
            qs.max_drawdown(returns),
        ]
        fallen = list(qs.to_drawdown_series(returns) < -1e-12)
    except Exception:  # quantstats refuses what is empty
        result += [math.nan] * 3
        fallen = [False] * len(returns)
    # The first event is the first day's mark; until then the starting equity stood.
    longest, peak, was_fallen = 0, days[1], False
    for day, is_fallen in zip(days[1:], fallen):
        if not is_fallen:
            if was_fallen:
                longest = max(longest, (day - peak).days)
            peak = day
        was_fallen = is_fallen
    age = (days[-1] - peak).days if fallen[-1] else 0
    return [plain(number) for number in result] + [longest, age]


def lists(pnl):
    """What quantstats says of a list of P/L: win rate, average win and loss, profit factor, best, worst, consecutive wins and
    losses."""
    series = pd.Series(pnl, index=pd.date_range(FIRST_DAY, periods=len(pnl)), dtype=float)
    return [
        plain(function(series, prepare_returns=False))
        for function in [
            qs.win_rate,
            qs.avg_win,
            qs.avg_loss,
            qs.profit_factor,
            qs.best,
            qs.worst,
            qs.consecutive_wins,
            qs.consecutive_losses,
        ]
    ]


def random_curve(case):
    equity = curve(case)
    days = pd.date_range(FIRST_DAY, periods=len(equity))
    return ratios(equity, days, PERIODS[case % 2], YEARLY[case % 3])


def market(name):
    """The closes on the days the exchange was open, and on all weekdays, where a holiday keeps the close before."""
    bars = pd.read_csv(DATA / f"{name}.csv", parse_dates=["date"]).set_index("date")["close"]
    weekdays = bars.reindex(pd.bdate_range(bars.index[0], bars.index[-1])).ffill()
    return {
        "open_days": ratios(bars.to_numpy(), bars.index, 252, 0.03),
        "weekdays": ratios(weekdays.to_numpy(), weekdays.index, 252, 0.03),
    }


# Each is a curve of daily equity, 252 periods, no risk-free rate.
EDGES = {
    "one_day": [100.0, 101.0],
    "flat": [100.0] * 10,
    "constant_returns": [100.0 * 1.01**k for k in range(50)],
    "no_losing_day": [100.0, 101.0, 101.5, 103.0, 103.1],
    "no_winning_day": [100.0, 99.0, 98.5, 96.0],
    "total_loss": [100.0, 80.0, 0.0],
    "after_total_loss": [100.0, 80.0, 0.0, 0.0, 10.0],
    "negative_equity": [100.0, 50.0, -20.0],
    "after_negative_equity": [100.0, 50.0, -20.0, -10.0, 30.0],
    "gap": [100.0, 110.0, math.nan, 99.0, 104.0],
    "gap_filled": [100.0, 110.0, 110.0, 99.0, 104.0],
}
TRADE_EDGES = {
    "no_losses": [10.0, 5.0],
    "no_wins": [-10.0, -5.0],
    "one_trade": [10.0],
    "break_even": [0.0],
    "break_even_between": [10.0, 0.0, 10.0, -5.0, 0.0, -5.0],
}


def main():
    result = {
        "curves": [random_curve(case) for case in range(CASES)],
        "trades": [lists(profits(case)) for case in range(CASES)],
        "markets": {name: market(name) for name in ["sp500", "nasdaq"]},
        "edges": {
            name: ratios(equity, pd.date_range(FIRST_DAY, periods=len(equity)), 252, 0.0)
            for name, equity in EDGES.items()
        },
        "trade_edges": {name: lists(pnl) for name, pnl in TRADE_EDGES.items()},
    }
    rows = [
        f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
        if isinstance(value, list)
        else f"{json.dumps(key)}: " + json.dumps(value, indent=1)
        for key, value in result.items()
    ]
    (HERE / "reference.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


main()
