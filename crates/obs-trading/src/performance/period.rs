//! The stretches of time that a ledger counts in.

use jiff::civil::Date;

obs_core::label! {
    /// A stretch of time in the ledger's time zone.
    pub enum Period as "period" {
        /// From midnight to midnight.
        Day = "day",
        /// From Monday to Sunday (ISO 8601).
        Week = "week",
        /// A calendar month.
        Month = "month",
        /// Since the ledger began.
        Total = "total",
    }
}

impl Period {
    /// The first day of the period the day lies in. The total began before all days.
    pub(crate) fn start(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let since_monday = day.weekday().to_monday_zero_offset();
                day.saturating_sub(jiff::Span::new().days(since_monday))
            }
            Self::Month => day.first_of_month(),
            Self::Total => Date::MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn periods_begin_where_the_calendar_says() {
        // ISO week 1 of 2025 begins in 2024.
        assert_eq!(Period::Week.start(date(2025, 1, 1)), date(2024, 12, 30));
        assert_eq!(Period::Week.start(date(2024, 12, 30)), date(2024, 12, 30));
        assert_eq!(Period::Week.start(date(2024, 12, 29)), date(2024, 12, 23));
        assert_eq!(Period::Month.start(date(2024, 2, 29)), date(2024, 2, 1));
        assert_eq!(Period::Day.start(date(2024, 2, 29)), date(2024, 2, 29));
    }
}
