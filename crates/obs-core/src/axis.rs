//! The axes of a family: arrays over closed labels, a budgeted map over open ones.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::{Arc, OnceLock};

use crate::table::Bounded;
use crate::{Closed, Kind, LabelNode, Open, Series, Site};

/// An array over a closed label: every value's series exists from the start, at 0.
pub struct By<L, T> {
    values: Box<[T]>,
    label: PhantomData<fn(L)>,
}

impl<L: Closed, T: Series> Series for By<L, T> {
    const KIND: Kind = T::KIND;
    const DECIMALS: u8 = T::DECIMALS;
    const LABELS: Option<&'static LabelNode> = Some(&LabelNode {
        label: L::DECL,
        next: T::LABELS,
    });

    fn resolve(site: Site) -> Self {
        let resolve = |value: &L| T::resolve(site.with(L::DECL.key, value.as_str()));
        Self {
            values: L::ALL.iter().map(resolve).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Closed, T> Index<L> for By<L, T> {
    type Output = T;

    #[inline]
    fn index(&self, value: L) -> &T {
        &self.values[value.index()]
    }
}

impl<L: Closed, T> By<L, T> {
    /// Goes through the values and what they hold, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (L, &T)> {
        L::ALL.iter().copied().zip(&self.values)
    }
}

impl<L: Closed + fmt::Debug, T: fmt::Debug> fmt::Debug for By<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// An array over a closed label whose series come into being on first use: for combinations most of which never occur,
/// such as every status class of every route.
pub struct Late<L, T> {
    site: Site,
    values: Box<[OnceLock<T>]>,
    label: PhantomData<fn(L)>,
}

impl<L: Closed, T: Series> Series for Late<L, T> {
    const KIND: Kind = T::KIND;
    const DECIMALS: u8 = T::DECIMALS;
    const LABELS: Option<&'static LabelNode> = Some(&LabelNode {
        label: L::DECL,
        next: T::LABELS,
    });

    fn resolve(site: Site) -> Self {
        let values = L::ALL.iter().map(|_| OnceLock::new()).collect();
        Self {
            site,
            values,
            label: PhantomData,
        }
    }
}

impl<L: Closed, T: Series> Index<L> for Late<L, T> {
    type Output = T;

    #[inline]
    fn index(&self, value: L) -> &T {
        self.values[value.index()]
            .get_or_init(|| T::resolve(self.site.with(L::DECL.key, value.as_str())))
    }
}

impl<L, T> fmt::Debug for Late<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

/// A map over an open label, held by its budget: the first [`Open::LIMIT`] values keep series of their own, all others
/// share the one of `other`, so that the total stays exact.
///
/// Looking up a known value takes no lock and allocates nothing. The map takes its memory, 32 bytes for each value of the
/// limit, when the first value arrives.
#[repr(C)]
pub struct Each<L, T> {
    known: Bounded<T>,
    site: Site,
    overflow: metrics::Counter,
    label: PhantomData<fn(L)>,
}

impl<L: Open, T: Series> Series for Each<L, T> {
    const KIND: Kind = T::KIND;
    const DECIMALS: u8 = T::DECIMALS;
    const LABELS: Option<&'static LabelNode> = Some(&LabelNode {
        label: L::DECL,
        next: T::LABELS,
    });

    fn resolve(site: Site) -> Self {
        Self {
            known: Bounded::new(L::LIMIT),
            overflow: site.overflow(),
            site,
            label: PhantomData,
        }
    }
}

impl<L: Open, T: Series> Each<L, T> {
    /// What the value holds; keep the reference where the value stays the same.
    ///
    /// A value beyond the budget, an empty one and one longer than [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES) gives
    /// what `other` holds; each such lookup is counted in `obs_series_overflow_total`.
    #[inline]
    pub fn of(&self, value: &str) -> &T {
        if let Some(known) = self.known.get(value) {
            return known;
        }
        let key = L::DECL.key;
        self.known.get_unknown(
            value,
            || T::resolve(self.site.with(key, Arc::<str>::from(value))),
            || T::resolve(self.site.with_other(key)),
            || self.overflow.increment(1),
        )
    }

    /// What the value holds where it has series of its own already; none where [`of`](Self::of) would make them, or give what `other`
    /// holds. Counts nothing.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<&T> {
        self.known.get(value)
    }

    /// How many values have series of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no value has a series of its own yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<L, T> fmt::Debug for Each<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Each")
            .field("site", &self.site)
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}
