//! Payload formats: how each codec's frames travel in RTP packets.

pub mod audio;
pub mod h264;
pub mod vp8;

use bytes::Bytes;

/// One encoded picture, put together from packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In the layout its [`Codec`](base::Codec) fixes.
    pub data: Bytes,
    /// RTP timestamp of its packets.
    pub timestamp: u32,
    /// Decodable without any other.
    pub key: bool,
    /// False if something is missing between the one before and this one, or in this one.
    pub contiguous: bool,
}

/// What a depacketiser needs of a packet besides the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Whether packets are missing right before this one.
    pub after: After,
}

/// What came before a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The packet before.
    Neighbour,
    /// Nothing: one or more packets are missing.
    Gap,
}
