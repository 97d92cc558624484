//! The notification itself: an SNMPv2-Trap PDU (RFC 3416 4.2.6), the same for every version of the messages round it.

use crate::ber::{integer, octets, sequence, tag, unsigned};
use crate::oid::Oid;

/// `sysUpTime.0` (RFC 3418 2).
const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// `snmpTrapOID.0` (RFC 3418 2).
const SNMP_TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// How long the sender has been up, in hundredths of a second; it begins anew after 497 days (RFC 3418 2).
    pub uptime: u32,
    /// Which notification it is.
    pub oid: Oid,
    /// What it says.
    pub values: Vec<(Oid, Value)>,
}

/// The value of an object (RFC 2578 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `INTEGER`.
    Integer(i32),
    /// `Unsigned32` and `Gauge32`.
    Unsigned(u32),
    /// `OCTET STRING`; texts are in UTF-8.
    Octets(Vec<u8>),
    /// `OBJECT IDENTIFIER`.
    Oid(Oid),
    /// `TimeTicks`, in hundredths of a second.
    TimeTicks(u32),
}

impl Trap {
    /// The PDU, numbered `request`.
    pub(crate) fn pdu(&self, request: i32) -> Vec<u8> {
        let up = (Oid::known(&[SYS_UP_TIME]), Value::TimeTicks(self.uptime));
        let what = (Oid::known(&[SNMP_TRAP_OID]), Value::Oid(self.oid.clone()));
        let all = [&up, &what].into_iter().chain(&self.values);
        let bindings: Vec<_> =
            all.map(|(name, value)| sequence(tag::SEQUENCE, &[name.encode(), value.encode()])).collect();
        let bindings = sequence(tag::SEQUENCE, &bindings);
        // Error status and index mean nothing here and are 0.
        sequence(tag::TRAP, &[integer(request.into()), integer(0), integer(0), bindings])
    }
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Integer(value) => integer((*value).into()),
            Self::Unsigned(value) => unsigned(tag::UNSIGNED, *value),
            Self::Octets(value) => octets(value),
            Self::Oid(value) => value.encode(),
            Self::TimeTicks(value) => unsigned(tag::TIME_TICKS, *value),
        }
    }
}
