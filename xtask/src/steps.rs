//! How long the steps of a command take.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

/// The steps so far, in their order.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Does a step; what comes of it.
    pub(crate) fn timed<T>(&mut self, name: impl Into<String>, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = step();
        self.0.push((name.into(), start.elapsed()));
        done
    }
}

impl Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.0.iter().map(|(_, took)| *took).sum();
        writeln!(f, "{:.0} s in {} steps:", all.as_secs_f64(), self.0.len())?;
        for (name, took) in &self.0 {
            writeln!(f, "{:7.1} s  {name}", took.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_its_line_and_all_have_their_sum() {
        let mut steps = Steps::default();
        assert_eq!(steps.timed("none", || 42), 42);
        steps.0 = vec![
            ("cargo doc".to_owned(), Duration::from_millis(61_540)),
            ("cargo xtask gate".to_owned(), Duration::from_secs(100)),
        ];
        let text = "162 s in 2 steps:
   61.5 s  cargo doc
  100.0 s  cargo xtask gate
";
        assert_eq!(steps.to_string(), text);
    }
}
