//! A prompt's picture, from a PNG file (ISO/IEC 15948).

use std::io::Cursor;

/// Largest file taken, in bytes.
pub const MAX_PNG_BYTES: usize = 4 * 1024 * 1024;
/// Shortest side, in pixels.
pub const MIN_SIDE: u32 = 64;
/// Widest, in pixels.
pub const MAX_WIDTH: u32 = 1920;
/// Highest, in pixels.
pub const MAX_HEIGHT: u32 = 1088;

/// A picture: eight bits each of red, green and blue, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// Why a file is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Too many bytes.
    #[error("has {0} bytes; at most {MAX_PNG_BYTES} are taken, save it smaller")]
    TooLarge(usize),
    /// It does not decode.
    #[error("is no whole PNG file: {0}; save it as PNG")]
    NotPng(String),
    /// Too small or too large.
    #[error(
        "is {0}x{1}; it may have {MIN_SIDE}x{MIN_SIDE} to {MAX_WIDTH}x{MAX_HEIGHT} pixels, 1280x720 is best"
    )]
    Size(u32, u32),
}

impl Picture {
    /// Reads a PNG file. What is transparent in it becomes black behind.
    ///
    /// # Errors
    /// [`PictureError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.len() > MAX_PNG_BYTES {
            return Err(PictureError::TooLarge(bytes.len()));
        }
        let broken = |error: png::DecodingError| PictureError::NotPng(error.to_string());
        let limits = png::Limits { bytes: (MAX_WIDTH * MAX_HEIGHT) as usize * 16 };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(broken)?;
        let (width, height) = (reader.info().width, reader.info().height);
        if !(MIN_SIDE..=MAX_WIDTH).contains(&width) || !(MIN_SIDE..=MAX_HEIGHT).contains(&height) {
            return Err(PictureError::Size(width, height));
        }
        let bytes = reader.output_buffer_size().ok_or(PictureError::Size(width, height))?;
        let mut pixels = vec![0; bytes];
        let info = reader.next_frame(&mut pixels).map_err(broken)?;
        pixels.truncate(info.buffer_size());
        Ok(Self { width, height, rgb: to_rgb(&pixels, info.color_type) })
    }

    /// Pixels across.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Red, green and blue of each pixel, row by row from the top.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "picture of {}x{}", self.width, self.height)
    }
}

fn to_rgb(pixels: &[u8], color: png::ColorType) -> Vec<u8> {
    let through = |value: u8, alpha: u8| (u16::from(value) * u16::from(alpha) / 255) as u8;
    match color {
        png::ColorType::Rgb | png::ColorType::Indexed => pixels.to_vec(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
        png::ColorType::GrayscaleAlpha => {
            pixels.chunks_exact(2).flat_map(|pixel| [through(pixel[0], pixel[1]); 3]).collect()
        }
        png::ColorType::Rgba => pixels
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]].map(|value| through(value, pixel[3])))
            .collect(),
    }
}
