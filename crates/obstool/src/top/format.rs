//! Numbers as people read them: the catalogue's unit, three digits that matter.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use obs_exposition::Kind;

/// Stands for what is undefined.
pub(super) const UNDEFINED: &str = "–";

const TIMES: [(f64, &str); 7] = [
    (86_400.0, "d"),
    (3_600.0, "h"),
    (60.0, "min"),
    (1.0, "s"),
    (1e-3, "ms"),
    (1e-6, "µs"),
    (1e-9, "ns"),
];
const SIZES: [(f64, &str); 5] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1_024.0, "KiB"),
    (1.0, "B"),
];
const COUNTS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1.0, "")];

/// The unit that a name tells, for families that no catalogue knows.
pub(super) fn unit_of_name(name: &str, kind: Kind) -> &'static str {
    const SUFFIXES: [(&str, &str); 6] = [
        ("_timestamp_seconds", "timestamp"),
        ("_seconds", "seconds"),
        ("_bytes", "bytes"),
        ("_ratio", "ratio"),
        ("_bps", "basis points"),
        ("_info", "info"),
    ];
    // The one moment that Prometheus' own clients call otherwise.
    if name == "process_start_time_seconds" {
        return "timestamp";
    }
    let base = name.strip_suffix("_total").unwrap_or(name);
    let known = SUFFIXES.iter().find(|(suffix, _)| base.ends_with(suffix));
    match (known, kind) {
        (Some((_, unit)), _) => unit,
        (None, Kind::Counter | Kind::Gauge) => "count",
        (None, _) => "number",
    }
}

/// A second's increase of a counter of this unit.
pub(super) fn rate(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return undefined(value);
    }
    match unit {
        // Seconds a second are a share: of one processor, of one worker.
        "seconds" => number(value, "ratio"),
        "bytes" => format!("{}/s", number(value, "bytes")),
        // Below one a second they are given by the minute.
        _ if value > 0.0 && value < 0.995 => format!("{}/min", digits(value * 60.0)),
        _ => {
            let (step, sign) = fit(&COUNTS, value);
            format!("{}/s", join(&digits(value / step), sign))
        }
    }
}

/// A value with its unit, which is a word of the catalogue.
pub(super) fn number(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return undefined(value);
    }
    let steps: &[(f64, &str)] = match unit {
        "timestamp" => return moment(value),
        "0 or 1" if (value - 1.0).abs() < f64::EPSILON => return "yes".to_owned(),
        "0 or 1" if value == 0.0 => return "no".to_owned(),
        "seconds" if value.abs() >= 59.95 => return span(value),
        "seconds" if value == 0.0 => &TIMES[3..4],
        "seconds" => &TIMES,
        "bytes" => &SIZES,
        "ratio" => &[(0.01, "%")],
        "basis points" => &[(1.0, "bp")],
        "currency" => return money(value),
        _ => &COUNTS,
    };
    let (step, sign) = fit(steps, value);
    join(&digits(value / step), sign)
}

/// An amount that says which way it went.
pub(super) fn signed(value: f64) -> String {
    let text = number(value, "currency");
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// A time span in its two largest units.
pub(super) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return undefined(seconds);
    }
    let mut rest = seconds.abs().round();
    let mut parts = Vec::new();
    let mut units = 0;
    for (size, name) in &TIMES[..4] {
        let count = (rest / size).floor();
        rest -= count * size;
        if count > 0.0 {
            parts.push(format!("{count} {name}"));
        }
        units += usize::from(units > 0 || count > 0.0);
        if units == 2 {
            break;
        }
    }
    let sign = if seconds < 0.0 { "−" } else { "" };
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    sign.to_owned() + &parts.join(" ")
}

/// A time of day where this program runs.
pub(super) fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are meant")]
    let moment = Timestamp::from_second(seconds as i64);
    let zoned = moment.map(|moment| moment.to_zoned_datetime(TimeZone::system()));
    zoned.map_or_else(
        |_| UNDEFINED.to_owned(),
        |zoned| zoned.strftime("%H:%M:%S").to_string(),
    )
}

/// A time of day, of today, or the date of any other, where this program runs.
pub(super) fn moment(seconds: f64) -> String {
    // What is beyond the years that there are is cut off by the conversion, and has no date.
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are meant")]
    let Ok(moment) = Timestamp::from_second(seconds as i64) else {
        return UNDEFINED.to_owned();
    };
    let zone = TimeZone::system();
    let (moment, today) = (
        moment.to_zoned_datetime(zone.clone()),
        Timestamp::now().to_zoned_datetime(zone),
    );
    if moment.date() == today.date() {
        moment.strftime("%H:%M:%S").to_string()
    } else {
        moment.strftime("%Y-%m-%d").to_string()
    }
}

fn undefined(value: f64) -> String {
    let text = if value.is_nan() {
        UNDEFINED
    } else if value > 0.0 {
        "∞"
    } else {
        "−∞"
    };
    text.to_owned()
}

/// The largest step that is not larger than the value, or the smallest.
fn fit<'a>(steps: &[(f64, &'a str)], value: f64) -> (f64, &'a str) {
    let size = value.abs();
    let found = steps.iter().find(|(step, _)| size >= step * 0.9995);
    found.or(steps.last()).copied().unwrap_or((1.0, ""))
}

fn join(number: &str, sign: &str) -> String {
    match sign {
        "" => number.to_owned(),
        sign => format!("{number} {sign}"),
    }
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    let size = value.abs();
    let is_whole = value.fract() == 0.0;
    if is_whole && size < 1e6 || size >= 99.95 {
        grouped(value, 0)
    } else if size >= 9.995 {
        grouped(value, 1)
    } else if size >= 0.009_95 {
        grouped(value, 2)
    } else if size >= 0.000_095 {
        grouped(value, if size < 0.000_95 { 5 } else { 4 })
    } else {
        format!("{value:.1e}").replace('-', "−")
    }
}

fn money(value: f64) -> String {
    grouped(value, if value.abs() < 1_000.0 { 2 } else { 0 })
}

/// With commas between thousands.
pub(super) fn grouped(value: f64, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_their_unit() {
        for (value, unit, text) in [
            (f64::NAN, "count", "–"),
            (f64::NEG_INFINITY, "ratio", "−∞"),
            (0.0, "seconds", "0 s"),
            (0.001_234, "seconds", "1.23 ms"),
            (0.000_000_5, "seconds", "500 ns"),
            (3.0, "seconds", "3 s"),
            (90.0, "seconds", "1 min 30 s"),
            (200_000.0, "seconds", "2 d 7 h"),
            (1_536.0, "bytes", "1.50 KiB"),
            (-0.123, "ratio", "−12.3 %"),
            (2.5, "basis points", "2.50 bp"),
            (1_234_567.8, "currency", "1,234,568"),
            (-0.001, "currency", "0.00"),
            (12.5, "currency", "12.50"),
            (1.0, "0 or 1", "yes"),
            (12_345.0, "count", "12,345"),
            (12_345_678.0, "count", "12.3 M"),
            (-0.000_046, "ratio", "−0.0046 %"),
            (0.000_012, "number", "1.2e−5"),
        ] {
            assert_eq!(number(value, unit), text, "{value} {unit}");
        }
    }

    #[test]
    fn spans_have_one_form_wherever_they_are() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (59.96, "1 min"),
            (90.0, "1 min 30 s"),
            (120.0, "2 min"),
            (-200_000.0, "−2 d 7 h"),
        ] {
            assert_eq!(number(seconds, "seconds"), text);
            if seconds.abs() >= 60.0 {
                assert_eq!(span(seconds), text);
            }
        }
        assert_eq!(number(f64::NAN, "seconds"), "–");
    }

    #[test]
    fn rates_are_by_the_second_or_the_minute() {
        for (value, unit, text) in [
            (f64::NAN, "count", "–"),
            (0.0, "count", "0/s"),
            (0.1, "count", "6/min"),
            (12.34, "count", "12.3/s"),
            (2_000_000.0, "count", "2 M/s"),
            (0.25, "seconds", "25 %"),
            (2_048.0, "bytes", "2 KiB/s"),
        ] {
            assert_eq!(rate(value, unit), text, "{value} {unit}");
        }
    }

    #[test]
    fn amounts_show_their_sign_and_days_that_are_over_their_date() {
        assert_eq!(signed(12.0), "+12.00");
        assert_eq!(signed(-1_500.0), "−1,500");
        assert!(["2001-09-09", "2001-09-08"].contains(&&*moment(1e9)));
        assert_eq!(moment(1e300), UNDEFINED);
    }

    #[test]
    fn names_tell_their_unit() {
        assert_eq!(
            unit_of_name("process_cpu_seconds_total", Kind::Counter),
            "seconds"
        );
        assert_eq!(
            unit_of_name("process_start_time_seconds", Kind::Gauge),
            "timestamp"
        );
        assert_eq!(unit_of_name("orders_total", Kind::Counter), "count");
        assert_eq!(unit_of_name("size", Kind::Histogram), "number");
    }
}
