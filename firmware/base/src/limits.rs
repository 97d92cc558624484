//! Every bound in one place, so that no queue, list or message grows without one.

use std::time::Duration;

/// Largest SIP message taken, in bytes; room systems stay below 8 KiB.
pub const SIP_MESSAGE_BYTES: usize = 64 * 1024;
/// Most header fields in a SIP message.
pub const SIP_HEADERS: usize = 256;
/// Largest session description taken, in bytes.
pub const SDP_BYTES: usize = 16 * 1024;
/// Most media descriptions in a session description.
pub const SDP_MEDIA: usize = 32;
/// Most payload formats in one media description.
pub const SDP_FORMATS: usize = 64;
/// Largest UDP datagram read, in bytes.
pub const DATAGRAM_BYTES: usize = 2048;
/// Largest RTP packet sent, in bytes, so that SRTP, UDP and IPv6 headers still fit a 1500 byte link.
pub const RTP_PACKET_BYTES: usize = 1200;
/// Largest encoded picture put together from packets, in bytes.
pub const VIDEO_FRAME_BYTES: usize = 1024 * 1024;
/// Most packets one encoded picture may come in.
pub const VIDEO_FRAME_PACKETS: usize = 1024;
/// Longest the audio jitter buffer may delay.
pub const JITTER_MAX: Duration = Duration::from_millis(400);
/// Most RTP packets waiting in one jitter buffer.
pub const JITTER_PACKETS: usize = 512;
/// Most pictures received from a conference at a time (P9).
pub const CONFERENCE_VIDEOS: usize = 8;
/// Most sounds received from a conference at a time.
pub const CONFERENCE_AUDIOS: usize = 8;
/// Most participants of a conference kept in a roster.
pub const ROSTER: usize = 1024;
/// Largest HTTP or data-channel message from a conference, in bytes.
pub const CONFERENCE_MESSAGE_BYTES: usize = 256 * 1024;
/// Most bits per second towards a conference, over any second (P12).
pub const CONFERENCE_BPS: u64 = 2_000_000;
/// Longest wait in a conference's lobby (P6).
pub const LOBBY: Duration = Duration::from_secs(30);
/// Longest silence of all media before a call is given up.
pub const MEDIA_SILENCE: Duration = Duration::from_secs(30);
/// Frames waiting in one direction between a shard and a media worker.
pub const RING_FRAMES: usize = 256;
/// Most transactions that are open in the SIP endpoint at a time.
pub const SIP_TRANSACTIONS: usize = 16_384;
/// Most SIP responses that seek another way at a time, because their connection is gone.
pub const SIP_WAYS_BACK: usize = 256;
/// Most stream connections (TCP, TLS) open for signalling at a time.
pub const SIP_CONNECTIONS: usize = 4_096;
/// Most connections to the phonebook open at a time.
pub const PHONEBOOK_CONNECTIONS: usize = 512;
/// Longest name taken from a peer for a person or room, in characters.
pub const NAME_CHARS: usize = 128;
