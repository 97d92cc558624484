//! One access unit to RTP payloads (RFC 6184 6, 5.6-5.8).

use super::{FU_A, PPS, SPS, STAP_A, nal_units};
use crate::packet::MAX_PAYLOAD;
use crate::session::config::H264Mode;

/// A NAL unit that no packet of packetization-mode 0 can hold; the encoder must cut smaller slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "nal unit has {bytes} bytes, a packet holds {MAX_PAYLOAD}; encode smaller slices or use packetization-mode 1"
)]
pub struct NalTooLong {
    /// Its length.
    pub bytes: usize,
}

/// Cuts an access unit, an Annex B byte stream, into payloads and hands each to `emit` as head, body and whether it is
/// the last, which bears the marker.
///
/// # Errors
/// [`NalTooLong`] in mode 0; nothing is emitted then.
pub fn packetize(
    access_unit: &[u8],
    mode: H264Mode,
    mut emit: impl FnMut(&[u8], &[u8], bool),
) -> Result<(), NalTooLong> {
    if mode == H264Mode::SingleNal
        && let Some(nal) = nal_units(access_unit).find(|nal| nal.len() > MAX_PAYLOAD)
    {
        return Err(NalTooLong { bytes: nal.len() });
    }
    let mut nals = nal_units(access_unit).peekable();
    while let Some(nal) = nals.next() {
        if mode == H264Mode::NonInterleaved && is_parameter_set(nal) {
            let mut aggregate = vec![STAP_A];
            append(&mut aggregate, nal);
            let alone = aggregate.len();
            while let Some(next) =
                nals.next_if(|next| is_parameter_set(next) && aggregate.len() + 2 + next.len() <= MAX_PAYLOAD)
            {
                append(&mut aggregate, next);
            }
            if aggregate.len() > alone {
                emit(&[], &aggregate, nals.peek().is_none());
                continue;
            }
        }
        let last = nals.peek().is_none();
        if nal.len() <= MAX_PAYLOAD {
            emit(&[], nal, last);
        } else {
            fragment(nal, last, &mut emit);
        }
    }
    Ok(())
}

/// A set too long for an aggregate travels alone.
fn is_parameter_set(nal: &[u8]) -> bool {
    nal.first().is_some_and(|first| matches!(first & 0x1f, SPS | PPS)) && nal.len() + 3 <= MAX_PAYLOAD
}

/// Adds a NAL unit to a STAP-A, whose own NRI is the highest of those in it (RFC 6184 5.7).
fn append(aggregate: &mut Vec<u8>, nal: &[u8]) {
    aggregate[0] = aggregate[0].max(nal[0] & 0x60 | STAP_A);
    aggregate.extend_from_slice(&(nal.len() as u16).to_be_bytes());
    aggregate.extend_from_slice(nal);
}

/// FU-A (RFC 6184 5.8), in pieces of nearly the same size.
fn fragment(nal: &[u8], last: bool, emit: &mut impl FnMut(&[u8], &[u8], bool)) {
    let (header, body) = (nal[0], &nal[1..]);
    let pieces = body.len().div_ceil(MAX_PAYLOAD - 2);
    let mut chunks = body.chunks(body.len().div_ceil(pieces)).enumerate().peekable();
    while let Some((at, chunk)) = chunks.next() {
        let end = chunks.peek().is_none();
        let position = u8::from(at == 0) << 7 | u8::from(end) << 6;
        emit(&[header & 0xe0 | FU_A, position | header & 0x1f], chunk, end && last);
    }
}
