//! `hold <program> <thread>`: stops one thread of a program and keeps it stopped, for debug images and drills only: a deadlock, made
//! without a word of the program's own code being for it.
//!
//! ```text
//!  hold gatewayd shard-1     held: gatewayd 512, shard-1 514
//! ```
//! It attaches as a debugger does (ptrace(2): PTRACE_SEIZE, PTRACE_INTERRUPT), so it wants root. The thread goes on when this
//! program ends; this program ends when the thread is gone.

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, thread] = &words[..] else {
        eprintln!("hold <program> <thread>");
        return ExitCode::FAILURE;
    };
    match hold(program, thread) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("hold: {why}");
            ExitCode::FAILURE
        }
    }
}

fn hold(program: &str, thread: &str) -> Result<(), String> {
    let process =
        named(Path::new("/proc"), program).ok_or_else(|| format!("no process is called {program:?}"))?;
    let threads = Path::new("/proc").join(process.to_string()).join("task");
    let held = named(&threads, thread).ok_or_else(|| format!("{program} has no thread called {thread:?}"))?;
    let failed = |what: &'static str| move |error: nix::Error| format!("cannot {what} {thread}: {error}");
    ptrace::seize(held, ptrace::Options::empty()).map_err(failed("attach to"))?;
    ptrace::interrupt(held).map_err(failed("stop"))?;
    let mut told = false;
    loop {
        match waitpid(held, Some(WaitPidFlag::__WALL)).map_err(failed("wait for"))? {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(()),
            _ if told => {}
            _ => println!("held: {program} {process}, {thread} {held}"),
        }
        told = true;
    }
}

/// The first of the numbered folders in `folder` whose `comm` is `name`.
fn named(folder: &Path, name: &str) -> Option<Pid> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut numbers: Vec<i32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    let is = |number: &i32| {
        let comm = std::fs::read_to_string(folder.join(number.to_string()).join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    numbers.into_iter().find(is).map(Pid::from_raw)
}
