//! The parser of expositions. Apart, so that a fuzzer that follows coverage builds it alone.

use obs_exposition::Family;

/// Every text is read or refused with the places of its mistakes.
pub fn exposition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (read, mistakes) = obs_exposition::parse_all(&text);
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in &mistakes {
        let line = lines[mistake.line - 1];
        let columns = 1..=line.chars().count() + 1;
        assert!(columns.contains(&mistake.column), "{mistake} in {line:?}");
    }
    for histogram in read.families.iter().flat_map(Family::histograms) {
        let _ = histogram.quantile(0.9);
    }
    match obs_exposition::parse(&text) {
        Ok(_) => assert!(mistakes.is_empty(), "{mistakes:?}"),
        Err(first) => assert_eq!(Some(&first), mistakes.first()),
    }
}
