//! The desk's words in those of `obs-trading`.

use obs_trading::{OrderType, RejectReason};

use crate::order::{self, OrderKind};
use crate::risk::RefusalReason;
use crate::strategy::{SignalKind, decision};

impl From<order::Side> for obs_trading::Side {
    fn from(side: order::Side) -> Self {
        match side {
            order::Side::Buy => Self::Buy,
            order::Side::Sell => Self::Sell,
        }
    }
}

impl From<OrderKind> for OrderType {
    fn from(kind: OrderKind) -> Self {
        match kind {
            OrderKind::Market => Self::Market,
            OrderKind::Limit { .. } => Self::Limit,
        }
    }
}

impl From<SignalKind> for obs_trading::Signal {
    fn from(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Buy => Self::Buy,
            SignalKind::Sell => Self::Sell,
            SignalKind::Hold => Self::Hold,
        }
    }
}

impl From<decision::Decision> for obs_trading::Decision {
    fn from(decision: decision::Decision) -> Self {
        use decision::Decision::{
            Enter, Exit, Hold, SkipDuplicate, SkipLowConfidence, SkipNoPosition, Withdraw,
        };
        match decision {
            Enter => Self::Enter,
            Exit => Self::Exit,
            Withdraw => Self::Withdraw,
            Hold => Self::Hold,
            SkipDuplicate | SkipNoPosition | SkipLowConfidence => Self::Skip,
        }
    }
}

impl From<RefusalReason> for RejectReason {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::ShortSale => Self::InvalidQuantity,
            RefusalReason::DailyLoss => Self::DailyLossLimit,
            RefusalReason::Drawdown => Self::DrawdownLimit,
            RefusalReason::MaxPosition => Self::PositionLimit,
            RefusalReason::GrossExposure => Self::ExposureLimit,
            RefusalReason::InsufficientCash => Self::InsufficientFunds,
            RefusalReason::Compliance => Self::Compliance,
        }
    }
}

impl From<order::RejectReason> for RejectReason {
    fn from(reason: order::RejectReason) -> Self {
        match reason {
            order::RejectReason::UnknownSymbol => Self::InvalidSymbol,
            order::RejectReason::NoPrice => Self::MarketClosed,
            order::RejectReason::ZeroQuantity => Self::InvalidQuantity,
            order::RejectReason::InvalidPrice => Self::InvalidPrice,
        }
    }
}
