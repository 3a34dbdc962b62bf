//! The margin level of an account from day to day, the deficits that its transactions make, and the events of the last days that made it
//! so, by which one that is reported late is put where its day belongs.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::civil::Date;
use obs_calendar::Calendar;
use serde::{Deserialize, Serialize};

use super::{IntradayMarginRule, MarginCadence};
use crate::seen::Identity;
use crate::{Currency, Decimal};

/// The state of [`IntradayMargin`](crate::IntradayMargin) as it can be kept across a restart. Rule and calendar are not part of it: they are stated anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedIntradayMargin {
    pub(super) currency: Option<Currency>,
    pub(super) equity: Option<Decimal>,
    /// Equity less maintenance margin.
    pub(super) level: Option<Decimal>,
    /// Deposits less withdrawals, since the account is followed.
    deposits: Decimal,
    pub(super) day: Option<Day>,
    pub(super) deficits: Vec<IntradayDeficit>,
    /// The days of deficits that were not satisfied when due, and count toward a practice.
    failures: Vec<Date>,
    pub(super) frozen: Option<Freeze>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<Box<Recent>>,
}

/// The day under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) deficit: Decimal,
    /// The second of the last event, what the level was before it, and by how much transactions in it lowered the level.
    second: i64,
    before: Decimal,
    lowered: Decimal,
    /// The lowest level of the day, for transactions that are reported late.
    lowest: Decimal,
    /// By how much all transactions of the day changed the level, and the lowest that sum was after one that lowered it.
    changed: Decimal,
    lowest_changed: Option<Decimal>,
}

/// The intraday deficit of a day that is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntradayDeficit {
    /// The day.
    pub day: Date,
    /// How much was missing, in the account's currency.
    pub amount: Decimal,
    /// Whether it makes no practice: it was small, or from extraordinary circumstances.
    pub is_excused: bool,
    /// Level and deposits when the day was over.
    level: Decimal,
    deposits: Decimal,
    is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Freeze {
    pub(super) until: Date,
    /// The day of the deficit that satisfies it.
    deficit: Date,
}

/// The events of the last days, and what the account was before them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recent {
    before: SavedIntradayMargin,
    /// By day, and within a day as reported.
    events: VecDeque<Event>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) what: What,
    /// By which it can be corrected and taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Identity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// Figures were stated; of several that follow each other the last, and the lowest level among them.
    Observed {
        equity: Decimal,
        level: Decimal,
        lowest: Decimal,
    },
    /// The level was changed, and so much of it was paid in.
    Changed { change: Decimal, paid: Decimal },
    /// The deficits of a day make no practice.
    Excused(Date),
}

/// Why an event cannot be taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    OutOfOrder {
        date: Date,
        last: Date,
    },
    /// The level would be no number by this.
    NoNumber(Decimal),
}

/// What is needed to book an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) rule: IntradayMarginRule,
    pub(super) calendar: &'a Calendar,
}

/// For so many days, and so many events, late reports are taken, as by cash accounts.
const KEPT_DAYS: i64 = 5;
const KEPT_EVENTS: usize = 10_000;

/// How events are taken. One that is refused changes nothing. What is returned are the days on which a deficit came to be.
impl SavedIntradayMargin {
    pub(super) fn in_currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// Takes an event: at the end, or, if it comes late, where its day belongs, from where all that follows is taken again.
    pub(super) fn take(&mut self, event: Event, terms: Terms<'_>) -> Result<Vec<Date>, Refused> {
        let date = terms.calendar.day(event.at);
        if let Some(day) = self.day.filter(|day| date < day.date) {
            return self.take_late(event, date, day.date, terms);
        }
        if self.recent.is_none() {
            let before = self.clone();
            let events = VecDeque::new();
            self.recent = Some(Box::new(Recent { before, events }));
        }
        let violated = self.book(&event, terms)?;
        self.keep(event, terms);
        Ok(violated)
    }

    fn take_late(
        &mut self,
        event: Event,
        date: Date,
        last: Date,
        terms: Terms<'_>,
    ) -> Result<Vec<Date>, Refused> {
        let is_within = add_days(date, KEPT_DAYS) >= last;
        let recent = self.recent.as_ref().filter(|recent| {
            let is_kept = recent.before.day.is_none_or(|first| first.date <= date);
            is_within && is_kept && recent.events.len() < KEPT_EVENTS
        });
        let Some(recent) = recent else {
            return Err(Refused::OutOfOrder { date, last });
        };
        let mut events = recent.events.clone();
        put(&mut events, event, terms);
        self.retake(events, terms)
    }

    /// Takes back the event of an identity, or puts another in its place; nothing where none is known.
    pub(super) fn revise(
        &mut self,
        id: Identity,
        by: Option<Event>,
        terms: Terms<'_>,
    ) -> Option<Result<Vec<Date>, Refused>> {
        let recent = self.recent.as_ref()?;
        let place = recent
            .events
            .iter()
            .rposition(|event| event.id == Some(id))?;
        let mut events = recent.events.clone();
        let day = |event: &Event| terms.calendar.day(event.at);
        match by {
            Some(event) if day(&event) == day(&events[place]) => events[place] = event,
            by => {
                events.remove(place);
                if let Some(event) = by {
                    put(&mut events, event, terms);
                }
            }
        }
        Some(self.retake(events, terms))
    }

    /// Takes these events in the place of those that are kept.
    fn retake(&mut self, events: VecDeque<Event>, terms: Terms<'_>) -> Result<Vec<Date>, Refused> {
        let Some(recent) = &self.recent else {
            return Ok(Vec::new());
        };
        let (_, before) = recent.before.replay(&recent.events, terms)?;
        let (mut replayed, mut violated) = recent.before.replay(&events, terms)?;
        if let Some(day) = self.day {
            // It is as late as it was, though the last event may be gone.
            violated.extend(replayed.begin(day.date, day.second, terms));
        }
        violated.retain(|day| !before.contains(day));
        let before = recent.before.clone();
        replayed.recent = Some(Box::new(Recent { before, events }));
        *self = replayed;
        Ok(violated)
    }

    /// What follows from this and events.
    fn replay(
        &self,
        events: &VecDeque<Event>,
        terms: Terms<'_>,
    ) -> Result<(Self, Vec<Date>), Refused> {
        let (mut state, mut violated) = (self.clone(), Vec::new());
        for event in events {
            violated.extend(state.book(event, terms)?);
        }
        Ok((state, violated))
    }

    /// Keeps an event, and forgets those that are too old for late reports, but for what came of them.
    fn keep(&mut self, event: Event, terms: Terms<'_>) {
        let last = terms.calendar.day(event.at);
        let Some(recent) = &mut self.recent else {
            return;
        };
        if !recent.joins(&event, terms) {
            recent.events.push_back(event);
        }
        let is_old = |event: &Event| add_days(terms.calendar.day(event.at), KEPT_DAYS) < last;
        while recent.events.len() > KEPT_EVENTS || recent.events.front().is_some_and(is_old) {
            if let Some(oldest) = recent.events.pop_front() {
                // It was booked before, in the same order.
                let _ = recent.before.book(&oldest, terms);
            }
        }
    }

    /// Says that the deficits of a day make no practice.
    pub(super) fn excuse(&mut self, day: Date, terms: Terms<'_>) {
        let second = self.day.map(|day| day.second);
        let at = second.and_then(|second| Timestamp::from_second(second).ok());
        self.pardon(day);
        if let Some(at) = at {
            let what = What::Excused(day);
            self.keep(Event { at, what, id: None }, terms);
        }
    }

    fn pardon(&mut self, day: Date) {
        let of_day = |deficit: &&mut IntradayDeficit| deficit.day == day;
        for deficit in self.deficits.iter_mut().filter(of_day) {
            deficit.is_excused = true;
        }
        self.failures.retain(|failure| *failure != day);
        self.frozen = self.frozen.filter(|freeze| freeze.deficit != day);
    }

    /// Books an event of the last day or a later one.
    fn book(&mut self, event: &Event, terms: Terms<'_>) -> Result<Vec<Date>, Refused> {
        match event.what {
            What::Observed {
                equity,
                level,
                lowest,
            } => {
                let violated = self.advance(event.at, terms);
                self.observe(equity, level, lowest);
                Ok(violated)
            }
            What::Changed { change, paid } => self.change(event.at, change, paid, terms),
            What::Excused(day) => {
                self.pardon(day);
                Ok(Vec::new())
            }
        }
    }

    fn observe(&mut self, equity: Decimal, level: Decimal, lowest: Decimal) {
        let before = self.level.unwrap_or_default();
        let was_known = self.equity.is_some();
        self.equity = Some(equity);
        self.level = Some(level);
        if let Some(day) = &mut self.day {
            // As if the figures had been these all through the second.
            day.before = day.before + level - before;
            day.lowest = if was_known {
                day.lowest.min(lowest)
            } else {
                lowest
            };
        }
    }

    fn change(
        &mut self,
        at: Timestamp,
        change: Decimal,
        paid: Decimal,
        terms: Terms<'_>,
    ) -> Result<Vec<Date>, Refused> {
        let before = self.level.unwrap_or_default();
        let level = before
            .checked_add(change)
            .ok_or(Refused::NoNumber(change))?;
        let mut violated = self.advance(at, terms);
        self.deposits += paid;
        self.equity = self.equity.map(|equity| equity + paid);
        self.level = Some(level);
        let is_known = self.equity.is_some();
        let cadence = terms.rule.cadence;
        let Some(day) = &mut self.day else {
            return Ok(violated);
        };
        let had = day.deficit;
        let second = at.as_second();
        let is_late = second < day.second;
        if second > day.second {
            (day.second, day.before, day.lowered) = (second, before, Decimal::ZERO);
        }
        day.changed += change;
        if change.is_negative() {
            day.lowered += change;
            // Within a second, what lowers the level comes before what raises it; what is reported late comes at the day's lowest.
            let worst = if is_late {
                day.lowest + change
            } else {
                day.before + day.lowered
            };
            let worst_change = day.changed + worst - level;
            let lowest = day.lowest_changed.unwrap_or(worst_change);
            day.lowest_changed = Some(lowest.min(worst_change));
            if is_known && cadence == MarginCadence::EachTransaction {
                day.deficit = day.deficit.max(worst.negated());
            }
        }
        day.lowest = day.lowest.min(level);
        if had.is_zero() && day.deficit.is_positive() {
            violated.push(day.date);
        }
        Ok(violated)
    }

    /// Moves on to the day of a moment; the days before it are over. An earlier one changes nothing.
    pub(super) fn advance(&mut self, at: Timestamp, terms: Terms<'_>) -> Vec<Date> {
        self.begin(terms.calendar.day(at), at.as_second(), terms)
    }

    fn begin(&mut self, date: Date, second: i64, terms: Terms<'_>) -> Vec<Date> {
        let mut violated = Vec::new();
        match self.day {
            Some(day) if date <= day.date => return violated,
            Some(day) => violated.extend(self.close(day, terms)),
            None => {}
        }
        self.judge(date, terms);
        let level = self.level.unwrap_or_default();
        self.day = Some(Day {
            date,
            deficit: Decimal::ZERO,
            second,
            before: level,
            lowered: Decimal::ZERO,
            lowest: level,
            changed: Decimal::ZERO,
            lowest_changed: None,
        });
        violated
    }

    /// A day is over: its deficit becomes outstanding, and earlier ones may be satisfied. Returns it where a broker who computes once a day
    /// finds a deficit.
    fn close(&mut self, day: Day, terms: Terms<'_>) -> Option<Date> {
        let (rule, calendar) = (terms.rule, terms.calendar);
        let (level, deposits) = (self.level.unwrap_or_default(), self.deposits);
        self.deficits.retain(|deficit| {
            let risen = (level - deficit.level).max(deposits - deficit.deposits);
            risen < deficit.amount
        });
        let outstanding = &self.deficits;
        self.frozen = self.frozen.filter(|freeze| {
            let is_open = |deficit: &IntradayDeficit| deficit.day == freeze.deficit;
            // After the fifteenth business day it cannot be satisfied any more.
            outstanding.iter().any(is_open)
                || calendar.after(freeze.deficit, rule.outstanding_days) <= day.date
        });
        let (amount, is_found) = match (rule.cadence, day.lowest_changed) {
            (MarginCadence::OnceADay, Some(lowest)) if self.equity.is_some() => {
                let amount = (level - day.changed + lowest).negated().max(Decimal::ZERO);
                (amount, amount.is_positive())
            }
            _ => (day.deficit, false),
        };
        if amount.is_positive() {
            self.deficits.push(IntradayDeficit {
                day: day.date,
                amount,
                is_excused: amount <= self.minor(rule),
                level,
                deposits,
                is_late: false,
            });
        }
        is_found.then_some(day.date)
    }

    /// What is due before a day and not satisfied counts toward a practice, and what was outstanding long enough goes.
    fn judge(&mut self, date: Date, terms: Terms<'_>) {
        let (rule, calendar) = (terms.rule, terms.calendar);
        for deficit in &mut self.deficits {
            let due = calendar.after(deficit.day, rule.due_days);
            if date <= due || deficit.is_late || deficit.is_excused {
                continue;
            }
            deficit.is_late = true;
            self.failures.push(deficit.day);
            let since = add_days(deficit.day, -i64::from(rule.practice_days));
            self.failures.retain(|failure| *failure >= since);
            if self.failures.len() >= rule.practice as usize {
                let until = add_days(due, i64::from(rule.freeze_days));
                let deficit = deficit.day;
                self.frozen = Some(Freeze { until, deficit });
            }
        }
        self.deficits
            .retain(|deficit| date <= calendar.after(deficit.day, rule.outstanding_days));
        self.frozen = self.frozen.filter(|freeze| date <= freeze.until);
    }

    /// Up to this amount a deficit makes no practice.
    fn minor(&self, rule: IntradayMarginRule) -> Decimal {
        let equity = self.equity.unwrap_or_default().max(Decimal::ZERO);
        let share = Decimal::of_float(equity.to_f64() * rule.minor_share);
        share.min(Decimal::of_float(rule.minor_amount))
    }
}

impl Recent {
    /// Figures that follow others of their day take their place: prices come by the second, and all that counts of them is the last
    /// figure, and the lowest.
    fn joins(&mut self, event: &Event, terms: Terms<'_>) -> bool {
        let day = |at| terms.calendar.day(at);
        let Some(last) = self.events.back_mut() else {
            return false;
        };
        match (&mut last.what, event.what) {
            (
                What::Observed {
                    equity,
                    level,
                    lowest,
                },
                What::Observed {
                    equity: equity_now,
                    level: level_now,
                    lowest: lowest_now,
                },
            ) if day(last.at) == day(event.at) => {
                (*equity, *level) = (equity_now, level_now);
                *lowest = (*lowest).min(lowest_now);
                true
            }
            _ => false,
        }
    }
}

/// Puts an event after the others of its day.
fn put(events: &mut VecDeque<Event>, event: Event, terms: Terms<'_>) {
    let date = terms.calendar.day(event.at);
    let place = events.partition_point(|kept| terms.calendar.day(kept.at) <= date);
    events.insert(place, event);
}

/// At the ends of the calendar adding stops.
fn add_days(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().days(days))
}
