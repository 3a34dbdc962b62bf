//! The words of risk, as labels.

obs_core::label! {
    /// A risk limit: `max_position`, `daily_loss`, `drawdown`, `exposure`, or one of the desk's own.
    pub open LimitName as "limit" up to 50
}

obs_core::label! {
    /// How sure the strategy was of the trade; the desk states the bounds.
    pub enum ConfidenceBand as "confidence" {
        /// Below the medium band.
        Low = "low",
        /// Between the two.
        Medium = "medium",
        /// From the upper bound on.
        High = "high",
    }
}

obs_core::label! {
    /// What ended a position.
    pub enum Trigger as "trigger" {
        /// The loss since the entry reached its limit.
        StopLoss = "stop_loss",
        /// The gain since the entry reached its target.
        TakeProfit = "take_profit",
        /// The price gave back too much of the best it had reached.
        TrailingStop = "trailing_stop",
    }
}

obs_core::label! {
    /// A rule of cash accounts, or that on intraday margin.
    pub enum ComplianceRule as "rule" {
        /// What was bought with unsettled funds is held until they settle.
        GoodFaith = "good_faith",
        /// What was bought is paid for before it is sold, and not from its own sale.
        FreeRiding = "free_riding",
        /// Purchases are covered by settled cash.
        UnsettledFunds = "unsettled_funds",
        /// Of margin accounts: no transaction leaves less than the maintenance margin within the day.
        IntradayMargin = "intraday_margin",
    }
}

obs_core::label! {
    /// What came of a rule of cash accounts.
    pub enum ComplianceAction as "action" {
        /// A trade was refused, so that the rule is kept.
        Blocked = "blocked",
        /// A trade was made that leaves the rule easy to break.
        Warned = "warned",
        /// The rule was broken.
        Violated = "violated",
    }
}

obs_core::label! {
    /// What came of the rule on pattern day trading.
    pub enum PdtAction as "action" {
        /// A trade was refused that would have been one day trade too many.
        Avoided = "avoided",
        /// The last free day trade was used.
        Warned = "warned",
        /// A day trade too many was made.
        Violated = "violated",
    }
}
