//! What an order remembers of its executions.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::seen::{Identity, Seen};
use crate::{Decimal, ExecutionId, Fee, Fill};

/// The executions of an order that have an identifier, in the order they came: to know them again, and to take them back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Executions(Seen<Execution>);

/// An execution as it counts now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Execution {
    /// Which version of it this is.
    pub(crate) revision: u32,
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    pub(crate) fee: Option<Fee>,
    /// Whether the venue took it back, for good: then it is nothing.
    pub(crate) is_busted: bool,
}

impl Execution {
    /// One that counts.
    pub(crate) fn of(id: ExecutionId, fill: &Fill) -> Self {
        Self {
            revision: id.revision(),
            quantity: fill.quantity,
            price: fill.price,
            fee: fill.fee,
            is_busted: false,
        }
    }

    /// One that does not, whether it was seen or not.
    pub(crate) fn busted(id: ExecutionId) -> Self {
        Self {
            revision: id.revision(),
            quantity: Decimal::ZERO,
            price: Decimal::ZERO,
            fee: None,
            is_busted: true,
        }
    }

    /// What of it counts.
    pub(crate) fn fill(&self) -> Option<Fill> {
        let fill = Fill {
            fee: self.fee,
            ..Fill::new(self.quantity, self.price)
        };
        (!self.is_busted).then_some(fill)
    }
}

impl Executions {
    /// Venue, account, order, symbol and side are fixed by the order: an identifier says it all.
    pub(crate) fn get(&self, id: ExecutionId) -> Option<&Execution> {
        self.0.get(Identity::of(id))
    }

    pub(crate) fn get_mut(&mut self, id: ExecutionId) -> Option<&mut Execution> {
        self.0.get_mut(Identity::of(id))
    }

    /// Remembers one that is not known yet, with the venue's time. Returns those that are forgotten for it.
    pub(crate) fn push(
        &mut self,
        id: ExecutionId,
        at: Option<Timestamp>,
        execution: Execution,
    ) -> Vec<Execution> {
        self.0.insert_new(Identity::of(id), at, execution)
    }

    /// Whether one that is not known may be among those that were forgotten; one without a time is taken to be new.
    pub(crate) fn is_forgotten(&self, at: Option<Timestamp>) -> bool {
        self.0.is_forgotten(at)
    }

    pub(crate) fn has_forgotten(&self) -> bool {
        self.0.has_forgotten()
    }

    /// Those that count.
    pub(crate) fn fills(&self) -> impl Iterator<Item = Fill> {
        self.0.values().filter_map(Execution::fill)
    }

    /// For each `from` units there are `to`, at the same money but for what rounding loses.
    pub(crate) fn split(&mut self, to: Decimal, from: Decimal) {
        for execution in self.0.values_mut() {
            execution.quantity = execution.quantity.mul_div(to, from);
            execution.price = execution.price.mul_div(from, to);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// As it is kept, or as it was until edition 2 of the order: a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Now(Box<Seen<Execution>>),
    Before(Vec<Before>),
}

#[derive(Deserialize)]
struct Before {
    id: ExecutionId,
    quantity: Decimal,
    price: Decimal,
    fee: Option<Fee>,
    is_busted: bool,
}

impl<'de> Deserialize<'de> for Executions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = match Kept::deserialize(deserializer)? {
            Kept::Now(seen) => return Ok(Self(*seen)),
            Kept::Before(list) => list,
        };
        let mut executions = Self::default();
        for before in list {
            let execution = Execution {
                revision: before.id.revision(),
                quantity: before.quantity,
                price: before.price,
                fee: before.fee,
                is_busted: before.is_busted,
            };
            executions.push(before.id, None, execution);
        }
        Ok(executions)
    }
}
