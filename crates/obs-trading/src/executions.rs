//! What an order remembers of its executions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use crate::{Decimal, ExecutionId, Fee, Fill};

/// The executions of an order that have an identifier, in the order they came: to know them again, and to take them back.
///
/// The first lies in the order itself, for most have only one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Executions {
    list: SmallVec<[Execution; 1]>,
    /// Where each is in the list, once there are too many to look through.
    #[serde(skip)]
    index: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
}

/// An execution as it counts now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Execution {
    pub(crate) id: ExecutionId,
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
            id,
            quantity: fill.quantity,
            price: fill.price,
            fee: fill.fee,
            is_busted: false,
        }
    }

    /// One that does not, be it seen or not.
    pub(crate) fn busted(id: ExecutionId) -> Self {
        Self {
            id,
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

/// Up to as many are looked through faster than a hash is looked up.
const FEW: usize = 16;

impl Executions {
    pub(crate) fn get(&self, id: ExecutionId) -> Option<&Execution> {
        self.place(id).map(|at| &self.list[at])
    }

    pub(crate) fn get_mut(&mut self, id: ExecutionId) -> Option<&mut Execution> {
        self.place(id).map(|at| &mut self.list[at])
    }

    /// Remembers one that is not known yet.
    pub(crate) fn push(&mut self, execution: Execution) {
        self.list.push(execution);
        if self.list.len() > FEW {
            let known = self.index.len();
            let new = self.list.iter().enumerate().skip(known);
            self.index
                .extend(new.map(|(at, execution)| (execution.id.hash(), at)));
        }
    }

    /// Those that count.
    pub(crate) fn fills(&self) -> impl Iterator<Item = Fill> {
        self.list.iter().filter_map(Execution::fill)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    fn place(&self, id: ExecutionId) -> Option<usize> {
        if self.list.len() > FEW {
            self.index.get(&id.hash()).copied()
        } else {
            self.list
                .iter()
                .position(|known| known.id.hash() == id.hash())
        }
    }
}

impl<'de> Deserialize<'de> for Executions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<Execution>::deserialize(deserializer)?;
        let mut executions = Self::default();
        for execution in list {
            executions.push(execution);
        }
        Ok(executions)
    }
}

/// Identifiers are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = crate::fill::stable_hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_is_found_before_and_after_it_was_kept() {
        let mut executions = Executions::default();
        let id = |n: u64| ExecutionId::from(n);
        for n in 0..100 {
            assert_eq!(executions.get(id(n)), None, "{n}");
            executions.push(Execution::of(id(n), &Fill::new(1.0, 1.0)));
            assert!((0..=n).all(|n| executions.get(id(n)).is_some_and(|known| known.id == id(n))));
        }
        let json = serde_json::to_string(&executions).unwrap();
        let read: Executions = serde_json::from_str(&json).unwrap();
        assert_eq!(read, executions);
        assert!((0..100).all(|n| read.get(id(n)).is_some()));
    }
}
