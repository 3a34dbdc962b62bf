//! When a certificate ends: the one thing of it that rustls does not tell.
//!
//! RFC 5280, section 4.1: the end of the validity is the second time of the fifth element of the signed part (without the optional
//! version, which comes first). Libraries that read it read all of X.509, with some ten packages below them.

/// In seconds since 1970; `NaN` if it cannot be read.
pub(crate) fn ends(certificate: &[u8]) -> f64 {
    not_after(certificate).map_or(f64::NAN, |seconds| seconds as f64)
}

fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, signed, _) = element(certificate)?;
    let mut rest = signed;
    if signed.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after_beginning) = element(validity)?;
    let (tag, end, _) = element(after_beginning)?;
    time(tag, std::str::from_utf8(end).ok()?)
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first element of some DER: its tag, what is in it, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let bytes = usize::from(first & 0x7f);
        // Longer than any certificate.
        if bytes == 0 || bytes > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(bytes)?;
        length = number
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<i64> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            // Two digits are of 1950 to 2049.
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let rest = rest.strip_suffix('Z')?;
    let mut parts = [0_i64; 5];
    if rest.len() != 2 * parts.len() {
        return None;
    }
    for (i, part) in parts.iter_mut().enumerate() {
        *part = rest.get(2 * i..2 * i + 2)?.parse().ok()?;
    }
    let [month, day, hour, minute, second] = parts;
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 in the Gregorian calendar, by the years of 365.2425 days that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn ending(year: i32, month: u8, day: u8) -> f64 {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        ends(params.self_signed(&key).unwrap().der())
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "whole seconds")]
    fn the_end_is_what_was_written_in_either_form_of_time() {
        assert_eq!(ending(2027, 3, 1), 1_803_859_200.0);
        assert_eq!(ending(2028, 2, 29), 1_835_395_200.0);
        // From 2050 on the year has four digits.
        assert_eq!(ending(2100, 1, 1), 4_102_444_800.0);
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2027, 3, 1);
        let key = KeyPair::generate().unwrap();
        let whole = params.self_signed(&key).unwrap();
        for length in 0..whole.der().len() {
            let cut = &whole.der()[..length];
            assert!(ends(cut).is_nan(), "{length}");
        }
        assert!(ends(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_nan());
        assert!(time(UTC_TIME, "27030100000é").is_none());
    }
}
