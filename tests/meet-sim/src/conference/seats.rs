//! Who sits in which slot of a receiver: those who have one keep it, so that pictures do not jump about.

/// Gives `slots` to the first of `ranked`; who is seated and still among the first stays where he sits.
pub fn assign<Id: Copy + Eq>(slots: &mut [Option<Id>], ranked: &[Id]) {
    let mut seated: Vec<Id> = ranked.iter().copied().take(slots.len()).collect();
    for slot in slots.iter_mut() {
        match slot.and_then(|id| seated.iter().position(|other| *other == id)) {
            Some(at) => {
                seated.remove(at);
            }
            None => *slot = None,
        }
    }
    let mut waiting = seated.into_iter();
    for slot in slots.iter_mut().filter(|slot| slot.is_none()) {
        *slot = waiting.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_take_free_seats_and_nobody_moves() {
        let mut slots = [None; 3];
        assign(&mut slots, &[1, 2]);
        assert_eq!(slots, [Some(1), Some(2), None]);
        assign(&mut slots, &[3, 2, 1]);
        assert_eq!(slots, [Some(1), Some(2), Some(3)]);
        assign(&mut slots, &[2]);
        assert_eq!(slots, [None, Some(2), None]);
    }

    #[test]
    fn with_too_few_seats_the_first_sit() {
        let mut slots = [Some(1), Some(2)];
        assign(&mut slots, &[3, 2, 1]);
        assert_eq!(slots, [Some(3), Some(2)]);
    }
}
