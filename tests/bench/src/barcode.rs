//! A number in a picture's corner that outlives scaling and encoding, so that a picture is known wherever it comes out.
//!
//! Ten squares, 32 pixels of a 1280x720 picture wide: nine bits of Gray code and one of parity. Gray code changes only two
//! squares from picture to picture, which costs an encoder next to nothing.

use crate::settings::Place;

const BITS: u32 = 10;
/// Side of a square in a picture of the height below, in pixels.
const SQUARE: usize = 32;
const HEIGHT: f64 = 720.0;
const DARK: u8 = 24;
const LIGHT: u8 = 226;

/// Highest number.
pub const MAX: u32 = (1 << (BITS - 1)) - 1;

/// Writes `number` into a picture's luma; `width` is its row length.
pub fn write(luma: &mut [u8], width: usize, number: u32) {
    let code = code(number);
    for row in luma.chunks_mut(width).take(SQUARE) {
        for (bit, square) in row.chunks_mut(SQUARE).take(BITS as usize).enumerate() {
            square.fill(if code >> bit & 1 == 1 { LIGHT } else { DARK });
        }
    }
}

/// The number of the picture that stands at `place`; `None` if there is none.
#[must_use]
pub fn read(luma: &[u8], stride: usize, place: Place) -> Option<u32> {
    let side = SQUARE as f64 * f64::from(place.height) / HEIGHT;
    let mut code = 0;
    for bit in 0..BITS {
        let mean = middle(luma, stride, place, f64::from(bit) * side, side)?;
        match mean {
            0..=80 => {}
            170..=255 => code |= 1 << bit,
            _ => return None,
        }
    }
    decode(code)
}

/// Mean of the inner part of a square `left` pixels from the left.
fn middle(luma: &[u8], stride: usize, place: Place, left: f64, side: f64) -> Option<u32> {
    let (from, to) = (side * 0.3, side * 0.7);
    let (mut sum, mut count) = (0_u32, 0_u32);
    for y in from as usize..=to as usize {
        let row = luma.get((place.y as usize + y) * stride + place.x as usize..)?;
        for x in (left + from) as usize..=(left + to) as usize {
            sum += u32::from(*row.get(x)?);
            count += 1;
        }
    }
    sum.checked_div(count)
}

fn code(number: u32) -> u32 {
    let gray = number ^ number >> 1;
    gray | (gray.count_ones() & 1) << (BITS - 1)
}

fn decode(code: u32) -> Option<u32> {
    if !code.count_ones().is_multiple_of(2) {
        return None;
    }
    let gray = code & MAX;
    let mut number = gray;
    let mut shift = 1;
    while shift < BITS {
        number ^= gray >> shift;
        shift += 1;
    }
    Some(number & MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Place = Place { x: 0, y: 0, width: 1280, height: 720 };

    #[test]
    fn every_number_is_read_back_and_neighbours_differ_in_one_square_and_parity() {
        for number in 0..=MAX {
            assert_eq!(decode(code(number)), Some(number));
            if number > 0 {
                assert_eq!((code(number) ^ code(number - 1)).count_ones(), 2);
            }
        }
    }

    #[test]
    fn a_number_is_read_at_the_size_of_each_tile_and_layer() {
        let mut luma = vec![100; 1280 * 720];
        write(&mut luma, 1280, 299);
        assert_eq!(read(&luma, 1280, WHOLE), Some(299));
        for (across, down) in [(960, 540), (640, 360), (320, 180)] {
            let small: Vec<u8> = (0..down)
                .flat_map(|y| (0..across).map(move |x| (x, y)))
                .map(|(x, y)| luma[y * 720 / down * 1280 + x * 1280 / across])
                .collect();
            let place = Place { x: 0, y: 0, width: across as u32, height: down as u32 };
            assert_eq!(read(&small, across, place), Some(299), "{across}x{down}");
        }
    }

    #[test]
    fn a_picture_without_a_number_has_none() {
        assert_eq!(read(&[128; 1280 * 720], 1280, WHOLE), None);
        assert_eq!(read(&[128; 10], 1280, WHOLE), None);
        let mut luma = vec![100; 1280 * 720];
        write(&mut luma, 1280, 7);
        luma[..32].iter_mut().for_each(|byte| *byte = 128);
        let one_square_wrong: Vec<u8> = luma
            .iter()
            .enumerate()
            .map(|(i, b)| if i / 1280 < 32 && i % 1280 < 32 { !b } else { *b })
            .collect();
        assert_eq!(read(&one_square_wrong, 1280, WHOLE), None);
    }
}
