//! SNMPv2c: a community name in clear, and the PDU (RFC 1901 3).

use crate::ber::{integer, octets, sequence, tag};
use crate::trap::Trap;
use base::Secret;

/// The version's number on the wire.
const VERSION: i64 = 1;

/// A datagram with `trap`, numbered `request`. Whoever sees it on the way reads all of it, the community too.
#[must_use]
pub fn v2c(community: &Secret<String>, trap: &Trap, request: i32) -> Vec<u8> {
    let community = octets(community.expose().as_bytes());
    sequence(tag::SEQUENCE, &[integer(VERSION), community, trap.pdu(request)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    #[test]
    fn a_notification_is_what_rfc_1901_and_3416_write() {
        let trap =
            Trap { uptime: 1, oid: Oid::new(&[1, 3, 6, 1, 6, 3, 1, 1, 5, 1]).unwrap(), values: vec![] };
        let bytes = v2c(&Secret::new("public".to_owned()), &trap, 7);
        let mut expected = vec![0x30, 0x40, 2, 1, 1, 4, 6];
        expected.extend_from_slice(b"public");
        expected.extend_from_slice(&[0xa7, 0x33, 2, 1, 7, 2, 1, 0, 2, 1, 0, 0x30, 0x28]);
        expected.extend_from_slice(&[0x30, 0x0d, 6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 1, 1]);
        expected.extend_from_slice(&[0x30, 0x17, 6, 0x0a, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0]);
        expected.extend_from_slice(&[6, 9, 0x2b, 6, 1, 6, 3, 1, 1, 5, 1]);
        assert_eq!(bytes, expected);
    }
}
