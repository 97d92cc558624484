//! Who is seen, and in which place: whoever speaks comes to the main place, everybody else stays where they are.
//!
//! A participant becomes the speaker after being told as such for [`SPEAKER_HOLD`] without another in between, so that
//! a cough moves nobody. Then the two change places. Somebody who had no place takes that of whoever has been silent
//! longest, and moves to the main place once its picture is there, so that the main place is never empty meanwhile.
//!
//! ```text
//!  (spoken of) ──SPEAKER_HOLD──▶ (due) ──has a place──▶ (seated) ──picture is there──▶ (main)
//!       └── another speaks: begin again with that one
//! ```

use super::Layout;
use base::ids::ParticipantId;
use base::limits;
use std::time::{Duration, Instant};

/// How long somebody must be the speaker before moving to the main place.
pub const SPEAKER_HOLD: Duration = Duration::from_millis(1500);

/// The places of a conference's participants; the main one first.
#[derive(Debug, Clone, Default)]
pub struct Seating {
    seats: Vec<ParticipantId>,
    visible: Vec<ParticipantId>,
    /// Who was heard, the latest first.
    heard: Vec<ParticipantId>,
    candidate: Option<Candidate>,
    leader: Leader,
}

/// Somebody on the way to the main place.
#[derive(Debug, Clone)]
struct Candidate {
    who: ParticipantId,
    due: Instant,
}

/// How the main place came to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Leader {
    /// By being there first; the first to speak takes it at once.
    #[default]
    ByOrder,
    /// By speaking.
    BySpeech,
}

impl Seating {
    /// Who has a place, the main one first; at most [`limits::CONFERENCE_VIDEOS`].
    #[must_use]
    pub fn seats(&self) -> &[ParticipantId] {
        &self.seats
    }

    /// These participants have pictures now. Whoever stays, stays in place.
    pub fn set_visible(&mut self, visible: Vec<ParticipantId>) {
        self.visible = visible;
        let mut free = self.unseated();
        let seats = std::mem::take(&mut self.seats);
        let mut seats: Vec<Option<ParticipantId>> =
            seats.into_iter().map(|who| self.visible.contains(&who).then_some(who)).collect();
        if let Some(None) = seats.first() {
            let latest =
                self.heard.iter().find_map(|who| seats.iter().position(|seat| seat.as_ref() == Some(who)));
            seats.swap(0, latest.unwrap_or(0));
        }
        for seat in seats.iter_mut().filter(|seat| seat.is_none()) {
            *seat = free.next();
        }
        self.seats = seats.into_iter().flatten().chain(free).take(limits::CONFERENCE_VIDEOS).collect();
        if self.candidate.as_ref().is_some_and(|candidate| !self.visible.contains(&candidate.who)) {
            self.candidate = None;
        }
        if self.seats.is_empty() {
            self.leader = Leader::ByOrder;
        }
    }

    /// This participant speaks.
    pub fn speaks(&mut self, now: Instant, who: ParticipantId) {
        self.heard.retain(|other| *other != who);
        self.heard.insert(0, who.clone());
        self.heard.truncate(2 * limits::CONFERENCE_VIDEOS);
        if self.seats.first() == Some(&who) {
            self.candidate = None;
            self.leader = Leader::BySpeech;
        } else if self.visible.contains(&who) && self.candidate.as_ref().is_none_or(|other| other.who != who)
        {
            let hold = if self.leader == Leader::ByOrder { Duration::ZERO } else { SPEAKER_HOLD };
            self.candidate = Some(Candidate { who, due: now + hold });
        }
    }

    /// Moves whoever is due. `shown` says whose picture is coming in; the answer is when to ask again.
    pub fn advance(
        &mut self,
        now: Instant,
        layout: Layout,
        shown: impl Fn(&ParticipantId) -> bool,
    ) -> Option<Instant> {
        let candidate = self.candidate.take()?;
        if now < candidate.due {
            let due = candidate.due;
            self.candidate = Some(candidate);
            return Some(due);
        }
        let place = self.seat(&candidate.who);
        match layout {
            Layout::Equal => self.leader = Leader::BySpeech,
            Layout::OnePlusSeven if !shown(&candidate.who) => self.candidate = Some(candidate),
            Layout::OnePlusSeven | Layout::OneMain => {
                self.seats.swap(0, place);
                self.leader = Leader::BySpeech;
            }
        }
        None
    }

    /// The place of `who`, given one if there was none.
    fn seat(&mut self, who: &ParticipantId) -> usize {
        if let Some(place) = self.seats.iter().position(|seat| seat == who) {
            return place;
        }
        if self.seats.len() < limits::CONFERENCE_VIDEOS {
            self.seats.push(who.clone());
            return self.seats.len() - 1;
        }
        let silence =
            |seat: &ParticipantId| self.heard.iter().position(|other| other == seat).unwrap_or(usize::MAX);
        let silent = (1..self.seats.len()).max_by_key(|place| silence(&self.seats[*place])).unwrap_or(0);
        self.seats[silent] = who.clone();
        silent
    }

    /// Who has no place, whoever was heard latest first.
    fn unseated(&self) -> impl Iterator<Item = ParticipantId> + use<> {
        let heard = self.heard.iter().filter(|who| self.visible.contains(who));
        let others = self.visible.iter().filter(|who| !self.heard.contains(who));
        let all: Vec<_> = heard.chain(others).filter(|who| !self.seats.contains(who)).cloned().collect();
        all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who(name: &str) -> ParticipantId {
        ParticipantId(name.to_owned())
    }

    fn people(names: &str) -> Vec<ParticipantId> {
        names.chars().map(|c| who(&c.to_string())).collect()
    }

    fn seats(seating: &Seating) -> String {
        seating.seats().iter().map(|who| who.0.as_str()).collect()
    }

    fn seated(names: &str) -> Seating {
        let mut seating = Seating::default();
        seating.set_visible(people(names));
        seating
    }

    const ALL: fn(&ParticipantId) -> bool = |_| true;
    const HALF: Duration = Duration::from_millis(750);

    #[test]
    fn p9_a_speaker_comes_to_the_main_place_after_a_while_and_only_two_change_places() {
        let now = Instant::now();
        let mut seating = seated("abcd");
        seating.speaks(now, who("a"));
        seating.speaks(now, who("c"));
        assert_eq!(seating.advance(now + HALF, Layout::OnePlusSeven, ALL), Some(now + SPEAKER_HOLD));
        assert_eq!(seats(&seating), "abcd");
        assert_eq!(seating.advance(now + SPEAKER_HOLD, Layout::OnePlusSeven, ALL), None);
        assert_eq!(seats(&seating), "cbad");
    }

    #[test]
    fn p9_a_cough_moves_nobody() {
        let now = Instant::now();
        let mut seating = seated("abcd");
        seating.speaks(now, who("a"));
        seating.speaks(now + HALF, who("c"));
        seating.speaks(now + 2 * HALF, who("a"));
        assert_eq!(seating.advance(now + 8 * HALF, Layout::OnePlusSeven, ALL), None);
        assert_eq!(seats(&seating), "abcd");
    }

    #[test]
    fn the_first_to_speak_comes_to_the_main_place_at_once() {
        let now = Instant::now();
        let mut seating = seated("abcd");
        seating.speaks(now, who("d"));
        seating.advance(now, Layout::OnePlusSeven, ALL);
        assert_eq!(seats(&seating), "dbca");
    }

    #[test]
    fn p9_somebody_beyond_the_eighth_who_speaks_takes_the_place_of_the_longest_silent_and_then_the_main_one()
    {
        let now = Instant::now();
        let mut seating = seated("abcdefghi");
        assert_eq!(seats(&seating), "abcdefgh");
        for (n, name) in ["a", "b", "c", "d", "f", "g", "h", "a"].into_iter().enumerate() {
            seating.speaks(now + HALF * u32::try_from(n).unwrap(), who(name));
        }
        let later = now + 20 * HALF;
        seating.speaks(later, who("i"));
        seating.advance(later + SPEAKER_HOLD, Layout::OnePlusSeven, |who| who.0 != "i");
        assert_eq!(seats(&seating), "abcdifgh", "seated, but not in the main place without a picture");
        seating.advance(later + SPEAKER_HOLD, Layout::OnePlusSeven, ALL);
        assert_eq!(seats(&seating), "ibcdafgh");
    }

    #[test]
    fn nobody_moves_when_others_leave_or_come() {
        let mut seating = seated("abcdefghij");
        seating.set_visible(people("jihgfdcba"));
        assert_eq!(seats(&seating), "abcdjfgh", "only the empty place is taken");
        seating.set_visible(people("bc"));
        assert_eq!(seats(&seating), "bc");
    }

    #[test]
    fn when_the_main_one_leaves_the_last_speaker_takes_over() {
        let now = Instant::now();
        let mut seating = seated("abcd");
        for name in ["a", "c", "a"] {
            seating.speaks(now, who(name));
        }
        seating.set_visible(people("bcd"));
        assert_eq!(seats(&seating), "cbd");
    }

    #[test]
    fn equal_pictures_stay_where_they_are() {
        let now = Instant::now();
        let mut seating = seated("abc");
        seating.speaks(now, who("c"));
        seating.advance(now + SPEAKER_HOLD, Layout::Equal, ALL);
        assert_eq!(seats(&seating), "abc");
    }

    #[test]
    fn somebody_who_is_only_heard_takes_no_place() {
        let now = Instant::now();
        let mut seating = seated("ab");
        seating.speaks(now, who("z"));
        assert_eq!(seating.advance(now + SPEAKER_HOLD, Layout::OnePlusSeven, ALL), None);
        assert_eq!(seats(&seating), "ab");
    }

    proptest! {
        #[test]
        fn seats_are_taken_once_by_visible_people_and_as_many_as_there_are(
            steps in prop::collection::vec((prop::collection::vec(0..14_u8, 0..14), 0..14_u8, 0..3000_u64, any::<bool>()), 1..40),
        ) {
            let mut now = Instant::now();
            let mut seating = Seating::default();
            for (visible, speaker, wait, shown) in steps {
                let mut people: Vec<_> = visible.iter().map(|n| who(&n.to_string())).collect();
                let mut once = Vec::new();
                people.retain(|who| { let new = !once.contains(who); once.push(who.clone()); new });
                let count = people.len().min(limits::CONFERENCE_VIDEOS);
                seating.set_visible(people.clone());
                seating.speaks(now, who(&speaker.to_string()));
                now += Duration::from_millis(wait);
                seating.advance(now, Layout::OnePlusSeven, |_| shown);
                prop_assert_eq!(seating.seats().len(), count);
                prop_assert!(seating.seats().iter().all(|who| people.contains(who)));
                for (n, who) in seating.seats().iter().enumerate() {
                    prop_assert!(!seating.seats()[..n].contains(who));
                }
            }
        }

        #[test]
        fn the_order_of_the_roster_moves_nobody(order in Just((0..12_u8).collect::<Vec<_>>()).prop_shuffle()) {
            let people = |order: &[u8]| order.iter().map(|n| who(&n.to_string())).collect::<Vec<_>>();
            let mut seating = Seating::default();
            seating.set_visible(people(&(0..12).collect::<Vec<_>>()));
            let before = seating.seats().to_vec();
            seating.set_visible(people(&order));
            prop_assert_eq!(seating.seats(), before);
        }
    }
}
