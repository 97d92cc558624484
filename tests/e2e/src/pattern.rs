//! The moving, numbered test pattern: made here, read back on both far sides.
//!
//! ```text
//!  ┌──┬──┬──┬── … ──┬──┬──┐  top ninth: 19 blocks, each a twentieth of the width, from the left edge:
//!  │██│  │b15│ … │b0│ p│  │  white, black, 16 bits of the frame's number (most significant first, white is 1), even parity
//!  ├──┴──┴──┴── … ──┴──┴──┤
//!  │ texture, with a bar   │  the bar moves one step a frame, so a frozen picture is seen by eye as well
//!  │   that moves   ┌─────┐│
//!  │                │flash││  lower right quarter: white while the beep sounds, else dark
//!  └────────────────┴─────┘┘
//! ```
//! Blocks are large so that they survive the smallest simulcast layer and a small tile of a composed picture.

/// Blocks in the row of the number.
const BLOCKS: usize = 19;
/// The row is divided in this many block widths.
const COLUMNS: usize = 20;
/// The row's share of the height.
const ROWS: usize = 9;
const WHITE: u8 = 235;
const BLACK: u8 = 16;
const GREY: u8 = 110;
const DARK: u8 = 60;
/// Luma above this is white; halfway, so that coding noise on either side does no harm.
const THRESHOLD: u32 = 126;

/// A grey-scale picture: what of a frame matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Luma {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// One byte a pixel, row by row.
    pub pixels: Vec<u8>,
}

/// What was read from a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The frame's number.
    pub number: u16,
    /// Whether the flash is lit.
    pub flash: bool,
}

/// Draws frame `number`, with the flash lit or dark.
#[must_use]
pub fn draw(width: usize, height: usize, number: u16, flash: bool) -> Luma {
    let mut pixels: Vec<u8> = (0..width * height).map(|i| texture(i % width, i / width)).collect();
    let mut fill = |x0: usize, y0: usize, x1: usize, y1: usize, value: u8| {
        for row in pixels.chunks_exact_mut(width).take(y1).skip(y0) {
            row[x0..x1].fill(value);
        }
    };
    let bar = usize::from(number) * 7 % (width - width / 16);
    fill(bar, height / ROWS, bar + width / 16, height / 2, DARK);
    for (i, lit) in blocks(number).into_iter().enumerate() {
        let (x0, x1) = (width * i / COLUMNS, width * (i + 1) / COLUMNS);
        fill(x0, 0, x1, height / ROWS, if lit { WHITE } else { BLACK });
    }
    let (x, y) = (width * 5 / 8, height * 5 / 8);
    fill(x, y, width * 7 / 8, height * 7 / 8, if flash { WHITE } else { BLACK });
    Luma { width, height, pixels }
}

/// Reads the pattern that fills the whole picture; `None` if there is none.
#[must_use]
pub fn read(picture: &Luma) -> Option<Reading> {
    read_in(picture, (0, 0, picture.width, picture.height))
}

/// Reads the pattern in the part `(x, y, width, height)` of a picture.
#[must_use]
pub fn read_in(picture: &Luma, (x, y, width, height): (usize, usize, usize, usize)) -> Option<Reading> {
    if width < 2 * COLUMNS || height < 2 * ROWS || x + width > picture.width || y + height > picture.height {
        return None;
    }
    let lit = |i: usize| {
        let (left, right) = (x + width * i / COLUMNS, x + width * (i + 1) / COLUMNS);
        mean(picture, (left, right), (y, y + height / ROWS)) > THRESHOLD
    };
    let read: Vec<bool> = (0..BLOCKS).map(lit).collect();
    let number = read[2..18].iter().fold(0_u16, |number, bit| number << 1 | u16::from(*bit));
    if read != blocks(number) {
        return None;
    }
    let flash =
        mean(picture, (x + width * 5 / 8, x + width * 7 / 8), (y + height * 5 / 8, y + height * 7 / 8));
    Some(Reading { number, flash: flash > THRESHOLD })
}

/// A still texture, so that a picture that stands alone takes several packets as a real one does.
fn texture(x: usize, y: usize) -> u8 {
    let hash = (x / 4).wrapping_mul(0x9E37_79B1) ^ (y / 4).wrapping_mul(0x85EB_CA77);
    GREY + (hash >> 13 & 31) as u8
}

fn blocks(number: u16) -> Vec<bool> {
    let bits = (0..16).rev().map(|bit| number >> bit & 1 == 1);
    let parity = number.count_ones() % 2 == 1;
    [true, false].into_iter().chain(bits).chain([parity]).collect()
}

/// Mean luma of the inner half of a block, so that its blurred edges don't count.
fn mean(picture: &Luma, (x0, x1): (usize, usize), (y0, y1): (usize, usize)) -> u32 {
    let (dx, dy) = ((x1 - x0) / 4, (y1 - y0) / 4);
    let (mut sum, mut count) = (0_u32, 0_u32);
    for row in picture.pixels.chunks_exact(picture.width).take(y1 - dy).skip(y0 + dy) {
        for pixel in &row[x0 + dx..x1 - dx] {
            sum += u32::from(*pixel);
            count += 1;
        }
    }
    sum / count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_read_at_every_size_down_to_a_small_tile() {
        for (width, height) in [(1280, 720), (640, 360), (320, 180), (182, 102), (176, 144)] {
            for number in [0, 1, 0x5555, 0xAAAA, 299, u16::MAX] {
                for flash in [false, true] {
                    let picture = draw(width, height, number, flash);
                    assert_eq!(read(&picture), Some(Reading { number, flash }), "{width}x{height} {number}");
                }
            }
        }
    }

    #[test]
    fn a_picture_without_the_pattern_is_not_read() {
        for value in [0, 128, 255] {
            let blank = Luma { width: 640, height: 360, pixels: vec![value; 640 * 360] };
            assert_eq!(read(&blank), None);
        }
        let mut broken = draw(640, 360, 77, false);
        for row in broken.pixels.chunks_exact_mut(640).take(40) {
            row[640 * 5 / 20..640 * 6 / 20].fill(WHITE);
        }
        assert_eq!(read(&broken), None, "one bit flipped fails the parity");
    }

    #[test]
    fn it_is_found_inside_a_composed_picture() {
        let tile = draw(320, 180, 4711, true);
        let mut canvas = Luma { width: 1280, height: 720, pixels: vec![40; 1280 * 720] };
        for y in 0..180 {
            let at = (y + 500) * 1280 + 640;
            canvas.pixels[at..at + 320].copy_from_slice(&tile.pixels[y * 320..(y + 1) * 320]);
        }
        assert_eq!(read_in(&canvas, (640, 500, 320, 180)), Some(Reading { number: 4711, flash: true }));
        assert_eq!(read(&canvas), None);
    }
}
