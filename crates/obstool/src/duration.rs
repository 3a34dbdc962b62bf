//! Durations as people type them.

use std::time::Duration;

/// Reads `250ms`, `10s`, `5m` or `2h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let read = |(unit, seconds): (&str, f64)| {
        let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    };
    let duration = UNITS.into_iter().find_map(read);
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a duration above 0, such as 250ms, 10s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "5", "0s", "-1s", "NaNs", "s", "1e400s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
