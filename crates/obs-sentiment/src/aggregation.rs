//! One aggregation, from its start to its score.

use std::time::{Duration, Instant};

use obs_core::PanicWatch;

use crate::aggregator::shares;
use crate::sentiment::PriceThreshold;
use crate::{
    AggregationOutcome, Aggregator, Divergence, Reading, Refusal, Sentiment, SentimentError,
};

/// An aggregation under way. It takes each provider's reading, and moves the metrics when it ends: by
/// [`finish`](Self::finish), [`finish_with`](Self::finish_with) or [`fail`](Self::fail). Dropped before, it was
/// `cancelled`, or `panicked` where a panic drops it, and only its time and its end are counted.
#[derive(Debug)]
#[must_use = "an aggregation that is dropped counts as cancelled"]
pub struct Aggregation {
    sentiment: Sentiment,
    /// In the order of the providers.
    readings: Vec<Option<Reading>>,
    price_change: Option<f64>,
    started: Instant,
    panics: PanicWatch,
    ended: bool,
}

/// What came of an aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The aggregated score from -1 to 1; none where it is undefined, which is not the same as 0.
    pub score: Option<f64>,
    /// How the aggregation ended, as it was counted.
    pub outcome: AggregationOutcome,
    /// How many of the listed providers took part with some weight.
    pub used: usize,
    /// How far the highest score that took part lies above the lowest; none where fewer than two did.
    pub spread: Option<f64>,
    /// What diverged, as it was counted.
    pub divergences: Vec<Divergence>,
    /// How long it took, as it was recorded.
    pub elapsed: Duration,
}

impl Aggregation {
    pub(crate) fn start(sentiment: Sentiment) -> Self {
        Self {
            readings: vec![None; sentiment.handles.providers.len()],
            sentiment,
            price_change: None,
            started: Instant::now(),
            panics: PanicWatch::start(),
            ended: false,
        }
    }

    /// Takes a provider's reading: a bare score, or a [`Reading`] with weight and confidence.
    ///
    /// What lies outside its range, and a provider's second reading, is refused and counted, and the aggregation goes on
    /// without it; the error is for those who want to know. A provider that is never heard of counts as missing at the
    /// end.
    pub fn score(
        &mut self,
        provider: &str,
        reading: impl Into<Reading>,
    ) -> Result<(), SentimentError> {
        let reading = reading.into();
        let handles = &*self.sentiment.handles;
        let Some(at) = handles
            .providers
            .iter()
            .position(|known| known.name == provider)
        else {
            handles.metrics.unlisted.increment(1);
            return Err(SentimentError::Unlisted(provider.to_owned()));
        };
        let metrics = &handles.providers[at].metrics;
        let twice = self.readings[at].is_some().then_some(Refusal::Duplicate);
        if let Some(reason) = reading.fault().or(twice) {
            metrics.refused[reason].increment(1);
            return Err(SentimentError::Refused {
                provider: provider.to_owned(),
                reason,
                score: reading.score,
                weight: reading.weight,
                confidence: reading.confidence,
            });
        }
        metrics.score.record(reading.score);
        metrics.confidence.record(reading.confidence);
        self.readings[at] = Some(reading);
        Ok(())
    }

    /// Says how much the price has moved over the time the scores speak of: 0.01 is up one percent. A change that is not
    /// a finite number says nothing.
    pub fn price_change(&mut self, change: f64) {
        self.price_change = change.is_finite().then_some(change);
    }

    /// Ends with the score a ready aggregator makes of the readings.
    #[must_use]
    pub fn finish(self, aggregator: Aggregator) -> Aggregate {
        let readings: Vec<_> = self.readings.iter().copied().flatten().collect();
        let score = aggregator.aggregate(&readings);
        self.end(score)
    }

    /// Ends with a score that was computed elsewhere. One outside -1..=1 is no score: the aggregation is `undefined`, as
    /// it is where no provider took part with any weight.
    #[expect(
        clippy::must_use_candidate,
        reason = "the metrics have moved, and the caller that computed the score has it already"
    )]
    pub fn finish_with(self, score: f64) -> Aggregate {
        let score = (-1.0..=1.0).contains(&score).then_some(score);
        self.end(score)
    }

    /// Ends because of an error: its time and the end are counted, nothing else.
    pub fn fail(mut self) {
        self.close(AggregationOutcome::Error);
    }

    fn end(mut self, score: Option<f64>) -> Aggregate {
        let used = self.taking_part().count();
        let score = score.filter(|_| used > 0);
        let spread = (used > 1).then(|| self.spread());
        self.contributions();
        let outcome = match score {
            None => AggregationOutcome::Undefined,
            Some(_) if used < self.readings.len() => AggregationOutcome::Partial,
            Some(_) => AggregationOutcome::Ok,
        };
        if let Some(score) = score {
            self.sentiment.handles.metrics.score.record(score);
        }
        let divergences = self.divergences(score, spread);
        for divergence in &divergences {
            self.sentiment.handles.metrics.divergences[*divergence].increment(1);
        }
        let elapsed = self.close(outcome);
        Aggregate {
            score,
            outcome,
            used,
            spread,
            divergences,
            elapsed,
        }
    }

    /// The readings that weigh anything.
    fn taking_part(&self) -> impl Iterator<Item = &Reading> {
        let given = self.readings.iter().flatten();
        given.filter(|reading| reading.effective_weight() > 0.0)
    }

    fn spread(&self) -> f64 {
        let scores = || self.taking_part().map(|reading| reading.score);
        scores().fold(f64::MIN, f64::max) - scores().fold(f64::MAX, f64::min)
    }

    /// Counts who took part and who was missing, and sets each provider's share of the weight.
    fn contributions(&self) {
        let weight = |reading: &Option<Reading>| reading.map_or(0.0, |r| r.effective_weight());
        let weights: Vec<_> = self.readings.iter().map(weight).collect();
        let defined = self.taking_part().next().is_some();
        let shares = shares(&weights);
        let providers = &self.sentiment.handles.providers;
        for ((provider, reading), share) in providers.iter().zip(&self.readings).zip(shares) {
            let metrics = &provider.metrics;
            match reading {
                Some(reading) if reading.effective_weight() > 0.0 => metrics.usage.increment(1),
                Some(_) => {}
                None => metrics.missing.increment(1),
            }
            if defined {
                metrics.weight.set(share);
            } else {
                metrics.weight.set_undefined();
            }
        }
    }

    fn divergences(&self, score: Option<f64>, spread: Option<f64>) -> Vec<Divergence> {
        let mut found = Vec::new();
        if let (Some(spread), Some(least)) = (spread, self.sentiment.between_providers)
            && spread >= least
        {
            found.push(Divergence::BetweenProviders);
        }
        if let (Some(score), Some(change), Some(least)) =
            (score, self.price_change, self.sentiment.price)
            && least.is_crossed_by(score, change)
        {
            found.push(Divergence::Price);
        }
        found
    }

    fn close(&mut self, outcome: AggregationOutcome) -> Duration {
        self.ended = true;
        let elapsed = self.started.elapsed();
        let metrics = &self.sentiment.handles.metrics;
        metrics.calculation.record(elapsed);
        metrics.aggregations[outcome].increment(1);
        elapsed
    }
}

impl PriceThreshold {
    fn is_crossed_by(self, score: f64, change: f64) -> bool {
        let opposed = (score > 0.0) != (change > 0.0);
        opposed && score.abs() >= self.score && change.abs() >= self.change
    }
}

impl Drop for Aggregation {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let outcome = if self.panics.has_panicked() {
            AggregationOutcome::Panicked
        } else {
            AggregationOutcome::Cancelled
        };
        self.close(outcome);
    }
}
