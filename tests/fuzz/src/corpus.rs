//! Seeds, and what becomes of them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use obs_tests::tools::workspace;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

/// Gives a target each seed of its corpus, and seeds that were changed.
pub fn run(name: &str, target: impl Fn(&[u8])) {
    let seeds = seeds(name);
    for (path, seed) in &seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(seed))) {
            eprintln!("the seed was {}", path.display());
            resume_unwind(panic);
        }
    }
    let seeds: Vec<_> = seeds.into_iter().map(|(_, seed)| seed).collect();
    let inputs = inputs(seeds).prop_map(Input);
    let tried = TestRunner::new(config()).run(&inputs, |input| {
        target(&input.0);
        Ok(())
    });
    match tried {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => {
            let kept = keep(name, &input.0);
            panic!(
                "{reason}\nthe input is {input:?}; once it is repaired, keep {} as a seed",
                kept.display()
            );
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Bytes that a failure shows as text.
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A failure is one for everybody, and not the luck of a run.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() {
            asked.cases
        } else {
            1000
        },
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(9464),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        failure_persistence: None,
        ..asked
    }
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!paths.is_empty(), "{} holds no seed", folder.display());
    paths.sort();
    let read = |path: PathBuf| {
        let seed = fs::read(&path).unwrap();
        (path, seed)
    };
    paths.into_iter().map(read).collect()
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let folder = workspace().join("target/fuzz");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, input).unwrap();
    path
}

/// A seed after a few changes.
fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let some_seed = prop::sample::select(seeds.clone());
    let changes = prop::collection::vec(change(seeds), 1..12);
    (some_seed, changes).prop_map(|(seed, changes)| {
        changes.into_iter().fold(seed, |mut bytes, change| {
            change.make(&mut bytes);
            bytes
        })
    })
}

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Truncate(Index),
    /// Goes on from there as another seed does.
    Cross(Index, Vec<u8>, Index),
}

/// Bytes that mean something to one format or another.
const WORDS: [&[u8]; 24] = [
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xfe",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b",",
    b"=",
    b" ",
    b"#",
    b"-1",
    b"0",
    b"1e308",
    b"NaN",
    b"+Inf",
    b"18446744073709551616",
    b"9999-12-31",
    b"null",
    b"[",
    "\u{1f4c8}".as_bytes(),
    "\u{feff}".as_bytes(),
];

fn change(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    let word = prop::sample::select(&WORDS[..]).prop_map(<[u8]>::to_vec);
    let bytes = prop_oneof![4 => word, 1 => prop::collection::vec(any::<u8>(), 1..16)];
    prop_oneof![
        4 => (place(), 1..=u8::MAX).prop_map(|(at, bits)| Change::Flip(at, bits)),
        4 => (place(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        3 => (place(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (place(), 1..60_usize, 1..30_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => place().prop_map(Change::Truncate),
        2 => (place(), prop::sample::select(seeds), place()).prop_map(|(at, seed, from)| Change::Cross(at, seed, from)),
    ]
}

impl Change {
    fn make(self, bytes: &mut Vec<u8>) {
        let place = |at: Index| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bits) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Insert(at, inserted) => {
                let at = place(at);
                bytes.splice(at..at, inserted);
            }
            Self::Remove(at, length) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Self::Repeat(at, length, times) => {
                let at = place(at);
                let repeated = bytes[at..bytes.len().min(at + length)].repeat(times);
                bytes.splice(at..at, repeated);
            }
            Self::Truncate(at) => bytes.truncate(place(at)),
            Self::Cross(at, seed, from) => {
                bytes.truncate(place(at));
                bytes.extend_from_slice(&seed[from.index(seed.len() + 1)..]);
            }
        }
    }
}
