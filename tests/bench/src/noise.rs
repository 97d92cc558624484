//! The machine's noise: one fixed piece of work, done beside every run, and what it costs here to be woken.

use crate::cpu;
use crate::report::Metric;
use crate::stats::Spread;
use anyhow::{Context, Result};
use nix::poll::poll;
use std::time::Instant;

/// Bytes worked on: more than the first cache, less than the second.
const BYTES: usize = 512 * 1024;
/// Rounds over them, about a tenth of a second.
const ROUNDS: u64 = 1_000;
/// How often it sleeps for [`SLEEP`] milliseconds, as a gateway's loop does between packets.
const SLEEPS: u32 = 40;
const SLEEP: u16 = 5;

/// How long the fixed piece of work took, each time.
#[derive(Debug, Default)]
pub struct Noise {
    cpu: Vec<f64>,
    stolen: Vec<f64>,
    woken: Vec<f64>,
}

impl Noise {
    /// Does the work once more.
    ///
    /// # Errors
    /// If the system has no CPU clock.
    pub fn sample(&mut self) -> Result<()> {
        let mut memory = vec![1_u8; BYTES];
        let (began, cpu) = (Instant::now(), cpu::of_this_thread()?);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..ROUNDS {
            for cell in memory.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                cell[0] = cell[0].wrapping_add(state as u8);
            }
        }
        std::hint::black_box(&memory);
        let (wall, cpu) = (began.elapsed(), cpu::of_this_thread()? - cpu);
        self.cpu.push(cpu.as_secs_f64() * 1_000.0);
        self.stolen.push((wall.as_secs_f64() / cpu.as_secs_f64() - 1.0).max(0.0) * 100.0);
        let before = cpu::of_this_thread()?;
        for _ in 0..SLEEPS {
            poll(&mut [], SLEEP).context("no sleep")?;
        }
        let woken = cpu::of_this_thread()? - before;
        self.woken.push(woken.as_secs_f64() * 1_000_000.0 / f64::from(SLEEPS));
        Ok(())
    }

    /// What it came to.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let spreads = (Spread::of(&self.cpu), Spread::of(&self.stolen), Spread::of(&self.woken));
        let (Some(cpu), Some(stolen), Some(woken)) = spreads else { return Vec::new() };
        let off: Vec<f64> = self.cpu.iter().map(|one| (one / cpu.median - 1.0).abs() * 100.0).collect();
        let apart = Spread::of(&off).unwrap_or(cpu);
        vec![
            Metric::new("noise.fixed_work", "ms", cpu),
            Metric::new("noise.off_median", "%", apart),
            Metric::new("noise.waited_for_cpu", "%", stolen),
            Metric::new("noise.wake_up", "us", woken),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_work_takes_time_and_is_told_with_its_spread() {
        let mut noise = Noise::default();
        assert!(noise.metrics().is_empty());
        noise.sample().expect("a clock");
        noise.sample().expect("a clock");
        let metrics = noise.metrics();
        assert_eq!(metrics.len(), 4);
        assert!(metrics[0].value > 0.0 && metrics[0].n == 2);
        assert!(metrics[3].value > 0.0, "{:?}", metrics[3]);
    }
}
