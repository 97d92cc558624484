//! Ways that are tried: to the router, to the names, to the time, to the conference. Each ends in time, and each result is a
//! sentence.
//!
//! A way is tried as the gateway itself would go it: from the same ports, by the same resolver.

pub mod clock;
pub mod conference;
pub mod names;
pub mod router;

use crate::places::Places;
use crate::protocol::{Path, Reply, Row};
use crate::world::World;
use domain::appliance::values::Server;
use std::future::Future;
use std::time::Duration;

/// Longest that one way may take.
pub const LONGEST: Duration = Duration::from_secs(20);

/// What came of one step of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was tried.
    pub what: String,
    /// How it went.
    pub went: Went,
    /// A sentence of it.
    pub said: String,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// Well.
    Well,
    /// It cannot be told.
    Unknown,
    /// Badly.
    Badly,
}

impl Step {
    fn new(what: impl Into<String>, went: Went, said: impl Into<String>) -> Self {
        Self { what: what.into(), went, said: said.into() }
    }
}

/// Tries `which`: to `to`, or to what is configured.
#[must_use]
pub fn test(which: Path, to: Option<&str>, world: &World, time: &[Server], places: &Places) -> Reply {
    let steps = match which {
        Path::Gateway => router::test(to, world, places),
        Path::Dns => run(names::test(to, world)),
        Path::Ntp => run(clock::test(to, time)),
        Path::Conference => run(conference::test(to, world)),
    };
    reply(&steps)
}

fn reply(steps: &[Step]) -> Reply {
    let word = |went: Went| match went {
        Went::Well => "good",
        Went::Unknown => "unknown",
        Went::Badly => "bad",
    };
    let row = |step: &Step| {
        let mark = match step.went {
            Went::Well => "ok: ",
            Went::Unknown => "?: ",
            Went::Badly => "FAILED: ",
        };
        Row::new(step.what.as_str(), format!("{mark}{}", step.said))
    };
    let data: Vec<_> = steps
        .iter()
        .map(|step| serde_json::json!({ "what": step.what, "went": word(step.went), "said": step.said }))
        .collect();
    let bad = steps.iter().any(|step| step.went == Went::Badly);
    let data = serde_json::json!({ "went": if bad { "bad" } else { "good" }, "steps": data });
    Reply { rows: steps.iter().map(row).collect(), data, problems: Vec::new() }
}

/// Turns a way's sockets on this thread, at most for [`LONGEST`].
fn run(way: impl Future<Output = Vec<Step>>) -> Vec<Step> {
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = made else {
        return vec![Step::new("Test", Went::Badly, "the box has no resources left to try it")];
    };
    let steps = runtime.block_on(async { tokio::time::timeout(LONGEST, way).await });
    // A look-up that still runs in another thread is not waited for.
    runtime.shutdown_background();
    steps.unwrap_or_else(|_| {
        vec![Step::new("Test", Went::Badly, format!("it took longer than {} s", LONGEST.as_secs()))]
    })
}

fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 1_000 { format!("{micros} us") } else { format!("{} ms", time.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_never_ends_is_ended() {
        let begun = std::time::Instant::now();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let ended =
            runtime.block_on(async { tokio::time::timeout(LONGEST, std::future::pending::<()>()).await });
        assert!(ended.is_err() && begun.elapsed() < LONGEST);
    }

    #[test]
    fn one_bad_step_makes_a_bad_way() {
        let steps = [Step::new("a", Went::Well, "fine"), Step::new("b", Went::Badly, "no answer")];
        let reply = reply(&steps);
        assert_eq!(reply.data["went"], "bad");
        assert_eq!(reply.rows[1].value, "FAILED: no answer");
        assert_eq!(super::reply(&steps[..1]).data["went"], "good");
    }
}
