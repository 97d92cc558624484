//! Each attempt is made in a process of its own: this test program, started again for one of its tests, which finds in its environment
//! what to try.

use super::*;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command as Program, Output};
use std::time::Duration;

/// What to try inside, as the environment says it.
const ATTEMPT: &str = "GANTRY_CONFINED_ATTEMPT";

fn attempt(what: &str) -> Output {
    let ourselves = std::env::current_exe().expect("this program");
    let inside = ["--exact", "--nocapture", "media::confined::tests::a_confined_process_can_end_itself"];
    Program::new(ourselves).args(inside).env(ATTEMPT, what).output().expect("it can be started")
}

/// Confines this process and tries it.
fn inside(what: &str) {
    let target = CString::new("/bin/true").expect("a path");
    confine().expect("confined");
    let refused = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    match what {
        "work" => {
            let memory = vec![7_u8; 32 << 20];
            let random: std::collections::HashMap<u8, u8> = [(1, 2)].into();
            assert_eq!(memory[16 << 20] + random[&1], 9);
            assert!(Instant::now().elapsed() < Duration::from_secs(10));
        }
        "open a file" => refused(std::fs::File::open("/etc/hostname").expect_err("a file")),
        "write a file" => refused(std::fs::write("/tmp/out-of-it", "x").expect_err("a file")),
        "open a socket" => refused(std::net::UdpSocket::bind("127.0.0.1:0").expect_err("a socket")),
        "start a thread" => refused(std::thread::Builder::new().spawn(|| ()).expect_err("a thread")),
        "another descriptor" => refused(stdin().as_fd().try_clone_to_owned().expect_err("a descriptor")),
        "signal its parent" => {
            let parent = nix::unistd::getppid();
            for signal in [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGUSR1] {
                refused(nix::sys::signal::kill(parent, signal).expect_err("a signal").into());
            }
        }
        "abort" => std::process::abort(),
        "run a program" => {
            let never = nix::unistd::execv(&target, &[&target]);
            unreachable!("{never:?}");
        }
        "look into its parent" => {
            let never = nix::sys::ptrace::attach(nix::unistd::getppid());
            unreachable!("{never:?}");
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn a_confined_process_computes_and_reaches_nothing_outside() {
    for what in [
        "work",
        "open a file",
        "write a file",
        "open a socket",
        "start a thread",
        "another descriptor",
        "signal its parent",
    ] {
        let output = attempt(what);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{what}: {output:?}");
    }
}

#[test]
fn a_confined_process_that_tries_what_only_an_intruder_does_is_ended_by_the_kernel() {
    for what in ["run a program", "look into its parent"] {
        let output = attempt(what);
        assert_eq!(output.status.signal(), Some(Signal::SIGSYS as i32), "{what}: {output:?}");
    }
}

#[test]
fn a_confined_process_can_end_itself() {
    if let Ok(what) = std::env::var(ATTEMPT) {
        return inside(&what);
    }
    let output = attempt("abort");
    assert_eq!(output.status.signal(), Some(Signal::SIGABRT as i32), "{output:?}");
}
