//! Where a picture lands: fitting, letterboxing and cropping, always on even pixels.

use crate::message::{Fit, Rect};
use base::Size;

/// What is shown and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// The part of the source that is shown.
    pub from: Rect,
    /// The part of the canvas it fills.
    pub to: Rect,
}

/// The largest even size of `source`'s shape that fits into `bound` and is no larger than `source`.
pub(super) fn shrink(source: Size, bound: Size) -> Size {
    if source.width <= bound.width && source.height <= bound.height {
        return Size::new(even(source.width), even(source.height));
    }
    fit(source, bound)
}

/// The largest even size of `source`'s shape that fits into `bound`.
fn fit(source: Size, bound: Size) -> Size {
    let (sw, sh) = (u64::from(source.width.max(1)), u64::from(source.height.max(1)));
    let (bw, bh) = (u64::from(bound.width), u64::from(bound.height));
    if bw * sh <= bh * sw {
        Size::new(even(bound.width), nearest_even(bw * sh, sw).min(even(bound.height)))
    } else {
        Size::new(nearest_even(bh * sw, sh).min(even(bound.width)), even(bound.height))
    }
}

/// Where a picture of size `source` goes in the tile `rect`, which is even; `None` if the tile is empty.
pub(super) fn place(source: Size, rect: Rect, how: Fit) -> Option<Placement> {
    if source.width == 0 || source.height == 0 || rect.width < 2 || rect.height < 2 {
        return None;
    }
    let whole = Rect::whole(source);
    match how {
        Fit::Letterbox => {
            let size = fit(source, Size::new(rect.width, rect.height));
            let x = rect.x + (((rect.width - size.width) / 2) & !1);
            let y = rect.y + (((rect.height - size.height) / 2) & !1);
            Some(Placement { from: whole, to: Rect::new(x, y, size.width, size.height) })
        }
        Fit::Crop => {
            let part = fit(Size::new(rect.width, rect.height), source);
            let (width, height) = (part.width.min(source.width), part.height.min(source.height));
            let x = ((source.width - width) / 2) & !1;
            let y = ((source.height - height) / 2) & !1;
            Some(Placement { from: Rect::new(x, y, width, height), to: rect })
        }
    }
}

/// `rect` on even pixels and cut at the canvas.
pub(super) fn on_canvas(rect: Rect, canvas: Size) -> Rect {
    let (x, y) = ((rect.x & !1).min(canvas.width), (rect.y & !1).min(canvas.height));
    let cut = |from: u32, length: u32, end: u32| length.min(end - from) & !1;
    Rect::new(x, y, cut(x, rect.width, canvas.width), cut(y, rect.height, canvas.height))
}

pub(super) fn overlap(a: Rect, b: Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

fn even(n: u32) -> u32 {
    (n & !1).max(2)
}

fn nearest_even(numerator: u64, denominator: u64) -> u32 {
    let half = (numerator + denominator) / (2 * denominator);
    u32::try_from(half * 2).unwrap_or(!1).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_picture_shrinks_to_its_bound_in_its_shape_and_never_grows() {
        for (source, bound, want) in [
            ((1920, 1080), (1280, 720), (1280, 720)),
            ((1280, 720), (1280, 720), (1280, 720)),
            ((640, 360), (1280, 720), (640, 360)),
            ((704, 576), (640, 360), (440, 360)),
            ((1280, 720), (320, 180), (320, 180)),
            ((721, 1281), (640, 360), (202, 360)),
        ] {
            let got = shrink(Size::new(source.0, source.1), Size::new(bound.0, bound.1));
            assert_eq!(got, Size::new(want.0, want.1), "{source:?} in {bound:?}");
        }
    }

    #[test]
    fn a_letterboxed_picture_is_centred_and_a_cropped_one_fills() {
        let tile = Rect::new(100, 50, 400, 400);
        let letterbox = place(Size::new(1280, 720), tile, Fit::Letterbox).unwrap();
        assert_eq!(letterbox.to, Rect::new(100, 136, 400, 226));
        let crop = place(Size::new(1280, 720), tile, Fit::Crop).unwrap();
        assert_eq!((crop.from, crop.to), (Rect::new(280, 0, 720, 720), tile));
    }

    proptest! {
        #[test]
        fn what_is_placed_lies_inside_its_tile_and_its_source(
            (sw, sh) in (1_u32..2000, 1_u32..1100), x: u16, y: u16, w in 0_u32..3000, h in 0_u32..3000, crop: bool
        ) {
            let canvas = Size::new(1280, 720);
            let tile = on_canvas(Rect::new(u32::from(x), u32::from(y), w, h), canvas);
            prop_assert!(tile.x + tile.width <= 1280 && tile.y + tile.height <= 720);
            let how = if crop { Fit::Crop } else { Fit::Letterbox };
            if let Some(Placement { from, to }) = place(Size::new(sw, sh), tile, how) {
                prop_assert!(to.x >= tile.x && to.x + to.width <= tile.x + tile.width);
                prop_assert!(to.y >= tile.y && to.y + to.height <= tile.y + tile.height);
                prop_assert!(from.x + from.width <= sw && from.y + from.height <= sh);
                prop_assert!(from.width > 0 && from.height > 0 && to.width >= 2 && to.height >= 2);
            }
        }
    }
}
