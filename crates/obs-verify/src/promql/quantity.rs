//! What the values of an expression are measured in.

use obs_core::Unit;

/// A unit, or a unit a second, or nothing that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// So many of a unit.
    Of(Unit),
    /// So many of a unit each second.
    PerSecond(Unit),
    /// A plain number, or what the checker does not follow.
    Unknown,
}

impl Quantity {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Of(unit) => unit.as_str().to_owned(),
            Self::PerSecond(unit) => format!("{} a second", unit.as_str()),
            Self::Unknown => "a number".to_owned(),
        }
    }

    /// Whether the two may be added, subtracted and compared.
    pub(super) fn goes_with(self, other: Self) -> bool {
        self == other
            || [self, other].contains(&Self::Unknown)
            || (self.is_plain() && other.is_plain())
    }

    /// A number of things and a number are hardly told apart; neither are seconds a second and a share.
    fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Of(Unit::Count | Unit::Number | Unit::Switch | Unit::Ratio)
                | Self::PerSecond(Unit::Seconds)
        )
    }

    pub(super) fn plus(self, other: Self) -> Self {
        if self == Self::Unknown { other } else { self }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(Unit::Timestamp), Self::Of(Unit::Timestamp)) => Self::Of(Unit::Seconds),
            _ => self.plus(other),
        }
    }

    pub(super) fn over(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (a, b) if a == b => Self::Of(Unit::Ratio),
            (Self::PerSecond(unit), Self::PerSecond(Unit::Count))
            | (Self::Of(unit), Self::Of(Unit::Count)) => Self::Of(unit),
            _ => Self::Unknown,
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(Unit::Info | Unit::Switch | Unit::Ratio), quantity)
            | (quantity, Self::Of(Unit::Info | Unit::Switch | Unit::Ratio)) => quantity,
            _ => Self::Unknown,
        }
    }
}
