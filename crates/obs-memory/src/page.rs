//! Pages of words that threads record to, on the heap or in a mapped file.
//!
//! This is all of the workspace that is `unsafe`. Recording reads one pointer wherever a page lies, and that is what costs nothing; a
//! `Box` cannot point into a mapping and a reference cannot be freed, so the pointer is kept raw and its two origins are told apart
//! where it is dropped. The same is true of a [`Pair`] of words, which every thread writes: it holds a share of what keeps its page, and
//! the pointer beside that, since a reference cannot lie beside what it refers to.
#![expect(
    unsafe_code,
    reason = "a page is behind one raw pointer, wherever it lies; each use says why it is sound"
)]

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
#[cfg(all(feature = "map", target_os = "linux"))]
use std::sync::{RwLockWriteGuard, TryLockError};

/// Words of a page: 4 KiB.
pub const WORDS: usize = 512;

/// The words of a page, on cache lines of their own.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Words([AtomicU64; WORDS]);

impl Deref for Words {
    type Target = [AtomicU64; WORDS];

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A page of [`WORDS`] words, all 0 when it is made. It is as large as a `Box`, and read as one.
pub struct Page(NonNull<Words>);

// SAFETY: a page is the only owner of its words, or they are never freed; and words are atomic, so that a shared reference to them may
// be used on any thread.
unsafe impl Send for Page {}
// SAFETY: as above: `&Page` gives out `&Words` and nothing else.
unsafe impl Sync for Page {}

/// Where mapped pages are, from the first address to the one behind the last. Nothing is ever taken out, because nothing is unmapped.
static MAPPED: RwLock<Vec<(usize, usize)>> = RwLock::new(Vec::new());

impl Page {
    /// A page on the heap.
    #[must_use]
    pub fn on_heap() -> Self {
        let words = Box::new(Words([const { AtomicU64::new(0) }; WORDS]));
        Self(NonNull::from(Box::leak(words)))
    }

    /// Whether it lies in a mapped file.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        let address = self.0.addr().get();
        let mapped = MAPPED.read().unwrap_or_else(PoisonError::into_inner);
        mapped
            .iter()
            .any(|(first, end)| (*first..*end).contains(&address))
    }
}

impl Deref for Page {
    type Target = Words;

    #[inline]
    fn deref(&self) -> &Words {
        // SAFETY: the pointer is that of a leaked box or of a page of a mapping: aligned, initialized (pages of a file are 0 until they are
        // written) and alive for as long as this is, since the box is freed in `drop` alone and mappings never are. Whatever
        // another process writes to the file, any bits are a valid `AtomicU64`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !self.is_mapped() {
            // SAFETY: it was leaked by `on_heap`, which is the only other place where pages come from, and it is dropped once. A
            // mapping is entered before any page of it is made, and stays mapped, so that no box has an address in it.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("is_mapped", &self.is_mapped())
            .finish_non_exhaustive()
    }
}

/// Two words side by side in a page, with what keeps that page. Recording follows one pointer to them, wherever the page lies.
#[derive(Clone)]
pub struct Pair {
    words: NonNull<[AtomicU64; 2]>,
    /// Has the page.
    lanes: Arc<[OnceLock<Page>]>,
}

// SAFETY: words are atomic, and so may be used on any thread; what keeps them may be sent and shared, since a page may.
unsafe impl Send for Pair {}
// SAFETY: as above: `&Pair` gives out references to both and nothing else.
unsafe impl Sync for Pair {}

impl Pair {
    /// The pair of that number in the page of a lane, counted from 0, and from the start again behind the last of a page. `page` makes
    /// the page of a lane that has none.
    ///
    /// # Panics
    ///
    /// Where there is no such lane.
    #[must_use]
    pub fn new(
        lanes: Arc<[OnceLock<Page>]>,
        lane: usize,
        number: usize,
        page: impl FnOnce() -> Page,
    ) -> Self {
        let (pairs, _) = lanes[lane].get_or_init(page).as_chunks();
        let words = NonNull::from(&pairs[number % pairs.len()]);
        Self { words, lanes }
    }

    /// The lanes that it was taken from.
    #[must_use]
    pub fn lanes(&self) -> &Arc<[OnceLock<Page>]> {
        &self.lanes
    }
}

impl Deref for Pair {
    type Target = [AtomicU64; 2];

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: the pointer was made of a reference to two words of a page in these lanes. A lane that has a page keeps it until it is
        // changed by an exclusive reference or dropped; neither is possible while this holds a share of the lanes. A page's words do
        // not move with it, and are alive for as long as it is.
        unsafe { self.words.as_ref() }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pair").field(&**self).finish()
    }
}

/// Has the list of mappings to itself. A forked process does not wait for it for ever.
#[cfg(all(feature = "map", target_os = "linux"))]
fn entry() -> Option<RwLockWriteGuard<'static, Vec<(usize, usize)>>> {
    const ATTEMPTS: usize = 10_000;
    if !crate::fork::is_forked() {
        return Some(MAPPED.write().unwrap_or_else(PoisonError::into_inner));
    }
    (0..ATTEMPTS).find_map(|_| match MAPPED.try_write() {
        Ok(mapped) => Some(mapped),
        Err(TryLockError::Poisoned(mapped)) => Some(mapped.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::yield_now();
            None
        }
    })
}

/// Has a function called in every process that is forked from this one.
#[cfg(all(feature = "map", target_os = "linux"))]
pub(crate) fn at_fork(child: extern "C" fn()) -> std::io::Result<()> {
    // SAFETY: it keeps the pointer of a function, which is never freed. What that function may do is up to it, and safe code; `fork` calls
    // it in the child's only thread, with all memory as that thread left it.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused == 0 {
        Ok(())
    } else {
        Err(std::io::Error::from_raw_os_error(refused))
    }
}

/// Nanoseconds of the clock that all processes of a machine share; never 0. It is that of `Instant`, which keeps the number to itself.
///
/// The safe function of rustix finds the system's own by tables that valgrind replaces, and ends a program that runs under it.
#[cfg(all(feature = "map", target_os = "linux"))]
#[inline]
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to what the pointer is to, which is a whole `timespec` of ours, and keeps nothing. That clock is on every Linux, so
    // that it does not fail; if it did, the time would be 0.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // Neither is negative, and how wide they are differs by processor.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    (seconds * 1_000_000_000 + nanoseconds).max(1)
}

/// A part of a file that is mapped for good, and gives out its pages one by one.
#[cfg(all(feature = "map", target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Chunk {
    first: NonNull<Words>,
    pages: usize,
    /// How many were given out.
    given: usize,
}

// SAFETY: the pointer is to a mapping of the whole process, and pages are given out by `&mut self`.
#[cfg(all(feature = "map", target_os = "linux"))]
unsafe impl Send for Chunk {}

#[cfg(all(feature = "map", target_os = "linux"))]
impl Chunk {
    /// Maps so many pages from an offset on, which is a multiple of 4 KiB. The caller has reserved their memory, without which touching them would
    /// be a `SIGBUS`, and nobody has mapped them before.
    pub(crate) fn map(file: &std::fs::File, offset: u64, pages: usize) -> std::io::Result<Self> {
        // A thread of the process that this one was forked from may have held it for ever.
        let mut mapped =
            entry().ok_or_else(|| std::io::Error::other("what is mapped is locked"))?;
        let map = memmap2::MmapOptions::new()
            .offset(offset)
            .len(pages * size_of::<Words>())
            .map_raw(file)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "a mapping begins where a page of the system does; it is checked below"
        )]
        let first = map.as_mut_ptr().cast::<Words>();
        // It is never unmapped.
        std::mem::forget(map);
        let first = NonNull::new(first)
            .filter(|first| first.is_aligned())
            .ok_or_else(|| std::io::Error::other("the system mapped it to no page"))?;
        let start = first.addr().get();
        mapped.push((start, start + pages * size_of::<Words>()));
        Ok(Self {
            first,
            pages,
            given: 0,
        })
    }

    /// The next page.
    pub(crate) fn next(&mut self) -> Option<Page> {
        if self.given == self.pages {
            return None;
        }
        // SAFETY: fewer than all pages of the mapping lie before it, so it is within the same allocation.
        let page = unsafe { self.first.add(self.given) };
        self.given += 1;
        Some(Page(page))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn a_pair_is_two_words_of_a_page_and_keeps_it() {
        let lanes: Arc<[OnceLock<Page>]> = (0..2).map(|_| OnceLock::new()).collect();
        let last = Pair::new(Arc::clone(&lanes), 1, WORDS / 2 - 1, Page::on_heap);
        let first = Pair::new(Arc::clone(&lanes), 1, WORDS / 2, || {
            unreachable!("the lane has a page")
        });
        first[0].store(5, Relaxed);
        last[1].store(7, Relaxed);
        let page = lanes[1].get().unwrap();
        let of_page = [&page[0], &page[1], &page[WORDS - 2], &page[WORDS - 1]];
        assert_eq!(of_page.map(|word| word.load(Relaxed)), [5, 0, 0, 7]);
        assert!(lanes[0].get().is_none());

        drop((lanes, first));
        assert_eq!(last[1].load(Relaxed), 7);
    }
}
