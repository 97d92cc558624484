//! What was measured: printed as a table, written as `target/bench/latest.json`.

use crate::stats::Spread;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Whether what is compared is of the same worth, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing to be compared.
    Open,
    /// As good as the peer.
    Passed(String),
    /// Not as good as the peer, so the ratio means nothing.
    Failed(String),
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// What it is, from the general to the particular: `cpu.call.vs_ffmpeg`.
    pub name: String,
    /// The median.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it should be at most, or at least.
    pub goal: Option<f64>,
    /// Whom it is compared with, and that one's own figure.
    pub peer: Option<String>,
    /// The least and the greatest run.
    pub spread: [f64; 2],
    /// Whether more is better.
    pub higher_is_better: bool,
    /// How many runs.
    pub n: usize,
    /// The quality gate.
    pub gate: Gate,
}

impl Serialize for Gate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Open => serializer.serialize_none(),
            Self::Passed(why) => serializer.serialize_str(&format!("passed: {why}")),
            Self::Failed(why) => serializer.serialize_str(&format!("FAILED: {why}")),
        }
    }
}

impl Metric {
    /// A figure of which less is better.
    #[must_use]
    pub fn new(name: &str, unit: &'static str, spread: Spread) -> Self {
        Self {
            name: name.to_owned(),
            value: spread.median,
            unit,
            goal: None,
            peer: None,
            spread: [spread.min, spread.max],
            higher_is_better: false,
            n: spread.n,
            gate: Gate::Open,
        }
    }

    /// The same with a goal.
    #[must_use]
    pub fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// The same with a peer.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    /// The same behind a gate.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// The same, of which more is better.
    #[must_use]
    pub fn more_is_better(mut self) -> Self {
        self.higher_is_better = true;
        self
    }

    /// Whether the goal is reached; `None` without a goal.
    #[must_use]
    pub fn reached(&self) -> Option<bool> {
        let goal = self.goal?;
        let good = if self.higher_is_better { self.value >= goal } else { self.value <= goal };
        Some(good && !matches!(self.gate, Gate::Failed(_)))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.reached() {
            None => "",
            Some(true) => "ok  ",
            Some(false) => "MISS",
        };
        let [min, max] = self.spread;
        let range = format!("({}-{})", short(min), short(max));
        let goal = self.goal.map_or_else(String::new, |goal| {
            format!("{} {}", if self.higher_is_better { ">=" } else { "<=" }, short(goal))
        });
        write!(
            f,
            "{verdict:<5}{:<34}{:>9} {:<7}{range:<19}{goal:<10}n={:<4}{}",
            self.name,
            short(self.value),
            self.unit,
            self.n,
            self.peer.as_deref().unwrap_or_default()
        )?;
        match &self.gate {
            Gate::Open => Ok(()),
            Gate::Passed(why) => write!(f, "\n     gate passed: {why}"),
            Gate::Failed(why) => write!(f, "\n     GATE FAILED, the ratio does not count: {why}"),
        }
    }
}

/// Three digits that matter.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Writes `metrics` as JSON to `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn write(metrics: &[Metric], path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(metrics)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Metric {
        let spread = Spread { median: 0.7, min: 0.6, max: 0.8, n: 7 };
        Metric::new("cpu.call.vs_ffmpeg", "ratio", spread).goal(0.77).peer("ffmpeg: 0.49 cores")
    }

    #[test]
    fn a_metric_is_written_with_the_fields_that_readers_know() {
        let value = serde_json::to_value(metric().gate(Gate::Passed("same".into()))).expect("JSON");
        assert_eq!(value["name"], "cpu.call.vs_ffmpeg");
        assert_eq!((value["value"].as_f64(), value["goal"].as_f64()), (Some(0.7), Some(0.77)));
        assert_eq!(value["spread"].as_array().map(Vec::len), Some(2));
        assert_eq!(value["higher_is_better"], false);
        assert_eq!(
            (value["unit"].as_str(), value["peer"].as_str()),
            (Some("ratio"), Some("ffmpeg: 0.49 cores"))
        );
    }

    #[test]
    fn a_ratio_whose_gate_failed_is_shown_and_does_not_reach_its_goal() {
        assert_eq!(metric().reached(), Some(true));
        let failed = metric().gate(Gate::Failed("1 dB less".into()));
        assert_eq!(failed.reached(), Some(false));
        let shown = failed.to_string();
        assert!(
            shown.contains("0.700") && shown.contains("1 dB less") && shown.starts_with("MISS"),
            "{shown}"
        );
    }

    #[test]
    fn where_more_is_better_the_goal_is_a_floor() {
        let good = metric().more_is_better();
        assert_eq!(good.reached(), Some(false));
        assert_eq!(good.goal(0.5).reached(), Some(true));
    }
}
