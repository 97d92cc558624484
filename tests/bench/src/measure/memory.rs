//! Memory of the gateway at rest and with each call more.

use super::Bench;
use crate::cpu;
use crate::load::meeting::Meeting;
use crate::load::room::Room;
use crate::report::Metric;
use crate::stats::Spread;
use crate::under_test::{UnderTest, alias, meeting, sends_all_layers};
use anyhow::{Context, Result};
use std::time::Duration;

const GOAL_IDLE: f64 = 40.0;
const GOAL_CALL: f64 = 75.0;
const SETTLE: Duration = Duration::from_secs(6);
/// More rounds show nothing new.
const ROUNDS: usize = 3;

/// Measures the group.
///
/// # Errors
/// If a call fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    let (mut idle, mut first, mut second, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds.min(ROUNDS) {
        eprintln!("memory: round {} of {}", round + 1, bench.effort.rounds.min(ROUNDS));
        let box_ = UnderTest::start()?;
        std::thread::sleep(Duration::from_secs(1));
        let at_rest = cpu::memory_of_program(box_.pid())?;
        idle.push(at_rest.pss);
        let (page, program) = (box_.simulator.addresses().http, bench.room("room.h264")?);
        // two meetings, so that the two calls share no decoded picture
        let mut calls = Vec::new();
        let mut held = at_rest.pss;
        for (n, growth) in [&mut first, &mut second].into_iter().enumerate() {
            let people = Meeting::gather(page, &meeting(n), bench.people("main.ivf")?)?;
            let room = Room::call(box_.sip, &alias(n), &program)?;
            box_.wait_participant(n, "layers are sent", |one| {
                if n == 0 {
                    sends_all_layers(one)
                } else {
                    one.sends.iter().any(|stream| stream.codec == "VP8")
                }
            })?;
            calls.push((room, people));
            std::thread::sleep(SETTLE);
            let now = cpu::memory_of_program(box_.pid())?.pss;
            growth.push(now - held);
            held = now;
        }
        drop(calls);
        std::thread::sleep(Duration::from_secs(3));
        left.push(cpu::memory_of_program(box_.pid())?.pss - at_rest.pss);
    }
    let spread = |values: &[f64]| Spread::of(values).context("no rounds");
    Ok(vec![
        Metric::new("memory.idle_pss", "MiB", spread(&idle)?).goal(GOAL_IDLE),
        Metric::new("memory.first_call_pss", "MiB", spread(&first)?).goal(GOAL_CALL),
        Metric::new("memory.second_call_pss", "MiB", spread(&second)?).goal(GOAL_CALL),
        Metric::new("memory.kept_after_calls_pss", "MiB", spread(&left)?),
    ])
}
