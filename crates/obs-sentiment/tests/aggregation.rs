//! What an aggregation leaves to be seen.

use obs_core::{Closed, TestRecorder};
use obs_sentiment::{
    AggregationOutcome, Aggregator, Divergence, Reading, Refusal, Sentiment, SentimentError,
};

const PROVIDERS: [&str; 3] = ["twitter", "reddit", "news"];

/// Three providers that diverge by 1 between them, and by 0.3 against one percent of the price.
fn three() -> (TestRecorder, Sentiment) {
    let test = TestRecorder::new();
    let sentiment = test.run(|| Sentiment::new(PROVIDERS));
    let sentiment = sentiment.diverges_between_providers(1.0).unwrap();
    (test, sentiment.diverges_from_price(0.3, 0.01).unwrap())
}

fn ended(test: &TestRecorder, outcome: AggregationOutcome) -> Option<u64> {
    test.counter(
        "sentiment_aggregations_total",
        &[("outcome", outcome.as_str())],
    )
}

fn of_provider(test: &TestRecorder, name: &str, provider: &str) -> Option<u64> {
    test.counter(name, &[("provider", provider)])
}

fn weight(test: &TestRecorder, provider: &str) -> f64 {
    test.gauge("sentiment_provider_weight_ratio", &[("provider", provider)])
        .unwrap()
}

fn refused(test: &TestRecorder, provider: &str, reason: Refusal) -> Option<u64> {
    let labels = [("provider", provider), ("reason", reason.as_str())];
    test.counter("sentiment_provider_refused_total", &labels)
}

#[test]
fn a_whole_aggregation_moves_everything_once() {
    let (test, sentiment) = three();
    let mut aggregation = sentiment.aggregate();
    aggregation
        .score("twitter", Reading::new(0.5).weight(2.0))
        .unwrap();
    aggregation
        .score("reddit", Reading::new(-0.25).confidence(0.5))
        .unwrap();
    aggregation
        .score("news", Reading::new(0.25).weight(1.5))
        .unwrap();
    let aggregate = aggregation.finish(Aggregator::WeightedMean);

    // (2·0.5 − 0.5·0.25 + 1.5·0.25) / 4
    assert_eq!(aggregate.score, Some(0.3125));
    assert_eq!(aggregate.spread, Some(0.75));
    assert_eq!(
        (aggregate.outcome, aggregate.used),
        (AggregationOutcome::Ok, 3)
    );
    assert_eq!(ended(&test, AggregationOutcome::Ok), Some(1));
    assert_eq!(test.samples("sentiment_score", &[]), Some(vec![0.3125]));
    let timed = test
        .samples("sentiment_calculation_duration_seconds", &[])
        .unwrap();
    assert_eq!(timed, [aggregate.elapsed.as_secs_f64()]);
    for (provider, score, share) in [
        ("twitter", 0.5, 0.5),
        ("reddit", -0.25, 0.125),
        ("news", 0.25, 0.375),
    ] {
        assert_eq!(
            of_provider(&test, "sentiment_provider_usage_total", provider),
            Some(1)
        );
        assert_eq!(
            of_provider(&test, "sentiment_provider_missing_total", provider),
            Some(0)
        );
        let scores = test.samples("sentiment_provider_score", &[("provider", provider)]);
        assert_eq!(scores, Some(vec![score]));
        assert!((weight(&test, provider) - share).abs() < 1e-12);
    }
    assert_eq!(test.counter_sum("sentiment_divergences_total", &[]), 0);
}

#[test]
fn every_series_exists_from_the_start() {
    let (test, _sentiment) = three();
    for outcome in AggregationOutcome::ALL {
        assert_eq!(ended(&test, *outcome), Some(0));
    }
    for kind in ["between_providers", "price"] {
        assert_eq!(
            test.counter("sentiment_divergences_total", &[("kind", kind)]),
            Some(0)
        );
    }
    for provider in PROVIDERS {
        assert_eq!(
            of_provider(&test, "sentiment_provider_usage_total", provider),
            Some(0)
        );
        assert_eq!(refused(&test, provider, Refusal::ScoreOutOfRange), Some(0));
        assert!(weight(&test, provider).is_nan());
    }
}

#[test]
fn what_is_missing_makes_it_partial() {
    let (test, sentiment) = three();
    let mut aggregation = sentiment.aggregate();
    aggregation.score("news", 0.5).unwrap();
    let aggregate = aggregation.finish(Aggregator::Median);
    assert_eq!(aggregate.score, Some(0.5));
    assert_eq!(aggregate.spread, None);
    assert_eq!(ended(&test, AggregationOutcome::Partial), Some(1));
    assert_eq!(
        of_provider(&test, "sentiment_provider_missing_total", "twitter"),
        Some(1)
    );
    assert_eq!(
        of_provider(&test, "sentiment_provider_missing_total", "news"),
        Some(0)
    );
    assert_eq!(
        (weight(&test, "news"), weight(&test, "twitter")),
        (1.0, 0.0)
    );
}

#[test]
fn what_is_refused_is_counted_and_reaches_no_sum() {
    let (test, sentiment) = three();
    let mut aggregation = sentiment.aggregate();
    let cases = [
        (Reading::new(f64::NAN), Refusal::ScoreUndefined),
        (Reading::new(1.01), Refusal::ScoreOutOfRange),
        (Reading::new(f64::NEG_INFINITY), Refusal::ScoreOutOfRange),
        (Reading::new(0.1).weight(-1.0), Refusal::Weight),
        (Reading::new(0.1).confidence(1.5), Refusal::Confidence),
    ];
    for (reading, expected) in cases {
        let Err(SentimentError::Refused { reason, .. }) = aggregation.score("twitter", reading)
        else {
            panic!("{reading:?} was taken");
        };
        assert_eq!(reason, expected);
    }
    aggregation.score("reddit", 0.2).unwrap();
    let again = aggregation.score("reddit", 0.9).unwrap_err();
    assert!(again.to_string().contains("(duplicate)"), "{again}");
    assert_eq!(
        aggregation.score("myspace", 0.9),
        Err(SentimentError::Unlisted("myspace".to_owned()))
    );
    let aggregate = aggregation.finish(Aggregator::WeightedMean);

    assert_eq!(aggregate.score, Some(0.2));
    assert_eq!(aggregate.outcome, AggregationOutcome::Partial);
    assert_eq!(refused(&test, "twitter", Refusal::ScoreOutOfRange), Some(2));
    assert_eq!(refused(&test, "twitter", Refusal::ScoreUndefined), Some(1));
    assert_eq!(refused(&test, "reddit", Refusal::Duplicate), Some(1));
    assert_eq!(test.counter_sum("sentiment_provider_refused_total", &[]), 6);
    assert_eq!(
        test.counter("sentiment_readings_unlisted_total", &[]),
        Some(1)
    );
    // A refused provider gave no score, so it is missing too.
    assert_eq!(
        of_provider(&test, "sentiment_provider_missing_total", "twitter"),
        Some(1)
    );
    assert_eq!(
        test.samples("sentiment_provider_score", &[("provider", "twitter")]),
        Some(vec![])
    );
}

#[test]
fn no_weight_at_all_is_undefined_and_not_nought() {
    let (test, sentiment) = three();
    let mut aggregation = sentiment.aggregate();
    aggregation
        .score("twitter", Reading::new(0.5).weight(0.0))
        .unwrap();
    aggregation
        .score("news", Reading::new(-0.9).confidence(0.0))
        .unwrap();
    let aggregate = aggregation.finish(Aggregator::WeightedMean);
    assert_eq!((aggregate.score, aggregate.used), (None, 0));
    // Nothing took part, whatever somebody else computed.
    assert_eq!(sentiment.aggregate().finish_with(0.3).score, None);

    assert_eq!(ended(&test, AggregationOutcome::Undefined), Some(2));
    assert_eq!(test.samples("sentiment_score", &[]), Some(vec![]));
    assert!(
        PROVIDERS
            .iter()
            .all(|provider| weight(&test, provider).is_nan())
    );
    assert_eq!(
        of_provider(&test, "sentiment_provider_usage_total", "twitter"),
        Some(0)
    );
}

#[test]
fn a_score_from_elsewhere_is_taken_or_undefined() {
    let (test, sentiment) = three();
    for (given, kept) in [(0.7, Some(0.7)), (f64::NAN, None), (1.5, None)] {
        let mut aggregation = sentiment.aggregate();
        for provider in PROVIDERS {
            aggregation.score(provider, 0.1).unwrap();
        }
        assert_eq!(aggregation.finish_with(given).score, kept);
    }
    assert_eq!(ended(&test, AggregationOutcome::Ok), Some(1));
    assert_eq!(ended(&test, AggregationOutcome::Undefined), Some(2));
    assert_eq!(test.samples("sentiment_score", &[]), Some(vec![0.7]));
}

#[test]
fn an_aggregation_that_does_not_come_to_its_end_counts_once_too() {
    let (test, sentiment) = three();
    sentiment.aggregate().fail();
    drop(sentiment.aggregate());
    let inside = sentiment.clone();
    let panicked = std::thread::spawn(move || {
        let _aggregation = inside.aggregate();
        std::panic::panic_any(7);
    });
    let panicked = panicked.join().expect_err("it panics");
    assert_eq!(panicked.downcast_ref(), Some(&7), "the panic is unchanged");

    for outcome in [
        AggregationOutcome::Error,
        AggregationOutcome::Cancelled,
        AggregationOutcome::Panicked,
    ] {
        assert_eq!(ended(&test, outcome), Some(1));
    }
    let timed = test.samples("sentiment_calculation_duration_seconds", &[]);
    assert_eq!(timed.map(|samples| samples.len()), Some(3));
    assert_eq!(test.counter_sum("sentiment_provider_missing_total", &[]), 0);
    // The next one ends as ever.
    let ended_well = sentiment.aggregate().finish(Aggregator::Median);
    assert_eq!(ended(&test, ended_well.outcome), Some(1));
}

#[test]
fn divergences_count_at_their_thresholds_and_beyond() {
    let (test, sentiment) = three();
    let aggregate = |scores: [f64; 2], change: Option<f64>| {
        let mut aggregation = sentiment.aggregate();
        for (provider, score) in PROVIDERS.iter().zip(scores) {
            aggregation.score(provider, score).unwrap();
        }
        if let Some(change) = change {
            aggregation.price_change(change);
        }
        aggregation.finish(Aggregator::WeightedMean).divergences
    };
    assert_eq!(aggregate([0.5, -0.5], None), [Divergence::BetweenProviders]);
    assert_eq!(aggregate([0.5, -0.25], None), []);
    assert_eq!(aggregate([0.5, 0.5], Some(-0.01)), [Divergence::Price]);
    assert_eq!(aggregate([-0.5, -0.5], Some(0.02)), [Divergence::Price]);
    assert_eq!(aggregate([0.5, 0.5], Some(0.02)), []);
    assert_eq!(aggregate([0.5, 0.5], Some(-0.005)), []);
    assert_eq!(aggregate([0.2, 0.2], Some(-0.5)), []);
    assert_eq!(aggregate([0.5, 0.5], Some(f64::NAN)), []);
    assert_eq!(
        aggregate([1.0, 0.0], Some(-0.5)),
        [Divergence::BetweenProviders, Divergence::Price]
    );
    let counted = |kind| test.counter("sentiment_divergences_total", &[("kind", kind)]);
    assert_eq!(
        (counted("between_providers"), counted("price")),
        (Some(2), Some(3))
    );
}

#[test]
fn a_threshold_that_makes_no_sense_is_refused() {
    for spread in [0.0, -1.0, 2.1, f64::NAN] {
        let error = three().1.diverges_between_providers(spread).unwrap_err();
        assert!(error.to_string().contains("above 0, at most 2"), "{error}");
    }
    assert!(three().1.diverges_from_price(1.1, 0.01).is_err());
    assert!(three().1.diverges_from_price(0.5, 0.0).is_err());
}

#[test]
fn the_catalogue_joins_that_of_the_core() {
    let joined =
        obs_core::Catalogue::join([obs_sentiment::catalogue(), obs_core::catalogue()]).unwrap();
    let labels = |name: &str| {
        let family = joined.family(name).unwrap();
        family.labels().map(|label| label.key).collect::<Vec<_>>()
    };
    assert!(labels("sentiment_calculation_duration_seconds").is_empty());
    assert_eq!(labels("sentiment_aggregations_total"), ["outcome"]);
    assert_eq!(labels("sentiment_provider_usage_total"), ["provider"]);
    assert!(labels("sentiment_score").is_empty());
    assert_eq!(labels("sentiment_provider_score"), ["provider"]);
    assert_eq!(labels("sentiment_divergences_total"), ["kind"]);
    assert_eq!(labels("sentiment_provider_weight_ratio"), ["provider"]);
}
