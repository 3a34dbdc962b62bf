//! The protobuf format of Prometheus, `io.prometheus.client`: one message for each family, behind its length.
//!
//! The field numbers are those of `metrics.proto` in `prometheus/client_model`. They are written by hand, as the text formats are:
//! a message is put together once, straight into the buffer that is sent, and nothing is allocated for a series.

use std::fmt::Write as _;

use obs_core::Kind;

use crate::exemplar::{Exemplar, Exemplars};
use crate::key::labels_of;
use crate::point::{At, Encoder, Heading, Point};
use crate::snapshot::{NativeBuckets, SeriesSnapshot};

/// The media type of a scrape in protobuf, for the `Content-Type` of a response.
pub const PROTOBUF_MEDIA_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The series of one family, appended to its message.
pub(crate) struct Protobuf<'a> {
    family: Message<'a>,
    of: &'a Heading<'a>,
    /// The global labels as text.
    globals: &'a str,
}

/// Appends a family behind its length. `series` encodes what it has.
pub(crate) fn family(
    out: &mut Vec<u8>,
    of: &Heading<'_>,
    globals: &str,
    series: impl FnOnce(&mut Protobuf<'_>),
) {
    Message(out).with_length(|family| {
        family.text(1, of.name);
        if !of.help.is_empty() {
            family.text(2, of.help);
        }
        family.uint(3, kind_number(of.kind));
        let family = Message(family.0);
        series(&mut Protobuf {
            family,
            of,
            globals,
        });
    });
}

impl Encoder for Protobuf<'_> {
    fn series(&mut self, at: At<'_>, point: Point<'_>) {
        let (of, globals) = (self.of, self.globals);
        self.family.message(4, |metric| {
            if !at.is_whole {
                metric.labels(globals);
            }
            metric.labels(at.labels());
            metric.point(of, at.began(), point);
        });
    }
}

impl Protobuf<'_> {
    /// Appends a series that is not of an engine, with all of its labels.
    pub(crate) fn snapshot(&mut self, series: &SeriesSnapshot) {
        let of = self.of;
        let exemplars = series.value.exemplars(of.bounds);
        self.family.message(4, |metric| {
            for (key, value) in &series.labels {
                metric.label(1, key, value);
            }
            metric.point(of, series.began, series.value.point(exemplars.as_ref()));
        });
    }
}

/// Appends fields to a message.
struct Message<'a>(&'a mut Vec<u8>);

impl Message<'_> {
    fn point(&mut self, of: &Heading<'_>, began: u64, point: Point<'_>) {
        match point {
            Point::Gauge(value) => self.message(2, |gauge| gauge.double(1, value)),
            Point::Counter { number, decimals } => self.message(3, |counter| {
                counter.double(1, number as f64 / 10_f64.powi(i32::from(decimals)));
                counter.time(3, began);
            }),
            Point::Summary {
                quantiles,
                count,
                sum,
            } => self.message(4, |summary| {
                summary.uint(1, count);
                summary.double(2, sum);
                for (level, value) in of.levels.iter().zip(quantiles) {
                    summary.message(3, |quantile| {
                        quantile.double(1, *level);
                        quantile.double(2, *value);
                    });
                }
                summary.time(4, began);
            }),
            Point::Histogram {
                buckets,
                sum,
                exemplars,
                native,
            } => self.message(7, |histogram| {
                histogram.uint(1, buckets.iter().copied().fold(0, u64::wrapping_add));
                histogram.double(2, sum);
                if of.bounds.is_empty() && native.is_some() {
                    // No bucket was declared that an exemplar could be shown in.
                    for exemplar in exemplars.iter().flat_map(|exemplars| exemplars.all()) {
                        histogram.message(16, |message| message.exemplar(&exemplar));
                    }
                } else {
                    histogram.buckets(of.bounds, buckets, exemplars);
                }
                if let Some(native) = native {
                    histogram.native(native);
                }
                histogram.time(15, began);
            }),
        }
    }

    /// Appends the declared buckets, which hold what is in all before them, too.
    fn buckets(&mut self, bounds: &[f64], buckets: &[u64], exemplars: Option<&Exemplars>) {
        let mut count = 0_u64;
        for (index, held) in buckets.iter().enumerate() {
            count = count.wrapping_add(*held);
            self.message(3, |bucket| {
                bucket.uint(1, count);
                bucket.double(2, bounds.get(index).copied().unwrap_or(f64::INFINITY));
                if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.latest(index)) {
                    bucket.message(3, |message| message.exemplar(&exemplar));
                }
            });
        }
    }

    /// Appends the native buckets.
    fn native(&mut self, native: &NativeBuckets) {
        self.sint(5, native.schema.into());
        self.double(6, native.zero_threshold);
        self.uint(7, native.zero_count);
        self.side(9, &native.negative);
        self.side(12, &native.positive);
    }

    /// Appends native buckets of one sign: how they lie side by side, and in the next field of each how much more it holds than the
    /// one before.
    fn side(&mut self, field: u32, side: &[(i32, u64)]) {
        /// As many empty buckets are shorter than a span.
        const GAP: i32 = 2;
        let follows = |a: &(i32, u64), b: &(i32, u64)| b.0 - a.0 <= 1 + GAP;
        let mut next = 0;
        for span in side.chunk_by(follows) {
            let (first, end) = (span[0].0, span[span.len() - 1].0 + 1);
            self.message(field, |message| {
                message.sint(1, i64::from(first) - i64::from(next));
                message.uint(2, end.abs_diff(first).into());
            });
            next = end;
        }
        let mut before = 0_i64;
        for span in side.chunk_by(follows) {
            let mut at = span[0].0;
            for (index, count) in span {
                while at < *index {
                    self.sint(field + 1, -before);
                    (at, before) = (at + 1, 0);
                }
                let count = count.cast_signed();
                self.sint(field + 1, count.wrapping_sub(before));
                (at, before) = (at + 1, count);
            }
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let mut trace = String::with_capacity(32);
        for byte in exemplar.trace {
            let _ = write!(trace, "{byte:02x}");
        }
        self.label(1, "trace_id", &trace);
        self.double(2, exemplar.value);
        self.time(3, exemplar.at);
    }

    /// Appends the labels of a text.
    fn labels(&mut self, text: &str) {
        // Without a backslash nothing is escaped: then a quote begins or ends a value, unless a key has quotes as well.
        let is_plain = !text.contains('\\') && !text.starts_with('"') && !text.contains(",\"");
        if !is_plain {
            for (key, value) in labels_of(text) {
                self.label(1, &key, &value);
            }
            return;
        }
        let mut rest = text;
        while let Some((key, behind)) = rest.split_once("=\"") {
            let (value, behind) = behind.split_once('"').unwrap_or((behind, ""));
            self.label(1, key, value);
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
    }

    fn label(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |label| {
            label.text(1, key);
            label.text(2, value);
        });
    }

    /// Appends a time that is given in milliseconds since 1970.
    fn time(&mut self, field: u32, milliseconds: u64) {
        self.message(field, |time| {
            time.uint(1, milliseconds / 1000);
            time.uint(2, milliseconds % 1000 * 1_000_000);
        });
    }

    fn uint(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field << 3));
        self.varint(value);
    }

    /// A number that may be below 0, with its sign in the last bit.
    fn sint(&mut self, field: u32, value: i64) {
        self.uint(field, (value << 1 ^ value >> 63).cast_unsigned());
    }

    fn double(&mut self, field: u32, value: f64) {
        self.varint(u64::from(field << 3 | 1));
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, field: u32, value: &str) {
        self.varint(u64::from(field << 3 | 2));
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.varint(u64::from(field << 3 | 2));
        self.with_length(write);
    }

    /// Appends what is written, behind its length. Most messages are short, so that one byte is kept for it.
    fn with_length(&mut self, write: impl FnOnce(&mut Self)) {
        let place = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - place - 1;
        let (bytes, count) = varint(length as u64);
        if count > 1 {
            let end = self.0.len();
            self.0.resize(end + count - 1, 0);
            self.0.copy_within(place + 1..end, place + count);
        }
        self.0[place..place + count].copy_from_slice(&bytes[..count]);
    }

    fn varint(&mut self, value: u64) {
        let (bytes, count) = varint(value);
        self.0.extend_from_slice(&bytes[..count]);
    }
}

/// A number seven bits at a time, the least first, and how many bytes that takes.
fn varint(mut value: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut count) = ([0; 10], 1);
    for byte in &mut bytes {
        *byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
        count += 1;
    }
    (bytes, count)
}

/// The number of `MetricType`.
fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Histogram => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_seven_bits_of_each_byte() {
        for (value, expected) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ] {
            let (bytes, count) = varint(value);
            assert_eq!(&bytes[..count], expected, "{value}");
        }
    }

    #[test]
    fn a_long_message_has_its_whole_length_in_front() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let (mut out, text) = (vec![7], "x".repeat(length));
            Message(&mut out).with_length(|message| message.0.extend(text.bytes()));
            let (bytes, count) = varint(length as u64);
            assert_eq!(out[1..=count], bytes[..count]);
            assert_eq!((out[0], &out[1 + count..]), (7, text.as_bytes()));
        }
    }
}
