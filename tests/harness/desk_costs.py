"""What pandas makes of a desk's own executions: markouts and shortfall.

Reads JSON on standard input and prints JSON. A markout takes the last mid at or before the execution's time plus the horizon,
`merge_asof(direction="backward")`, at most `oldest` old. Times are nanoseconds since 1970.
"""

import json
import sys

import pandas as pd

given = json.load(sys.stdin)
mids = pd.DataFrame(given["mids"], columns=["symbol", "at", "mid"]).sort_values("at", kind="stable")


def last_mid(rows, time, tolerance=None):
    """The last mid of each row's symbol at or before its time."""
    rows = rows.assign(due=rows[time]).sort_values("due", kind="stable")
    return pd.merge_asof(
        rows, mids, left_on="due", right_on="at", by="symbol", direction="backward", tolerance=tolerance, suffixes=("", "_mid")
    )


def markouts():
    columns = ["strategy", "symbol", "liquidity", "sign", "quantity", "price", "filled"]
    executions = pd.DataFrame(given["executions"], columns=columns)
    for horizon, nanoseconds in given["horizons"].items():
        followed = executions.assign(until=executions.filled + nanoseconds)
        # What is due later waits when the replay ends.
        followed = last_mid(followed[followed.until <= given["end"]], "until", given["oldest"])
        for (strategy, liquidity), rows in followed.groupby(["strategy", "liquidity"]):
            measured = rows[rows.mid.notna()]
            gained = measured.sign * (measured.mid - measured.price)
            yield {
                "strategy": strategy,
                "liquidity": liquidity,
                "horizon": horizon,
                "bps": sorted(gained / measured.price * 10_000.0),
                "money": float((gained * measured.quantity).sum()),
                "unmeasured": int(rows.mid.isna().sum()),
            }


def shortfall():
    columns = ["strategy", "symbol", "sign", "ordered", "filled", "price", "decided", "submitted", "ended", "fees"]
    orders = pd.DataFrame(given["orders"], columns=columns)
    orders = last_mid(orders, "submitted").rename(columns={"mid": "arrival"}).drop(columns=["at"])
    orders = last_mid(orders, "ended").rename(columns={"mid": "end"})
    left = orders.ordered - orders.filled
    parts = {
        "delay": orders.sign * (orders.arrival - orders.decided) * orders.filled,
        "execution": orders.sign * (orders.price - orders.arrival) * orders.filled,
        "opportunity": orders.sign * (orders.end - orders.decided) * left,
        "fees": orders.fees,
    }
    for component, money in parts.items():
        for strategy, sum_of in money.groupby(orders.strategy).sum().items():
            yield {"strategy": strategy, "component": component, "money": float(sum_of)}


json.dump({"markouts": list(markouts()), "shortfall": list(shortfall())}, sys.stdout)
