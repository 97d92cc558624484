//! What the box keeps of its settings on the disk, as text: what stands, and what is on trial since which boot.

use super::commit::{Begin, Record, TRIAL};
use super::settings::{Problems, Settings};
use std::time::Duration;

/// A [`Record`] with what a program that begins must know of the trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The settings.
    pub record: Record,
    /// Since when the trial runs, if there is one.
    pub since: Option<Since>,
}

/// When a trial began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// In which boot: the kernel's random boot id.
    pub boot: String,
    /// How long the box had been up then.
    pub uptime: Duration,
}

const TRIAL_LINE: &str = "#: on trial since ";

impl Kept {
    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.record.standing.to_toml();
        if let (Some(trial), Some(Since { boot, uptime })) = (&self.record.trial, &self.since) {
            let boot: String =
                boot.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
            text.push_str(&format!("{TRIAL_LINE}{} {boot}\n{}", uptime.as_millis(), trial.to_toml()));
        }
        text
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the settings that stand. A trial that cannot be read is none: the box goes back anyway.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let line = text.lines().find(|line| line.starts_with(TRIAL_LINE));
        let (standing, rest) = line.and_then(|line| text.split_once(line)).unwrap_or((text, ""));
        let standing = Settings::parse(standing)?;
        let since = line.and_then(|line| {
            let (uptime, boot) = line[TRIAL_LINE.len()..].split_once(' ')?;
            Some(Since { boot: boot.to_owned(), uptime: Duration::from_millis(uptime.parse().ok()?) })
        });
        let trial = since.as_ref().and_then(|_| Settings::parse(rest).ok());
        let since = since.filter(|_| trial.is_some());
        Ok(Self { record: Record { standing, trial }, since })
    }

    /// How a program that begins in `boot`, `uptime` after its start, finds the box.
    #[must_use]
    pub fn begin(&self, boot: &str, uptime: Duration) -> Begin {
        match &self.since {
            Some(since) if since.boot == boot => {
                let gone = uptime.saturating_sub(since.uptime);
                Begin::SameBoot { left: TRIAL.saturating_sub(gone) }
            }
            Some(_) | None => Begin::NewBoot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::values::InterfaceName;
    use crate::appliance::{Draft, copies};

    fn named(host: &str) -> Settings {
        let mut draft = Draft::delivered(&[InterfaceName::parse("eth0").unwrap()], None);
        draft.set_all([("host-name", host)]).unwrap();
        draft.settle().unwrap()
    }

    fn on_trial() -> Kept {
        let since = Since { boot: "b0-07".into(), uptime: Duration::from_millis(61_500) };
        Kept { record: Record { standing: named("old"), trial: Some(named("new")) }, since: Some(since) }
    }

    #[test]
    fn what_is_kept_reads_back_with_and_without_a_trial() {
        let standing = Kept { record: Record { standing: named("old"), trial: None }, since: None };
        for kept in [standing, on_trial()] {
            assert_eq!(Kept::parse(&kept.to_text()), Ok(kept.clone()));
            let sealed = copies::seal(3, &kept.to_text());
            assert_eq!(Kept::parse(copies::open(&sealed).unwrap().1), Ok(kept));
        }
    }

    #[test]
    fn a_trial_goes_on_in_the_same_boot_only() {
        let kept = on_trial();
        let at = |seconds| Duration::from_millis(61_500) + Duration::from_secs(seconds);
        assert_eq!(kept.begin("b0-07", at(50)), Begin::SameBoot { left: Duration::from_secs(70) });
        assert_eq!(kept.begin("b0-07", at(500)), Begin::SameBoot { left: Duration::ZERO });
        assert_eq!(kept.begin("b0-08", at(1)), Begin::NewBoot);
    }

    #[test]
    fn a_trial_that_cannot_be_read_is_none() {
        let text = on_trial().to_text().replace("host-name = \"new\"", "host-name = \"\"");
        let kept = Kept::parse(&text).unwrap();
        assert_eq!((kept.record.trial, kept.since), (None, None));
        assert_eq!(kept.record.standing, named("old"));
        let broken = on_trial().to_text().replace("host-name = \"old\"", "host-name = 7");
        assert!(Kept::parse(&broken).is_err());
    }
}
