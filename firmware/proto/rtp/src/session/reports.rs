//! RTCP of a session: reports out and in, and what follows from them (RFC 3550 6.2-6.4).

use super::clock::ntp;
use super::{RtpOutput, RtpSession};
use crate::packet::Channel;
use crate::rtcp::{self, Compound, Message, Report, SenderInfo};
use crate::session::config::{KeyframeRequests, RtcpTransport};
use base::{MediaKind, MediaTime};
use rand::RngExt;
use std::time::{Duration, Instant};

/// The first report comes early, so that the clocks meet soon.
const FIRST: Duration = Duration::from_millis(500);
/// Mean time between reports; each wait is half to one and a half of it (RFC 3550 6.3.1), so at least 1.2 s.
const MEAN: Duration = Duration::from_millis(2_500);
/// A round trip longer than this is a peer's mistake.
const MAX_ROUND_TRIP: u32 = 10 << 16;
/// Without a packet for so long we are no sender (RFC 3550 6.3.8).
const SENDER_FOR: Duration = Duration::from_secs(5);

impl RtpSession {
    /// The session lives: reports begin.
    pub(super) fn start_reports(&mut self, now: Instant) {
        if self.report_at.is_none() {
            self.report_at = Some(now + self.jittered(FIRST));
        }
    }

    fn jittered(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(self.rng.random_range(0.5..1.5))
    }

    pub(super) fn report_due(&mut self, now: Instant, sink: &mut dyn FnMut(RtpOutput)) {
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + self.jittered(MEAN));
            self.put_rtcp(now, |compound| compound, sink);
        }
    }

    pub(super) fn ask_for_keyframe(&mut self, now: Instant, sink: &mut dyn FnMut(RtpOutput)) {
        let about = self.recv.reception.as_ref().map(|reception| reception.ssrc);
        match (self.config.keyframe_requests, about) {
            (KeyframeRequests::Pli, Some(about)) => self.put_rtcp(now, |compound| compound.pli(about), sink),
            (KeyframeRequests::Fir, Some(about)) => {
                self.fir_sequence = self.fir_sequence.wrapping_add(1);
                let sequence = self.fir_sequence;
                self.put_rtcp(now, |compound| compound.fir(about, sequence), sink);
            }
            (KeyframeRequests::Signalling, _) => sink(RtpOutput::AskKeyframe),
            // nothing came yet, so there is nobody to name; the first picture asks again if it does not stand alone
            (KeyframeRequests::Pli | KeyframeRequests::Fir, None) => {}
        }
    }

    /// Sends a compound: a report and what `add` adds.
    pub(super) fn put_rtcp(
        &mut self,
        now: Instant,
        add: impl FnOnce(Compound) -> Compound,
        sink: &mut dyn FnMut(RtpOutput),
    ) {
        let time = MediaTime::at(self.epoch, now);
        let sending = self.send.last.is_some_and(|last| now.saturating_duration_since(last) < SENDER_FOR);
        let sender = self.config.send.as_ref().filter(|_| sending).map(|format| SenderInfo {
            ssrc: self.send.ssrc,
            ntp: ntp(time),
            timestamp: self.send.timestamp(time, format.codec.rtp_clock()),
            packets: self.send.packets as u32,
            octets: self.send.bytes as u32,
        });
        let from = self.send.ssrc;
        let report = self.recv.reception.as_mut().map(|reception| reception.report(from, middle(time)));
        let plain = add(Compound::new(from, sender.as_ref(), report.as_ref(), &self.config.cname)).finish();
        let sealed = match &mut self.srtp {
            Some(srtp) => srtp.protect_rtcp(&plain),
            None => Some(plain),
        };
        let (channel, latch) = match self.config.rtcp {
            RtcpTransport::Muxed => (Channel::Rtp, &self.rtp_latch),
            RtcpTransport::Separate => (Channel::Rtcp, &self.rtcp_latch),
        };
        if let (Some(data), Some(to)) = (sealed, latch.address()) {
            sink(RtpOutput::Packet { channel, to, data });
        }
    }

    pub(super) fn receive_rtcp(&mut self, now: Instant, data: &[u8], sink: &mut dyn FnMut(RtpOutput)) {
        let mut messages = Vec::new();
        self.stats.malformed += rtcp::parse(data, |message| messages.push(message));
        for message in messages {
            self.take_message(now, message, sink);
        }
    }

    fn take_message(&mut self, now: Instant, message: Message, sink: &mut dyn FnMut(RtpOutput)) {
        match message {
            Message::SenderInfo(info) => self.take_sender_info(now, &info),
            Message::Report(report) if report.about == self.send.ssrc => self.take_report(now, &report, sink),
            Message::Bye { ssrc } if self.recv.reception.as_ref().is_some_and(|r| r.ssrc == ssrc) => {
                sink(RtpOutput::Bye);
            }
            // some peers name no or the wrong source; there is only one picture to ask for
            Message::Pli { .. } if self.asked.pli(now, self.stats.round_trip) => {
                sink(RtpOutput::KeyframeWanted);
            }
            Message::Fir { sequence, .. } if self.asked.fir(now, sequence, self.stats.round_trip) => {
                sink(RtpOutput::KeyframeWanted);
            }
            Message::Tmmbr { from, about, bps } if about == self.send.ssrc => {
                let told = self.bandwidth.tmmbr(bps);
                self.put_rtcp(now, |compound| compound.tmmbn(from, bps), sink);
                self.tell_bandwidth(told, sink);
            }
            Message::Remb { bps } => {
                let told = self.bandwidth.remb(bps);
                self.tell_bandwidth(told, sink);
            }
            Message::Report(_)
            | Message::Cname { .. }
            | Message::Bye { .. }
            | Message::Pli { .. }
            | Message::Fir { .. }
            | Message::Nack { .. }
            | Message::Tmmbr { .. } => {}
        }
    }

    fn take_sender_info(&mut self, now: Instant, info: &SenderInfo) {
        let time = MediaTime::at(self.epoch, now);
        let Some(reception) = self.recv.reception.as_mut().filter(|r| r.ssrc == info.ssrc) else { return };
        reception.sender_report(info.ntp, middle(time));
        if let Some(clock) = &mut self.recv.clock {
            clock.report(time, info.ntp, info.timestamp);
        }
    }

    fn take_report(&mut self, now: Instant, report: &Report, sink: &mut dyn FnMut(RtpOutput)) {
        let time = MediaTime::at(self.epoch, now);
        if report.last_sr != 0 {
            // our clock's middle, as in the sender report that is meant
            let here = (ntp(time) >> 16) as u32;
            let trip = here.wrapping_sub(report.last_sr).wrapping_sub(report.delay_since_last_sr);
            // a peer whose clock ticks a little faster than ours makes a short trip negative
            let trip = if trip > u32::MAX - (1 << 16) { 0 } else { trip };
            if trip < MAX_ROUND_TRIP {
                self.stats.round_trip = Some(Duration::from_secs_f64(f64::from(trip) / 65_536.0));
            }
        }
        self.stats.sent_lost = u64::try_from(report.lost).unwrap_or(0);
        if let Some(format) = &self.config.send {
            let clock = f64::from(format.codec.rtp_clock());
            self.stats.sent_jitter = Duration::from_secs_f64(f64::from(report.jitter) / clock);
        }
        let told = self.bandwidth.loss(now, report.fraction_lost);
        self.tell_bandwidth(told, sink);
        if self.config.kind == MediaKind::Audio
            && let Some(percent) = self.expected_loss.report(now, f32::from(report.fraction_lost) / 256.0)
        {
            sink(RtpOutput::SoundLoss(percent));
        }
        if self.config.kind != MediaKind::Audio && self.asked.report(now, report.fraction_lost) {
            sink(RtpOutput::KeyframeWanted);
        }
    }

    fn tell_bandwidth(&self, told: Option<u64>, sink: &mut dyn FnMut(RtpOutput)) {
        if let (Some(bps), MediaKind::Video | MediaKind::Content) = (told, self.config.kind) {
            sink(RtpOutput::Bandwidth(bps));
        }
    }
}

/// A moment in 65536ths of a second, as LSR and DLSR count.
fn middle(time: MediaTime) -> u32 {
    (ntp(time) >> 16) as u32
}
