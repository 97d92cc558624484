//! Pictures as files: PNG in and out, raw video for encoders.

use crate::pattern::{self, Luma};
use crate::sound;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Reads a PNG as grey.
///
/// # Errors
/// If it is none, or of a depth other than 8 bits.
pub fn read_png(path: &Path) -> Result<Luma> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    decode_png(BufReader::new(file)).with_context(|| format!("{} is no picture", path.display()))
}

/// Decodes a PNG as grey.
///
/// # Errors
/// If it is none, or of a depth other than 8 bits.
pub fn decode_png(data: impl std::io::BufRead + std::io::Seek) -> Result<Luma> {
    let mut decoder = png::Decoder::new(data);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("picture too large")?];
    let info = reader.next_frame(&mut pixels)?;
    let samples = info.color_type.samples();
    let grey = |pixel: &[u8]| match pixel {
        [r, g, b, ..] => ((u32::from(*r) * 77 + u32::from(*g) * 150 + u32::from(*b) * 29) >> 8) as u8,
        other => other[0],
    };
    let pixels = pixels[..info.buffer_size()].chunks_exact(samples).map(grey).collect();
    Ok(Luma { width: info.width as usize, height: info.height as usize, pixels })
}

/// Writes a grey picture as PNG.
///
/// # Errors
/// If the file cannot be written.
pub fn write_png(picture: &Luma, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&picture.pixels)?;
    Ok(())
}

/// Makes a video of the test pattern with ffmpeg: frame `n` carries the number `n`, and the flash is lit when
/// [`sound::tone`] with beeps sounds its beep.
///
/// `output` are ffmpeg's arguments after the input, the file last.
///
/// # Errors
/// If ffmpeg fails.
pub fn make_video(width: usize, height: usize, fps: u32, frames: u16, output: &[&str]) -> Result<()> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", &format!("{width}x{height}")])
        .args(["-r", &fps.to_string(), "-i", "-"])
        .args(["-pix_fmt", "yuv420p"])
        .args(output)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start ffmpeg; `cargo xtask setup` installs it")?;
    let mut input = BufWriter::new(ffmpeg.stdin.take().context("no pipe to ffmpeg")?);
    for number in 0..frames {
        let flash = sound::is_beep(f32::from(number) / fps as f32 + 0.001);
        input.write_all(&pattern::draw(width, height, number, flash).pixels).context("ffmpeg ended early")?;
    }
    drop(input);
    ensure!(ffmpeg.wait()?.success(), "ffmpeg failed to encode the test pattern: {output:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_its_png() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pattern.png");
        let picture = pattern::draw(320, 180, 4711, true);
        write_png(&picture, &path).expect("written");
        assert_eq!(read_png(&path).expect("read"), picture);
    }
}
