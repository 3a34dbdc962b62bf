//! What was seen before: the one memory by which orders, ledgers and positions recognise a repeated event.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::fill::stable_hash;
use crate::{ExecutionId, Side};

/// How many identifiers an owner remembers, at least: more than a venue's stream replays of a day.
pub(crate) const REMEMBERED: usize = 100_000;

/// Identifiers are forgotten by the block: a time for each would double what is kept.
const BLOCK: usize = 1_000;

/// Up to as many are searched faster than a hash is looked up.
const FEW: usize = 16;

/// What an event is recognised by: its identifier together with what the identifier is unique within, as far as that is known.
///
/// Kept over restarts, as a hash that is the same in every build. Two of 100,000 share one once in 10⁹ owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Identity(u64);

/// What an identifier is unique within. Venues use identifiers again, for other accounts, orders, symbols and sides; what the owner
/// of the memory fixes, such as the account of a ledger, need not be stated. The order of the calls makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope(u64);

impl Identity {
    /// The key of an identifier that has no other scope than its owner's.
    pub(crate) const fn of(id: ExecutionId) -> Self {
        Self(id.hash())
    }

    /// That of a trade by its number in a book of positions.
    pub(crate) fn of_trade(number: u64) -> Self {
        // Apart from the hashes of identifiers, which are those of texts and numbers themselves.
        Self(stable_hash(&number.to_le_bytes()).wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    /// What ledgers made of an identifier before they shared this memory: FNV-1a.
    pub(crate) fn of_earlier_ledger(id: &str) -> Self {
        Self(id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }
}

impl Scope {
    /// That of the owner.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn venue(self, venue: &str) -> Self {
        self.and('v', venue)
    }

    pub(crate) fn account(self, account: &str) -> Self {
        self.and('a', account)
    }

    pub(crate) fn order(self, order: &str) -> Self {
        self.and('o', order)
    }

    pub(crate) fn symbol(self, symbol: &str) -> Self {
        self.and('s', symbol)
    }

    /// That of money that comes and goes, whose identifiers are not those of trades.
    pub(crate) fn flow(self) -> Self {
        self.and('f', "")
    }

    pub(crate) fn side(self, side: Side) -> Self {
        self.and('d', if side == Side::Buy { "buy" } else { "sell" })
    }

    /// The identity of an identifier within this scope.
    pub(crate) fn identity(self, id: impl Into<ExecutionId>) -> Identity {
        Identity(id.into().hash().wrapping_add(self.0))
    }

    /// The kind goes into the hash, since an account may be called as a venue is.
    fn and(self, kind: char, name: &str) -> Self {
        let kind = (u64::from(kind) << 1 | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = stable_hash(name.as_bytes()) ^ kind;
        Self(self.0.wrapping_add(stable_hash(&hash.to_le_bytes())))
    }
}

/// How an event with an identity is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    New,
    Known,
    /// It is not known, and from a time of which events were forgotten.
    TooOld,
}

/// The last identities, at least [`REMEMBERED`], each with a value where the owner needs one. Saved with its owner.
///
/// A replay of more than is remembered would find its first event forgotten, count it, forget the second by it, and so double all
/// of them. So an event that is not later than one that was forgotten is [`TooOld`](Met::TooOld) to be counted.
///
/// Events without a time could not be kept apart so, and their blocks are not forgotten: the owner bounds them, as an order does, or
/// gives them the time at which it received them.
#[derive(Clone, Debug)]
pub(crate) struct Seen<T = ()> {
    /// The block that is not full. The first entry needs no allocation, since most orders have one execution.
    last: Block<T>,
    /// Apart, since few orders have so many, and an order is moved about.
    more: Option<Box<More<T>>>,
}

/// What there is beyond a few entries.
#[derive(Clone, Debug)]
struct More<T> {
    /// Blocks that are full, the oldest first.
    full: VecDeque<Block<T>>,
    /// Where each entry is, numbered from the first ever inserted, once there are too many to search.
    index: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    /// How many were forgotten.
    gone: u64,
    /// The latest time among them.
    forgotten: Option<Timestamp>,
    /// The entries before this one have the keys of [`Identity::of_earlier_ledger`].
    earlier: u64,
}

#[derive(Clone, Debug)]
struct Block<T> {
    entries: SmallVec<[(u64, T); 1]>,
    /// Nothing where an entry has no time.
    latest: Option<Timestamp>,
}

impl<T> Seen<T> {
    /// How an event at this time is met, by the clock of its reporter.
    pub(crate) fn meet(&self, identity: Identity, at: impl Into<Option<Timestamp>>) -> Met {
        if self.number(identity).is_some() {
            Met::Known
        } else if self.is_forgotten(at.into()) {
            Met::TooOld
        } else {
            Met::New
        }
    }

    /// Remembers an event. One that is known keeps its place and takes the value. Returns the values of what is forgotten for it,
    /// which is empty but for once in a thousand beyond [`REMEMBERED`].
    pub(crate) fn insert(
        &mut self,
        identity: Identity,
        at: impl Into<Option<Timestamp>>,
        value: T,
    ) -> Vec<T> {
        if let Some(known) = self.get_mut(identity) {
            *known = value;
            return Vec::new();
        }
        self.insert_new(identity, at, value)
    }

    /// The same of an event that was [met](Self::meet) as new, which need not be looked for again.
    pub(crate) fn insert_new(
        &mut self,
        identity: Identity,
        at: impl Into<Option<Timestamp>>,
        value: T,
    ) -> Vec<T> {
        if self.last.entries.len() == BLOCK {
            let full = std::mem::take(&mut self.last);
            self.more_mut().full.push_back(full);
        }
        let latest = self.last.latest.zip(at.into());
        self.last.latest = latest.map(|(latest, at)| latest.max(at));
        self.last.entries.push((identity.0, value));
        self.index_last();
        self.forget()
    }

    pub(crate) fn get(&self, identity: Identity) -> Option<&T> {
        let (block, place) = self.place(identity)?;
        let more = self.more.as_ref();
        let full = more.and_then(|more| more.full.get(block));
        let block = full.unwrap_or(&self.last);
        block.entries.get(place).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, identity: Identity) -> Option<&mut T> {
        let (block, place) = self.place(identity)?;
        let more = self.more.as_mut();
        let full = more.and_then(|more| more.full.get_mut(block));
        let block = full.unwrap_or(&mut self.last);
        block.entries.get_mut(place).map(|(_, value)| value)
    }

    /// The values remembered, in the order in which they came.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let full = self.more.iter_mut().flat_map(|more| &mut more.full);
        let blocks = full.chain([&mut self.last]);
        blocks.flat_map(|block| block.entries.iter_mut().map(|(_, value)| value))
    }

    pub(crate) fn len(&self) -> usize {
        self.in_full() + self.last.entries.len()
    }

    /// Whether an event of this time may be among those that were forgotten.
    pub(crate) fn is_forgotten(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|at| self.forgotten().is_some_and(|forgotten| at <= forgotten))
    }

    /// Whether anything was forgotten.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.forgotten().is_some()
    }

    /// Whether it has keys of [`Identity::of_earlier_ledger`].
    pub(crate) fn has_earlier(&self) -> bool {
        self.earlier() > 0
    }

    /// Forgets the oldest block, where enough is remembered without it.
    fn forget(&mut self) -> Vec<T> {
        let is_enough = self.len() > REMEMBERED + BLOCK;
        let Some(more) = self.more.as_mut().filter(|_| is_enough) else {
            return Vec::new();
        };
        let has_times = |block: &Block<T>| block.latest.is_some();
        if !more.full.front().is_some_and(has_times) {
            return Vec::new();
        }
        let Some(oldest) = more.full.pop_front() else {
            return Vec::new();
        };
        more.gone += BLOCK as u64;
        more.forgotten = more.forgotten.max(oldest.latest);
        let forget = |(key, value)| {
            more.index.remove(&key);
            value
        };
        oldest.entries.into_iter().map(forget).collect()
    }

    /// Puts the last entry into the index; with the first that makes too many to search, those before it.
    fn index_last(&mut self) {
        let count = self.len();
        if count <= FEW {
            return;
        }
        let entries = &self.last.entries;
        let more = self.more.get_or_insert_default();
        let places = (more.gone + (count - entries.len()) as u64)..;
        let known = if count == FEW + 1 {
            0
        } else {
            entries.len() - 1
        };
        more.index.reserve(entries.len() - known);
        for ((key, _), place) in entries.iter().zip(places).skip(known) {
            more.index.insert(*key, place);
        }
    }

    fn more_mut(&mut self) -> &mut More<T> {
        self.more.get_or_insert_default()
    }

    fn in_full(&self) -> usize {
        let more = self.more.as_ref();
        more.map_or(0, |more| more.full.len() * BLOCK)
    }

    fn forgotten(&self) -> Option<Timestamp> {
        self.more.as_ref()?.forgotten
    }

    /// How many of the first entries have the keys of [`Identity::of_earlier_ledger`].
    fn earlier(&self) -> u64 {
        let more = self.more.as_ref();
        more.map_or(0, |more| more.earlier.saturating_sub(more.gone))
    }

    fn number(&self, identity: Identity) -> Option<u64> {
        if self.len() > FEW {
            return self.more.as_ref()?.index.get(&identity.0).copied();
        }
        let place = self
            .last
            .entries
            .iter()
            .position(|(key, _)| *key == identity.0);
        place.map(|place| place as u64)
    }

    /// The block of an entry, that after the full ones being the last, and its place there.
    fn place(&self, identity: Identity) -> Option<(usize, usize)> {
        let gone = self.more.as_ref().map_or(0, |more| more.gone);
        let at = usize::try_from(self.number(identity)? - gone).ok()?;
        Some((at / BLOCK, at % BLOCK))
    }

    fn entries(&self) -> impl Iterator<Item = &(u64, T)> {
        self.blocks().flat_map(|block| &block.entries)
    }

    fn blocks(&self) -> impl Iterator<Item = &Block<T>> {
        let more = self.more.iter();
        more.flat_map(|more| &more.full).chain([&self.last])
    }
}

impl Seen {
    /// What a ledger remembered by keys of [`Identity::of_earlier_ledger`]; they stay until they are forgotten.
    pub(crate) fn of_earlier_ledger(keys: &[u64], at: Timestamp) -> Self {
        let mut seen = Self::default();
        for key in keys {
            seen.insert(Identity(*key), at, ());
        }
        seen.more_mut().earlier = keys.len() as u64;
        seen
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self {
            last: Block::default(),
            more: None,
        }
    }
}

impl<T> Default for More<T> {
    fn default() -> Self {
        Self {
            full: VecDeque::new(),
            index: HashMap::default(),
            gone: 0,
            forgotten: None,
            earlier: 0,
        }
    }
}

impl<T> Block<T> {
    fn keep(&self) -> KeptBlock<&T> {
        let values = || self.entries.iter().map(|(_, value)| value).collect();
        KeptBlock {
            latest: self.latest,
            keys: self.entries.iter().map(|(key, _)| *key).collect(),
            values: (size_of::<T>() > 0).then(values),
            hashes: Vec::new(),
        }
    }
}

impl<T> Default for Block<T> {
    fn default() -> Self {
        Self {
            entries: SmallVec::new(),
            latest: Some(Timestamp::MIN),
        }
    }
}

/// By what it knows.
impl<T: PartialEq> PartialEq for Seen<T> {
    fn eq(&self, other: &Self) -> bool {
        self.forgotten() == other.forgotten()
            && self.len() == other.len()
            && self.entries().eq(other.entries())
    }
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<Value> {
    blocks: Vec<KeptBlock<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<Timestamp>,
    /// How many of the first entries have the keys of [`Identity::of_earlier_ledger`].
    #[serde(default, skip_serializing_if = "is_none")]
    earlier: u64,
}

#[derive(Serialize, Deserialize)]
struct KeptBlock<Value> {
    latest: Option<Timestamp>,
    #[serde(default)]
    keys: Vec<u64>,
    /// What is of no size is not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Value>>,
    /// The keys of an earlier ledger, which refuses a file without them.
    #[serde(default, skip_serializing)]
    hashes: Vec<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(number: &u64) -> bool {
    *number == 0
}

impl<T: Serialize> Serialize for Seen<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let blocks = self.blocks().filter(|block| !block.entries.is_empty());
        let kept = Kept {
            blocks: blocks.map(Block::keep).collect(),
            forgotten: self.forgotten(),
            earlier: self.earlier(),
        };
        kept.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept: Kept<T> = Kept::deserialize(deserializer)?;
        let mut seen = Self::default();
        let mut earlier = kept.earlier;
        for block in kept.blocks {
            earlier += block.hashes.len() as u64;
            let keys: Vec<u64> = block.hashes.into_iter().chain(block.keys).collect();
            let values = match block.values {
                Some(values) => values,
                None => keys.iter().map(|_| nothing()).collect::<Result<_, _>>()?,
            };
            if values.len() != keys.len() {
                return Err(serde::de::Error::invalid_length(
                    values.len(),
                    &"a value for each key",
                ));
            }
            for (key, value) in keys.into_iter().zip(values) {
                seen.insert(Identity(key), block.latest, value);
            }
        }
        if kept.forgotten.is_some() || earlier > 0 {
            let more = seen.more_mut();
            more.forgotten = more.forgotten.max(kept.forgotten);
            more.earlier = earlier;
        }
        Ok(seen)
    }
}

/// The value of a type that has only one.
fn nothing<'de, T: Deserialize<'de>, E: serde::de::Error>() -> Result<T, E> {
    T::deserialize(serde::de::value::UnitDeserializer::new())
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = stable_hash(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: usize) -> Timestamp {
        Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
    }

    fn id(number: usize) -> Identity {
        Identity::of(ExecutionId::from(number as u64))
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_what_is_as_old_is_too_old() {
        let mut seen = Seen::default();
        let count = REMEMBERED + BLOCK + 1;
        for k in 0..count {
            assert_eq!(seen.meet(id(k), at(k)), Met::New);
            let forgotten = seen.insert(id(k), at(k), k);
            assert_eq!(forgotten.len(), if k == count - 1 { BLOCK } else { 0 });
        }
        let read: Seen<usize> =
            serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
        assert_eq!(read, seen);
        for seen in [seen, read] {
            for k in 0..BLOCK {
                assert_eq!(seen.meet(id(k), at(k)), Met::TooOld);
            }
            for k in BLOCK..count {
                assert_eq!(seen.meet(id(k), at(k)), Met::Known);
                assert_eq!(seen.get(id(k)), Some(&k));
            }
            assert_eq!(seen.meet(id(count), at(BLOCK - 1)), Met::TooOld);
            assert_eq!(seen.meet(id(count), at(BLOCK)), Met::New);
            assert_eq!(seen.meet(id(count), None), Met::New);
        }
    }

    #[test]
    fn a_replay_of_more_than_is_remembered_doubles_nothing() {
        let mut seen = Seen::default();
        let count = 2 * REMEMBERED;
        for k in 0..count {
            seen.insert(id(k), at(k), ());
        }
        let new = (0..count).filter(|k| seen.meet(id(*k), at(*k)) == Met::New);
        assert_eq!(new.count(), 0);
        assert!(seen.len() <= REMEMBERED + BLOCK);
    }

    #[test]
    fn what_has_no_time_is_not_forgotten() {
        let mut seen = Seen::default();
        let count = REMEMBERED + 2 * BLOCK;
        for k in 0..count {
            assert!(seen.insert(id(k), None, ()).is_empty());
        }
        assert!((0..count).all(|k| seen.meet(id(k), None) == Met::Known));
    }

    #[test]
    fn a_scope_tells_what_venues_call_by_one_identifier_apart() {
        let scope = || Scope::NONE;
        let identities = [
            scope(),
            scope().venue("main"),
            scope().account("main"),
            scope().order("main"),
            scope().symbol("main"),
            scope().side(Side::Buy),
            scope().side(Side::Sell),
            scope().symbol("main").side(Side::Buy),
            scope().venue("main").account("main"),
        ]
        .map(|scope| scope.identity("x-1"));
        let different: std::collections::HashSet<_> = identities.iter().collect();
        assert_eq!(different.len(), identities.len());
        assert_eq!(identities[0], Identity::of("x-1".into()));
        assert_eq!(
            scope().venue("a").symbol("b").identity("x-1"),
            scope().symbol("b").venue("a").identity("x-1")
        );
    }

    /// They are kept in state files: a change here is a change of their format.
    #[test]
    fn keys_stay_what_they_are() {
        let identity = Scope::NONE.venue("alpaca").symbol("AAPL").identity("x-1");
        assert_eq!(identity.0, 16_039_716_931_777_313_497);
        assert_eq!(Identity::of_earlier_ledger("").0, 0xcbf2_9ce4_8422_2325);
        assert_eq!(
            Identity::of_earlier_ledger("foobar").0,
            0x8594_4171_f739_67e8
        );
    }

    #[test]
    fn a_file_with_other_than_a_value_for_each_key_is_refused() {
        for values in ["", r#","values":[1]"#] {
            let json = format!(r#"{{"blocks":[{{"latest":null,"keys":[1,2]{values}}}]}}"#);
            assert!(serde_json::from_str::<Seen<u32>>(&json).is_err(), "{json}");
        }
    }

    proptest! {
        /// Held to a list that forgets nothing.
        #[test]
        fn each_of_many_is_found_before_and_after_it_was_kept(ids in prop::collection::vec(0..60_usize, 0..100)) {
            let mut seen = Seen::default();
            let mut list: Vec<(usize, usize)> = Vec::new();
            for (value, k) in ids.into_iter().enumerate() {
                let known = list.iter_mut().find(|(known, _)| *known == k);
                let met = if known.is_some() { Met::Known } else { Met::New };
                prop_assert_eq!(seen.meet(id(k), at(k)), met);
                seen.insert(id(k), at(k), value);
                match known {
                    Some(entry) => entry.1 = value,
                    None => list.push((k, value)),
                }
            }
            let read: Seen<usize> = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
            for seen in [seen, read] {
                prop_assert_eq!(seen.len(), list.len());
                prop_assert!(seen.values().eq(list.iter().map(|(_, value)| value)));
                for (k, value) in &list {
                    prop_assert_eq!(seen.get(id(*k)), Some(value));
                }
            }
        }
    }
}
