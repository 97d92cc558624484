//! SIP as the referee saw it on the wire: whole messages in the order they were captured.

use crate::referee::Evidence;
use anyhow::{Context, Result};

/// One SIP message over UDP.
#[derive(Debug, Clone, PartialEq)]
pub struct SipMessage {
    /// Seconds since the epoch.
    pub at: f64,
    /// UDP port it left from.
    pub from: u16,
    /// UDP port it went to.
    pub to: u16,
    /// All of it.
    pub text: String,
}

impl SipMessage {
    /// `INVITE`, or `200 INVITE` for its answer.
    #[must_use]
    pub fn name(&self) -> String {
        let first = self.text.split(' ').next().unwrap_or_default();
        let method = self.header("CSeq").and_then(|cseq| cseq.split(' ').nth(1)).unwrap_or_default();
        match self.text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.split(' ').next()) {
            Some(status) => format!("{status} {method}"),
            None => first.to_owned(),
        }
    }

    /// The value of its first header of this name, written in full.
    #[must_use]
    pub fn header<'m>(&'m self, name: &'m str) -> Option<&'m str> {
        self.headers(name).next()
    }

    /// The values of all its headers of this name, in order.
    pub fn headers<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().skip(1).filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The media lines of its description, each with its attributes, from `m=` on.
    #[must_use]
    pub fn media(&self) -> Vec<&str> {
        let body = self.body();
        let starts: Vec<usize> =
            body.match_indices("m=").map(|(at, _)| at).filter(|at| line_start(body, *at)).collect();
        let ends = starts.iter().skip(1).copied().chain([body.len()]);
        starts.iter().zip(ends).map(|(start, end)| &body[*start..end]).collect()
    }

    /// The port on its media line `line`; 0 if it is declined or not there.
    #[must_use]
    pub fn media_port(&self, line: usize) -> u16 {
        let port = self.media().get(line).and_then(|media| media.split(' ').nth(1)?.parse().ok());
        port.unwrap_or_default()
    }
}

fn line_start(text: &str, at: usize) -> bool {
    at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n')
}

/// All SIP messages to or from the gateway's UDP port `port`.
///
/// # Errors
/// If tshark refuses.
pub fn messages(evidence: &Evidence, port: u16) -> Result<Vec<SipMessage>> {
    let decode = [format!("udp.port=={port},sip")];
    let fields = ["frame.time_epoch", "udp.srcport", "udp.dstport", "udp.payload"];
    let rows = evidence.fields(&format!("sip && udp.port=={port}"), &decode, &fields)?;
    Ok(rows.iter().filter_map(|row| parse(row)).collect())
}

/// The first message called `name`, such as `180 INVITE`.
///
/// # Errors
/// If there is none.
pub fn first<'m>(messages: &'m [SipMessage], name: &str) -> Result<&'m SipMessage> {
    nth(messages, name, 0)
}

/// The message called `name` that comes after `skip` others of that name.
///
/// # Errors
/// If there is none.
pub fn nth<'m>(messages: &'m [SipMessage], name: &str, skip: usize) -> Result<&'m SipMessage> {
    messages.iter().filter(|message| message.name() == name).nth(skip).with_context(|| {
        let seen: Vec<_> = messages.iter().map(SipMessage::name).collect();
        format!("no {name} after {skip} others; on the wire: {seen:?}")
    })
}

fn parse(row: &[String]) -> Option<SipMessage> {
    let [at, from, to, payload] = row else { return None };
    let hex = payload.replace(':', "");
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map_while(byte).collect();
    Some(SipMessage {
        at: at.parse().ok()?,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_media_lines_are_found_in_a_message() {
        let text = "SIP/2.0 200 OK\r\nCSeq: 2 INVITE\r\nReason: a\r\nreason: b\r\n\r\n\
                    v=0\r\ns=m=no\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\nm=video 0 RTP/AVP 97\r\n";
        let message = SipMessage { at: 0.0, from: 1, to: 2, text: text.to_owned() };
        assert_eq!(message.name(), "200 INVITE");
        assert_eq!(message.headers("Reason").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((message.media().len(), message.media_port(0), message.media_port(1)), (2, 4000, 0));
        assert!(message.media()[0].contains("a=sendonly"));
    }
}
