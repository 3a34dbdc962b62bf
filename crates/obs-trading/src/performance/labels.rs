//! The labels of performance metrics.

use crate::Error;

obs_core::label! {
    /// An account, by the name its desk gives it.
    pub open AccountName as "account" up to 20
}

obs_core::label! {
    /// What money is counted in.
    pub open CurrencyCode as "currency" up to 20
}

obs_core::label! {
    /// Of what the returns are, and what differs from the usual.
    pub open BasisText as "basis" up to 8
}

obs_core::label! {
    /// How many periods make a year.
    pub open PeriodsPerYearText as "periods_per_year" up to 20
}

obs_core::label! {
    /// The risk-free rate and what it is for: a year or a period.
    pub open RiskFreeText as "risk_free_rate" up to 20
}

obs_core::label! {
    /// Which days count, and in which time zone they begin.
    pub open CalendarText as "calendar" up to 20
}

obs_core::label! {
    /// Why a ledger refused an event.
    pub enum Refusal as "reason" {
        /// The amount is not a number, or no sum of money.
        InvalidAmount = "invalid_amount",
        /// It is in another currency than the ledger.
        OtherCurrency = "other_currency",
        /// The trade was counted before.
        DuplicateTrade = "duplicate_trade",
        /// The trade is from a time of which trades were forgotten.
        ForgottenTrade = "forgotten_trade",
        /// It is from the future, by more than clocks may differ.
        FromFuture = "from_future",
        /// The mark is older than the events that are kept.
        LateMark = "late_mark",
        /// The mark was taken back.
        VoidedMark = "voided_mark",
        /// The flow is older than the events that are kept.
        LateFlow = "late_flow",
        /// What was to be voided or corrected is not among the events that are kept.
        NotCorrectable = "not_correctable",
        /// More was taken out than there was.
        NonPositiveEquity = "non_positive_equity",
        /// Any other reason.
        Other = "other",
    }
}

impl Refusal {
    pub(crate) const fn of(error: &Error) -> Self {
        match error {
            Error::InvalidAmount { .. } => Self::InvalidAmount,
            Error::OtherCurrency { .. } => Self::OtherCurrency,
            Error::DuplicateTrade { .. } => Self::DuplicateTrade,
            Error::ForgottenTrade { .. } => Self::ForgottenTrade,
            Error::FromFuture { .. } => Self::FromFuture,
            Error::LateMark { .. } => Self::LateMark,
            Error::VoidedMark { .. } => Self::VoidedMark,
            Error::LateFlow { .. } => Self::LateFlow,
            Error::NotCorrectable { .. } => Self::NotCorrectable,
            Error::NonPositiveEquity { .. } => Self::NonPositiveEquity,
            _ => Self::Other,
        }
    }
}
