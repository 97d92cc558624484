//! From files to what is shown and said: read, checked, decoded once.

use super::Uploads;
use crate::media::prompts::{Parts, Prompts, ThemeParts, still};
use anyhow::Result;
use domain::alarm::{Fact, Health};
use domain::config::Theme;
use domain::theme::{File, FileKind, Part, Refused};
use media_dsp::{Clip, Still};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Files that an alarm names.
const NAMED: usize = 5;

/// SHA-256 of a file, in hexadecimal digits.
pub type Digest = String;

/// Where a part of a theme comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The firmware.
    BuiltIn,
    /// The theme's folder.
    Folder,
    /// An administrator, by upload.
    Upload,
}

/// A part of a theme as callers have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Where it comes from.
    pub origin: Origin,
    /// What it is: `1280x720`, `4.2 s`.
    pub about: Option<String>,
    /// Why what is there can't be used, and the built-in stands for it.
    pub trouble: Option<String>,
}

/// What was read of all themes.
#[derive(Debug, Clone)]
pub struct ThemesRead {
    /// What is shown and said.
    pub prompts: Prompts,
    /// Each part of each theme.
    pub used: BTreeMap<(String, File), Used>,
}

/// Reads themes, and remembers what it decoded.
pub struct Reader {
    built_in: Prompts,
    decoded: Remembered,
}

type Remembered = HashMap<(FileKind, Digest), Decoded>;

/// A part as workers have it.
#[derive(Clone)]
pub enum Decoded {
    /// What is seen.
    Picture(Still),
    /// What is heard.
    Voice(Clip),
}

/// Why a file can't be shown or said.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is none that is taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is, and yet no worker takes it.
    #[error("{0} can't be used: {1}")]
    Worker(File, String),
}

impl ThemesRead {
    /// How each theme stands.
    pub fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        let mut troubles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for ((theme, _), used) in &self.used {
            troubles.entry(theme).or_default().extend(used.trouble.as_deref());
        }
        troubles.into_iter().map(|(theme, troubles)| {
            let health = if troubles.is_empty() {
                Health::Good
            } else {
                let some = troubles.iter().take(NAMED).copied().collect::<Vec<_>>().join("; ");
                let more = troubles.len().saturating_sub(NAMED);
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                Health::Bad { why: format!("callers see and hear what is built in: {some}{more}") }
            };
            Fact::Theme { name: theme.to_owned(), health }
        })
    }

    /// Whether any file could not be used.
    #[must_use]
    pub fn has_trouble(&self) -> bool {
        self.used.values().any(|used| used.trouble.is_some())
    }
}

impl Reader {
    /// One that has read nothing.
    ///
    /// # Errors
    /// If the build is broken.
    pub fn new() -> Result<Self> {
        Ok(Self { built_in: Prompts::built_in()?, decoded: Remembered::new() })
    }

    /// Themes of which nothing is read yet: the built-in prompts.
    #[must_use]
    pub fn nothing(&self) -> ThemesRead {
        ThemesRead { prompts: self.built_in.clone(), used: BTreeMap::new() }
    }

    /// Reads `themes`: what was uploaded, then what is in their folders.
    pub fn read(&mut self, themes: &[Theme], uploads: Option<&Uploads>) -> ThemesRead {
        let (mut parts, mut used) = (ThemeParts::new(), BTreeMap::new());
        let mut before = std::mem::take(&mut self.decoded);
        for theme in themes {
            let uploaded = uploads.map_or(Ok(BTreeMap::new()), |uploads| uploads.of(&theme.name));
            let mut of_theme: HashMap<_, Parts> = HashMap::new();
            for file in File::all() {
                let found = match (&uploaded, uploads) {
                    (Err(error), _) => Some((Origin::Upload, Err(told(file, error)))),
                    (Ok(uploaded), Some(uploads)) if uploaded.contains_key(&file) => {
                        let kept = &uploaded[&file];
                        let known = self.remembered(&mut before, file, &kept.digest);
                        let read = || self.decode_kept(file, &kept.digest, uploads.read(kept));
                        Some((Origin::Upload, known.map_or_else(read, Ok)))
                    }
                    _ => theme.folder.as_deref().and_then(|folder| {
                        let bytes = in_folder(folder, file).map_err(|error| told_at(folder, file, &error));
                        let part = bytes.transpose()?.and_then(|bytes| {
                            let digest = digest(&bytes);
                            let known = self.remembered(&mut before, file, &digest);
                            known.map_or_else(|| self.decode(file, digest, &bytes), Ok)
                        });
                        Some((Origin::Folder, part))
                    }),
                };
                used.insert((theme.name.clone(), file), put(&mut of_theme, file, found));
            }
            parts.insert(theme.name.clone(), of_theme);
        }
        ThemesRead { prompts: self.built_in.with_themes(parts), used }
    }

    /// Keeps what was decoded of a file that is in a theme now, for the next reading.
    pub fn remember(&mut self, file: File, digest: Digest, decoded: Decoded) {
        self.decoded.insert((file.kind, digest), decoded);
    }

    /// What was decoded before, kept for the next time.
    fn remembered(&mut self, before: &mut Remembered, file: File, digest: &str) -> Option<Decoded> {
        let place = (file.kind, digest.to_owned());
        if let Some(decoded) = before.remove(&place) {
            self.decoded.insert(place.clone(), decoded);
        }
        self.decoded.get(&place).cloned()
    }

    fn decode_kept(
        &mut self,
        file: File,
        digest: &str,
        bytes: io::Result<Vec<u8>>,
    ) -> Result<Decoded, String> {
        let bytes = bytes.map_err(|error| told(file, &error))?;
        self.decode(file, digest.to_owned(), &bytes)
    }

    fn decode(&mut self, file: File, digest: Digest, bytes: &[u8]) -> Result<Decoded, String> {
        let decoded = Decoded::of(file, bytes).map_err(|error| error.to_string())?;
        self.remember(file, digest, decoded.clone());
        Ok(decoded)
    }
}

impl Decoded {
    /// What is in a file.
    ///
    /// # Errors
    /// If it can't be shown or said.
    pub fn of(file: File, bytes: &[u8]) -> Result<Self, Unusable> {
        let worker = |error: &dyn std::fmt::Display| Unusable::Worker(file, error.to_string());
        match file.check(bytes)? {
            Part::Picture(picture) => still(&picture).map(Self::Picture).map_err(|error| worker(&error)),
            Part::Voice(voice) => {
                let clip = Clip::from_pcm(voice.rate(), voice.samples());
                clip.map(Self::Voice).map_err(|error| worker(&error))
            }
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::Picture(still) => format!("{}x{}", still.size().width, still.size().height),
            Self::Voice(clip) => format!("{:.1} s", clip.duration().as_secs_f32()),
        }
    }
}

/// Adds what was found to a theme, and says what that is.
fn put(
    theme: &mut HashMap<domain::prompt::Prompt, Parts>,
    file: File,
    found: Option<(Origin, Result<Decoded, String>)>,
) -> Used {
    let Some((origin, decoded)) = found else {
        return Used { origin: Origin::BuiltIn, about: None, trouble: None };
    };
    match decoded {
        Err(trouble) => Used { origin, about: None, trouble: Some(trouble) },
        Ok(decoded) => {
            let about = Some(decoded.about());
            let parts = theme.entry(file.prompt).or_default();
            match decoded {
                Decoded::Picture(still) => parts.picture = Some(still),
                Decoded::Voice(clip) => parts.voice = Some(clip),
            }
            Used { origin, about, trouble: None }
        }
    }
}

/// A file of a theme's folder, if there is one. One that is too large for any is read no further.
pub(super) fn in_folder(folder: &Path, file: File) -> io::Result<Option<Vec<u8>>> {
    let found = match std::fs::File::open(folder.join(file.to_string())) {
        Ok(found) => found,
        // A folder that is gone is told of; a file that it never had is not.
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    found.take(file.kind.max_bytes() as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn told(file: File, error: &io::Error) -> String {
    format!("{file} can't be read: {error}; upload it again")
}

fn told_at(folder: &Path, file: File, error: &io::Error) -> String {
    if folder.is_dir() {
        format!("{} can't be read: {error}", folder.join(file.to_string()).display())
    } else {
        format!("the folder {} is not there; put it back, or upload the files", folder.display())
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
