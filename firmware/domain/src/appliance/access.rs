//! Who may change the box: a first owner by the code on its label, then by a password; a lost password by standing there.
//!
//! ```text
//!              code of the label (Proof)          NewPassword
//!  UNCLAIMED ───────────────────────────▶ proven ─────────────▶ CLAIMED ──right password──▶ administrator
//!                                            ▲                     │
//!                                            └─────────────────────┘
//!                      first minute after power-on: the code at the serial port, or keys held at the panel
//! ```
//! There is no default password. Guesses get slower and slower ([`Guard`]). Passwords are hashed by the program (argon2id);
//! here a hash is data.

use super::digest::{hex, sha256, unhex};
use super::guard::{Closed, Guard};
use super::settings::Recovery;
use super::values::shown;
use base::{Secret, Seed};
use std::fmt;
use std::time::{Duration, Instant};

/// WINDOW: how long after power-on a lost password can be set anew.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How long a proof is good for: the time to think of a password.
pub const PROOF: Duration = Duration::from_secs(300);
/// Digits of the code on the label.
pub const CODE_DIGITS: usize = 8;
/// How many of them, from the end, the front panel asks for: its keys are on the box, as the label is.
pub const PANEL_DIGITS: usize = 4;
/// How long a password is, in characters.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 10..=128;

/// What is known of the code on the label: digests of the whole and of its end.
///
/// Eight digits hide in no digest from whoever can read the disk; it only keeps the code from being read in passing. What
/// guards the box is that guesses are slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    whole: Secret<[u8; 32]>,
    end: Option<Secret<[u8; 32]>>,
}

/// A hash of the administrator's password, as the program made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret<String>);

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// At the serial console.
    Serial,
    /// At the front panel.
    Panel,
}

/// What somebody wants to prove himself for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To claim the box.
    Claim,
    /// To set a lost password anew.
    Recover,
    /// To change something at the panel.
    Unlock,
    /// To reset the box.
    Reset,
}

/// That somebody knows the label's code, or held the keys. Only [`Access`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    purpose: Purpose,
    until: Instant,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Too many wrong tries.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Not what the label says.
    #[error(
        "that is not the code on this box's label; it is {} digits, with or without the hyphen",
        CODE_DIGITS
    )]
    WrongCode,
    /// Not the administrator's password.
    #[error("wrong password")]
    WrongPassword,
    /// The box was delivered without a code.
    #[error("this box has no claim code; give it one with the flashing tool")]
    NoCode,
    /// It has an owner.
    #[error("this box is claimed already; log in")]
    AlreadyClaimed,
    /// It has none.
    #[error("this box is not claimed yet; claim it with the code on its label")]
    NotClaimed,
    /// The first minute is over.
    #[error("a password can be set anew only in the first minute after power-on; switch the box off and on")]
    WindowOver,
    /// The administrator does not want it.
    #[error("setting the password anew is disabled in the settings")]
    RecoveryDisabled,
    /// Something else was proven, or too long ago.
    #[error("that took too long; begin again")]
    ProofOver,
    /// The password won't do.
    #[error("the password {0}")]
    BadPassword(&'static str),
}

/// Who may change the box.
#[derive(Debug, Clone)]
pub struct Access {
    verifier: Option<Verifier>,
    owner: Option<PasswordHash>,
    window_until: Instant,
    codes: [Guard; 2],
    passwords: Guard,
}

impl Verifier {
    /// Of a code as the label shows it.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(code: &str) -> Result<Self, String> {
        let digits = digits(code).filter(|digits| digits.len() == CODE_DIGITS);
        let digits =
            digits.ok_or_else(|| format!("a claim code has {CODE_DIGITS} digits, such as 1234-5678"))?;
        let end = &digits[CODE_DIGITS - PANEL_DIGITS..];
        Ok(Self { whole: Secret::new(digest("whole", &digits)), end: Some(Secret::new(digest("end", end))) })
    }

    /// Of the digest that a board's EEPROM holds, which knows the whole code only.
    #[must_use]
    pub fn of_digest(whole: [u8; 32]) -> Self {
        Self { whole: Secret::new(whole), end: None }
    }

    /// The digest of the whole code, for a board's EEPROM.
    #[must_use]
    pub fn whole(&self) -> &Secret<[u8; 32]> {
        &self.whole
    }

    /// As it is kept: `<whole> <end>`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let end = self.end.as_ref().map_or("-".to_owned(), |end| hex(end.expose()));
        format!("{} {end}\n", hex(self.whole.expose()))
    }

    /// Reads what [`to_text`](Self::to_text) wrote, or a plain code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(verifier) = Self::of(text.trim()) {
            return Some(verifier);
        }
        let (whole, end) = text.trim().split_once(' ')?;
        let end = if end == "-" { None } else { Some(Secret::new(unhex(end)?)) };
        Some(Self { whole: Secret::new(unhex(whole)?), end })
    }

    /// How many digits the panel asks for.
    #[must_use]
    pub fn panel_digits(&self) -> usize {
        if self.end.is_some() { PANEL_DIGITS } else { CODE_DIGITS }
    }

    fn takes(&self, door: Door, purpose: Purpose, code: &str) -> bool {
        let Some(digits) = digits(code) else { return false };
        let whole = same(self.whole.expose(), &digest("whole", &digits));
        let short = matches!((door, purpose), (Door::Panel, Purpose::Claim | Purpose::Unlock));
        let end = self.end.as_ref().is_some_and(|end| same(end.expose(), &digest("end", &digits)));
        whole || (short && end)
    }
}

fn digest(what: &str, digits: &str) -> [u8; 32] {
    sha256(&["gantry claim code, ", what, ": ", digits])
}

/// The digits of a code; `None` if there is anything else but hyphens and spaces.
fn digits(code: &str) -> Option<String> {
    let code = code.trim();
    let fine = code.len() <= 32 && code.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b' ');
    fine.then(|| code.chars().filter(char::is_ascii_digit).collect())
}

/// In a time that does not depend on where they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

impl PasswordHash {
    /// A hash in PHC form (`$argon2id$...`).
    ///
    /// # Errors
    /// If it is none.
    pub fn new(text: String) -> Result<Self, String> {
        let good =
            text.starts_with("$argon2id$") && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
        if good { Ok(Self(Secret::new(text))) } else { Err("is no argon2id hash".to_owned()) }
    }

    /// Its text, to check a password against or to keep.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Whether a password will do.
///
/// # Errors
/// Why not; never shows it.
pub fn check_password(password: &Secret<String>) -> Result<(), Denied> {
    let text = password.expose();
    let count = text.chars().count();
    let distinct: std::collections::BTreeSet<char> = text.chars().collect();
    let why = if count < *PASSWORD_CHARS.start() {
        "has fewer than 10 characters; make it longer"
    } else if count > *PASSWORD_CHARS.end() {
        "has more than 128 characters; make it shorter"
    } else if text.chars().any(char::is_control) {
        "has characters that cannot be typed; leave them out"
    } else if distinct.len() < 4 {
        "has fewer than 4 different characters; mix more of them"
    } else if ["password", "administrator", "gantry"].iter().any(|word| text.to_lowercase().starts_with(word))
    {
        "begins with a word that everybody tries; think of another"
    } else {
        return Ok(());
    };
    Err(Denied::BadPassword(why))
}

/// A password to write down: three groups of four, without letters that look alike. 59 bits.
#[must_use]
pub fn made_up(seed: Seed) -> Secret<String> {
    const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let pick = |pair: &[u8]| char::from(LETTERS[usize::from(u16::from_le_bytes([pair[0], pair[1]]) % 31)]);
    let letters: Vec<char> = seed.0.chunks_exact(2).map(pick).take(12).collect();
    let group = |group: &[char]| group.iter().collect::<String>();
    Secret::new(letters.chunks(4).map(group).collect::<Vec<_>>().join("-"))
}

impl Access {
    /// As the disk says; the window after power-on stands open until `window_until`.
    #[must_use]
    pub fn new(verifier: Option<Verifier>, owner: Option<PasswordHash>, window_until: Instant) -> Self {
        Self { verifier, owner, window_until, codes: Default::default(), passwords: Guard::default() }
    }

    /// Whether the box has an owner.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.owner.is_some()
    }

    /// The administrator's hash, to be kept.
    #[must_use]
    pub fn owner(&self) -> Option<&PasswordHash> {
        self.owner.as_ref()
    }

    /// How many digits of its code the panel asks for; `None` if the box has no code.
    #[must_use]
    pub fn panel_digits(&self) -> Option<usize> {
        self.verifier.as_ref().map(Verifier::panel_digits)
    }

    /// How long a lost password can still be set anew.
    #[must_use]
    pub fn window(&self, now: Instant, recovery: Recovery) -> Option<Duration> {
        let left = self.window_until.saturating_duration_since(now);
        (recovery == Recovery::Allowed && self.is_claimed() && !left.is_zero()).then_some(left)
    }

    /// Somebody gives the label's code.
    ///
    /// # Errors
    /// If it is wrong, or proves nothing now.
    pub fn prove(
        &mut self,
        now: Instant,
        door: Door,
        purpose: Purpose,
        code: &Secret<String>,
        recovery: Recovery,
    ) -> Result<Proof, Denied> {
        self.fits(now, purpose, recovery)?;
        let verifier = self.verifier.as_ref().ok_or(Denied::NoCode)?;
        let guard = &mut self.codes[door as usize];
        guard.ask(now)?;
        if !verifier.takes(door, purpose, code.expose()) {
            guard.wrong(now);
            return Err(Denied::WrongCode);
        }
        guard.right();
        Ok(Proof { purpose, until: now + PROOF })
    }

    /// Somebody held the panel's keys after power-on, to set a lost password anew.
    ///
    /// # Errors
    /// If that proves nothing now.
    pub fn held(&mut self, now: Instant, recovery: Recovery) -> Result<Proof, Denied> {
        self.fits(now, Purpose::Recover, recovery)?;
        Ok(Proof { purpose: Purpose::Recover, until: now + PROOF })
    }

    fn fits(&self, now: Instant, purpose: Purpose, recovery: Recovery) -> Result<(), Denied> {
        match (purpose, self.is_claimed()) {
            (Purpose::Claim, true) => Err(Denied::AlreadyClaimed),
            (Purpose::Recover | Purpose::Unlock, false) => Err(Denied::NotClaimed),
            (Purpose::Recover, true) if recovery == Recovery::Disabled => Err(Denied::RecoveryDisabled),
            (Purpose::Recover, true) if now >= self.window_until => Err(Denied::WindowOver),
            (Purpose::Claim, false) | (Purpose::Recover | Purpose::Unlock, true) | (Purpose::Reset, _) => {
                Ok(())
            }
        }
    }

    /// Who proved himself sets the administrator's password.
    ///
    /// # Errors
    /// If the proof is for something else or too old.
    pub fn set_owner(&mut self, now: Instant, proof: &Proof, hash: PasswordHash) -> Result<(), Denied> {
        proof.good_for(now, &[Purpose::Claim, Purpose::Recover])?;
        if proof.purpose == Purpose::Claim && self.is_claimed() {
            return Err(Denied::AlreadyClaimed);
        }
        self.owner = Some(hash);
        self.passwords.right();
        Ok(())
    }

    /// What a password is to be checked against.
    ///
    /// # Errors
    /// If none may be tried now.
    pub fn may_try(&self, now: Instant) -> Result<PasswordHash, Denied> {
        let owner = self.owner.as_ref().ok_or(Denied::NotClaimed)?;
        self.passwords.ask(now)?;
        Ok(owner.clone())
    }

    /// What came of it.
    ///
    /// # Errors
    /// If the password was wrong.
    pub fn tried(&mut self, now: Instant, right: bool) -> Result<(), Denied> {
        if right {
            self.passwords.right();
            Ok(())
        } else {
            self.passwords.wrong(now);
            Err(Denied::WrongPassword)
        }
    }

    /// An administrator who gave the old password sets a new one.
    pub fn change_owner(&mut self, hash: PasswordHash) {
        self.owner = Some(hash);
    }

    /// Wrong tries since the last right one, of codes and of passwords.
    #[must_use]
    pub fn wrong_tries(&self) -> (u32, u32) {
        (self.codes.iter().map(Guard::wrong_tries).sum(), self.passwords.wrong_tries())
    }
}

impl Proof {
    /// Whether it is still good for one of `purposes`.
    ///
    /// # Errors
    /// If it is not.
    pub fn good_for(&self, now: Instant, purposes: &[Purpose]) -> Result<(), Denied> {
        let good = now < self.until && purposes.contains(&self.purpose);
        if good { Ok(()) } else { Err(Denied::ProofOver) }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serial => "serial",
            Self::Panel => "panel",
        })
    }
}

/// `text` as somebody typed it, for a message, unless it could be a code or a password.
#[must_use]
pub fn harmless(text: &str) -> String {
    if text.bytes().filter(u8::is_ascii_digit).count() >= 4 {
        "what was typed".to_owned()
    } else {
        shown(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: &str = "4711-0815";
    const ALLOWED: Recovery = Recovery::Allowed;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn hash(of: &str) -> PasswordHash {
        PasswordHash::new(format!("$argon2id$v=19$test${of}")).unwrap()
    }

    fn unclaimed(now: Instant) -> Access {
        Access::new(Some(Verifier::of(CODE).unwrap()), None, now + WINDOW)
    }

    fn claimed(now: Instant) -> Access {
        Access::new(Some(Verifier::of(CODE).unwrap()), Some(hash("old")), now + WINDOW)
    }

    #[test]
    fn a_box_is_claimed_by_its_code_and_then_has_a_password() {
        let now = Instant::now();
        let mut access = unclaimed(now);
        assert_eq!(access.may_try(now), Err(Denied::NotClaimed), "there is no default password");
        let proof = access.prove(now, Door::Serial, Purpose::Claim, &secret(" 47110815"), ALLOWED).unwrap();
        access.set_owner(now, &proof, hash("new")).unwrap();
        assert_eq!(access.may_try(now), Ok(hash("new")));
        assert_eq!(access.set_owner(now, &proof, hash("other")), Err(Denied::AlreadyClaimed));
        let again = access.prove(now, Door::Serial, Purpose::Claim, &secret(CODE), ALLOWED);
        assert_eq!(again, Err(Denied::AlreadyClaimed));
    }

    #[test]
    fn guesses_of_the_code_get_slower_at_each_door_apart() {
        let now = Instant::now();
        let mut access = unclaimed(now);
        for guess in ["", "0000-0000", "0815", "x", "471108151"] {
            let denied = access.prove(now, Door::Serial, Purpose::Claim, &secret(guess), ALLOWED);
            assert_eq!(denied, Err(Denied::WrongCode), "{guess}");
        }
        let closed = access.prove(now, Door::Serial, Purpose::Claim, &secret(CODE), ALLOWED);
        assert!(matches!(closed, Err(Denied::Closed(_))), "even the right one");
        assert!(access.prove(now, Door::Panel, Purpose::Claim, &secret(CODE), ALLOWED).is_ok());
        let later = now + Duration::from_secs(3_600);
        assert!(access.prove(later, Door::Serial, Purpose::Claim, &secret(CODE), ALLOWED).is_ok());
    }

    #[test]
    fn the_panel_takes_the_end_of_the_code_but_not_for_a_reset() {
        let now = Instant::now();
        let mut access = unclaimed(now);
        assert_eq!(access.panel_digits(), Some(PANEL_DIGITS));
        assert!(access.prove(now, Door::Panel, Purpose::Claim, &secret("0815"), ALLOWED).is_ok());
        assert!(access.prove(now, Door::Serial, Purpose::Claim, &secret("0815"), ALLOWED).is_err());
        assert!(access.prove(now, Door::Panel, Purpose::Reset, &secret("0815"), ALLOWED).is_err());
        assert!(access.prove(now, Door::Panel, Purpose::Reset, &secret("47110815"), ALLOWED).is_ok());
        let eeprom = Verifier::of_digest(*Verifier::of(CODE).unwrap().whole().expose());
        let mut access = Access::new(Some(eeprom), None, now);
        assert_eq!(access.panel_digits(), Some(CODE_DIGITS));
        assert!(access.prove(now, Door::Panel, Purpose::Claim, &secret("0815"), ALLOWED).is_err());
        assert!(access.prove(now, Door::Panel, Purpose::Claim, &secret(CODE), ALLOWED).is_ok());
    }

    #[test]
    fn a_lost_password_is_set_anew_in_the_first_minute_only() {
        let now = Instant::now();
        let late = now + WINDOW;
        let mut access = claimed(now);
        assert_eq!(access.held(late, ALLOWED), Err(Denied::WindowOver));
        assert_eq!(access.held(now, Recovery::Disabled), Err(Denied::RecoveryDisabled));
        assert_eq!(access.window(late, ALLOWED), None);
        let by_code = access.prove(now, Door::Serial, Purpose::Recover, &secret(CODE), ALLOWED).unwrap();
        access.set_owner(late, &by_code, hash("new")).unwrap();
        assert_eq!(access.may_try(now), Ok(hash("new")), "typing the new one may take longer");
        let by_keys = access.held(now, ALLOWED).unwrap();
        assert_eq!(access.set_owner(now + PROOF, &by_keys, hash("x")), Err(Denied::ProofOver));
        assert_eq!(unclaimed(now).held(now, ALLOWED), Err(Denied::NotClaimed));
    }

    #[test]
    fn an_unlocked_panel_cannot_set_a_password() {
        let now = Instant::now();
        let mut access = claimed(now);
        let proof = access.prove(now, Door::Panel, Purpose::Unlock, &secret("0815"), ALLOWED).unwrap();
        assert_eq!(access.set_owner(now, &proof, hash("new")), Err(Denied::ProofOver));
    }

    #[test]
    fn wrong_passwords_close_the_door_for_a_while() {
        let now = Instant::now();
        let mut access = claimed(now);
        for _ in 0..5 {
            access.may_try(now).unwrap();
            assert_eq!(access.tried(now, false), Err(Denied::WrongPassword));
        }
        assert!(matches!(access.may_try(now), Err(Denied::Closed(_))));
        assert!(access.may_try(now + Duration::from_secs(30)).is_ok());
        assert_eq!(access.wrong_tries(), (0, 5));
    }

    #[test]
    fn passwords_that_everybody_tries_are_refused() {
        for (text, part) in [
            ("short", "fewer than 10"),
            ("aaaaaaaaaaaa", "different characters"),
            ("Password123456", "everybody tries"),
            ("gantry-gantry-1", "everybody tries"),
            ("tab\tin the middle", "cannot be typed"),
            (&"abcdefgh".repeat(20), "more than 128"),
        ] {
            let denied = check_password(&secret(text)).unwrap_err().to_string();
            assert!(denied.contains(part) && !denied.contains(text), "{denied}");
        }
        assert_eq!(check_password(&secret("correct horse battery")), Ok(()));
    }

    #[test]
    fn a_made_up_password_fits_sixteen_columns_and_will_do() {
        for byte in 0..=255_u8 {
            let mut seed = [byte; 32];
            seed.iter_mut()
                .enumerate()
                .for_each(|(i, b)| *b = b.wrapping_mul(7).wrapping_add(u8::try_from(i * 11 % 240).unwrap()));
            let password = made_up(Seed(seed));
            let text = password.expose();
            assert_eq!(text.len(), 14, "{text}");
            assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert_eq!(check_password(&password), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_kept_of_a_code_reads_back_and_never_prints_it() {
        let verifier = Verifier::of(CODE).unwrap();
        assert_eq!(Verifier::parse(&verifier.to_text()), Some(verifier.clone()));
        assert_eq!(Verifier::parse("4711-0815\n"), Some(verifier.clone()));
        assert!(!verifier.to_text().contains("0815") && !format!("{verifier:?}").contains("0815"));
        for wrong in ["", "4711", "x y", "4711-081x", "ab cd"] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
        assert_eq!(harmless("4711-0815"), "what was typed");
    }

    proptest! {
        #[test]
        fn nothing_but_the_code_is_the_code(guess in "[0-9 -]{0,14}") {
            let now = Instant::now();
            let right = guess.chars().filter(char::is_ascii_digit).collect::<String>() == "47110815";
            let proven = unclaimed(now).prove(now, Door::Serial, Purpose::Claim, &secret(&guess), ALLOWED);
            prop_assert_eq!(proven.is_ok(), right);
        }
    }
}
