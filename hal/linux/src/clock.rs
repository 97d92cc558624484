//! Whether the system's clock is in sync: as timesyncd says it, else as the kernel does.
//!
//! `systemd-timesyncd(8)` touches `/run/systemd/timesync/synchronized` whenever it has set the clock by a server. Where it does not run, `adjtimex(2)`
//! tells whether somebody else does.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// timesyncd asks its servers at least every 2048 s (`PollIntervalMaxSec=`, timesyncd.conf(5)); three times in a row one may fail to answer.
const STALE: Duration = Duration::from_secs(4 * 2_048);

/// Whether the clock is in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sync {
    /// It is.
    InSync,
    /// It is not.
    NotInSync {
        /// Why, for people.
        why: String,
    },
}

/// Whether the clock is in sync `at` this time, by what is under `run` (`/run`).
#[must_use]
pub fn sync(run: &Path, at: SystemTime) -> Sync {
    let folder = run.join("systemd/timesync");
    if !folder.is_dir() {
        return by_kernel(kernel_error());
    }
    let touched = std::fs::metadata(folder.join("synchronized")).and_then(|found| found.modified());
    match touched.map(|touched| at.duration_since(touched)) {
        // Touched in the future: the clock was set back since, by a server.
        Ok(Ok(age)) if age > STALE => {
            let minutes = age.as_secs() / 60;
            not(format!("no time server has answered for {minutes} minutes; test with: gantry test ntp"))
        }
        Ok(_) => Sync::InSync,
        Err(_) => not("no time server has answered since the start; test with: gantry test ntp"),
    }
}

fn not(why: impl Into<String>) -> Sync {
    Sync::NotInSync { why: why.into() }
}

fn by_kernel(error: io::Result<()>) -> Sync {
    match error {
        Ok(()) => Sync::InSync,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            not("nobody keeps the clock; is a time service running?")
        }
        Err(error) => not(format!("no time service is running, and the kernel does not tell ({error})")),
    }
}

/// `InvalidData` if the kernel says that nobody keeps its clock.
fn kernel_error() -> io::Result<()> {
    let mut timex = MaybeUninit::<nix::libc::timex>::zeroed();
    // SAFETY: all zeros are a good `timex`, whose mode 0 asks to change nothing; the pointer is to it.
    let state = unsafe { nix::libc::adjtimex(timex.as_mut_ptr()) };
    match state {
        -1 => Err(io::Error::last_os_error()),
        nix::libc::TIME_ERROR => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(sync: &Sync) -> &str {
        match sync {
            Sync::InSync => "",
            Sync::NotInSync { why } => why,
        }
    }

    #[test]
    fn k7_timesyncd_tells_by_a_file_that_it_touches() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("systemd/timesync");
        std::fs::create_dir_all(&folder).unwrap();
        let now = SystemTime::now();
        assert!(why(&sync(run.path(), now)).contains("since the start"));
        std::fs::write(folder.join("synchronized"), "").unwrap();
        for (age, said) in [(0, ""), (8_000, ""), (9_000, "for 150 minutes")] {
            let found = sync(run.path(), now + Duration::from_secs(age));
            assert!(why(&found).contains(said) && why(&found).is_empty() == said.is_empty(), "{found:?}");
        }
        assert_eq!(sync(run.path(), now - Duration::from_secs(3_600)), Sync::InSync, "set back");
    }

    #[test]
    fn k7_without_timesyncd_the_kernel_is_asked() {
        let kind = |kind: io::ErrorKind| by_kernel(Err(kind.into()));
        assert_eq!(by_kernel(Ok(())), Sync::InSync);
        assert!(why(&kind(io::ErrorKind::InvalidData)).contains("nobody keeps"));
        assert!(why(&kind(io::ErrorKind::PermissionDenied)).contains("does not tell"));
        // Whatever this machine's is, it is told, and the clock is not touched.
        let (before, _) = (SystemTime::now(), kernel_error());
        assert!(before.elapsed().is_ok_and(|gone| gone < Duration::from_secs(60)));
    }
}
