//! Where each participant's picture stands on the room's screen (P9).
//!
//! Every place has the canvas's own shape, so that a 16:9 picture fills its place on a 16:9 canvas. Small places are a
//! quarter of the canvas in each direction: 320x180 on 1280x720, the very size of a conference's smallest layer, which
//! is then copied and not scaled.
//!
//! ```text
//!  1+7, 1 seen      1+7, 2 to 5 seen        1+7, 6 to 8 seen       equal, 3 or 4      equal, 5 to 8
//!  ┌─────────┐      ┌─┬─────────┬─┐         ┌─────────┬──┐         ┌────┬────┐        ┌───┬───┬───┐
//!  │         │      │ │  main   │ │         │  main   ├──┤         │    │    │        ├───┼───┼───┤
//!  │  main   │      │ │         │ │         │         ├──┤         ├────┼────┤        ├───┼───┼───┤
//!  └─────────┘      └──┴──┴──┴──┴─┘         ├──┬──┬──┬┴──┤         └────┴────┘        └───┴───┴───┘
//!                   main 3/4, row centred   └──┴──┴──┴──┘
//! ```

mod seats;

pub use seats::{SPEAKER_HOLD, Seating};

use base::frame::Size;
use base::ids::{ParticipantId, StreamId};
use base::limits;

/// How pictures are arranged; a room goes through them by DTMF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// The speaker large, up to seven others small.
    #[default]
    OnePlusSeven,
    /// All of the same size.
    Equal,
    /// The speaker alone.
    OneMain,
}

impl Layout {
    /// The next one in the round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Layout::OnePlusSeven => Layout::Equal,
            Layout::Equal => Layout::OneMain,
            Layout::OneMain => Layout::OnePlusSeven,
        }
    }

    /// Most pictures seen at a time.
    #[must_use]
    pub const fn capacity(self) -> usize {
        match self {
            Layout::OnePlusSeven | Layout::Equal => limits::CONFERENCE_VIDEOS,
            Layout::OneMain => 1,
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Layout::OnePlusSeven => "1+7",
            Layout::Equal => "equal",
            Layout::OneMain => "1+0",
        }
    }
}

/// Part of a canvas in pixels, from the top left corner; all four are even, as 4:2:0 needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Across and down.
    pub size: Size,
}

/// A picture and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// The conference's receive stream it comes by.
    pub stream: StreamId,
    /// Whose it is, if the conference says so.
    pub participant: Option<ParticipantId>,
    /// Where it stands.
    pub rect: Rect,
}

/// Puts `seen` on a `canvas`, the first in the main place; those beyond the layout's capacity are left out.
#[must_use]
pub fn plan(layout: Layout, canvas: Size, seen: &[(StreamId, Option<ParticipantId>)]) -> Vec<Tile> {
    let tile = |((stream, participant), rect): (&(StreamId, Option<ParticipantId>), Rect)| Tile {
        stream: *stream,
        participant: participant.clone(),
        rect,
    };
    seen.iter().zip(places(layout, canvas, seen.len())).map(tile).collect()
}

/// The places for `count` pictures, at most the layout's capacity, the main one first. They lie within the canvas and
/// do not touch one another.
#[must_use]
pub fn places(layout: Layout, canvas: Size, count: usize) -> Vec<Rect> {
    let canvas = even_size(canvas);
    let count = count.min(layout.capacity());
    if canvas.area() == 0 {
        return Vec::new();
    }
    match (layout, count) {
        (_, 0) => Vec::new(),
        (_, 1) => vec![Rect { x: 0, y: 0, size: canvas }],
        (Layout::OnePlusSeven, 2..=5) => row_below(canvas, count - 1),
        (Layout::OnePlusSeven, _) => row_and_column(canvas, count - 1),
        (Layout::Equal | Layout::OneMain, _) => grid(canvas, count),
    }
}

/// Main place above, `small` places in a row below, both centred.
fn row_below(canvas: Size, small: usize) -> Vec<Rect> {
    let cell = part(canvas, 4);
    let main = even_size(Size::new(canvas.width - cell.width, canvas.height - cell.height));
    let mut places = vec![Rect { x: even((canvas.width - main.width) / 2), y: 0, size: main }];
    places.extend(row(canvas, cell, main.height, small));
    places
}

/// Main place at the top left, four places in the row below, the rest in the column beside it from the top.
fn row_and_column(canvas: Size, others: usize) -> Vec<Rect> {
    let cell = part(canvas, 4);
    let main = even_size(Size::new(canvas.width - cell.width, canvas.height - cell.height));
    let mut places = vec![Rect { x: 0, y: 0, size: main }];
    places.extend(row(canvas, cell, main.height, 4));
    let beside = (0..small(others.saturating_sub(4))).map(|n| cell.height * n);
    places.extend(beside.map(|y| Rect { x: main.width, y, size: cell }));
    places
}

/// Equal places, row by row; a last row that is not full is centred.
fn grid(canvas: Size, count: usize) -> Vec<Rect> {
    let side: usize = if count <= 4 { 2 } else { 3 };
    let cell = part(canvas, side);
    let rows = count.div_ceil(side);
    let top = even((canvas.height - cell.height * small(rows)) / 2);
    let one = |r: usize| {
        let in_row = (count - r * side).min(side);
        row(canvas, cell, top + cell.height * small(r), in_row)
    };
    (0..rows).flat_map(one).collect()
}

/// `count` places of size `cell` side by side at height `y`, centred.
fn row(canvas: Size, cell: Size, y: u32, count: usize) -> impl Iterator<Item = Rect> {
    let left = even((canvas.width - cell.width * small(count)) / 2);
    (0..small(count)).map(move |n| Rect { x: left + cell.width * n, y, size: cell })
}

fn part(canvas: Size, of: usize) -> Size {
    even_size(Size::new(canvas.width / small(of), canvas.height / small(of)))
}

const fn even(pixels: u32) -> u32 {
    pixels & !1
}

const fn even_size(size: Size) -> Size {
    Size::new(even(size.width), even(size.height))
}

/// A count of places, which is at most nine.
#[allow(clippy::cast_possible_truncation, reason = "there are at most nine places")]
const fn small(count: usize) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rects(layout: Layout, canvas: Size, count: usize) -> Vec<(u32, u32, u32, u32)> {
        places(layout, canvas, count).iter().map(|r| (r.x, r.y, r.size.width, r.size.height)).collect()
    }

    #[test]
    fn p9_one_participant_fills_the_screen() {
        assert_eq!(rects(Layout::OnePlusSeven, Size::HD720, 1), [(0, 0, 1280, 720)]);
    }

    #[test]
    fn p9_two_to_five_stand_as_a_main_picture_above_a_centred_row() {
        assert_eq!(rects(Layout::OnePlusSeven, Size::HD720, 2), [(160, 0, 960, 540), (480, 540, 320, 180)]);
        let five = rects(Layout::OnePlusSeven, Size::HD720, 5);
        assert_eq!(five[0], (160, 0, 960, 540));
        assert_eq!(five[1..].iter().map(|r| r.0).collect::<Vec<_>>(), [0, 320, 640, 960]);
    }

    #[test]
    fn p9_eight_stand_one_plus_seven_and_the_small_ones_are_a_layers_own_size() {
        let eight = rects(Layout::OnePlusSeven, Size::HD720, 8);
        assert_eq!(eight[0], (0, 0, 960, 540));
        assert_eq!(
            eight[1..5].iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(),
            [(0, 540), (320, 540), (640, 540), (960, 540)]
        );
        assert_eq!(
            eight[5..].iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(),
            [(960, 0), (960, 180), (960, 360)]
        );
        assert!(eight[1..].iter().all(|r| (r.2, r.3) == (320, 180)));
        let covered: u32 = eight.iter().map(|r| r.2 * r.3).sum();
        assert_eq!(covered, 1280 * 720, "nothing of the screen is wasted");
    }

    #[test]
    fn p9_beyond_the_eighth_nobody_is_seen() {
        let seen: Vec<_> = (0..12).map(|n| (StreamId(n), None)).collect();
        let tiles = plan(Layout::OnePlusSeven, Size::HD720, &seen);
        assert_eq!(tiles.iter().map(|tile| tile.stream.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(plan(Layout::OneMain, Size::HD720, &seen).len(), 1);
    }

    #[test]
    fn p9_equal_pictures_stand_in_a_grid_with_a_centred_last_row() {
        assert_eq!(rects(Layout::Equal, Size::HD720, 2), [(0, 180, 640, 360), (640, 180, 640, 360)]);
        assert_eq!(rects(Layout::Equal, Size::HD720, 3)[2], (320, 360, 640, 360));
        let seven = rects(Layout::Equal, Size::HD720, 7);
        assert_eq!(seven[0], (0, 0, 426, 240));
        assert_eq!(seven[6], (426, 480, 426, 240));
    }

    #[test]
    fn the_layouts_make_a_round() {
        let round = [Layout::OnePlusSeven, Layout::Equal, Layout::OneMain, Layout::OnePlusSeven];
        assert!(round.windows(2).all(|pair| pair[0].next() == pair[1]));
    }

    fn a_layout() -> impl Strategy<Value = Layout> {
        prop_oneof![Just(Layout::OnePlusSeven), Just(Layout::Equal), Just(Layout::OneMain)]
    }

    fn overlap(a: &Rect, b: &Rect) -> bool {
        let apart = a.x + a.size.width <= b.x
            || b.x + b.size.width <= a.x
            || a.y + a.size.height <= b.y
            || b.y + b.size.height <= a.y;
        !apart
    }

    #[test]
    fn a_canvas_too_small_for_its_places_has_empty_ones() {
        let places = places(Layout::OnePlusSeven, Size::new(2, 2), 8);
        assert!(places[0].size.area() > 0 && places[1..].iter().all(|place| place.size.area() == 0));
    }

    proptest! {
        #[test]
        fn places_are_even_inside_the_canvas_and_apart(
            layout in a_layout(), width in 0..4000_u32, height in 0..3000_u32, count in 0..20_usize,
        ) {
            let places = places(layout, Size::new(width, height), count);
            for (n, place) in places.iter().enumerate() {
                prop_assert!(place.x + place.size.width <= width && place.y + place.size.height <= height);
                prop_assert!([place.x, place.y, place.size.width, place.size.height].iter().all(|p| p % 2 == 0));
                prop_assert!(places[..n].iter().all(|other| !overlap(place, other)));
            }
            if width >= 128 && height >= 96 {
                prop_assert_eq!(places.len(), count.min(layout.capacity()));
                prop_assert!(places.iter().all(|place| place.size.area() > 0));
            }
        }

        #[test]
        fn places_do_not_depend_on_who_stands_in_them(
            layout in a_layout(), order in Just((0..8_u32).collect::<Vec<_>>()).prop_shuffle(), count in 0..8_usize,
        ) {
            let seen: Vec<_> = order.iter().take(count).map(|n| (StreamId(*n), None)).collect();
            let tiles = plan(layout, Size::HD720, &seen);
            let rects: Vec<_> = tiles.iter().map(|tile| tile.rect).collect();
            prop_assert_eq!(rects, places(layout, Size::HD720, count));
            prop_assert!(tiles.iter().zip(&seen).all(|(tile, seen)| tile.stream == seen.0));
        }
    }
}
