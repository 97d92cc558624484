//! A moving, numbered test picture that can be read back after any codec and any scaling, and tones.
//!
//! ```text
//!  ┌────────────────┐
//!  │ 16 bits, b/w   │  top quarter: the number, most significant bit left
//!  │ 8 colour bars  │  half
//!  │ moving grey    │  bottom quarter: a texture that moves with the number
//!  └────────────────┘
//! ```
#![allow(dead_code, reason = "each test crate uses its own part of it")]

use kernels::{I420, View, ViewMut};

/// Luma, U, V of the colour bars.
pub const BARS: [(u8, u8, u8); 8] = [
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
    (16, 128, 128),
];

/// Paints picture `number` over all of `to`.
pub fn paint(to: &mut ViewMut<'_>, number: u16) {
    let (w, h) = (to.width() as usize, to.height() as usize);
    let [ys, cs] = to.strides();
    let [luma, u, v] = to.planes();
    for y in 0..h {
        for x in 0..w {
            luma[y * ys + x] = match y * 4 / h {
                0 if number & (0x8000 >> (x * 16 / w)) != 0 => 235,
                0 => 16,
                3 => 60 + ((x + usize::from(number) * 4) % 64 + y % 32) as u8,
                _ => BARS[x * 8 / w].0,
            };
        }
    }
    for y in 0..h.div_ceil(2) {
        for x in 0..w.div_ceil(2) {
            let colour = matches!(y * 8 / h, 1 | 2);
            let (_, cu, cv) = if colour { BARS[x * 16 / w] } else { (0, 128, 128) };
            (u[y * cs + x], v[y * cs + x]) = (cu, cv);
        }
    }
}

/// A new picture with that number.
pub fn picture(width: u32, height: u32, number: u16) -> I420 {
    let mut picture = I420::new(width, height).unwrap();
    paint(&mut picture.view_mut(), number);
    picture
}

/// The number in a picture, or `None` if a bit is neither black nor white.
pub fn number(view: &View<'_>) -> Option<u16> {
    let (w, h) = (view.width() as usize, view.height() as usize);
    let row = view.luma_row((h / 8) as u32);
    (0..16).try_fold(0_u16, |number, bit| match row[(2 * bit + 1) * w / 32] {
        0..=90 => Some(number << 1),
        160.. => Some(number << 1 | 1),
        _ => None,
    })
}

/// How far the colour bars are off at most, over luma and both chromas.
pub fn bars_error(view: &View<'_>) -> u8 {
    let (w, h) = (view.width() as usize, view.height() as usize);
    let [ys, cs] = view.strides();
    let [luma, u, v] = view.planes();
    let mut worst = 0;
    for (bar, (y, cu, cv)) in BARS.iter().enumerate() {
        let x = (2 * bar + 1) * w / 16;
        let at = h / 2 * ys + x;
        let chroma = h / 4 * cs + x / 2;
        worst = worst.max(luma[at].abs_diff(*y)).max(u[chroma].abs_diff(*cu)).max(v[chroma].abs_diff(*cv));
    }
    worst
}

/// `samples` of a sine from sample `from` on.
pub fn sine(hz: f32, amplitude: f32, rate: u32, from: usize, samples: usize) -> Vec<f32> {
    (from..from + samples)
        .map(|i| {
            amplitude * (std::f64::consts::TAU * f64::from(hz) * i as f64 / f64::from(rate)).sin() as f32
        })
        .collect()
}
