//! What the kernel left behind when it panicked: the end of its log, kept in pstore.

use crate::Label;

/// Most bytes of a dump that are looked at; the kernel's default is 10 KiB, and the end is what matters.
pub const DUMP_BYTES: usize = 64 * 1024;

/// A panic's log, as pstore kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelDump {
    log: String,
}

/// A panic, or a restart that the kernel made by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// What it was about.
    pub about: About,
    /// What the kernel said.
    pub message: Label,
}

/// What a panic was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The watchdog's warning made it, or the kernel itself found that something hung.
    Hang,
    /// The root file system is damaged, or cannot be mounted.
    Root,
    /// Something else.
    Other,
}

/// What a panic says, in lower case, when the root file system is damaged: dm-verity, and the mounting.
const ROOT: &[&str] =
    &["dm-verity device", "unable to mount root fs", "no working init found", "requested init"];
/// What a panic says, in lower case, when something hung.
const HANG: &[&str] =
    &["watchdog pretimeout event", "hung_task", "softlockup", "soft lockup", "hard lockup", "rcu stall"];
/// What stands before the kernel's message.
const SAYS: [&str; 2] = ["Kernel panic - not syncing:", "Restarting system with command 'dm-verity"];

impl KernelDump {
    /// The dump in `log`, of which the last [`DUMP_BYTES`] count.
    #[must_use]
    pub fn new(log: &[u8]) -> Self {
        let end = &log[log.len().saturating_sub(DUMP_BYTES)..];
        Self { log: String::from_utf8_lossy(end).into_owned() }
    }

    /// The panic it tells of; `None` if it tells of none (pstore may also keep logs of orderly restarts).
    #[must_use]
    pub fn panic(&self) -> Option<Panic> {
        let message = SAYS.iter().find_map(|says| {
            let line = self.log.lines().find(|line| line.contains(says))?;
            Some(line.split_once("not syncing:").map_or("dm-verity device corrupted", |(_, message)| message))
        })?;
        let lower = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        // Verity's own line stands just before the panic that follows from it, such as init being killed by a bus error.
        let verity = || {
            let corrupted =
                |line: &str| line.contains("device-mapper: verity:") && line.contains("corrupted");
            self.log.lines().any(corrupted)
        };
        let about = if says(HANG) {
            About::Hang
        } else if says(ROOT) || verity() {
            About::Root
        } else {
            About::Other
        };
        let message = Label::sanitised(message).or_else(|| Label::sanitised("no message"))?;
        Some(Panic { about, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn panic(log: &str) -> Option<Panic> {
        KernelDump::new(log.as_bytes()).panic()
    }

    fn of(message: &str) -> (About, String) {
        let log =
            format!("Panic#1 Part1\n<0>[ 12.3] Kernel panic - not syncing: {message}\n<0>[ 12.4] CPU: 0\n");
        let panic = panic(&log).unwrap();
        (panic.about, panic.message.to_string())
    }

    #[test]
    fn panics_are_told_apart_by_what_the_kernel_said() {
        assert_eq!(of("watchdog pretimeout event").0, About::Hang);
        assert_eq!(of("hung_task: blocked tasks").0, About::Hang);
        assert_eq!(of("softlockup: hung tasks").0, About::Hang);
        assert_eq!(of("Hard LOCKUP").0, About::Hang);
        assert_eq!(of("dm-verity device corrupted").0, About::Root);
        assert_eq!(of("VFS: Unable to mount root fs on unknown-block(0,0)").0, About::Root);
        assert_eq!(of("sysrq triggered crash"), (About::Other, "sysrq triggered crash".to_owned()));
        assert_eq!(of(""), (About::Other, "no message".to_owned()));
    }

    #[test]
    fn an_init_killed_by_a_damaged_root_is_a_damaged_root() {
        let verity = "<3>[ 3.1] device-mapper: verity: 254:2: data block 77 is corrupted\n";
        let killed = "<0>[ 3.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000007\n";
        assert_eq!(panic(&format!("{verity}{killed}")).unwrap().about, About::Root);
        assert_eq!(panic(killed).unwrap().about, About::Other);
    }

    #[test]
    fn a_restart_that_verity_made_counts_and_one_that_was_asked_for_does_not() {
        let verity =
            panic("<0>reboot: Restarting system with command 'dm-verity device corrupted'\n").unwrap();
        assert_eq!(verity.about, About::Root);
        assert_eq!(panic("reboot: Restarting system\n"), None);
        assert_eq!(panic(""), None);
    }

    #[test]
    fn only_the_end_of_a_large_dump_is_looked_at() {
        let mut log = b"Kernel panic - not syncing: old\n".to_vec();
        log.resize(DUMP_BYTES + 100, b'x');
        assert_eq!(KernelDump::new(&log).panic(), None);
    }

    proptest! {
        #[test]
        fn no_dump_is_too_odd(log in prop::collection::vec(any::<u8>(), 0..500), message in any::<String>()) {
            let _ = KernelDump::new(&log).panic();
            let line = message.lines().next().unwrap_or_default().to_owned();
            let told = panic(&format!("Kernel panic - not syncing:{line}"));
            prop_assert!(told.is_some());
        }
    }
}
