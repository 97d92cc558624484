//! From a [`SessionDescription`] to bytes, in RFC 8866's order of lines.

use crate::description::{Bandwidth, Direction, Feedback, Format, Media, Rtcp, SessionDescription};
use sdp_types::{AddrType, NetType};
use std::net::IpAddr;

impl SessionDescription {
    /// The text, for a body of `application/sdp`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let origin = sdp_types::Origin::with_ip_addr(&self.origin.id, self.origin.version, self.origin.addr);
        let name = if self.name.is_empty() { "-" } else { &self.name };
        let mut session = sdp_types::Session::new(origin, name);
        session.connection = Some(connection(self.origin.addr));
        session.bandwidths = bandwidths(&self.bandwidth);
        session.medias = self.media.iter().map(media).collect();
        let mut bytes = Vec::new();
        match session.write(&mut bytes) {
            Ok(()) => bytes,
            Err(error) => unreachable!("writing to memory cannot fail: {error}"),
        }
    }
}

fn connection(addr: IpAddr) -> sdp_types::Connection {
    let family = if addr.is_ipv4() { AddrType::Ip4 } else { AddrType::Ip6 };
    sdp_types::Connection::new(NetType::In, family, addr)
}

fn bandwidths(bandwidth: &Bandwidth) -> Vec<sdp_types::Bandwidth> {
    let line = |name: &str, value: Option<u64>| {
        value.map(|bandwidth| sdp_types::Bandwidth { bwtype: name.to_owned(), bandwidth })
    };
    [line("AS", bandwidth.as_kbps), line("TIAS", bandwidth.tias_bps)].into_iter().flatten().collect()
}

fn media(media: &Media) -> sdp_types::Media {
    let attributes = if media.port == 0 { Vec::new() } else { attributes(media) };
    sdp_types::Media {
        media: media.name.clone(),
        port: media.port,
        num_ports: None,
        proto: media.proto.to_string(),
        fmt: media.fmt.clone(),
        media_title: None,
        connections: media.addr.map(connection).into_iter().collect(),
        bandwidths: bandwidths(&media.bandwidth),
        key: None,
        attributes,
    }
}

fn attributes(media: &Media) -> Vec<sdp_types::Attribute> {
    let mut out = Vec::new();
    for format in &media.formats {
        format_lines(format, &mut out);
    }
    let mut valued = |name: &str, value: Option<String>| {
        out.extend(value.map(|value| sdp_types::Attribute::with_value(name, value)));
    };
    valued("ptime", media.ptime.map(|ms| ms.to_string()));
    valued("maxptime", media.max_ptime.map(|ms| ms.to_string()));
    valued("rtcp", media.rtcp.map(rtcp));
    for crypto in &media.crypto {
        valued("crypto", Some(crypto.expose().clone()));
    }
    valued("content", media.content.clone());
    valued("label", media.label.clone());
    if media.rtcp_mux {
        out.push(sdp_types::Attribute::new("rtcp-mux"));
    }
    out.push(sdp_types::Attribute::new(Direction::name(media.direction)));
    out
}

fn rtcp(rtcp: Rtcp) -> String {
    match rtcp.addr {
        Some(addr) => format!("{} IN {} {addr}", rtcp.port, if addr.is_ipv4() { "IP4" } else { "IP6" }),
        None => rtcp.port.to_string(),
    }
}

fn format_lines(format: &Format, out: &mut Vec<sdp_types::Attribute>) {
    let pt = format.pt;
    if !format.name.is_empty() {
        let channels = format.channels.map(|channels| format!("/{channels}")).unwrap_or_default();
        let map = format!("{pt} {}/{}{channels}", format.name, format.clock);
        out.push(sdp_types::Attribute::with_value("rtpmap", map));
    }
    if let Some(fmtp) = &format.fmtp {
        out.push(sdp_types::Attribute::with_value("fmtp", format!("{pt} {fmtp}")));
    }
    for name in feedback_names(format.feedback) {
        out.push(sdp_types::Attribute::with_value("rtcp-fb", format!("{pt} {name}")));
    }
}

fn feedback_names(feedback: Feedback) -> impl Iterator<Item = &'static str> {
    [
        (feedback.nack, "nack"),
        (feedback.pli, "nack pli"),
        (feedback.fir, "ccm fir"),
        (feedback.tmmbr, "ccm tmmbr"),
        (feedback.remb, "goog-remb"),
    ]
    .into_iter()
    .filter_map(|(has, name)| has.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_written_is_read_the_same() {
        let text = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=x\r\nc=IN IP4 10.0.0.1\r\nb=AS:2000\r\nt=0 0\r\n\
            m=audio 4000 RTP/SAVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n\
            a=rtcp:4009 IN IP6 2001:db8::1\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n\
            m=application 0 UDP/BFCP *\r\n\
            m=video 4002 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f\r\n\
            b=TIAS:900000\r\na=rtcp-fb:96 nack pli\r\na=rtcp-mux\r\na=content:main\r\na=label:11\r\na=sendonly\r\n";
        let read = SessionDescription::parse(text.as_bytes()).unwrap();
        let again = SessionDescription::parse(&read.to_bytes()).unwrap();
        assert_eq!(read, again);
    }
}
