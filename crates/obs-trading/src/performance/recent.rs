//! The trades a ledger would know again.

use serde::{Deserialize, Serialize};

/// How many trades with identifiers a ledger would know again. A broker's stream repeats what came just before a
/// reconnect, not what came last week; and a ledger keeps no history.
pub const REMEMBERED_TRADES: usize = 256;

/// A ring of the last identifiers, hashed. Two identifiers among the remembered have the same hash once in 10^17 trades.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    hashes: Vec<u64>,
    next: usize,
}

impl Recent {
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&hash(id))
    }

    pub(crate) fn insert(&mut self, id: &str) {
        if self.hashes.len() < REMEMBERED_TRADES {
            self.hashes
                .reserve_exact(REMEMBERED_TRADES - self.hashes.len());
            self.hashes.push(hash(id));
        } else if let Some(oldest) = self.hashes.get_mut(self.next) {
            *oldest = hash(id);
            self.next = (self.next + 1) % REMEMBERED_TRADES;
        }
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

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::default();
        for k in 0..REMEMBERED_TRADES + 2 {
            assert!(!recent.contains(&k.to_string()));
            recent.insert(&k.to_string());
        }
        assert!(!recent.contains("0"));
        assert!(!recent.contains("1"));
        assert!(recent.contains("2"));
        assert!(recent.contains(&(REMEMBERED_TRADES + 1).to_string()));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
