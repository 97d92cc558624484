//! Whether pictures stand still but for what moves in them, from a thousand samples of each.
//!
//! A room's camera stands still and people move before it: where they are a thorough search for motion finds little that a quick one
//! does not. Where the picture moves as a whole it does.

use kernels::View;

/// Samples across a picture.
const ACROSS: u32 = 40;
/// A sample has changed if it differs by more levels of luma. Less is noise.
const NOISE: u8 = 8;
/// A picture moves if more than one in so many samples changed. People who walk through a room change one in 15 within [`KEPT`] pictures, a
/// camera that turns by half a pixel a picture one in three to six.
const MOVES: usize = 8;
/// Samples are held against those of a picture up to so many before, so that what is slow adds up.
const KEPT: u32 = 8;
/// So many pictures in a row must stand still.
const PATIENCE: u32 = 30;

/// Watches one stream of pictures of one size.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    kept: Vec<u8>,
    /// For how many pictures they have been.
    age: u32,
    pictures: u32,
}

impl Stillness {
    /// Whether this picture and those before it stand still.
    pub(super) fn look(&mut self, picture: &View<'_>) -> bool {
        let moves = self.changed(picture) * MOVES > self.kept.len();
        self.pictures = if moves { 0 } else { self.pictures.saturating_add(1) };
        self.pictures >= PATIENCE
    }

    /// How many samples of it differ from those kept. Of the first all do.
    fn changed(&mut self, picture: &View<'_>) -> usize {
        let step = (picture.width() / ACROSS).max(1);
        let rows = (step / 2..picture.height()).step_by(step as usize);
        let samples = rows.flat_map(|row| {
            picture.luma_row(row).iter().skip(step as usize / 2).step_by(step as usize).copied()
        });
        if self.kept.is_empty() {
            self.kept.extend(samples);
            return self.kept.len();
        }
        self.age += 1;
        let renew = self.age >= KEPT;
        let mut changed = 0;
        for (kept, sample) in self.kept.iter_mut().zip(samples) {
            changed += usize::from(kept.abs_diff(sample) > NOISE);
            if renew {
                *kept = sample;
            }
        }
        if renew {
            self.age = 0;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::I420;

    /// Stripes, moved to the side; and somebody before them, who moves as well.
    fn picture(moved: u32, walked: u32) -> I420 {
        let mut picture = I420::new(640, 360).expect("a size within bounds");
        let mut view = picture.view_mut();
        let stride = view.strides()[0];
        for (y, line) in (0..).zip(view.planes()[0].chunks_mut(stride)) {
            for (x, luma) in (0..).zip(line) {
                let person = (100..260).contains(&y) && (walked..walked + 60).contains(&x);
                let stripe = if ((x + moved) / 32).is_multiple_of(2) { 90 } else { 160 };
                *luma = if person { 30 } else { stripe };
            }
        }
        picture
    }

    #[test]
    fn people_who_walk_before_a_camera_that_stands_leave_its_pictures_still() {
        let mut stillness = Stillness::default();
        let looks: Vec<bool> = (0..60).map(|n| stillness.look(&picture(0, 4 * n).view())).collect();
        assert!(looks[..30].iter().all(|still| !still), "not before thirty pictures");
        assert!(looks[30..].iter().all(|still| *still));
    }

    #[test]
    fn a_camera_that_turns_is_seen_at_once_and_stands_still_soon_after_it_stopped() {
        let mut stillness = Stillness::default();
        assert!((0..60).map(|_| stillness.look(&picture(0, 0).view())).last() == Some(true));
        assert!((1..=30).all(|n| !stillness.look(&picture(12 * n, 0).view())));
        let after: Vec<bool> = (0..60).map(|_| stillness.look(&picture(360, 0).view())).collect();
        let still = after.iter().position(|still| *still);
        assert!(
            (PATIENCE as usize - 1..(PATIENCE + KEPT) as usize).contains(&still.unwrap_or(0)),
            "{still:?}"
        );
    }

    #[test]
    fn a_camera_that_turns_by_a_pixel_a_picture_is_seen_as_well() {
        let mut stillness = Stillness::default();
        assert!((0..120).all(|n| !stillness.look(&picture(n, 0).view())));
    }

    #[test]
    fn pictures_of_few_pixels_are_watched_whole() {
        let tiny = I420::new(2, 2).expect("a size within bounds");
        let mut stillness = Stillness::default();
        assert!((0..=PATIENCE).map(|_| stillness.look(&tiny.view())).last() == Some(true));
    }
}
