//! How long a caller waits: from INVITE to 200, and to the first composed picture.

use super::Bench;
use crate::load::meeting::Meeting;
use crate::load::room::{Room, Shown};
use crate::report::Metric;
use crate::stats::Spread;
use crate::under_test::{UnderTest, alias, meeting};
use anyhow::{Context, Result};
use codecs::{VideoDecoder, h264};
use kernels::View;
use std::time::{Duration, Instant};

const GOAL_ANSWER: f64 = 300.0;
const GOAL_PICTURE: f64 = 1_000.0;
/// Longest a first picture is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// Variance of luma from which a picture shows somebody, and not one colour with bars.
const SHOWS: f64 = 200.0;

/// Measures the group.
///
/// # Errors
/// If a call fails.
pub fn measure(bench: &mut Bench) -> Result<Vec<Metric>> {
    let box_ = UnderTest::start()?;
    let page = box_.simulator.addresses().http;
    let people = Meeting::gather(page, &meeting(0), bench.people("main.ivf")?)?;
    let program = bench.room("room.h264")?;
    // who is in a meeting is there before the room calls
    std::thread::sleep(Duration::from_secs(2));
    let (mut answers, mut pictures) = (Vec::new(), Vec::new());
    for round in 0..bench.effort.rounds {
        eprintln!("setup: call {} of {}", round + 1, bench.effort.rounds);
        bench.noise.sample()?;
        let mut room = Room::call(box_.sip, &alias(0), &program)?;
        answers.push(room.answered_after.as_secs_f64() * 1_000.0);
        let seen = first_picture(&room)?;
        pictures.push((seen - room.dialled).as_secs_f64() * 1_000.0);
        room.hang_up();
        std::thread::sleep(Duration::from_millis(500));
    }
    anyhow::ensure!(people.is_alive(), "the people of the meeting left");
    let spread = |values: &[f64]| Spread::of(values).context("no rounds");
    Ok(vec![
        Metric::new("setup.invite_to_200", "ms", spread(&answers)?).goal(GOAL_ANSWER),
        Metric::new("setup.invite_to_picture", "ms", spread(&pictures)?).goal(GOAL_PICTURE),
    ])
}

/// When the first picture that shows somebody was complete at the room.
fn first_picture(room: &Room) -> Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    let (mut decoder, mut next) = (h264::Decoder::new()?, 0);
    while Instant::now() < deadline {
        let new: Vec<Shown> = room.log().shown.get(next..).unwrap_or_default().to_vec();
        next += new.len();
        for shown in new {
            if decoder.decode(&shown.data).is_ok() && decoder.picture().is_some_and(shows_somebody) {
                return Ok(shown.last);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("the room was shown {next} pictures and nobody in them within {PATIENCE:?}")
}

fn shows_somebody(picture: View<'_>) -> bool {
    let rows = (0..picture.height()).step_by(8);
    let luma: Vec<f64> =
        rows.flat_map(|y| picture.luma_row(y).iter().step_by(8)).map(|byte| f64::from(*byte)).collect();
    let mean = luma.iter().sum::<f64>() / luma.len() as f64;
    luma.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / luma.len() as f64 > SHOWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::I420;

    #[test]
    fn one_colour_shows_nobody_and_a_picture_does() {
        let mut picture = I420::new(64, 64).expect("a picture");
        assert!(!shows_somebody(picture.view()));
        let mut view = picture.view_mut();
        let [stride, _] = view.strides();
        for (at, byte) in view.planes()[0].iter_mut().enumerate() {
            *byte = ((at / stride) * 3) as u8;
        }
        assert!(shows_somebody(picture.view()));
    }
}
