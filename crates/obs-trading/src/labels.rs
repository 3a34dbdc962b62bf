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
    /// What was wrong with an order event, or unusual. Those that say *look* mean that our books and the venue's may differ;
    /// the others come with every reconnect.
    pub enum IgnoredEvent as "event" {
        /// An execution of an open order that was seen before; changed nothing.
        DuplicateFill = "duplicate_fill",
        /// An execution of a closed order that was seen before, as after a reconnect; changed nothing.
        ReplayedFill = "replayed_fill",
        /// An execution that was not seen before, of an order that had ended otherwise, such as one that crossed our cancel.
        /// It counts: quantities and money are corrected, the outcome stays.
        LateFill = "late_fill",
        /// *Look.* An execution beyond what was ordered. It counts: the venue executed it.
        Overfill = "overfill",
        /// *Look.* A fill whose quantity is not a positive number, or whose price the instrument cannot have; changed nothing.
        InvalidFill = "invalid_fill",
        /// *Look.* An order closed as filled of which not everything was seen to be filled.
        MissingFill = "missing_fill",
        /// A total below what is known to be filled, such as an answer that a fill has overtaken; changed nothing.
        StaleTotal = "stale_total",
        /// An end, or a word, about an order that had ended; changed nothing.
        ReplayedEnd = "replayed_end",
        /// *Look.* It speaks of an order that did not become known while the event was kept.
        UnknownOrder = "unknown_order",
        /// A submission under an identifier that is in use.
        DuplicateOrder = "duplicate_order",
        /// *Look.* An order for a quantity that is not a positive number; it cannot be seen to be complete.
        InvalidOrder = "invalid_order",
        /// *Look.* It is from the future, by more than clocks may differ; changed nothing.
        FromFuture = "from_future",
        /// *Look.* An execution, or a bust of one, that may be among those which an order of more than 100,000 has forgotten;
        /// changed nothing.
        ForgottenFill = "forgotten_fill",
        /// A bust or correction that was seen before; changed nothing.
        DuplicateCorrection = "duplicate_correction",
    }
}

obs_core::label! {
    /// Whose order waited in the book at an execution.
    pub enum Liquidity as "liquidity" {
        /// Ours: it gave liquidity.
        Maker = "maker",
        /// The other's: ours took it.
        Taker = "taker",
        /// Both, in an auction.
        Auction = "auction",
        /// The venue does not say.
        Unknown = "unknown",
    }
}

obs_core::label! {
    /// What a fee is for.
    pub enum FeeKind as "kind" {
        /// The broker's commission.
        Commission = "commission",
        /// The venue's own fee.
        Exchange = "exchange",
        /// Money that comes back: a rebate, or a fee that was taken back. Counted positive.
        Rebate = "rebate",
        /// Stamp duty and other taxes.
        Tax = "tax",
        /// Any other.
        Other = "other",
    }
}

obs_core::label! {
    /// Which way money went.
    pub enum Direction as "direction" {
        /// It was lost.
        Adverse = "adverse",
        /// It was gained.
        Favourable = "favourable",
    }
}

obs_core::label! {
    /// What a venue answered to a request about an order.
    pub enum Answer as "outcome" {
        /// It did what was asked.
        Accepted = "accepted",
        /// It did not: too late, or not allowed.
        Rejected = "rejected",
    }
}

obs_core::label! {
    /// How an execution was taken back.
    pub enum CorrectionKind as "kind" {
        /// Whole.
        Bust = "bust",
        /// Quantity or price was changed.
        Correction = "correction",
    }
}

obs_core::label! {
    /// What an open order is waiting for.
    pub enum WaitingFor as "state" {
        /// The venue's first word.
        Unacknowledged = "unacknowledged",
        /// Its end.
        Open = "open",
    }
}

obs_core::label! {
    /// A part of the implementation shortfall.
    pub enum Component as "component" {
        /// Between decision and submission, on what was executed.
        Delay = "delay",
        /// Between submission and execution.
        Execution = "execution",
        /// What was not executed, by how far the price went.
        Opportunity = "opportunity",
        /// Fees, less rebates.
        Fees = "fees",
    }
}

obs_core::label! {
    /// How long after a fill the price is looked at, such as `1s` or `5m`.
    pub open Horizon as "horizon" up to 12
}

obs_core::label! {
    /// Why no markout could be measured.
    pub enum Unmeasured as "reason" {
        /// No mid is known at or before that time.
        NoMid = "no_mid",
        /// The last mid before that time is older than allowed.
        Stale = "stale",
        /// The market closed in between.
        Closed = "closed",
        /// Too many fills were waiting.
        Dropped = "dropped",
        /// The execution was taken back, or corrected, before its time came or long after.
        TakenBack = "taken_back",
    }
}
