//! CPU clocks and memory of processes, to the nanosecond and the page.

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::time::Duration;

fn read(clock: ClockId) -> Result<Duration> {
    Ok(Duration::from(clock_gettime(clock).context("a CPU clock")?))
}

/// A program's process and those that it started and that still run, whatever these started.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> =
        children.flat_map(|text| text.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(family)).collect()
}

/// User and system time of a program so far: of its process and of its [`family`].
///
/// # Errors
/// If one of them ends meanwhile.
pub fn of_program(pid: u32) -> Result<Duration> {
    family(pid).into_iter().map(of_process).sum()
}

/// User and system time of a process so far, all of its threads, those that ended too.
///
/// # Errors
/// If there is no such process.
pub fn of_process(pid: u32) -> Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).context("process id")?);
    read(clock_getcpuclockid(pid).context("the process is gone")?)
}

/// User and system time of this thread so far.
///
/// # Errors
/// If the system has no such clock.
pub fn of_this_thread() -> Result<Duration> {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// User and system time of all children that ended and were waited for.
///
/// # Errors
/// If the system does not tell.
pub fn of_ended_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("usage of children")?;
    let (user, system) = (usage.user_time(), usage.system_time());
    let micros = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
}

/// Memory of a process in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// All that is resident.
    pub rss: f64,
    /// The same with what is shared with others divided among them.
    pub pss: f64,
}

/// What a program holds now, its [`family`] included. What is resident is counted for each of them, though they share the program's code.
///
/// # Errors
/// If there is no such process.
pub fn memory_of_program(pid: u32) -> Result<Memory> {
    let none = Memory { rss: 0.0, pss: 0.0 };
    family(pid).into_iter().try_fold(none, |sum, pid| {
        let one = memory(pid)?;
        Ok(Memory { rss: sum.rss + one.rss, pss: sum.pss + one.pss })
    })
}

/// What a process holds now.
///
/// # Errors
/// If there is no such process.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).with_context(|| format!("{path} has no {name}"))
    };
    Ok(Memory { rss: field("Rss:")?, pss: field("Pss:")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let before = of_this_thread().expect("a clock");
        let mut sum = 0_u64;
        for n in 0..5_000_000_u64 {
            sum = sum.wrapping_mul(31).wrapping_add(std::hint::black_box(n));
        }
        std::hint::black_box(sum);
        assert!(of_this_thread().expect("a clock") > before);
        let pid = std::process::id();
        assert!(of_process(pid).expect("a clock") >= of_this_thread().expect("a clock"));
        let memory = memory(pid).expect("memory");
        assert!(memory.rss >= memory.pss && memory.pss > 0.1, "{memory:?}");
    }

    #[test]
    fn a_program_is_its_process_and_those_it_started() {
        // it holds a block of 64 MiB as soon as it writes any of it, and waits for a reader
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=64M", "count=1"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = dd.spawn().expect("dd");
        child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("what it writes");
        let (ourselves, other) = (std::process::id(), child.id());
        let all = family(ourselves);
        assert!(all[0] == ourselves && all.contains(&other), "{all:?} without {other}");
        let (program, process) = (memory_of_program(ourselves), memory(ourselves));
        let more = program.expect("memory").pss - process.expect("memory").pss;
        assert!((60.0..80.0).contains(&more), "{more} MiB more");
        child.kill().and_then(|()| child.wait()).expect("an end");
        assert!(!family(ourselves).contains(&other));
    }

    #[test]
    fn a_child_counts_once_it_has_ended() {
        let before = of_ended_children().expect("usage");
        let status =
            Command::new("sh").args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]).status();
        assert!(status.expect("sh").success());
        assert!(of_ended_children().expect("usage") > before);
    }
}
