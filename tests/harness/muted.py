"""Holds an interval of Alertmanager, from standard input, to the sessions given with it, or to those of the NYSE by exchange_calendars.

Prints how many moments were asked about, and each at which the interval says something else than the calendar: muted but from five
minutes before an open until the close.
"""

import datetime
import sys
import warnings
from zoneinfo import ZoneInfo

warnings.filterwarnings("ignore")

import exchange_calendars
import yaml

# The first day that the intervals list is the 1st of January, where the market is.
FIRST, LAST = datetime.date(2026, 1, 2), datetime.date(2027, 10, 31)
LEAD = datetime.timedelta(minutes=5)
MINUTE = datetime.timedelta(minutes=1)
UTC = datetime.timezone.utc
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def minutes(clock):
    hours, rest = clock.split(":")
    return int(hours) * 60 + int(rest)


def covers(interval, moment):
    """Whether one entry of an interval contains a moment, as Alertmanager's documentation defines it."""
    local = moment.astimezone(ZoneInfo(interval.get("location", "UTC")))
    minute = local.hour * 60 + local.minute
    times = interval.get("times", [{"start_time": "00:00", "end_time": "24:00"}])
    return (
        any(minutes(time["start_time"]) <= minute < minutes(time["end_time"]) for time in times)
        and DAYS[local.weekday()] in interval.get("weekdays", DAYS)
        and str(local.year) in interval.get("years", [str(local.year)])
        and str(local.month) in interval.get("months", [str(local.month)])
        and str(local.day) in interval.get("days_of_month", [str(local.day)])
    )


def of_the_nyse():
    schedule = exchange_calendars.get_calendar("XNYS", start=FIRST).schedule.loc[str(FIRST) : str(LAST)]
    return [(row.open.to_pydatetime(), row.close.to_pydatetime()) for row in schedule.itertuples()]


asked = yaml.safe_load(sys.stdin)
(interval,) = asked["time_intervals"]
sessions = [tuple(session) for session in asked["sessions"]] if "sessions" in asked else of_the_nyse()

moments = set()
for opening, closing in sessions:
    near = {opening - LEAD - MINUTE, opening - LEAD, opening, closing - MINUTE, closing}
    moments |= {moment for moment in near if FIRST <= moment.date() <= LAST}
moment = datetime.datetime.combine(FIRST, datetime.time(), UTC)
while moment.date() <= LAST:
    moments.add(moment)
    moment += datetime.timedelta(minutes=30)

at = 0
for moment in sorted(moments):
    while at < len(sessions) and sessions[at][1] <= moment:
        at += 1
    is_open = at < len(sessions) and sessions[at][0] - LEAD <= moment
    is_muted = any(covers(entry, moment) for entry in interval["time_intervals"])
    if is_muted == is_open:
        print(moment.isoformat(), "muted" if is_muted else "not muted", sep=",")
print("asked", len(moments), len(sessions), sep=",")
