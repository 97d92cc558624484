//! Makes the built-in prompts from their texts: pictures, voices, and the keys that are drawn into pictures.
//!
//! `cargo xtask prompts` runs it. It wants espeak-ng and the DejaVu fonts of Debian's `fonts-dejavu-core`; what it makes is kept in
//! `firmware/gatewayd/prompts`, so that a build needs neither. `prompts <folder>` writes somewhere else.

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};
use anyhow::{Context, Result, ensure};
use domain::prompt::Prompt;
use domain::theme::Voice;
use gatewayd::media::prompts::{CELL, FIELD, KEYS};
use media_dsp::Clip;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const FONTS: &str = "/usr/share/fonts/truetype/dejavu";
const SIZE: (u32, u32) = (1280, 720);
const GROUND: [u8; 3] = [20, 30, 44];
const BAND: [u8; 3] = [45, 126, 210];
const FIELD_GROUND: [u8; 3] = [36, 52, 74];
const WHITE: [u8; 3] = [245, 247, 250];
const SOFT: [u8; 3] = [176, 190, 208];

/// Steps from uncovered to covered at the edge of a letter.
const SHADES: f32 = 6.0;

/// Peak of a voice, as a share of full scale.
const PEAK: f64 = 0.5;

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
    let folder = std::env::args().nth(1).map_or(here, PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let font = |name: &str| -> Result<FontVec> {
        let path = Path::new(FONTS).join(name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("{}; install fonts-dejavu-core", path.display()))?;
        Ok(FontVec::try_from_vec(bytes)?)
    };
    let fonts = Fonts { bold: font("DejaVuSans-Bold.ttf")?, plain: font("DejaVuSans.ttf")? };
    let mut files = vec![("keys.png".to_owned(), keys(&fonts.bold)?)];
    for prompt in Prompt::ALL {
        files.push((format!("{}.png", prompt.name()), fonts.picture(prompt)?));
        files.push((format!("{}.clip", prompt.name()), speak(prompt.words().spoken)?));
    }
    let mut list = String::new();
    for (name, bytes) in &files {
        std::fs::write(folder.join(name), bytes)?;
        writeln!(list, "{:08x} {:>7} {name}", crc32fast::hash(bytes), bytes.len())?;
    }
    std::fs::write(folder.join("list.txt"), &list)?;
    print!("{list}");
    Ok(())
}

struct Fonts {
    bold: FontVec,
    plain: FontVec,
}

impl Fonts {
    fn picture(&self, prompt: Prompt) -> Result<Vec<u8>> {
        let mut canvas = Canvas::new(SIZE, GROUND);
        canvas.fill((0, 0, SIZE.0, 14), BAND);
        let words = prompt.words();
        let top = if prompt.shows_keys() { 240.0 } else { 310.0 };
        canvas.text(&self.bold, 68.0, top, WHITE, words.title);
        for (i, line) in (0_u8..).zip(words.lines) {
            canvas.text(&self.plain, 36.0, top + 90.0 + f32::from(i) * 56.0, SOFT, line);
        }
        if prompt.shows_keys() {
            let (x, y, width, height) = FIELD;
            canvas.fill((x - 3, y - 3, width + 6, height + 6), BAND);
            canvas.fill((x, y, width, height), FIELD_GROUND);
        }
        canvas.png()
    }
}

/// The keys beside one another, each in a cell of its own, white on black: how much of a pixel each covers.
fn keys(font: &FontVec) -> Result<Vec<u8>> {
    let (width, height) = CELL;
    let mut canvas = Canvas::new((width * KEYS.len() as u32, height), [0; 3]);
    for (cell, key) in (0_u16..).zip(KEYS.chars()) {
        let middle = (f32::from(cell) + 0.5) * width as f32;
        canvas.text_at(font, 60.0, (middle, height as f32 * 0.78), [255; 3], &key.to_string());
    }
    canvas.png()
}

struct Canvas {
    size: (u32, u32),
    rgb: Vec<u8>,
}

impl Canvas {
    fn new(size: (u32, u32), ground: [u8; 3]) -> Self {
        Self { size, rgb: ground.repeat((size.0 * size.1) as usize) }
    }

    fn fill(&mut self, (x, y, width, height): (u32, u32, u32, u32), colour: [u8; 3]) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.blend(column, row, colour, 1.0));
        }
    }

    /// A line in the middle, its baseline at `y`; made smaller if it is too long.
    fn text(&mut self, font: &FontVec, px: f32, y: f32, colour: [u8; 3], text: &str) {
        self.text_at(font, px, (self.size.0 as f32 / 2.0, y), colour, text);
    }

    fn text_at(&mut self, font: &FontVec, px: f32, (middle, y): (f32, f32), colour: [u8; 3], text: &str) {
        let width = |px: f32| {
            let scaled = font.as_scaled(PxScale::from(px));
            text.chars().map(|c| scaled.h_advance(scaled.glyph_id(c))).sum::<f32>()
        };
        let room = self.size.0 as f32 * 0.9;
        let px = if width(px) > room { px * room / width(px) } else { px };
        let scaled = font.as_scaled(PxScale::from(px));
        let mut x = middle - width(px) / 2.0;
        for c in text.chars() {
            let id = scaled.glyph_id(c);
            let glyph = id.with_scale_and_position(px, point(x, y));
            x += scaled.h_advance(id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, cover| {
                let (px, py) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                if let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) {
                    self.blend(px, py, colour, cover);
                }
            });
        }
    }

    fn blend(&mut self, x: u32, y: u32, colour: [u8; 3], cover: f32) {
        if x >= self.size.0 || y >= self.size.1 {
            return;
        }
        // Few shades make small files.
        let shade = (cover.clamp(0.0, 1.0) * SHADES).round() / SHADES;
        let at = ((y * self.size.0 + x) * 3) as usize;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * shade).round() as u8;
        }
    }

    /// As PNG of grey if there is no colour in it.
    fn png(&self) -> Result<Vec<u8>> {
        let grey = self.rgb.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
        let (colour, pixels) = match grey {
            true => (png::ColorType::Grayscale, self.rgb.iter().step_by(3).copied().collect()),
            false => (png::ColorType::Rgb, self.rgb.clone()),
        };
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.size.0, self.size.1);
        encoder.set_color(colour);
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(file)
    }
}

/// A clip of espeak-ng's voice.
fn speak(text: &str) -> Result<Vec<u8>> {
    let file = std::env::temp_dir().join(format!("gantry-prompt-{}.wav", std::process::id()));
    let status = Command::new("espeak-ng")
        .args(["-v", "en-us", "-s", "150", "-p", "42", "-g", "3", "-w"])
        .arg(&file)
        .arg(text)
        .status()
        .context("cannot start espeak-ng; install it: apt-get install espeak-ng")?;
    ensure!(status.success(), "espeak-ng failed: {status}");
    let wav = std::fs::read(&file)?;
    std::fs::remove_file(&file)?;
    let voice = Voice::parse(&wav)?;
    let peak = voice.samples().iter().map(|sample| f64::from(*sample).abs()).fold(1.0, f64::max);
    let gain = PEAK * 32_767.0 / peak;
    let samples: Vec<i16> = voice.samples().iter().map(|sample| (f64::from(*sample) * gain) as i16).collect();
    Ok(Clip::from_pcm(voice.rate(), &samples)?.to_bytes())
}
