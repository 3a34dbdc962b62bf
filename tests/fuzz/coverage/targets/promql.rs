#![no_main]

use std::sync::OnceLock;

use obs_verify::Catalog;
use obs_verify::promql::{self, Vocabulary};

/// As `xtask`'s test of the same corpus has it, over the families of one crate.
fn promql(data: &[u8]) {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    let vocabulary = VOCABULARY.get_or_init(|| {
        // The parser's own panics are caught, and libFuzzer's hook would abort at them; what is not caught it sees in any case.
        std::panic::set_hook(Box::new(|_| ()));
        Vocabulary::new(&Catalog::from(&obs_trading::catalogue()))
    });
    let query = String::from_utf8_lossy(data);
    let lines: Vec<_> = query.split('\n').collect();
    for problem in promql::check(&query, vocabulary).1 {
        let length = lines[problem.line - 1].chars().count();
        assert!(
            (1..=length + 1).contains(&problem.column),
            "{problem:?} in {query:?}"
        );
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| promql(data));
