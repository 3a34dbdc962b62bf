"""Prints the sessions that two libraries give for the markets of obs-calendar: name, day, opening and closing in UTC."""

import warnings

warnings.filterwarnings("ignore")

import exchange_calendars
import pandas_market_calendars

LAST = "2027-12-31"


def show(name, sessions):
    for day, opening, closing in sessions.itertuples():
        moments = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (opening, closing))
        print(name, day.strftime("%Y-%m-%d"), *moments, sep=",")


for name, first in (("XNYS", "1999-01-01"), ("CMES", "2016-01-01")):
    calendar = exchange_calendars.get_calendar(name, start=first)
    show("exchange_calendars " + name, calendar.schedule[["open", "close"]])

for name, first in (
    ("NYSE", "1999-01-01"),
    ("CME Globex Equity", "2016-01-01"),
    ("CMEGlobex_FX", "2016-01-01"),
    ("CME Globex Interest Rate Products", "2016-01-01"),
    ("CMEGlobex_EnergyAndMetals", "2016-01-01"),
    ("CME_TradeDate", "2016-01-01"),
):
    schedule = pandas_market_calendars.get_calendar(name).schedule(first, LAST)
    show("pandas_market_calendars " + name, schedule[["market_open", "market_close"]])
