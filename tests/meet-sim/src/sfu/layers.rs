//! Which simulcast layer a receiver gets of each sender: by the size it watches at and by its bandwidth.

use serde::{Deserialize, Serialize};

/// What a receiver asks for of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerChoice {
    /// By the size of the tile and the bandwidth.
    #[default]
    Auto,
    /// The smallest there is.
    Low,
    /// The one between.
    Mid,
    /// The largest there is.
    High,
}

/// One layer a sender sends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Width of the picture in pixels.
    pub width: u16,
    /// Height of the picture in pixels.
    pub height: u16,
    /// Bits per second measured.
    pub bps: u64,
}

/// One slot that wants a picture.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The layers of its sender, smallest first.
    pub layers: Vec<Layer>,
    /// What the receiver asks for.
    pub choice: LayerChoice,
    /// Size at which it is watched, in pixels: width and height.
    pub shown: (u16, u16),
    /// The layer it has now.
    pub current: Option<usize>,
}

/// A step up must leave this much of the bandwidth free, so that an estimate that trembles does not switch layers.
const HEADROOM_PERCENT: u64 = 15;

/// The layer of each wish, `None` where its sender sends nothing.
///
/// Whoever comes first in `wishes` is served first: everyone gets the smallest layer, then each in turn is raised as far
/// as `budget_bps` goes. A wish for a named layer is taken at its word.
#[must_use]
pub fn choose(wishes: &[Wish], budget_bps: u64) -> Vec<Option<usize>> {
    let mut chosen: Vec<Option<usize>> =
        wishes.iter().map(|wish| (!wish.layers.is_empty()).then_some(named(wish).unwrap_or(0))).collect();
    let cost = |chosen: &[Option<usize>]| -> u64 {
        wishes.iter().zip(chosen).filter_map(|(wish, at)| Some(wish.layers.get((*at)?)?.bps)).sum()
    };
    for (index, wish) in wishes.iter().enumerate() {
        if named(wish).is_some() || wish.layers.is_empty() {
            continue;
        }
        for at in (1..=fitting(wish)).rev() {
            let before = chosen[index].replace(at);
            let climbs = wish.current.is_none_or(|current| at > current);
            let margin = if climbs { 100 + HEADROOM_PERCENT } else { 100 };
            if cost(&chosen).saturating_mul(margin) / 100 <= budget_bps {
                break;
            }
            chosen[index] = before;
        }
    }
    chosen
}

/// Bits per second that would satisfy every wish.
#[must_use]
pub fn desired_bps(wishes: &[Wish]) -> u64 {
    wishes
        .iter()
        .filter_map(|wish| Some(wish.layers.get(named(wish).unwrap_or_else(|| fitting(wish)))?.bps))
        .sum()
}

fn named(wish: &Wish) -> Option<usize> {
    let last = wish.layers.len().saturating_sub(1);
    match wish.choice {
        LayerChoice::Auto => None,
        LayerChoice::Low => Some(0),
        LayerChoice::Mid => Some(last / 2 + last % 2),
        LayerChoice::High => Some(last),
    }
}

/// The smallest layer that need not be enlarged to fill the tile in one direction.
fn fitting(wish: &Wish) -> usize {
    let enough = |layer: &Layer| layer.width >= wish.shown.0 || layer.height >= wish.shown.1;
    wish.layers.iter().position(enough).unwrap_or(wish.layers.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(height: u16, choice: LayerChoice) -> Wish {
        let layers = [(180, 150_000), (360, 500_000), (720, 1_500_000)];
        let layers = layers.map(|(height, bps)| Layer { width: height / 9 * 16, height, bps }).to_vec();
        Wish { layers, choice, shown: (height * 2, height), current: None }
    }

    #[test]
    fn a_tile_gets_the_smallest_layer_that_fills_it() {
        for (height, at) in [(90, 0), (180, 0), (181, 1), (360, 1), (361, 2), (720, 2), (1080, 2)] {
            assert_eq!(choose(&[wish(height, LayerChoice::Auto)], u64::MAX / 200), [Some(at)], "{height}");
        }
    }

    #[test]
    fn a_named_layer_is_taken_at_its_word() {
        for (choice, at) in [(LayerChoice::Low, 0), (LayerChoice::Mid, 1), (LayerChoice::High, 2)] {
            assert_eq!(choose(&[wish(90, choice)], 0), [Some(at)]);
        }
        let mut single = wish(720, LayerChoice::Mid);
        single.layers.truncate(1);
        assert_eq!(choose(&[single], 0), [Some(0)]);
    }

    #[test]
    fn bandwidth_goes_to_the_first_and_everyone_keeps_the_smallest() {
        let wishes = [wish(720, LayerChoice::Auto), wish(360, LayerChoice::Auto)];
        assert_eq!(choose(&wishes, 2_500_000), [Some(2), Some(1)]);
        assert_eq!(choose(&wishes, 2_000_000), [Some(2), Some(0)]);
        assert_eq!(choose(&wishes, 900_000), [Some(1), Some(0)]);
        assert_eq!(choose(&wishes, 0), [Some(0), Some(0)]);
        assert_eq!(desired_bps(&wishes), 2_000_000);
    }

    #[test]
    fn a_trembling_estimate_does_not_switch() {
        let mut held = wish(720, LayerChoice::Auto);
        assert_eq!(choose(std::slice::from_ref(&held), 1_600_000), [Some(1)]);
        held.current = Some(2);
        assert_eq!(choose(&[held], 1_600_000), [Some(2)]);
    }

    #[test]
    fn a_sender_without_layers_gets_none() {
        let mut silent = wish(720, LayerChoice::High);
        silent.layers.clear();
        assert_eq!(choose(&[silent], 1_000_000), [None]);
    }
}
