//! SNMPv3 with the User-based Security Model (RFC 3412, RFC 3414): who sent it is proven, and what it says is hidden.
//!
//! ```text
//!  PDU ─▶ scoped PDU ─▶ (AES-128, if hidden) ─▶ message with zeros for its MAC ─▶ HMAC over all of it ─▶ datagram
//! ```
//! Of a notification its sender is the authoritative engine (RFC 3414 1.5.1): the station must know the user with this engine's id, and
//! takes messages whose boots and time are within 150 s of what it has seen before. Boots must therefore grow with each start.

mod keys;

pub use keys::{AuthProtocol, PasswordError};

use crate::ber::{integer, octets, sequence, tag};
use crate::trap::Trap;
use base::Secret;
use keys::{Key, SALT_BYTES};
use std::fmt;
use thiserror::Error;

/// SNMPv3's number on the wire (RFC 3412 6.1).
const VERSION: i64 = 3;
/// `msgSecurityModel` of USM (RFC 3411 5).
const USM: i64 = 3;
/// Largest message taken back; nothing is, so RFC 3412's least but one ethernet frame is said.
const MAX_SIZE: i64 = 1_472;
/// `msgFlags` (RFC 3412 6.4).
const AUTHENTICATED: u8 = 1;
const ENCRYPTED: u8 = 2;
/// The enterprise of engine ids (RFC 3411 5): net-snmp's, as Gantry has no number of its own.
const ENTERPRISE: u32 = 8_072;
/// How such an id goes on (RFC 3411 5, format 5): with octets that the administrator or the box chooses.
const FORMAT_OCTETS: u8 = 5;
/// Octets by which a node is known in its engine's id.
pub const NODE_OCTETS: usize = 12;
/// Longest engine id (RFC 3411 5), and longest user name (RFC 3414 5), in octets.
const NAME_OCTETS: usize = 32;

/// The name of an SNMP engine in the whole world (RFC 3411 5): 5 to 32 octets.
#[derive(Clone, PartialEq, Eq)]
pub struct EngineId(Vec<u8>);

/// How often the engine has started, and for how long it has run (RFC 3414 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineTime {
    /// `snmpEngineBoots`, 1 to 2147483647.
    pub boots: u32,
    /// `snmpEngineTime`, in seconds.
    pub time: u32,
}

/// A user's security level and what it takes (RFC 3411 3.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// `noAuthNoPriv`: anybody may have sent it, and anybody reads it.
    Open,
    /// `authNoPriv`: it is proven who sent it.
    Authenticated(AuthProtocol, Secret<String>),
    /// `authPriv` with AES-128: nobody else reads it.
    Encrypted {
        /// How it is proven who sent it; the key of the encryption is made by the same hash.
        auth: AuthProtocol,
        /// With which password.
        auth_password: Secret<String>,
        /// The password of the encryption.
        privacy_password: Secret<String>,
    },
}

/// Why there can be no such originator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UsmError {
    /// RFC 3414 5.
    #[error("user name has {0} octets; it must have 1 to {NAME_OCTETS}")]
    User(usize),
    /// RFC 3411 5.
    #[error("engine id has {0} octets; it must have 5 to {NAME_OCTETS}, and not be all 0 or all 255")]
    Engine(usize),
    /// RFC 3414 11.2.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Writes notifications of one user.
#[derive(Debug)]
pub struct Originator {
    engine: EngineId,
    user: String,
    keys: Keys,
    salt: u64,
}

#[derive(Debug)]
enum Keys {
    Open,
    Authenticated(Key),
    Encrypted { auth: Key, privacy: Key },
}

impl EngineId {
    /// These octets, as an administrator gives them.
    ///
    /// # Errors
    /// If they are too few or too many, or all 0 or all 255.
    pub fn new(octets: Vec<u8>) -> Result<Self, UsmError> {
        let alike = octets.iter().all(|octet| *octet == 0) || octets.iter().all(|octet| *octet == 0xff);
        if alike || !(5..=NAME_OCTETS).contains(&octets.len()) {
            return Err(UsmError::Engine(octets.len()));
        }
        Ok(Self(octets))
    }

    /// That of the node that is known by these octets, such as a digest of its machine id.
    #[must_use]
    pub fn of_node(octets: [u8; NODE_OCTETS]) -> Self {
        let mut id = (ENTERPRISE | 0x8000_0000).to_be_bytes().to_vec();
        id.push(FORMAT_OCTETS);
        id.extend(octets);
        Self(id)
    }
}

/// As stations are told it: `0x80001f8805...`.
impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Originator {
    /// The originator of `user` on `engine`. Making keys of passwords takes a megabyte's hash each (RFC 3414 A.2), so one is
    /// kept. `salt` must be random: no two messages may be encrypted with the same one (RFC 3826 3.1.1.1).
    ///
    /// # Errors
    /// If the name or a password cannot be used.
    pub fn new(engine: EngineId, user: &str, security: &Security, salt: u64) -> Result<Self, UsmError> {
        if !(1..=NAME_OCTETS).contains(&user.len()) {
            return Err(UsmError::User(user.len()));
        }
        let key = |protocol: AuthProtocol, password| Key::of(protocol, password, &engine.0);
        let keys = match security {
            Security::Open => Keys::Open,
            Security::Authenticated(protocol, password) => Keys::Authenticated(key(*protocol, password)?),
            Security::Encrypted { auth, auth_password, privacy_password } => {
                Keys::Encrypted { auth: key(*auth, auth_password)?, privacy: key(*auth, privacy_password)? }
            }
        };
        Ok(Self { engine, user: user.to_owned(), keys, salt })
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &EngineId {
        &self.engine
    }

    /// A datagram with `trap`, numbered `message`, at the engine's `at`.
    pub fn message(&mut self, at: EngineTime, trap: &Trap, message: i32) -> Vec<u8> {
        self.salt = self.salt.wrapping_add(1);
        let salt = self.salt.to_be_bytes();
        // The context's engine is the same, and its name the default one (RFC 3412 6.8).
        let scoped = sequence(tag::SEQUENCE, &[octets(&self.engine.0), octets(b""), trap.pdu(message)]);
        match &self.keys {
            Keys::Open => self.wrap(at, message, 0, (0, &[]), &scoped),
            Keys::Authenticated(auth) => {
                let whole = self.wrap(at, message, AUTHENTICATED, (auth.mac_bytes(), &[]), &scoped);
                auth.sign(whole, scoped.len() + octets(&[]).len())
            }
            Keys::Encrypted { auth, privacy } => {
                let hidden = octets(&privacy.encrypt(at, salt, &scoped));
                let flags = AUTHENTICATED | ENCRYPTED;
                let whole = self.wrap(at, message, flags, (auth.mac_bytes(), &salt), &hidden);
                auth.sign(whole, hidden.len() + octets(&[0; SALT_BYTES]).len())
            }
        }
    }

    /// The whole message round `data`, with zeros where its MAC of so many octets will be.
    fn wrap(
        &self,
        EngineTime { boots, time }: EngineTime,
        message: i32,
        flags: u8,
        (mac, salt): (usize, &[u8]),
        data: &[u8],
    ) -> Vec<u8> {
        let parameters = sequence(
            tag::SEQUENCE,
            &[
                octets(&self.engine.0),
                integer(boots.into()),
                integer(time.into()),
                octets(self.user.as_bytes()),
                octets(&vec![0; mac]),
                octets(salt),
            ],
        );
        let header = [integer(message.into()), integer(MAX_SIZE), octets(&[flags]), integer(USM)];
        let header = sequence(tag::SEQUENCE, &header);
        sequence(tag::SEQUENCE, &[integer(VERSION), header, octets(&parameters), data.to_vec()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn trap() -> Trap {
        Trap { uptime: 1, oid: Oid::new(&[1, 3, 6, 1, 6, 3, 1, 1, 5, 1]).unwrap(), values: vec![] }
    }

    fn hidden() -> Security {
        let (auth_password, privacy_password) = (secret("maplesyrup"), secret("syrupmaple"));
        Security::Encrypted { auth: AuthProtocol::Sha256, auth_password, privacy_password }
    }

    #[test]
    fn an_engine_is_named_as_rfc_3411_says() {
        assert_eq!(EngineId::of_node([7; 12]).to_string(), "0x80001f8805070707070707070707070707");
        for bad in [vec![1; 4], vec![1; 33], vec![0; 12], vec![0xff; 12]] {
            assert_eq!(EngineId::new(bad.clone()), Err(UsmError::Engine(bad.len())));
        }
    }

    #[test]
    fn names_and_passwords_that_stations_refuse_are_refused() {
        let engine = || EngineId::of_node(*b"0123456789ab");
        let made = |user: &str, security: &Security| Originator::new(engine(), user, security, 0).err();
        assert_eq!(made("", &Security::Open), Some(UsmError::User(0)));
        assert_eq!(made(&"x".repeat(33), &Security::Open), Some(UsmError::User(33)));
        let short = Security::Authenticated(AuthProtocol::Sha1, secret("1234567"));
        assert_eq!(made("gantry", &short), Some(UsmError::Password(PasswordError { bytes: 7 })));
    }

    #[test]
    fn nobody_reads_a_hidden_message_and_no_two_are_hidden_alike() {
        let engine = EngineId::of_node(*b"0123456789ab");
        let mut originator = Originator::new(engine, "gantry", &hidden(), u64::MAX).unwrap();
        let at = EngineTime { boots: 1, time: 2 };
        let pdu = trap().pdu(3);
        let (first, second) = (originator.message(at, &trap(), 3), originator.message(at, &trap(), 3));
        for message in [&first, &second] {
            assert!(!message.windows(pdu.len()).any(|part| part == pdu));
        }
        assert_ne!(first[first.len() - 40..], second[second.len() - 40..]);
        let open = Originator::new(EngineId::of_node(*b"0123456789ab"), "gantry", &Security::Open, 0);
        assert!(open.unwrap().message(at, &trap(), 3).windows(pdu.len()).any(|part| part == pdu));
    }

    #[test]
    fn every_octet_of_a_message_is_signed() {
        let engine = EngineId::of_node(*b"0123456789ab");
        let key = Key::of(AuthProtocol::Sha256, &secret("maplesyrup"), &engine.0).unwrap();
        let mut originator = Originator::new(engine, "gantry", &hidden(), 4).unwrap();
        let message = originator.message(EngineTime { boots: 1, time: 2 }, &trap(), 3);
        let place = key.mac(&message[..0]).len();
        assert_eq!(place, 24);
        let at = (0..message.len() - place).find(|at| {
            let mut blank = message.clone();
            blank[*at..at + place].fill(0);
            key.mac(&blank) == message[*at..at + place]
        });
        assert!(at.is_some(), "the MAC over the message with zeros in its place is in that place");
    }

    #[test]
    fn keys_never_print() {
        let engine = EngineId::of_node(*b"0123456789ab");
        let shown = format!("{:?} {:?}", hidden(), Originator::new(engine, "gantry", &hidden(), 0));
        assert!(!shown.contains("maple") && shown.contains("[secret]"), "{shown}");
    }
}
