//! Trading calendars: when a market is open, to which day a moment belongs, and when a trade settles.
//!
//! ```
//! use jiff::civil::date;
//! use obs_calendar::{Calendar, CmeGroup};
//!
//! let nyse = Calendar::nyse();
//! assert!(!nyse.is_open("2026-11-26T15:00Z".parse()?));                        // Thanksgiving
//! assert_eq!(nyse.next_open("2026-11-25T21:00Z".parse()?), Some("2026-11-27T14:30Z".parse()?));
//! assert_eq!(nyse.next_close("2026-11-27T15:00Z".parse()?), Some("2026-11-27T18:00Z".parse()?)); // 13:00 in New York
//!
//! // Sunday evening in Chicago belongs to Monday.
//! let futures = Calendar::cme(CmeGroup::EquityIndex);
//! let sunday = "2026-11-29T18:00-06:00".parse()?;
//! assert!(futures.is_open(sunday));
//! assert_eq!(futures.trade_date(sunday), Some(date(2026, 11, 30)));
//!
//! // Exchanges trade on Columbus Day, and nothing settles on it.
//! let settlement = Calendar::us_settlement();
//! assert!(nyse.is_trading_day(date(2026, 10, 12)));
//! assert_eq!(settlement.after(date(2026, 10, 9), 1), date(2026, 10, 13));
//! # Ok::<(), jiff::Error>(())
//! ```
//!
//! # Days
//!
//! - A **session** is a stretch of time in which the market trades. Each belongs to the day on which it closes: one that opens on
//!   Sunday evening and closes on Monday afternoon is Monday's.
//! - A **trading day** is one with a session and a closing of its own: the days on which a ledger has a return. On some holidays
//!   CME trades until noon and counts that toward the next trading day: there is a session, but no trading day.
//! - The **day** of a moment ([`Calendar::day`]) begins at midnight in the market's time zone, or where the next day's session opens
//!   before midnight, when it opens.
//!
//! # Where the days come from
//!
//! Regular holidays are rules: Good Friday by the date of Easter, Independence Day observed on Friday when it falls on a Saturday,
//! Juneteenth since 2022. What no rule foresees (11 September 2001, hurricanes, days of mourning) is a table with the reasons;
//! [`Calendar::exception`] gives them. An exchange publishes its days a few years ahead: those are
//! [final](Certainty::Final), earlier and later ones [provisional](Certainty::Provisional), by the same rules.
//! [`Calendar::ending`] warns 60 days before the last final day.
//!
//! Tests compare every day with `exchange_calendars`, `pandas_market_calendars` and `exchange-hours`; where they differ, the
//! difference is listed in the test with its reason.
//!
//! # What is not covered
//!
//! Pauses within a session (CME's equity index futures paused from 15:15 to 15:30 until June 2021), trading before and after the
//! regular session, and interruptions by circuit breakers or failures.

mod calendar;
mod certainty;
mod cme;
mod exception;
mod nyse;
mod rules;
mod session;
mod settlement;

pub use jiff;

pub use crate::calendar::Calendar;
pub use crate::certainty::{Certainty, Ending};
pub use crate::cme::CmeGroup;
pub use crate::exception::{Exception, ExceptionKind};
pub use crate::session::Session;

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
