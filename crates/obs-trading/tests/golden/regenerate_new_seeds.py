"""Regenerates new_seeds.json: what empyrical-reloaded, quantstats and ffn say of 500 curves and 300 lists of trades by seeds of their
own, which tests/golden.rs makes again.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python regenerate_new_seeds.py

Curves and lists are those of regenerate.py, from seed 70,000 on, or from SEED on where that is set: the test reads from which. A row of a curve holds, for empyrical, quantstats and ffn in turn, Sharpe,
Sortino, maximum drawdown and volatility, then growth a year and Calmar by empyrical. Risk-free rates may be below zero here.
"""

import json
import os
import pathlib
import warnings

import empyrical
import ffn
import numpy as np
import pandas as pd
import quantstats.stats as qs

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent
plain_script = (HERE / "regenerate.py").read_text().replace("\nmain()\n", "\n")
scope = {"__file__": str(HERE / "regenerate.py"), "__name__": "regenerate"}
exec(compile(plain_script, "regenerate.py", "exec"), scope)
curve, profits, lists, plain = (scope[name] for name in ["curve", "profits", "lists", "plain"])

FIRST_SEED = int(os.environ.get("SEED", 70_000))
PERIODS = [252, 365, 260]
YEARLY = [0.0, 0.035, -0.0075, 0.1]


def row(case):
    equity = curve(FIRST_SEED + case)
    days = pd.date_range("2024-01-01", periods=len(equity))
    periods, yearly = PERIODS[case % 3], YEARLY[case % 4]
    prices = pd.Series(equity, index=days)
    returns = prices.pct_change(fill_method=None).iloc[1:]
    rate = float(np.power(1 + yearly, 1.0 / periods) - 1.0)
    numbers = [
        empyrical.sharpe_ratio(returns, risk_free=rate, annualization=periods),
        empyrical.sortino_ratio(returns, required_return=rate, annualization=periods),
        empyrical.max_drawdown(returns),
        empyrical.annual_volatility(returns, annualization=periods),
        qs.sharpe(returns, rf=yearly, periods=periods),
        qs.sortino(returns, rf=yearly, periods=periods),
        qs.max_drawdown(returns),
        qs.volatility(returns, periods=periods, prepare_returns=False),
        ffn.calc_sharpe(returns, rf=yearly, nperiods=periods, annualize=True),
        ffn.calc_sortino_ratio(returns, rf=yearly, nperiods=periods, annualize=True),
        ffn.calc_max_drawdown(prices),
        returns.std(ddof=1) * np.sqrt(periods),
        empyrical.annual_return(returns, annualization=periods),
        empyrical.calmar_ratio(returns, annualization=periods),
    ]
    return [plain(number) for number in numbers]


def main():
    result = {
        "curves": [row(case) for case in range(500)],
        "trades": [lists(profits(FIRST_SEED + case)) for case in range(300)],
    }
    rows = [
        f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
        for key, value in result.items()
    ]
    rows.insert(0, f'"first_seed": {FIRST_SEED}')
    (HERE / "new_seeds.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


main()
