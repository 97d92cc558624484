//! The quality gate: how near what comes out is to what went in, and whether rates are equal.
//!
//! Pictures are compared by content, so that it does not matter which were left out or repeated: each picture that came
//! out is held against those that went in about that time, and the nearest counts. The reference of a smaller picture is
//! the source scaled by box, by bicubic and by bilinear filter; the nearest of the three counts, so that nobody is judged by another's
//! scaler.

use crate::report::Gate;
use crate::settings::{FRAMES, HEIGHT, PLACES, Place, WIDTH};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a source is scaled to be a reference, by ffmpeg's names.
pub const FILTERS: [&str; 3] = ["area", "bicubic", "bilinear"];
/// Most that rates may differ.
pub const RATE_SLACK: f64 = 0.02;
/// Most that a layer may be worse than the peer's, in dB.
pub const LAYER_SLACK: f64 = 0.3;
/// Most that the composed picture may be worse than the peer's, in dB.
pub const COMPOSED_SLACK: f64 = 0.1;
/// Most that may be left out beyond what the peer leaves out, as a share.
const SHOWN_SLACK: f64 = 0.02;
/// Pictures tried about the one that is expected.
const WINDOW: i64 = 6;

/// Luma of pictures in order.
#[derive(Debug, Clone, Default)]
pub struct Luma {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Rows after one another.
    pub frames: Vec<Vec<u8>>,
}

/// What a stream is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of luma, in dB, over all pictures.
    pub psnr: f64,
    /// Of the encoded stream.
    pub bps: f64,
    /// Pictures that were shown, of those that should have been.
    pub shown: f64,
}

impl Luma {
    /// Decodes `file` and scales it with `filter`.
    ///
    /// # Errors
    /// If ffmpeg fails.
    pub fn decode(file: &Path, (width, height): (u32, u32), filter: &str) -> Result<Self> {
        let scale = format!("scale={width}:{height}:flags={filter}");
        let mut child = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-vf", &scale, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start ffmpeg")?;
        let mut output = child.stdout.take().context("no pipe")?;
        let size = (width * height) as usize;
        let (mut picture, mut frames) = (vec![0; size + size / 2], Vec::new());
        while output.read_exact(&mut picture).is_ok() {
            frames.push(picture[..size].to_vec());
        }
        ensure!(child.wait()?.success() && !frames.is_empty(), "ffmpeg cannot decode {}", file.display());
        Ok(Self { width, height, frames })
    }

    fn whole(&self) -> Place {
        Place { x: 0, y: 0, width: self.width, height: self.height }
    }
}

/// Squared differences of all of `reference` from the part of `picture` at `place`.
fn difference(picture: &[u8], stride: usize, place: Place, reference: &[u8]) -> u64 {
    let rows = picture.chunks_exact(stride).skip(place.y as usize).take(place.height as usize);
    rows.zip(reference.chunks_exact(place.width as usize))
        .map(|(row, reference)| {
            let part = &row[place.x as usize..][..reference.len()];
            let squares = part.iter().zip(reference).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2));
            u64::from(squares.sum::<u32>())
        })
        .sum()
}

/// Squared differences of the pictures at `place` of `seen` from the nearest of `reference`, which is played in a loop.
fn nearest(seen: &Luma, place: Place, reference: &Luma) -> Vec<u64> {
    let count = reference.frames.len() as i64;
    let measure = |picture: &[u8], at: i64| {
        difference(picture, seen.width as usize, place, &reference.frames[at.rem_euclid(count) as usize])
    };
    let mut last: Option<i64> = None;
    let mut nearest = Vec::with_capacity(seen.frames.len());
    for picture in &seen.frames {
        let candidates = last.map_or(0..count, |last| last - WINDOW + 1..last + WINDOW);
        let best = candidates.map(|at| (measure(picture, at), at)).min().unwrap_or_default();
        // far off: the clip began anew, because somebody asked for a picture that stands alone
        let mean = best.0 / u64::from(place.width * place.height);
        let best = if mean > 150 {
            (0..count).map(|at| (measure(picture, at), at)).min().unwrap_or(best)
        } else {
            best
        };
        last = Some(best.1);
        nearest.push(best.0);
    }
    nearest
}

fn psnr(squares: u64, pixels: u64) -> f64 {
    10.0 * (255.0 * 255.0 * pixels as f64 / (squares.max(1)) as f64).log10()
}

/// PSNR of all pictures of a layer against the source it was made of, decoded from `source`.
///
/// # Errors
/// If ffmpeg fails.
pub fn of_layer(seen: &Luma, source: &Path) -> Result<f64> {
    let mut best = f64::MIN;
    for filter in filters_for(seen.width, WIDTH) {
        let reference = Luma::decode(source, (seen.width, seen.height), filter)?;
        let sum: u64 = nearest(seen, seen.whole(), &reference).iter().sum();
        best = best.max(psnr(sum, seen.frames.len() as u64 * u64::from(seen.width * seen.height)));
    }
    Ok(best)
}

/// PSNR of composed pictures against the sources of their eight places.
///
/// # Errors
/// If ffmpeg fails.
pub fn of_composed(seen: &Luma, sources: &[std::path::PathBuf]) -> Result<f64> {
    ensure!(
        (seen.width, seen.height) == (WIDTH, HEIGHT),
        "the composed picture is {}x{}",
        seen.width,
        seen.height
    );
    let mut squares = 0;
    let mut free: Vec<Place> = PLACES.to_vec();
    for (n, source) in sources.iter().enumerate() {
        let mut best: Option<(u64, usize)> = None;
        let size = if n == 0 { PLACES[0] } else { PLACES[1] };
        for filter in filters_for(size.width, if n == 0 { WIDTH } else { size.width }) {
            let reference = Luma::decode(source, (size.width, size.height), filter)?;
            for (at, place) in free.iter().enumerate().filter(|(_, place)| place.width == size.width) {
                let sum = nearest(seen, *place, &reference).iter().sum();
                best = Some(best.map_or((sum, at), |best| best.min((sum, at))));
            }
        }
        let (sum, at) = best.context("more pictures than places")?;
        free.remove(at);
        squares += sum;
    }
    Ok(psnr(squares, seen.frames.len() as u64 * u64::from(WIDTH * HEIGHT)))
}

/// A picture of its source's own size is not scaled.
fn filters_for(width: u32, source: u32) -> &'static [&'static str] {
    if width == source { &FILTERS[..1] } else { &FILTERS }
}

/// Whether `ours` may be compared with `theirs`, stream by stream under their `names`.
#[must_use]
pub fn gate(names: &[&str], ours: &[Quality], theirs: &[Quality], slack: f64) -> Gate {
    let (mut failed, mut told) = (false, Vec::new());
    for ((name, ours), theirs) in names.iter().zip(ours).zip(theirs) {
        let (rate, worth) = (ours.bps / theirs.bps - 1.0, ours.psnr - theirs.psnr);
        let fair = rate.abs() <= RATE_SLACK && worth >= -slack && ours.shown >= theirs.shown - SHOWN_SLACK;
        failed |= !fair;
        told.push(format!(
            "{name} {:.2} dB ({worth:+.2}) at {:.0} kbit/s ({:+.1} %), {:.0} % of pictures",
            ours.psnr,
            ours.bps / 1_000.0,
            rate * 100.0,
            ours.shown * 100.0
        ));
    }
    failed |= told.len() != names.len();
    let told = told.join("; ");
    if failed { Gate::Failed(told) } else { Gate::Passed(told) }
}

/// How many of the clip's pictures `count` are, over `seconds`.
#[must_use]
pub fn shown(count: usize, seconds: f64) -> f64 {
    count as f64 / (FRAMES as f64 / crate::settings::CLIP_SECONDS * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(count: u8) -> Luma {
        let frame = |n: u8| (0..64_u32).map(|at| (at * 3) as u8 ^ n.wrapping_mul(37)).collect();
        Luma { width: 8, height: 8, frames: (0..count).map(frame).collect() }
    }

    #[test]
    fn pictures_are_found_again_when_some_are_left_out_and_the_clip_goes_round() {
        let reference = clip(20);
        let mut seen = clip(20);
        seen.frames = [15, 16, 18, 19, 0, 1, 4, 9].map(|n: usize| reference.frames[n].clone()).to_vec();
        assert_eq!(nearest(&seen, seen.whole(), &reference), [0; 8]);
        seen.frames[2][5] ^= 3;
        assert_ne!(nearest(&seen, seen.whole(), &reference)[2], 0);
    }

    #[test]
    fn a_part_of_a_picture_is_held_against_its_own_source() {
        let reference = Luma { width: 2, height: 2, frames: vec![vec![1, 2, 3, 4]] };
        let mut picture = vec![0; 64];
        (picture[3 * 8 + 4], picture[3 * 8 + 5], picture[4 * 8 + 4], picture[4 * 8 + 5]) = (1, 2, 3, 6);
        let place = Place { x: 4, y: 3, width: 2, height: 2 };
        assert_eq!(difference(&picture, 8, place, &reference.frames[0]), 4);
    }

    #[test]
    fn psnr_of_an_error_of_one_is_48_decibels_as_the_books_say() {
        assert!((psnr(1_000, 1_000) - 48.13).abs() < 0.01);
    }

    #[test]
    fn the_gate_fails_for_fewer_bits_more_bits_worse_pictures_and_pictures_left_out() {
        let good = Quality { psnr: 40.0, bps: 1e6, shown: 1.0 };
        let told = |ours: Quality| matches!(gate(&["f"], &[ours], &[good], LAYER_SLACK), Gate::Passed(_));
        assert!(told(good) && told(Quality { psnr: 39.8, bps: 1.01e6, shown: 0.99 }));
        assert!(!told(Quality { psnr: 39.6, ..good }));
        assert!(!told(Quality { bps: 1.03e6, ..good }) && !told(Quality { bps: 0.97e6, ..good }));
        assert!(!told(Quality { shown: 0.9, ..good }));
        assert!(matches!(gate(&["f", "h"], &[good], &[good], 0.3), Gate::Failed(_)));
    }
}
