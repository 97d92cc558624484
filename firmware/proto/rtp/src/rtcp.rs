//! RTCP (RFC 3550 6) with feedback (RFC 4585, RFC 5104): compound packets to messages and back.
//!
//! Reading is lenient: what parses is told, what does not is counted, a bad length ends the compound. Writing is strict:
//! each compound begins with a report and a CNAME, also when it carries feedback (RFC 3550 6.1).

use bytes::Bytes;
use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Fir, Nack, PayloadFeedback, Pli, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem,
    SenderReport, TransportFeedback,
};

/// Most messages taken from one datagram; the rest is dropped as nonsense.
pub const MAX_MESSAGES: usize = 256;
/// Longest CNAME kept, in bytes.
const MAX_CNAME: usize = 255;

/// Generic NACK, TMMBR and TMMBN (RFC 4585 6.2.1, RFC 5104 4.2), in transport feedback.
const FMT_NACK: u8 = 1;
const FMT_TMMBR: u8 = 3;
const FMT_TMMBN: u8 = 4;
/// PLI, FIR (RFC 4585 6.3.1, RFC 5104 4.3.1) and application layer feedback (REMB), in payload feedback.
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_AFB: u8 = 15;

/// One thing that an RTCP packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A sender's clock and counters.
    SenderInfo(SenderInfo),
    /// How somebody receives a stream.
    Report(Report),
    /// A source's canonical name.
    Cname {
        /// Whose.
        ssrc: u32,
        /// At most 255 bytes.
        cname: String,
    },
    /// A source ends.
    Bye {
        /// Which.
        ssrc: u32,
    },
    /// Picture loss indication.
    Pli {
        /// Whose picture.
        about: u32,
    },
    /// Full intra request.
    Fir {
        /// Whose picture.
        about: u32,
        /// Goes up with each new request; a repetition has the same.
        sequence: u8,
    },
    /// A packet is missing.
    Nack {
        /// Whose.
        about: u32,
        /// Which.
        sequence: u16,
    },
    /// The peer asks for no more than this (RFC 5104 4.2.1).
    Tmmbr {
        /// Who asks.
        from: u32,
        /// Of whom.
        about: u32,
        /// Bits per second.
        bps: u64,
    },
    /// The peer estimates that this much arrives (draft-alvestrand-rmcat-remb).
    Remb {
        /// Bits per second.
        bps: u64,
    },
}

/// RFC 3550 6.4.1, sender info.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Who sends.
    pub ssrc: u32,
    /// The sender's wall clock: seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same moment on the stream's clock.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of payload sent.
    pub octets: u32,
}

/// RFC 3550 6.4.1, report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Who receives.
    pub from: u32,
    /// Whose packets.
    pub about: u32,
    /// Of the packets since the report before, lost, in 256ths.
    pub fraction_lost: u8,
    /// Lost in all; duplicates can make it negative.
    pub lost: i32,
    /// Highest sequence number, with its cycles in the upper half.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 if there was none.
    pub last_sr: u32,
    /// Time since then, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

/// Reads a datagram and hands out what it says. Returns how many parts of it were nonsense.
pub fn parse(data: &[u8], mut sink: impl FnMut(Message)) -> u64 {
    let (mut rest, mut nonsense, mut left) = (data, 0, MAX_MESSAGES);
    while let Some(&[first, _, high, low]) = rest.first_chunk::<4>() {
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        if first >> 6 != 2 || length > rest.len() {
            break;
        }
        let (packet, after) = rest.split_at(length);
        rest = after;
        let mut bounded = |message| match left.checked_sub(1) {
            Some(fewer) => {
                left = fewer;
                sink(message);
            }
            None => nonsense += 1,
        };
        if parse_one(packet, &mut bounded).is_none() {
            nonsense += 1;
        }
    }
    nonsense + u64::from(!rest.is_empty())
}

/// One packet of a compound. `None` if it is broken; what is merely unknown is not.
fn parse_one(packet: &[u8], sink: &mut impl FnMut(Message)) -> Option<()> {
    match *packet.get(1)? {
        SenderReport::PACKET_TYPE => {
            let sr = SenderReport::parse(packet).ok()?;
            sink(Message::SenderInfo(SenderInfo {
                ssrc: sr.ssrc(),
                ntp: sr.ntp_timestamp(),
                timestamp: sr.rtp_timestamp(),
                packets: sr.packet_count(),
                octets: sr.octet_count(),
            }));
            sr.report_blocks().for_each(|block| sink(Message::Report(report(sr.ssrc(), &block))));
        }
        ReceiverReport::PACKET_TYPE => {
            let rr = ReceiverReport::parse(packet).ok()?;
            rr.report_blocks().for_each(|block| sink(Message::Report(report(rr.ssrc(), &block))));
        }
        Sdes::PACKET_TYPE => {
            let sdes = Sdes::parse(packet).ok()?;
            sdes.chunks().for_each(|chunk| cname(chunk, sink));
        }
        Bye::PACKET_TYPE => {
            Bye::parse(packet).ok()?.ssrcs().for_each(|ssrc| sink(Message::Bye { ssrc }));
        }
        TransportFeedback::PACKET_TYPE => transport_feedback(packet, sink)?,
        PayloadFeedback::PACKET_TYPE => payload_feedback(packet, sink)?,
        _ => {}
    }
    Some(())
}

fn report(from: u32, block: &ReportBlock<'_>) -> Report {
    let lost = block.cumulative_lost() << 8;
    Report {
        from,
        about: block.ssrc(),
        fraction_lost: block.fraction_lost(),
        // 24 bits with sign
        lost: lost as i32 >> 8,
        highest: block.extended_sequence_number(),
        jitter: block.interarrival_jitter(),
        last_sr: block.last_sender_report_timestamp(),
        delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
    }
}

fn cname(chunk: &SdesChunk<'_>, sink: &mut impl FnMut(Message)) {
    for item in chunk.items().filter(|item| item.type_() == SdesItem::CNAME) {
        let cname = String::from_utf8_lossy(item.value()).chars().take(MAX_CNAME).collect();
        sink(Message::Cname { ssrc: chunk.ssrc(), cname });
    }
}

fn transport_feedback(packet: &[u8], sink: &mut impl FnMut(Message)) -> Option<()> {
    let feedback = TransportFeedback::parse(packet).ok()?;
    match packet.first()? & 0x1f {
        FMT_NACK => {
            let nack = feedback.parse_fci::<Nack<'_>>().ok()?;
            nack.entries()
                .for_each(|sequence| sink(Message::Nack { about: feedback.media_ssrc(), sequence }));
        }
        FMT_TMMBR => {
            for entry in packet.get(12..)?.chunks_exact(8) {
                let &[a, b, c, d, e, f, g, h] = entry.first_chunk::<8>()?;
                let about = u32::from_be_bytes([a, b, c, d]);
                let word = u32::from_be_bytes([e, f, g, h]);
                let bps = scaled(u64::from(word >> 9 & 0x1_ffff), word >> 26);
                sink(Message::Tmmbr { from: feedback.sender_ssrc(), about, bps });
            }
        }
        _ => {}
    }
    Some(())
}

fn payload_feedback(packet: &[u8], sink: &mut impl FnMut(Message)) -> Option<()> {
    let feedback = PayloadFeedback::parse(packet).ok()?;
    match packet.first()? & 0x1f {
        FMT_PLI => sink(Message::Pli { about: feedback.media_ssrc() }),
        FMT_FIR => {
            let fir = feedback.parse_fci::<Fir<'_>>().ok()?;
            fir.entries()
                .for_each(|entry| sink(Message::Fir { about: entry.ssrc(), sequence: entry.sequence() }));
        }
        FMT_AFB => {
            if let Some([b'R', b'E', b'M', b'B', _, a, b, c]) = packet.get(12..20) {
                let word = u32::from_be_bytes([0, *a, *b, *c]);
                sink(Message::Remb { bps: scaled(u64::from(word & 0x3_ffff), word >> 18) });
            }
        }
        _ => {}
    }
    Some(())
}

/// `mantissa * 2^exponent`, without overflow.
fn scaled(mantissa: u64, exponent: u32) -> u64 {
    if mantissa.leading_zeros() < exponent { u64::MAX } else { mantissa << exponent }
}

/// A compound packet being written.
#[derive(Debug)]
pub struct Compound {
    from: u32,
    out: Vec<u8>,
}

impl Compound {
    /// Begins with a sender report, or with a receiver report if nothing was sent, and the CNAME.
    #[must_use]
    pub fn new(from: u32, sender: Option<&SenderInfo>, report: Option<&Report>, cname: &str) -> Self {
        let mut this = Self { from, out: Vec::with_capacity(128) };
        match sender {
            Some(sender) => {
                let sr = SenderReport::builder(from)
                    .ntp_timestamp(sender.ntp)
                    .rtp_timestamp(sender.timestamp)
                    .packet_count(sender.packets)
                    .octet_count(sender.octets);
                this.put(&report.into_iter().fold(sr, |sr, report| sr.add_report_block(block(report))));
            }
            None => {
                let rr = ReceiverReport::builder(from);
                this.put(&report.into_iter().fold(rr, |rr, report| rr.add_report_block(block(report))));
            }
        }
        let end = (0..=cname.len().min(MAX_CNAME)).rev().find(|at| cname.is_char_boundary(*at)).unwrap_or(0);
        let item = SdesItem::builder(SdesItem::CNAME, &cname[..end]);
        this.put(&Sdes::builder().add_chunk(SdesChunk::builder(from).add_item(item)));
        this
    }

    /// Adds a picture loss indication.
    #[must_use]
    pub fn pli(mut self, about: u32) -> Self {
        let fci = Pli::builder();
        self.put(&PayloadFeedback::builder(&fci).sender_ssrc(self.from).media_ssrc(about));
        self
    }

    /// Adds a full intra request; `sequence` is one up for each new request.
    #[must_use]
    pub fn fir(mut self, about: u32, sequence: u8) -> Self {
        let fci = Fir::builder().add_ssrc(about, sequence);
        // the media source is named in the entry, the header's field is 0 (RFC 5104 4.3.1.2)
        self.put(&PayloadFeedback::builder(&fci).sender_ssrc(self.from).media_ssrc(0));
        self
    }

    /// Adds the answer to a TMMBR: the bound we keep, owned by `owner` (RFC 5104 4.2.2).
    #[must_use]
    pub fn tmmbn(mut self, owner: u32, bps: u64) -> Self {
        let exponent = (64 - bps.leading_zeros()).saturating_sub(17);
        let word = exponent << 26 | ((bps >> exponent) as u32) << 9;
        self.out.extend_from_slice(&[0x80 | FMT_TMMBN, TransportFeedback::PACKET_TYPE, 0, 4]);
        for field in [self.from, 0, owner, word] {
            self.out.extend_from_slice(&field.to_be_bytes());
        }
        self
    }

    /// Adds a goodbye.
    #[must_use]
    pub fn bye(mut self) -> Self {
        self.put(&Bye::builder().add_source(self.from));
        self
    }

    /// The datagram.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.out.into()
    }

    fn put(&mut self, packet: &impl RtcpPacketWriter) {
        // every field was cut to its bounds above, so there is always a size
        let Ok(size) = packet.calculate_size() else { return };
        let at = self.out.len();
        self.out.resize(at + size, 0);
        packet.write_into_unchecked(&mut self.out[at..]);
    }
}

fn block(report: &Report) -> rtcp_types::ReportBlockBuilder {
    let lost = report.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
    ReportBlock::builder(report.about)
        .fraction_lost(report.fraction_lost)
        .cumulative_lost(lost)
        .extended_sequence_number(report.highest)
        .interarrival_jitter(report.jitter)
        .last_sender_report_timestamp(report.last_sr)
        .delay_since_last_sender_report_timestamp(report.delay_since_last_sr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INFO: SenderInfo =
        SenderInfo { ssrc: 1, ntp: 0x1234_5678_9abc_def0, timestamp: 5, packets: 6, octets: 7 };
    const REPORT: Report = Report {
        from: 1,
        about: 2,
        fraction_lost: 25,
        lost: -3,
        highest: 0x1_0005,
        jitter: 9,
        last_sr: 10,
        delay_since_last_sr: 11,
    };

    fn read(data: &[u8]) -> (Vec<Message>, u64) {
        let mut out = Vec::new();
        let nonsense = parse(data, |message| out.push(message));
        (out, nonsense)
    }

    fn cname() -> Message {
        Message::Cname { ssrc: 1, cname: "box".to_owned() }
    }

    #[test]
    fn a_compound_reads_as_it_was_written() {
        let data = Compound::new(1, Some(&INFO), Some(&REPORT), "box").pli(2).fir(2, 9).bye().finish();
        let told = [
            Message::SenderInfo(INFO),
            Message::Report(REPORT),
            cname(),
            Message::Pli { about: 2 },
            Message::Fir { about: 2, sequence: 9 },
            Message::Bye { ssrc: 1 },
        ];
        assert_eq!(read(&data), (told.to_vec(), 0));
        let data = Compound::new(1, None, None, "box").finish();
        assert_eq!(read(&data), (vec![cname()], 0));
    }

    #[test]
    fn a_long_cname_is_cut_at_a_character() {
        let data = Compound::new(1, None, None, &"ü".repeat(200)).finish();
        assert_eq!(read(&data).0, [Message::Cname { ssrc: 1, cname: "ü".repeat(127) }]);
    }

    #[test]
    fn nacks_name_each_missing_packet() {
        let data = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0, 0b101];
        let missing = |sequence| Message::Nack { about: 2, sequence };
        assert_eq!(read(&data), (vec![missing(65_535), missing(0), missing(2)], 0));
    }

    #[test]
    fn bandwidth_hints_are_read_from_remb_and_tmmbr() {
        let remb = [
            0x8f,
            206,
            0,
            5,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            b'R',
            b'E',
            b'M',
            b'B',
            1,
            0b0000_1111,
            0xff,
            0xff,
            0,
            0,
            0,
            2,
        ];
        assert_eq!(read(&remb), (vec![Message::Remb { bps: 0x3_ffff << 3 }], 0));
        let word = (2_u32 << 26 | 100_000 << 9 | 40).to_be_bytes();
        let tmmbr = [&[0x83, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2][..], &word].concat();
        assert_eq!(read(&tmmbr), (vec![Message::Tmmbr { from: 1, about: 2, bps: 400_000 }], 0));
        assert_eq!([scaled(0x1_ffff, 63), scaled(0, 63), scaled(1, 63)], [u64::MAX, 0, 1 << 63]);
    }

    #[test]
    fn the_answer_to_a_tmmbr_holds_the_bound_within_its_17_bits() {
        for bps in [0, 64_000, 1_728_000, 5_000_000_000] {
            let mut data = Compound::new(1, None, None, "box").tmmbn(2, bps).finish().to_vec();
            let at = data.len() - 20;
            data[at] = 0x80 | FMT_TMMBR;
            let (told, _) = read(&data);
            let Some(Message::Tmmbr { bps: read, .. }) = told.last() else { panic!("{told:?}") };
            assert!(*read <= bps && bps - read <= bps >> 16, "{bps} {read}");
        }
    }

    #[test]
    fn what_is_broken_is_counted_and_the_rest_still_taken() {
        // given a BYE that names more sources than it has, between good packets
        let mut data = Compound::new(1, None, None, "box").finish().to_vec();
        data.extend([0x9f, 203, 0, 1, 0, 0, 0, 1]);
        data.extend(Compound::new(1, None, None, "box").finish());
        data.extend([0x80, 200, 0xff, 0xff]);
        assert_eq!(read(&data), (vec![cname(), cname()], 2));
        assert_eq!(read(&[]), (vec![], 0));
        assert_eq!(read(&[0x80]), (vec![], 1));
    }

    #[test]
    fn a_datagram_full_of_nacks_tells_only_so_many() {
        let mut data = vec![0x81, 205, 1, 0xf3];
        data.resize(2000, 0xff);
        assert_eq!(read(&data).0.len(), MAX_MESSAGES);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            parts in proptest::collection::vec(
                (any::<u8>(), 198..210_u8, proptest::collection::vec(any::<u8>(), 0..64)), 0..6),
            tail in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut data = Vec::new();
            for (first, kind, mut body) in parts {
                body.resize(body.len().div_ceil(4) * 4, 0);
                data.extend([0x80 | first & 0x3f, kind, 0, (body.len() / 4) as u8]);
                data.extend(body);
            }
            data.extend(&tail);
            read(&data);
            read(&tail);
        }
    }
}
