//! The words of trading, as labels.

obs_core::label! {
    /// A strategy, by the name its desk gives it.
    pub open StrategyName as "strategy" up to 100
}

obs_core::label! {
    /// Where orders go: a broker or an exchange.
    pub open VenueName as "venue" up to 20
}

obs_core::label! {
    /// What is traded; for each strategy the first 500 keep series of their own.
    pub open Symbol as "symbol" up to 500
}

obs_core::label! {
    /// Buy or sell.
    pub enum Side as "side" {
        /// Adds to a long position or closes a short one.
        Buy = "buy",
        /// Takes from a long position or opens a short one.
        Sell = "sell",
    }
}

impl Side {
    /// 1 for a buy, −1 for a sell: what a higher price costs.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::Buy => 1.0,
            Self::Sell => -1.0,
        }
    }
}

obs_core::label! {
    /// What a strategy says.
    pub enum Signal as "signal" {
        /// Be long.
        Buy = "buy",
        /// Be short, or no longer long.
        Sell = "sell",
        /// Close what is open.
        Exit = "exit",
        /// Leave things as they are.
        Hold = "hold",
    }
}

obs_core::label! {
    /// What was made of a signal.
    pub enum Decision as "decision" {
        /// Open or add to a position.
        Enter = "enter",
        /// Close a position or part of it.
        Exit = "exit",
        /// Take back an order that is not filled yet.
        Withdraw = "withdraw",
        /// Do nothing: the signal asks for nothing.
        Hold = "hold",
        /// Do nothing although the signal asks: already positioned, too weak, too late.
        Skip = "skip",
        /// Refused by a check; the reason is counted in `trading_trades_rejected_total`.
        Reject = "reject",
        /// Nothing was decided: the idea was dropped.
        Abandoned = "abandoned",
    }
}

obs_core::label! {
    /// How an order may be executed.
    pub enum OrderType as "order_type" {
        /// At once, at any price.
        Market = "market",
        /// At this price or better.
        Limit = "limit",
        /// At any price once this one was reached.
        Stop = "stop",
        /// At this price or better once another was reached.
        StopLimit = "stop_limit",
        /// A stop that follows the price.
        TrailingStop = "trailing_stop",
        /// Any other type.
        Other = "other",
    }
}

obs_core::label! {
    /// How an order ended.
    pub enum OrderOutcome as "outcome" {
        /// The whole quantity was executed.
        Filled = "filled",
        /// Cancelled by us, or by the venue on its own; part of it may have been executed.
        Cancelled = "cancelled",
        /// Refused by the venue; the reason is counted in `trading_orders_rejected_total`.
        Rejected = "rejected",
        /// Its time ran out; part of it may have been executed.
        Expired = "expired",
        /// Nobody follows it any more: the value was dropped, and its end was not seen.
        Abandoned = "abandoned",
    }
}

obs_core::label! {
    /// A part of an order's way from the signal to the last fill.
    pub enum Stage as "stage" {
        /// From the signal to the decision.
        Decision = "decision",
        /// From the decision to the submission.
        Submission = "submission",
        /// From the submission to the venue's acknowledgement, or to its first word of another kind.
        Acknowledgement = "acknowledgement",
        /// From the acknowledgement to the last fill.
        Fill = "fill",
    }
}

obs_core::label! {
    /// Why an order event from a venue changed nothing.
    pub enum IgnoredEvent as "event" {
        /// An execution that was seen before.
        DuplicateFill = "duplicate_fill",
        /// It speaks of an order that is not open here: closed before, or never known.
        UnknownOrder = "unknown_order",
        /// A fill whose quantity or price is not a positive number.
        InvalidFill = "invalid_fill",
        /// A submission under an identifier that is in use.
        DuplicateOrder = "duplicate_order",
    }
}
