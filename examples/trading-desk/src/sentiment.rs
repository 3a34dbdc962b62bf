//! Sentiment: what the providers make of each symbol, asked for once a week and aggregated.
//!
//! The providers are [stand-ins](crate::stand_in) that compute their scores from prices, so nothing is traded on them.
//! They are reached over HTTP and fail like others do: a provider that fails is left out of that week's aggregates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use jiff::civil::Date;
use obs_core::{CountError, ErrorMetrics};
use obs_providers::{Provider, ProviderKind};
use obs_sentiment::{Aggregator, Reading};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::metrics;
use crate::outside::Outside;
use crate::provider::Opinions;
use crate::stand_in::StandIn;
use crate::symbol::Symbol;

/// Scores this far apart are a divergence between providers.
pub const SPREAD: f64 = 1.6;

/// An aggregated score of this size
pub const SCORE_AGAINST_PRICE: f64 = 0.3;

/// and a week's change of price of this size the other way are a divergence from the price.
pub const PRICE_AGAINST_SCORE: f64 = 0.02;

/// The providers, and what they said last. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SentimentFeed {
    providers: Vec<(StandIn, Outside)>,
    measured: obs_sentiment::Sentiment,
    latest: Arc<Mutex<BTreeMap<Symbol, SymbolSentiment>>>,
    errors: Arc<ErrorMetrics>,
}

/// What the providers together make of a symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolSentiment {
    /// As of the close of this day.
    pub date: Date,
    /// That day's close, in US dollars.
    pub close: f64,
    /// From -1 to 1; none where no provider had anything to say.
    pub score: Option<f64>,
    /// Providers that took part.
    pub providers: usize,
}

impl SentimentFeed {
    /// The providers at `base`, such as `http://127.0.0.1:4000`.
    pub fn new(base: &str) -> Result<Self, Error> {
        let provider = |of: StandIn| {
            let provider = Provider::builder(of.name(), ProviderKind::Sentiment)
                .endpoint("scores")
                .build()?;
            // A score that does not come is left out, so there is no need to insist.
            Ok((of, Outside::new(provider, base, 0)?))
        };
        let providers = StandIn::ALL.into_iter().map(provider);
        Ok(Self {
            providers: providers.collect::<Result<_, Error>>()?,
            measured: obs_sentiment::Sentiment::new(StandIn::ALL.map(StandIn::name))
                .diverges_between_providers(SPREAD)?
                .diverges_from_price(SCORE_AGAINST_PRICE, PRICE_AGAINST_SCORE)?,
            latest: Arc::default(),
            errors: metrics::errors("sentiment", ["call_failed", "sentiment"]),
        })
    }

    /// Asks all providers at once, and aggregates what they say of each symbol that has a close.
    pub async fn refresh(&self, date: Date, closes: &BTreeMap<Symbol, f64>) {
        let asked = self.providers.iter().map(|(of, provider)| async move {
            let opinions = ask(provider, *of, date).await;
            // Who fails is counted and left out.
            Some((*of, opinions.count_error(&self.errors).ok()?))
        });
        let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        let mut latest = self.lock();
        for (symbol, close) in closes {
            let before = latest.get(symbol).map(|sentiment| sentiment.close);
            let sentiment = self.aggregate(symbol, date, (before, *close), &answers);
            latest.insert(symbol.clone(), sentiment);
        }
    }

    /// What the providers made of each symbol when they were last asked.
    #[must_use]
    pub fn latest(&self) -> BTreeMap<Symbol, SymbolSentiment> {
        self.lock().clone()
    }

    /// The providers under measurement.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter().map(|(_, outside)| outside.provider())
    }

    fn aggregate(
        &self,
        symbol: &Symbol,
        date: Date,
        (before, close): (Option<f64>, f64),
        answers: &[(StandIn, Opinions)],
    ) -> SymbolSentiment {
        let mut aggregation = self.measured.aggregate();
        for (of, opinions) in answers {
            let Some(opinion) = opinions.get(symbol) else {
                continue;
            };
            let reading = Reading::new(opinion.score)
                .weight(weight(*of))
                .confidence(opinion.confidence);
            let taken = aggregation.score(of.name(), reading);
            // A reading that is none is counted and left out.
            let _ = taken.map_err(Error::from).count_error(&self.errors);
        }
        if let Some(before) = before {
            aggregation.price_change(close / before - 1.0);
        }
        let aggregate = aggregation.finish(Aggregator::WeightedMean);
        SymbolSentiment {
            date,
            close,
            score: aggregate.score,
            providers: aggregate.used,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Symbol, SymbolSentiment>> {
        // Each entry is replaced whole: a thread that panicked left nothing half done.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(provider: &Outside, of: StandIn, date: Date) -> Result<Opinions, Error> {
    let segments = ["v1", "sentiment", of.name()];
    let query = [("at", date.to_string())];
    let answer = provider.get("scores", &segments, &query).await;
    answer.map_err(|source| Error::SentimentCall {
        provider: of.name(),
        source,
    })
}

/// What a provider's score weighs: an index near its high says more than what it did of late.
fn weight(of: StandIn) -> f64 {
    match of {
        StandIn::Momentum | StandIn::Contrarian => 1.0,
        StandIn::Range => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Vendors;
    use crate::server::Server;

    #[tokio::test]
    async fn who_fails_is_left_out_and_the_rest_goes_on() {
        let series = crate::bars::bundled().unwrap();
        let closes: BTreeMap<_, _> = series
            .iter()
            .map(|series| (series.symbol.clone(), series.bars[99].close))
            .collect();
        let (early, late) = (series[0].bars[5].date, series[0].bars[99].date);
        let vendors = Vendors::new(series);
        let server = Server::start("127.0.0.1:0", "", vendors.router())
            .await
            .unwrap();
        let feed = SentimentFeed::new(&server.url()).unwrap();
        // Too few bars for anybody to speak.
        feed.refresh(early, &closes).await;
        assert!(feed.latest().values().all(|of| of.score.is_none()));

        let mut took_part = Vec::new();
        for _ in 0..100 {
            feed.refresh(late, &closes).await;
            let latest = feed.latest();
            assert_eq!(latest.len(), 2);
            let scored = latest.values().all(|of| of.score.is_some());
            assert!(scored, "{latest:?}");
            took_part.push(latest.values().map(|of| of.providers).min().unwrap());
        }
        // One refusal by quota, one broken answer, and an outage of four.
        let failed = took_part.iter().filter(|providers| **providers == 2);
        assert_eq!(failed.count(), 6, "{took_part:?}");

        server.stop().await.unwrap();
        feed.refresh(late, &closes).await;
        assert!(feed.latest().values().all(|of| of.providers == 0));
    }
}
