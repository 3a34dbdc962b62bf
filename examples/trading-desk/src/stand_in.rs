//! Stand-ins for sentiment: scores computed from prices alone.
//!
//! Nobody's posts or news of twenty years can be shipped with an example, so the sentiment providers on loopback have
//! no sentiment to sell. What they answer is arithmetic on the bars, under the names of the usual providers:
//!
//! | provider | score | confidence |
//! |---|---|---|
//! | `twitter` | momentum: tanh of the change over [`WINDOW`] days, in units of 5 % | net move as a share of the way gone |
//! | `reddit` | contrarian: minus the distance from the mean of [`WINDOW`] closes, in units of three deviations | the score's size |
//! | `news` | where the close lies between low and high of [`RANGE_WINDOW`] days, from -1 to 1 | the score's size |
//!
//! They differ like opinions do, come from what really happened, and say nothing about what anybody thought.

use obs_providers::names;
use serde::{Deserialize, Serialize};

use crate::bars::Bar;

/// Days that momentum and the contrarian look back over.
pub const WINDOW: usize = 20;

/// Days that the range is taken from.
pub const RANGE_WINDOW: usize = 60;

/// The change over [`WINDOW`] days that counts as one unit of momentum.
const MOMENTUM_UNIT: f64 = 0.05;

/// The distance from the mean, in standard deviations, at which the contrarian is at the end of the scale.
const FULL_DISTANCE: f64 = 3.0;

/// What stands in for a sentiment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandIn {
    /// What rose goes on rising.
    Momentum,
    /// What rose far comes back.
    Contrarian,
    /// What is near its high is well thought of.
    Range,
}

/// What a provider says of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// From -1 to 1.
    pub score: f64,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
}

impl StandIn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Momentum, Self::Contrarian, Self::Range];

    /// The provider it stands in for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Momentum => names::TWITTER,
            Self::Contrarian => names::REDDIT,
            Self::Range => names::NEWS,
        }
    }

    /// The stand-in for a provider.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it makes of a symbol's bars up to a day; nothing while there are too few of them.
    #[must_use]
    pub fn opinion(self, bars: &[Bar]) -> Option<Opinion> {
        match self {
            Self::Momentum => momentum(last(bars, WINDOW + 1)?),
            Self::Contrarian => contrarian(last(bars, WINDOW)?),
            Self::Range => range(last(bars, RANGE_WINDOW)?),
        }
    }
}

fn last(bars: &[Bar], days: usize) -> Option<&[Bar]> {
    bars.get(bars.len().checked_sub(days)?..)
}

fn momentum(bars: &[Bar]) -> Option<Opinion> {
    let (first, last) = (bars.first()?.close, bars.last()?.close);
    let moves = bars.windows(2).map(|pair| pair[1].close - pair[0].close);
    let way: f64 = moves.map(f64::abs).sum();
    let net = last - first;
    Some(Opinion {
        score: (net / first / MOMENTUM_UNIT).tanh(),
        confidence: share(net.abs(), way),
    })
}

fn contrarian(bars: &[Bar]) -> Option<Opinion> {
    let days = bars.len() as f64;
    let mean = bars.iter().map(|bar| bar.close).sum::<f64>() / days;
    let squares = bars.iter().map(|bar| (bar.close - mean).powi(2));
    let deviation = (squares.sum::<f64>() / days).sqrt();
    let distance = bars.last()?.close - mean;
    let score = -share(distance, deviation * FULL_DISTANCE);
    Some(Opinion {
        score,
        confidence: score.abs(),
    })
}

fn range(bars: &[Bar]) -> Option<Opinion> {
    let low = bars.iter().map(|bar| bar.low).fold(f64::MAX, f64::min);
    let high = bars.iter().map(|bar| bar.high).fold(f64::MIN, f64::max);
    let score = share(2.0 * bars.last()?.close - low - high, high - low);
    Some(Opinion {
        score,
        confidence: score.abs(),
    })
}

/// The part as a share of the whole, brought into -1 to 1; nothing is no part of nothing.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        (part / whole).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::tests::flat;

    fn opinion(of: StandIn, closes: impl Iterator<Item = f64>) -> Option<Opinion> {
        of.opinion(&closes.map(flat).collect::<Vec<_>>())
    }

    #[test]
    fn on_a_steady_rise_they_disagree() {
        let rise = || (0..80).map(|day| 100.0 + f64::from(day));
        let momentum = opinion(StandIn::Momentum, rise()).unwrap();
        assert!(momentum.score > 0.9, "{momentum:?}");
        assert!((momentum.confidence - 1.0).abs() < 1e-12, "{momentum:?}");
        let contrarian = opinion(StandIn::Contrarian, rise()).unwrap();
        assert!(contrarian.score < -0.5, "{contrarian:?}");
        let range = opinion(StandIn::Range, rise()).unwrap();
        assert!((range.score - 1.0).abs() < 1e-12, "{range:?}");
    }

    #[test]
    fn too_few_bars_are_no_opinion_and_a_price_that_stands_still_a_neutral_one() {
        for of in StandIn::ALL {
            assert_eq!(StandIn::named(of.name()), Some(of));
            assert_eq!(opinion(of, (0..19).map(|_| 5.0)), None);
            let neutral = Opinion {
                score: 0.0,
                confidence: 0.0,
            };
            let still = opinion(of, (0..80).map(|_| 5.0)).unwrap();
            assert!((still.score - neutral.score).abs() < 1e-12, "{still:?}");
            assert!(still.confidence.abs() < 1e-12, "{still:?}");
        }
    }

    #[test]
    fn on_real_bars_every_score_is_one() {
        let series = crate::bars::bundled().unwrap();
        for of in StandIn::ALL {
            let bars = &series[0].bars;
            for end in (RANGE_WINDOW + 1..bars.len()).step_by(7) {
                let opinion = of.opinion(&bars[..end]).unwrap();
                assert!((-1.0..=1.0).contains(&opinion.score), "{opinion:?}");
                assert!((0.0..=1.0).contains(&opinion.confidence), "{opinion:?}");
            }
        }
    }
}
