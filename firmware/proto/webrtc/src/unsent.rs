//! Streams that have sent nothing yet are kept from str0m.
//!
//! A sender report says which moment an RTP timestamp stands for (RFC 3550 6.4.1), and receivers learn a sender's clock from
//! the first few. str0m reports on every stream from the moment the session stands, and of one without a packet it says that
//! its time is 0 now; the first true report comes up to a second after the first packet. So each stream is taken away at
//! first and given back with its first frame: then its first report is true, and leaves right after its first packet.

use str0m::Rtc;
use str0m::media::{Mid, Rid};
use str0m::rtp::Ssrc;

/// The streams that wait for their first frame.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    mid: Mid,
    rid: Option<Rid>,
    ssrc: Ssrc,
    repair: Option<Ssrc>,
}

impl Unsent {
    /// Takes the stream of `mid`, and of its layer `rid`, away from str0m.
    pub fn withhold(&mut self, rtc: &mut Rtc, mid: Mid, rid: Option<Rid>) {
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, rid) else { return };
        let (ssrc, repair) = (stream.ssrc(), stream.rtx());
        api.remove_stream_tx(ssrc);
        self.streams.push(Stream { mid, rid, ssrc, repair });
    }

    /// Gives the stream back: a frame of it is about to be written.
    pub fn begin(&mut self, rtc: &mut Rtc, mid: Mid, rid: Option<Rid>) {
        let at = self.streams.iter().position(|stream| (stream.mid, stream.rid) == (mid, rid));
        if let Some(Stream { ssrc, repair, .. }) = at.map(|at| self.streams.swap_remove(at)) {
            rtc.direct_api().declare_stream_tx(ssrc, repair, mid, rid);
        }
    }
}
