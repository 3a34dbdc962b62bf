//! What aggregations are measured by, made once at start-up.

use std::sync::Arc;

use crate::metrics::{SentimentMetrics, SentimentProviderMetrics};
use crate::{Aggregation, SentimentError};

/// The providers whose scores are aggregated, and what counts as a divergence among them. Built at start-up, cloned and
/// handed to the code that aggregates; clones share their handles.
///
/// ```
/// use obs_sentiment::Sentiment;
///
/// let sentiment = Sentiment::new(["twitter", "reddit", "news"])
///     .diverges_between_providers(0.8)?      // the highest score is 0.8 or more above the lowest
///     .diverges_from_price(0.3, 0.01)?;      // 0.3 or more one way while the price moves 1 % or more the other
/// # Ok::<(), obs_sentiment::SentimentError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sentiment {
    pub(crate) handles: Arc<Handles>,
    pub(crate) between_providers: Option<f64>,
    pub(crate) price: Option<PriceThreshold>,
}

#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) metrics: SentimentMetrics,
    pub(crate) providers: Vec<Provider>,
}

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) metrics: SentimentProviderMetrics,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PriceThreshold {
    pub(crate) score: f64,
    pub(crate) change: f64,
}

impl Sentiment {
    /// Aggregations of these providers, each of which is expected to take part in every one. Their series exist from now
    /// on. A name that comes twice counts once; the first 30 keep series of their own.
    #[must_use]
    #[track_caller]
    pub fn new<N: Into<String>>(providers: impl IntoIterator<Item = N>) -> Self {
        let mut known: Vec<Provider> = Vec::new();
        for name in providers {
            let name = name.into();
            if known.iter().all(|provider| provider.name != name) {
                let metrics = SentimentProviderMetrics::new(&name);
                metrics.weight.set_undefined();
                known.push(Provider { name, metrics });
            }
        }
        let handles = Handles {
            metrics: SentimentMetrics::new(),
            providers: known,
        };
        Self {
            handles: Arc::new(handles),
            between_providers: None,
            price: None,
        }
    }

    /// Counts a divergence between providers when the highest and the lowest score that take part in an aggregation lie
    /// this far apart or farther: more than 0, at most 2. Not counted unless this is set.
    pub fn diverges_between_providers(mut self, spread: f64) -> Result<Self, SentimentError> {
        let spread = threshold(
            "the spread between providers",
            spread,
            2.0,
            "above 0, at most 2",
        )?;
        self.between_providers = Some(spread);
        Ok(self)
    }

    /// Counts a divergence from the price when the aggregated score is at least `score` away from 0 (above 0, at most 1)
    /// and the price has moved at least `change` the other way (above 0; 0.01 is one percent). Not counted unless this
    /// is set and the aggregation is given the [price change](Aggregation::price_change).
    pub fn diverges_from_price(mut self, score: f64, change: f64) -> Result<Self, SentimentError> {
        let score = threshold(
            "the score against the price",
            score,
            1.0,
            "above 0, at most 1",
        )?;
        let change = threshold("the change of the price", change, f64::MAX, "above 0")?;
        self.price = Some(PriceThreshold { score, change });
        Ok(self)
    }

    /// Starts an aggregation, and its clock.
    pub fn aggregate(&self) -> Aggregation {
        Aggregation::start(self.clone())
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &SentimentMetrics {
        &self.handles.metrics
    }
}

fn threshold(
    name: &'static str,
    value: f64,
    most: f64,
    accepts: &'static str,
) -> Result<f64, SentimentError> {
    if value > 0.0 && value <= most {
        Ok(value)
    } else {
        Err(SentimentError::Threshold {
            name,
            value,
            accepts,
        })
    }
}
