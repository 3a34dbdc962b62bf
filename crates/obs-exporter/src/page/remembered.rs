//! Figures and values as the page's history reads them.

use std::borrow::Cow;

use obs_core::{Family, Figure, How, Reading, Shows, Unit};
use obs_page::{Source, Value};
use obs_recorder::{Engine, SeriesValue};

/// The recorder's values, without a rendering.
pub(super) struct Recorded<'a>(pub(super) &'a Engine);

impl Source for Recorded<'_> {
    fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>)) {
        self.0
            .each_of(family, |labels, series| read(labels, value(series)));
    }
}

fn value(series: &SeriesValue) -> Value<'_> {
    match series {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the text of a scrape is read as the same float"
        )]
        SeriesValue::Counter { number, decimals } => {
            Value::Number(*number as f64 / 10_f64.powi(i32::from(*decimals)))
        }
        SeriesValue::Gauge(value) => Value::Number(*value),
        SeriesValue::Histogram { buckets, .. } => Value::Buckets(buckets),
        _ => Value::Other,
    }
}

/// A figure, where it has lines: tables and logs have none.
pub(super) fn figure(figure: &Figure) -> Option<obs_page::Figure> {
    let shows = match figure.shows {
        Shows::Value(value) | Shows::Bar(value, _) => obs_page::Shows::Value(reading(value)),
        Shows::Ratio(part, whole) => obs_page::Shows::Ratio(reading(part), reading(whole)),
        Shows::Curve { value, below, .. } => obs_page::Shows::Curve(reading(value), reading(below)),
        Shows::Quantiles(of, levels) => obs_page::Shows::Quantiles(family(of), levels.into()),
        _ => return None,
    };
    Some(obs_page::Figure {
        title: figure.title.into(),
        shows,
        trend: figure.trend.map(reading),
    })
}

fn reading(reading: Reading) -> obs_page::Reading {
    let how = match reading.how {
        How::Sum => obs_page::How::Sum,
        How::Least => obs_page::How::Least,
        How::Most => obs_page::How::Most,
        How::Rate => obs_page::How::Rate,
        How::Series => obs_page::How::Series,
        How::Quantile(level) => obs_page::How::Quantile(level),
        How::Constant(number) => obs_page::How::Constant(number),
        _ => obs_page::How::Unknown,
    };
    let labels = reading.with.iter();
    obs_page::Reading {
        how,
        families: reading.families().map(family).collect(),
        labels: labels
            .map(|(key, value)| (Cow::from(*key), Cow::from(*value)))
            .collect(),
    }
}

fn family(family: &'static Family) -> obs_page::Family {
    obs_page::Family {
        name: family.name().into(),
        is_money: matches!(family.measured_in(), Unit::Currency | Unit::Number),
        bounds: family.bucket_bounds().into(),
    }
}
