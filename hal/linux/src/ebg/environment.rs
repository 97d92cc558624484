//! One environment of EFI Boot Guard: the record `BGENV.DAT` from which it takes what to boot.
//!
//! The layout is that of version 0.13, little-endian and packed:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 510 | kernel file, UTF-16, ended by a zero |
//! | 510 | 510 | kernel parameters, the same |
//! | 1020 | 1 | in progress: 1 while somebody fills the slot; then it is not booted |
//! | 1021 | 1 | state: 0 OK, 1 INSTALLED, 2 TESTING, 3 FAILED |
//! | 1022 | 2 | time-out of the watchdog in seconds, 0 for none |
//! | 1024 | 4 | revision; the highest is booted, 0 never |
//! | 1028 | 131072 | variables of users; not looked at here |
//! | 132100 | 4 | CRC-32 of all before |

use super::crc::{crc32, force};
use hal::slots::{SlotState, SlotStatus};
use std::time::Duration;

/// Bytes of an environment.
pub const BYTES: usize = 132_104;
/// Most characters of a kernel file or of parameters.
pub const TEXT_CHARS: usize = 254;

const TEXT_BYTES: usize = 510;
const PARAMETERS: usize = 510;
const IN_PROGRESS: usize = 1020;
const STATE: usize = 1021;
const WATCHDOG: usize = 1022;
const REVISION: usize = 1024;
const CRC: usize = BYTES - 4;
/// Four bytes of the parameters' room, behind whatever they say, in the same sector as the state.
const SPARE: usize = 1012;

/// A whole environment: its CRC is right.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment(Box<[u8]>);

/// What an environment is made of when there was none, or it was damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The boot image, such as `C:BOOT-A:GANTRY.EFI`. ASCII, at most [`TEXT_CHARS`].
    pub kernel: String,
    /// What the bootloader arms the watchdog with, in whole seconds up to 65535.
    pub watchdog: Duration,
}

impl Environment {
    /// Reads an environment; `None` if it is too short, or its CRC is wrong. More bytes than it has do no harm, as the
    /// bootloader does not look at them either.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..BYTES)?;
        let crc = u32::from_le_bytes(bytes[CRC..].try_into().ok()?);
        (crc == crc32(&bytes[..CRC])).then(|| Self(bytes.into()))
    }

    /// A new one of revision 0, which is not booted.
    #[must_use]
    pub fn new(recipe: &Recipe) -> Self {
        let mut bytes = vec![0; BYTES].into_boxed_slice();
        let units = recipe.kernel.chars().filter(char::is_ascii).take(TEXT_CHARS);
        for (place, unit) in bytes[..TEXT_BYTES].chunks_exact_mut(2).zip(units) {
            place[0] = u8::try_from(unit).unwrap_or(b'?');
        }
        let seconds = u16::try_from(recipe.watchdog.as_secs()).unwrap_or(u16::MAX);
        bytes[WATCHDOG..REVISION].copy_from_slice(&seconds.to_le_bytes());
        bytes[STATE] = code(SlotState::Failed);
        let mut new = Self(bytes);
        new.seal();
        new
    }

    /// Its bytes, as they stand in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the bootloader makes of it. A slot that is being filled counts as INSTALLED with revision 0, and a state
    /// that is none as FAILED; of a slot with a revision the bootloader does not ask whether it has failed.
    #[must_use]
    pub fn status(&self) -> SlotStatus {
        let revision = u32::from_le_bytes([0, 1, 2, 3].map(|byte| self.0[REVISION + byte]));
        if self.0[IN_PROGRESS] == 1 {
            return SlotStatus::Known { state: SlotState::Installed, revision: 0 };
        }
        let state = match self.0[STATE] {
            0 => SlotState::Ok,
            1 => SlotState::Installed,
            2 => SlotState::Testing,
            _ => SlotState::Failed,
        };
        SlotStatus::Known { state, revision }
    }

    /// The boot image.
    #[must_use]
    pub fn kernel(&self) -> String {
        text(&self.0[..TEXT_BYTES])
    }

    /// What the bootloader arms the watchdog with; zero for not at all.
    #[must_use]
    pub fn watchdog(&self) -> Duration {
        Duration::from_secs(u16::from_le_bytes([self.0[WATCHDOG], self.0[WATCHDOG + 1]]).into())
    }

    /// The same environment in another state and revision, no longer being filled.
    ///
    /// When only the state changes, the result differs from this one within a single sector of 512 bytes: where the
    /// parameters leave room, four bytes of it are chosen so that the CRC stays as it was.
    #[must_use]
    pub fn in_state(&self, state: SlotState, revision: u32) -> Self {
        let mut new = self.clone();
        new.0[STATE] = code(state);
        new.0[IN_PROGRESS] = 0;
        new.0[REVISION..REVISION + 4].copy_from_slice(&revision.to_le_bytes());
        let same_sector = self.0[REVISION..] == new.0[REVISION..];
        let ends_before = SPARE - PARAMETERS;
        let room = self.0[PARAMETERS..PARAMETERS + ends_before].chunks_exact(2).any(|unit| unit == [0, 0]);
        match (same_sector, room) {
            (true, true) => {
                let crc = u32::from_le_bytes([0, 1, 2, 3].map(|byte| self.0[CRC + byte]));
                force(&mut new.0[..CRC], SPARE, crc);
            }
            (false, true) => {
                new.0[SPARE..SPARE + 4].fill(0);
                new.seal();
            }
            (_, false) => new.seal(),
        }
        new
    }

    fn seal(&mut self) {
        let crc = crc32(&self.0[..CRC]);
        self.0[CRC..].copy_from_slice(&crc.to_le_bytes());
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("kernel", &self.kernel()).field("status", &self.status()).finish()
    }
}

fn code(state: SlotState) -> u8 {
    match state {
        SlotState::Ok => 0,
        SlotState::Installed => 1,
        SlotState::Testing => 2,
        SlotState::Failed => 3,
    }
}

fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<_> = units.take(TEXT_CHARS).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [SlotState; 4] =
        [SlotState::Ok, SlotState::Installed, SlotState::Testing, SlotState::Failed];

    fn fresh() -> Environment {
        Environment::new(&Recipe {
            kernel: "C:BOOT-A:GANTRY.EFI".to_owned(),
            watchdog: Duration::from_secs(60),
        })
    }

    fn differing_sectors(a: &Environment, b: &Environment) -> usize {
        a.bytes().chunks(512).zip(b.bytes().chunks(512)).filter(|(a, b)| a != b).count()
    }

    #[test]
    fn a_new_one_says_what_it_was_made_of_and_is_not_booted() {
        let new = Environment::parse(fresh().bytes()).unwrap();
        assert_eq!(new.kernel(), "C:BOOT-A:GANTRY.EFI");
        assert_eq!(new.watchdog(), Duration::from_secs(60));
        assert_eq!(new.status(), SlotStatus::Known { state: SlotState::Failed, revision: 0 });
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let recipe = Recipe { kernel: "x".repeat(300), watchdog: Duration::MAX };
        let new = Environment::new(&recipe);
        assert_eq!(new.kernel(), "x".repeat(TEXT_CHARS));
        assert_eq!(new.watchdog(), Duration::from_secs(65_535));
    }

    #[test]
    fn marking_a_slot_good_changes_a_single_sector() {
        let testing = fresh().in_state(SlotState::Testing, 7);
        let good = testing.in_state(SlotState::Ok, 7);
        assert_eq!(differing_sectors(&testing, &good), 1);
        assert_eq!(
            Environment::parse(good.bytes()).unwrap().status(),
            SlotStatus::Known { state: SlotState::Ok, revision: 7 }
        );
    }

    #[test]
    fn parameters_that_leave_no_room_are_kept() {
        let mut full = fresh().in_state(SlotState::Testing, 7);
        full.0[PARAMETERS..PARAMETERS + 2 * TEXT_CHARS].copy_from_slice(&b"x\0".repeat(TEXT_CHARS));
        full.seal();
        let good = Environment::parse(full.in_state(SlotState::Ok, 7).bytes()).unwrap();
        assert_eq!(text(&good.0[PARAMETERS..PARAMETERS + TEXT_BYTES]), "x".repeat(TEXT_CHARS));
        assert_eq!(good.status(), SlotStatus::Known { state: SlotState::Ok, revision: 7 });
    }

    #[test]
    fn a_slot_that_is_being_filled_is_not_booted_and_an_odd_state_has_failed() {
        let mut filling = fresh().in_state(SlotState::Installed, 9);
        filling.0[IN_PROGRESS] = 1;
        assert_eq!(filling.status().revision(), 0);
        assert_eq!(filling.in_state(SlotState::Installed, 9).status().revision(), 9, "filled");
        filling.0[IN_PROGRESS] = 0;
        filling.0[STATE] = 77;
        assert_eq!(filling.status(), SlotStatus::Known { state: SlotState::Failed, revision: 9 });
    }

    fn any_state() -> impl Strategy<Value = SlotState> {
        prop::sample::select(STATES.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_way_through_the_states_can_be_read_again(way in prop::collection::vec((any_state(), any::<u32>()), 1..8)) {
            let mut environment = fresh();
            for (state, revision) in way {
                environment = Environment::parse(environment.in_state(state, revision).bytes()).unwrap();
                prop_assert_eq!(environment.status(), SlotStatus::Known { state, revision });
                prop_assert_eq!(environment.kernel(), "C:BOOT-A:GANTRY.EFI");
            }
        }

        #[test]
        fn a_byte_that_flipped_is_noticed(at in 0..BYTES, flip in 1u8..=255, bytes in any::<[u8; 16]>()) {
            let mut damaged = fresh().in_state(SlotState::Ok, 3).bytes().to_vec();
            damaged[at] ^= flip;
            prop_assert_eq!(Environment::parse(&damaged), None);
            damaged.truncate(at);
            prop_assert_eq!(Environment::parse(&damaged), None);
            let _ = Environment::parse(&bytes.repeat(BYTES / 16 + 1));
        }

        #[test]
        fn what_hostile_bytes_say_with_a_right_crc_is_taken_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 1100..1200)) {
            bytes.resize(BYTES, 0xff);
            let crc = crc32(&bytes[..CRC]);
            bytes[CRC..].copy_from_slice(&crc.to_le_bytes());
            let read = Environment::parse(&bytes).unwrap();
            let _ = (read.kernel(), read.status(), read.watchdog(), format!("{read:?}"));
            let good = read.in_state(SlotState::Ok, 1);
            prop_assert!(Environment::parse(good.bytes()).is_some());
        }
    }
}
