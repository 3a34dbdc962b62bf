//! The trades a ledger would know again.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::executions::Hashed;

/// How many trades with identifiers a ledger would know again, at least: more than a broker's stream replays of a day.
pub const REMEMBERED_TRADES: usize = 100_000;

/// The last identifiers, hashed, and how late it was when others were forgotten. Two identifiers among the remembered have the same
/// hash once in 10^14 trades.
///
/// A replay of more than is remembered would find its first trade forgotten, count it, forget the second by it, and so double them
/// all. So what is not later than a trade that was forgotten is not told apart from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Blocks", into = "Blocks")]
pub(crate) struct Recent {
    blocks: Blocks,
    known: HashSet<u64, BuildHasherDefault<Hashed>>,
}

/// In blocks, each with its latest time: a time for each trade would double what is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Blocks {
    blocks: VecDeque<Block>,
    forgotten: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    latest: Timestamp,
    hashes: Vec<u64>,
}

/// The ring of 256 that the first edition kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FirstEdition {
    hashes: Vec<u64>,
}

/// How a trade with an identifier is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    New,
    Known,
    /// It is not known, and from a time of which trades were forgotten.
    TooOld,
}

const BLOCK: usize = 1_000;

impl Recent {
    pub(crate) fn meet(&self, id: &str, at: Timestamp) -> Met {
        if self.known.contains(&hash(id)) {
            Met::Known
        } else if self.blocks.forgotten.is_some_and(|latest| at <= latest) {
            Met::TooOld
        } else {
            Met::New
        }
    }

    pub(crate) fn insert(&mut self, id: &str, at: Timestamp) {
        self.insert_hash(hash(id), at);
        if self.known.len() > REMEMBERED_TRADES + BLOCK
            && let Some(oldest) = self.blocks.blocks.pop_front()
        {
            for hash in oldest.hashes {
                self.known.remove(&hash);
            }
            self.blocks.forgotten = self.blocks.forgotten.max(Some(oldest.latest));
        }
    }

    /// What the first edition remembered, at the time of its latest event.
    pub(crate) fn of_first_edition(first: FirstEdition, now: Timestamp) -> Self {
        let mut recent = Self::default();
        for hash in first.hashes {
            recent.insert_hash(hash, now);
        }
        recent
    }

    fn insert_hash(&mut self, hash: u64, at: Timestamp) {
        self.known.insert(hash);
        let blocks = &mut self.blocks.blocks;
        match blocks.back_mut() {
            Some(block) if block.hashes.len() < BLOCK => {
                block.hashes.push(hash);
                block.latest = block.latest.max(at);
            }
            _ => blocks.push_back(Block {
                latest: at,
                hashes: vec![hash],
            }),
        }
    }
}

impl From<Blocks> for Recent {
    fn from(blocks: Blocks) -> Self {
        let hashes = blocks.blocks.iter().flat_map(|block| &block.hashes);
        Self {
            known: hashes.copied().collect(),
            blocks,
        }
    }
}

impl From<Recent> for Blocks {
    fn from(recent: Recent) -> Self {
        recent.blocks
    }
}

/// FNV-1a: the standard library's hash may change between builds, and these are kept over restarts.
fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: usize) -> Timestamp {
        Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_what_is_as_old_is_too_old() {
        let mut recent = Recent::default();
        let count = REMEMBERED_TRADES + BLOCK + 1;
        for k in 0..count {
            assert_eq!(recent.meet(&k.to_string(), at(k)), Met::New);
            recent.insert(&k.to_string(), at(k));
        }
        for k in 0..BLOCK {
            assert_eq!(recent.meet(&k.to_string(), at(k)), Met::TooOld);
        }
        for k in BLOCK..count {
            assert_eq!(recent.meet(&k.to_string(), at(k)), Met::Known);
        }
        assert_eq!(recent.meet("another", at(BLOCK - 1)), Met::TooOld);
        assert_eq!(recent.meet("another", at(BLOCK)), Met::New);
        let json = serde_json::to_string(&recent).unwrap();
        assert_eq!(serde_json::from_str::<Recent>(&json).unwrap(), recent);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
