//! The pictures and voices of prompts: the built-in ones, and those of themes in their place (P5).
//!
//! The built-in ones lie in `firmware/gatewayd/prompts`, made by `cargo xtask prompts`. What the caller keyed is drawn into a copy of the
//! picture, so that people see what they typed.

use anyhow::{Context, Result};
use base::Size;
use bytes::Bytes;
use domain::prompt::Prompt;
use domain::theme::Picture;
use media_dsp::{Clip, Still};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The keys in the sheet, in its order.
pub const KEYS: &str = "0123456789*#ABCD";
/// Width and height of a key's cell in the sheet.
pub const CELL: (u32, u32) = (40, 64);
/// Where keys are shown in a picture of 1280x720: left, top, width, height. In others at the same place in proportion.
pub const FIELD: (u32, u32, u32, u32) = (240, 490, 800, 96);

/// Brightness of what is keyed.
const WHITE: u8 = 230;
const GREY: u8 = 128;
/// Pictures lower than this get keys of half the size.
const LOW: u32 = 480;

/// Everything that can be shown and said. A copy shares its memory.
#[derive(Debug, Clone)]
pub struct Prompts {
    own: Arc<Own>,
    themes: Arc<ThemeParts>,
}

/// What each theme has in place of the built-in, by its name.
pub type ThemeParts = HashMap<String, HashMap<Prompt, Parts>>;

/// What is built in.
#[derive(Debug)]
struct Own {
    keys: Sheet,
    prompts: HashMap<Prompt, BuiltIn>,
}

/// A built-in prompt. Its picture is decoded when it is first shown: all of them take a third of a second and 15 MB.
#[derive(Debug)]
struct BuiltIn {
    png: &'static [u8],
    picture: OnceLock<Option<Still>>,
    voice: Clip,
}

/// What a theme has of a prompt.
#[derive(Debug, Default)]
pub struct Parts {
    /// What is seen.
    pub picture: Option<Still>,
    /// What is heard.
    pub voice: Option<Clip>,
}

/// How much of each pixel the keys cover.
#[derive(Debug)]
struct Sheet {
    cover: Vec<u8>,
}

macro_rules! built_in {
    ($($name:literal),*) => {
        &[$(($name, include_bytes!(concat!("../../prompts/", $name, ".png")), include_bytes!(concat!("../../prompts/", $name, ".clip")))),*]
    };
}

/// Name, picture and voice of each built-in prompt.
const BUILT_IN: &[(&str, &[u8], &[u8])] = built_in!(
    "welcome",
    "try-again",
    "connecting",
    "lobby",
    "not-found",
    "nothing-keyed",
    "not-admitted",
    "refused",
    "interop-off",
    "full",
    "unavailable"
);
const KEYS_PNG: &[u8] = include_bytes!("../../prompts/keys.png");

impl Prompts {
    /// The built-in prompts, without themes.
    ///
    /// # Errors
    /// If the build is broken.
    pub fn built_in() -> Result<Self> {
        let keys = Picture::parse(KEYS_PNG).context("the built-in keys")?;
        let keys = Sheet { cover: keys.rgb().iter().step_by(3).copied().collect() };
        let mut prompts = HashMap::new();
        for prompt in Prompt::ALL {
            let found = BUILT_IN.iter().find(|(name, ..)| *name == prompt.name());
            let (name, png, clip) =
                found.with_context(|| format!("no built-in prompt {:?}", prompt.name()))?;
            let voice = Clip::from_bytes(Bytes::from_static(clip))
                .with_context(|| format!("the built-in {name}.clip"))?;
            prompts.insert(prompt, BuiltIn { png, picture: OnceLock::new(), voice });
        }
        Ok(Self { own: Arc::new(Own { keys, prompts }), themes: Arc::default() })
    }

    /// The same with these themes, and no others.
    #[must_use]
    pub fn with_themes(&self, themes: ThemeParts) -> Self {
        Self { own: Arc::clone(&self.own), themes: Arc::new(themes) }
    }

    /// The file of a built-in picture.
    #[must_use]
    pub fn built_in_png(&self, prompt: Prompt) -> Option<&'static [u8]> {
        self.own.prompts.get(&prompt).map(|built_in| built_in.png)
    }

    /// The picture of a prompt with what was keyed in it.
    #[must_use]
    pub fn picture(&self, theme: Option<&str>, prompt: Prompt, keyed: &str) -> Option<Still> {
        let own = self.parts(theme, prompt).and_then(|parts| parts.picture.as_ref());
        let still = own.or_else(|| self.own.prompts.get(&prompt)?.picture())?;
        if keyed.is_empty() { Some(still.clone()) } else { self.own.keys.draw(still, keyed) }
    }

    /// The voice of a prompt.
    #[must_use]
    pub fn voice(&self, theme: Option<&str>, prompt: Prompt) -> Option<Clip> {
        let own = self.parts(theme, prompt).and_then(|parts| parts.voice.as_ref());
        own.or_else(|| self.own.prompts.get(&prompt).map(|built_in| &built_in.voice)).cloned()
    }

    fn parts(&self, theme: Option<&str>, prompt: Prompt) -> Option<&Parts> {
        self.themes.get(theme?)?.get(&prompt)
    }
}

impl BuiltIn {
    fn picture(&self) -> Option<&Still> {
        let decode = || still(&Picture::parse(self.png).ok()?).ok();
        self.picture.get_or_init(decode).as_ref()
    }
}

/// A picture as workers have it.
///
/// # Errors
/// If they can't show it.
pub fn still(picture: &Picture) -> Result<Still> {
    let (width, height) = (picture.width(), picture.height());
    Still::from_rgb(width, height, picture.rgb())
        .with_context(|| format!("a picture of {width}x{height} cannot be shown"))
}

impl Sheet {
    /// `still` with `keyed` in its field: the last keys, if not all have room.
    fn draw(&self, still: &Still, keyed: &str) -> Option<Still> {
        let Size { width, height } = still.size();
        let shrink = if height < LOW { 2 } else { 1 };
        let (cell_width, cell_height) = (CELL.0 / shrink, CELL.1 / shrink);
        let (left, top, field_width, field_height) = FIELD;
        let room = (field_width * width / 1280 / cell_width).max(1) as usize;
        let cells: Vec<usize> = keyed.chars().filter_map(|key| KEYS.find(key)).collect();
        let cells = &cells[cells.len().saturating_sub(room)..];
        let middle = (left + field_width / 2) * width / 1280;
        let begin = middle.saturating_sub(cells.len() as u32 * cell_width / 2) & !1;
        let y = ((top + field_height / 2) * height / 720).saturating_sub(cell_height / 2) & !1;
        let mut planes = still.planes().to_vec();
        for (x, cell) in (begin..).step_by(cell_width as usize).zip(cells) {
            self.key(&mut planes, (width, height), (x, y), *cell, shrink);
        }
        Still::new(still.size(), planes.into())
    }

    fn key(
        &self,
        planes: &mut [u8],
        (width, height): (u32, u32),
        (left, top): (u32, u32),
        cell: usize,
        shrink: u32,
    ) {
        let sheet = CELL.0 as usize * KEYS.len();
        let area = (width * height) as usize;
        for dy in 0..(CELL.1 / shrink).min(height.saturating_sub(top)) {
            for dx in 0..(CELL.0 / shrink).min(width.saturating_sub(left)) {
                let (sx, sy) = ((dx * shrink) as usize + cell * CELL.0 as usize, (dy * shrink) as usize);
                let cover = self.cover.get(sy * sheet + sx).copied().unwrap_or(0);
                let (x, y) = (left + dx, top + dy);
                blend(planes, (y * width + x) as usize, WHITE, cover);
                if x.is_multiple_of(2) && y.is_multiple_of(2) {
                    let at = area + (y / 2 * (width / 2) + x / 2) as usize;
                    blend(planes, at, GREY, cover);
                    blend(planes, at + area / 4, GREY, cover);
                }
            }
        }
    }
}

fn blend(planes: &mut [u8], at: usize, to: u8, cover: u8) {
    if let Some(byte) = planes.get_mut(at) {
        let (old, cover) = (u16::from(*byte), u16::from(cover));
        *byte = ((old * (255 - cover) + u16::from(to) * cover) / 255) as u8;
    }
}

#[cfg(test)]
mod tests;
