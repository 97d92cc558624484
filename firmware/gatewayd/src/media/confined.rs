//! What runs in a worker's process: it gives up all that it does not need, and then serves its engine until that hangs up.
//!
//! | what | is |
//! |---|---|
//! | files, sockets, programs, other processes | out of reach: the kernel refuses the calls (seccomp) |
//! | signals | to itself alone |
//! | descriptors | its pipe and the daemon's standard error; what else was left open is closed, and no more can be had |
//! | memory that is written | never run as code |
//! | its own memory | in no core dump, and no other process of this user may look into it |
//! | its life | ends with its engine's, whatever it is doing |
//!
//! Nothing of it needs a privilege or a namespace, so it holds wherever the daemon runs.

use crate::net::clock;
use crate::net::pipe::Pipe;
use anyhow::{Context, Result};
use media_dsp::{Command, Link, Report, Taken, serve, worker};
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::unistd::close;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::stdin;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// How the daemon starts a worker of itself: this, its name, and when the media clock began.
pub const ARGUMENT: &str = "--media-worker";
/// Standard input, which is the pipe, output and error, and the pipe by another number.
const DESCRIPTORS: RawFd = 4;

/// What a worker calls: memory, time, its pipe, and what ends it.
const NEEDED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// What nothing in a worker calls unless somebody else's code runs in it. All else that is not needed is refused, and may be tried: a
/// library that asks how many processors there are does without an answer.
const HOSTILE: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
];

/// Serves the engine at the other end of standard input, under `name`, on the media clock that began at `epoch` (nanoseconds
/// of `CLOCK_MONOTONIC`).
///
/// # Errors
/// If it can't be confined: it does nothing then.
pub fn run(name: &str, epoch: &str) -> Result<()> {
    let epoch = clock::from_monotonic(epoch.parse().context("when the media clock began")?)?;
    prctl::set_name(&CString::new(name)?)?;
    // Asked for before it is looked whether the engine still lives: it may have died while this was started.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    close_others()?;
    let stream = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    let mut end = End { pipe: Pipe::new(stream)?, told: Instant::now() };
    confine()?;
    end.report(Report::Alive);
    serve(epoch, &mut end);
    // What is not told yet is told now, or never.
    end.call();
    Ok(())
}

/// Closes what whoever started the daemon left open; the daemon's own descriptors are none of its programs'.
fn close_others() -> Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?.flatten();
    let open: Vec<RawFd> = open.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd >= DESCRIPTORS - 1) {
        // The one of the folder that was read is closed already.
        let _ = close(fd);
    }
    Ok(())
}

/// Gives up, for good, what a worker does not need.
///
/// # Errors
/// If the kernel refuses one of it.
fn confine() -> Result<()> {
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS as u64, DESCRIPTORS as u64)?;
    prctl::set_no_new_privs()?;
    for filter in [hostile_calls()?, other_calls()?] {
        seccompiler::apply_filter(&filter).context("seccomp")?;
    }
    Ok(())
}

/// Ends the process at what only an intruder calls. Of two filters the kernel obeys the stricter.
fn hostile_calls() -> Result<BpfProgram> {
    let rules = HOSTILE.iter().map(|call| (*call, vec![])).collect();
    filter(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

/// Refuses all but what is needed.
fn other_calls() -> Result<BpfProgram> {
    let mut rules: BTreeMap<_, _> = NEEDED.iter().map(|call| (*call, vec![])).collect();
    let is_code = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
    for (call, argument, comparison, value) in [
        // Memory that is written does not become code.
        (libc::SYS_mmap, 2, is_code.clone(), 0),
        (libc::SYS_mprotect, 2, is_code, 0),
        // An abort is a signal to itself; what else runs as this user is the daemon and its other workers.
        (libc::SYS_tgkill, 0, SeccompCmpOp::Eq, u64::from(std::process::id())),
        // The pipe, as std reads and writes it, and none of what else a socket can be asked for.
        (libc::SYS_recvfrom, 3, SeccompCmpOp::Eq, 0),
        (libc::SYS_sendto, 3, SeccompCmpOp::Eq, libc::MSG_NOSIGNAL as u64),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    filter(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn filter(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram> {
    let filter = SeccompFilter::new(rules, otherwise, matched, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// The worker's end of the pipe.
struct End {
    pipe: Pipe<Report, Command>,
    /// When the engine last heard of it.
    told: Instant,
}

impl End {
    fn report(&mut self, report: Report) {
        self.put(report);
        self.call();
    }

    /// Waits until there is something to read, or room for what is not sent yet, or until `until`.
    fn wait(&self, until: Instant) {
        let room = if self.pipe.is_flushed() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN | room)];
        let left = TimeSpec::from_duration(until.saturating_duration_since(Instant::now()));
        // Whatever came of it is seen by who tries again.
        let _ = ppoll(&mut fds, Some(left), None);
    }
}

impl Link for End {
    fn next(&mut self, until: Instant) -> Taken<Command> {
        loop {
            match self.pipe.take() {
                Ok(Some(command)) => return Taken::Item(command),
                Ok(None) if Instant::now() >= until => return Taken::TimedOut,
                Ok(None) => self.wait(until),
                Err(_) => return Taken::Closed,
            }
            if !self.pipe.is_flushed() {
                self.call();
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.pipe.is_ready()
    }

    fn put(&mut self, report: Report) {
        self.pipe.put(report);
    }

    fn call(&mut self) {
        // An engine that is gone is seen when its next command is read.
        drop(self.pipe.flush());
        self.told = Instant::now();
    }

    fn beat(&mut self) {
        if self.told.elapsed() >= worker::ROUND {
            self.report(Report::Alive);
        }
    }

    fn dropped(&self) -> u64 {
        self.pipe.dropped()
    }
}

#[cfg(test)]
mod tests;
