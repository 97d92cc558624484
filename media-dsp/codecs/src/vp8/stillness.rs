//! Whether pictures stand still but for what moves in them, from a thousand samples of each.
//!
//! A room's camera stands still and people move before it: where they are a thorough search for motion finds little that a quick one
//! does not. Where the picture moves as a whole it does.

use kernels::View;

/// Samples across a picture.
const ACROSS: u32 = 40;
/// A sample has changed if it differs by more levels of luma. Less is noise.
const NOISE: u8 = 8;
/// A picture moves if more than one in so many samples changed. People who walk through a room change one in 25 to 50; a picture that moves
/// as a whole one in five.
const MOVES: usize = 16;
/// So many pictures in a row must not move: a second.
const PATIENCE: u32 = 30;

/// Watches one stream of pictures of one size.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    samples: Vec<u8>,
    pictures: u32,
}

impl Stillness {
    /// Whether this picture and those before it stand still.
    pub(super) fn look(&mut self, picture: &View<'_>) -> bool {
        let changed = self.sample(picture);
        let moves = changed * MOVES > self.samples.len();
        self.pictures = if moves { 0 } else { self.pictures.saturating_add(1) };
        self.pictures >= PATIENCE
    }

    /// Takes samples of it; how many differ from those before. Of the first all do.
    fn sample(&mut self, picture: &View<'_>) -> usize {
        let step = (picture.width() / ACROSS).max(1);
        let rows = (step / 2..picture.height()).step_by(step as usize);
        let samples = rows.flat_map(|row| {
            picture.luma_row(row).iter().skip(step as usize / 2).step_by(step as usize).copied()
        });
        if self.samples.is_empty() {
            self.samples.extend(samples);
            return self.samples.len();
        }
        let mut changed = 0;
        for (kept, sample) in self.samples.iter_mut().zip(samples) {
            changed += usize::from(kept.abs_diff(sample) > NOISE);
            *kept = sample;
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
                let stripe = if (x + moved) / 32 % 2 == 0 { 90 } else { 160 };
                *luma = if person { 30 } else { stripe };
            }
        }
        picture
    }

    #[test]
    fn people_who_walk_before_a_camera_that_stands_leave_its_pictures_still() {
        let mut stillness = Stillness::default();
        let looks: Vec<bool> = (0..60).map(|n| stillness.look(&picture(0, 4 * n).view())).collect();
        assert!(looks[..30].iter().all(|still| !still), "one second must have passed");
        assert!(looks[30..].iter().all(|still| *still));
    }

    #[test]
    fn a_camera_that_turns_is_seen_at_once_and_stands_still_a_second_after_it_stopped() {
        let mut stillness = Stillness::default();
        assert!((0..60).map(|_| stillness.look(&picture(0, 0).view())).last() == Some(true));
        assert!((1..=30).all(|n| !stillness.look(&picture(12 * n, 0).view())));
        let after: Vec<bool> = (0..30).map(|_| stillness.look(&picture(360, 0).view())).collect();
        assert_eq!(after.iter().position(|still| *still), Some(29));
    }

    #[test]
    fn pictures_of_few_pixels_are_watched_whole() {
        let tiny = I420::new(2, 2).expect("a size within bounds");
        let mut stillness = Stillness::default();
        assert!((0..=PATIENCE).map(|_| stillness.look(&tiny.view())).last() == Some(true));
    }
}
