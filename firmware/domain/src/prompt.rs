//! The prompts a caller sees and hears before it is in its meeting, or when it will not be: their names, and what they say.
//!
//! ```text
//!  call ─Showing─▶ media plan ─▶ engine: picture and voice of the theme, or the built-in ones ─▶ media-dsp
//! ```
//! The built-in ones are made by `cargo xtask prompts` from the texts below and kept in the tree.

use base::Pii;

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Prompt {
    /// Key the meeting id.
    Welcome,
    /// What was keyed leads nowhere: key it again.
    TryAgain,
    /// The meeting is being joined.
    Connecting,
    /// Somebody in the meeting must admit the caller (W1).
    Lobby,
    /// What was keyed led nowhere too often.
    NotFound,
    /// Nothing was keyed.
    NothingKeyed,
    /// Nobody admitted the caller in time (P6).
    NotAdmitted,
    /// The host refused the caller (P11).
    Refused,
    /// Interoperability is off for the organisation (W4).
    InteropOff,
    /// The meeting takes no more participants.
    Full,
    /// The meeting cannot be reached, for a reason that is not the caller's.
    Unavailable,
}

/// What a prompt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The picture's large line.
    pub title: &'static str,
    /// The picture's smaller lines.
    pub lines: &'static [&'static str],
    /// The voice.
    pub spoken: &'static str,
}

/// A prompt in a call's media plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing {
    /// Which.
    pub prompt: Prompt,
    /// Whose picture and voice; `None` for the built-in ones.
    pub theme: Option<String>,
    /// What the caller keyed so far, shown in the picture.
    pub keyed: Pii,
    /// Its voice is to be heard. Another number is another time, from the start; `None` is silence.
    pub says: Option<u32>,
}

impl Prompt {
    /// All there are.
    pub const ALL: [Prompt; 11] = [
        Prompt::Welcome,
        Prompt::TryAgain,
        Prompt::Connecting,
        Prompt::Lobby,
        Prompt::NotFound,
        Prompt::NothingKeyed,
        Prompt::NotAdmitted,
        Prompt::Refused,
        Prompt::InteropOff,
        Prompt::Full,
        Prompt::Unavailable,
    ];

    /// Its name, by which a theme's files are called: `welcome.png`, `welcome.wav`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Prompt::Welcome => "welcome",
            Prompt::TryAgain => "try-again",
            Prompt::Connecting => "connecting",
            Prompt::Lobby => "lobby",
            Prompt::NotFound => "not-found",
            Prompt::NothingKeyed => "nothing-keyed",
            Prompt::NotAdmitted => "not-admitted",
            Prompt::Refused => "refused",
            Prompt::InteropOff => "interop-off",
            Prompt::Full => "full",
            Prompt::Unavailable => "unavailable",
        }
    }

    /// Whether what the caller keys is shown in its picture.
    #[must_use]
    pub const fn shows_keys(self) -> bool {
        matches!(self, Prompt::Welcome | Prompt::TryAgain | Prompt::Connecting)
    }

    /// What it says.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Prompt::Welcome => Words {
                title: "Enter the meeting ID",
                lines: &["then press #", "To delete the last digit, press *"],
                spoken: "Welcome. Please enter the meeting I D, followed by the pound key. \
                         To delete the last digit, press star.",
            },
            Prompt::TryAgain => Words {
                title: "Meeting not found",
                lines: &["Enter the meeting ID again, then press #", "To delete the last digit, press *"],
                spoken: "We did not find this meeting. Please enter the meeting I D again, followed by the pound key.",
            },
            Prompt::Connecting => Words {
                title: "Connecting you to the meeting",
                lines: &["One moment, please"],
                spoken: "Thank you. You are being connected.",
            },
            Prompt::Lobby => Words {
                title: "Waiting to be admitted",
                lines: &["Someone in the meeting will let you in"],
                spoken: "Please wait. Someone in the meeting must let you in.",
            },
            Prompt::NotFound => Words {
                title: "Meeting not found",
                lines: &["Check the meeting ID and call again", "Goodbye"],
                spoken: "We did not find this meeting. Please check the meeting I D and call again. Goodbye.",
            },
            Prompt::NothingKeyed => Words {
                title: "No meeting ID was entered",
                lines: &["Call again when you have it at hand", "Goodbye"],
                spoken: "No meeting I D was entered. Please call again when you have it at hand. Goodbye.",
            },
            Prompt::NotAdmitted => Words {
                title: "You were not admitted",
                lines: &["Nobody in the meeting let you in", "Goodbye"],
                spoken: "Nobody in the meeting let you in. Please try again later. Goodbye.",
            },
            Prompt::Refused => Words {
                title: "The call was rejected",
                lines: &["The host does not take this call", "Goodbye"],
                spoken: "The host of the meeting does not take this call. Goodbye.",
            },
            Prompt::InteropOff => Words {
                title: "Calls from room systems are off",
                lines: &[
                    "Interoperability is off for this organisation",
                    "Ask the meeting's organiser. Goodbye",
                ],
                spoken: "Interoperability is off for this organisation. Please ask the organiser of the meeting. Goodbye.",
            },
            Prompt::Full => Words {
                title: "The meeting is full",
                lines: &["It takes no more participants", "Goodbye"],
                spoken: "The meeting is full. Please try again later. Goodbye.",
            },
            Prompt::Unavailable => Words {
                title: "The meeting can't be reached",
                lines: &["Call again in a few minutes", "Goodbye"],
                spoken: "The meeting can not be reached at the moment. Please call again in a few minutes. Goodbye.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_prompt_has_a_name_of_its_own_and_something_to_say() {
        let names: BTreeSet<_> = Prompt::ALL.iter().map(|prompt| prompt.name()).collect();
        assert_eq!(names.len(), Prompt::ALL.len());
        for prompt in Prompt::ALL {
            let Words { title, lines, spoken } = prompt.words();
            assert!(!title.is_empty() && !lines.is_empty() && spoken.ends_with('.'), "{prompt:?}");
            assert!(prompt.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
    }
}
