//! Mean and standard deviation of the last values, each update in constant time.

use std::collections::VecDeque;

/// The last `length` values of a series.
#[derive(Debug, Clone)]
pub struct Window {
    length: usize,
    values: VecDeque<f64>,
    mean: f64,
    /// Sum of squared distances from the mean, kept by Welford's recurrence: sums of squares would
    /// lose their digits to prices that are large against their variation.
    squares: f64,
}

impl Window {
    /// An empty window. A length below 2 has no deviation and counts as 2.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let length = length.max(2);
        Self {
            length,
            values: VecDeque::with_capacity(length),
            mean: 0.0,
            squares: 0.0,
        }
    }

    /// Takes in a value and lets go of the oldest once the window is full.
    pub fn push(&mut self, value: f64) {
        if self.values.len() == self.length {
            self.replace_oldest(value);
        } else {
            self.values.push_back(value);
            let before = self.mean;
            self.mean += (value - before) / self.values.len() as f64;
            self.squares += (value - before) * (value - self.mean);
        }
    }

    /// The arithmetic mean, once the window is full.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.is_full().then_some(self.mean)
    }

    /// The sample standard deviation (n − 1 in the divisor), once the window is full.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        self.is_full()
            .then(|| (self.squares.max(0.0) / (self.length - 1) as f64).sqrt())
    }

    fn is_full(&self) -> bool {
        self.values.len() == self.length
    }

    fn replace_oldest(&mut self, value: f64) {
        let oldest = self.values.pop_front().unwrap_or(value);
        self.values.push_back(value);
        let before = self.mean;
        self.mean += (value - oldest) / self.length as f64;
        self.squares += (value - oldest) * (value - self.mean + oldest - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars;

    #[test]
    fn says_nothing_before_it_is_full() {
        let mut window = Window::new(3);
        window.push(1.0);
        window.push(2.0);
        assert_eq!((window.mean(), window.deviation()), (None, None));
        window.push(6.0);
        assert_eq!(window.mean(), Some(3.0));
        assert!((window.deviation().unwrap() - 7.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn agrees_with_the_definition_over_twenty_years_of_closes() {
        let closes: Vec<f64> = bars::bundled().unwrap()[0]
            .bars
            .iter()
            .map(|bar| bar.close)
            .collect();
        let mut window = Window::new(20);
        for (last, close) in closes.iter().enumerate() {
            window.push(*close);
            if last < 19 {
                continue;
            }
            let values = &closes[last - 19..=last];
            let mean = values.iter().sum::<f64>() / 20.0;
            let variance = values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>()
                / 19.0;
            assert!((window.mean().unwrap() - mean).abs() < 1e-8);
            assert!((window.deviation().unwrap() - variance.sqrt()).abs() < 1e-6);
        }
    }
}
