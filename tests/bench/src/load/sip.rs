//! As much SIP as a room needs to call: INVITE, ACK, BYE over UDP (RFC 3261), offer and answer (RFC 3264).

use anyhow::{Context, Result, bail, ensure};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// T1 of RFC 3261.
const T1: Duration = Duration::from_millis(500);
/// Longest a call may take to be answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A dialog that is up.
pub struct Dialog {
    socket: UdpSocket,
    proxy: SocketAddr,
    call_id: String,
    from: String,
    to: String,
    target: String,
    cseq: u32,
    /// What the far side answered.
    pub answer: Answer,
    /// From the INVITE to its 200.
    pub answered_after: Duration,
}

/// Where media go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Sound.
    pub audio: Option<SocketAddr>,
    /// Pictures.
    pub video: Option<SocketAddr>,
}

impl Dialog {
    /// Calls `alias` (`user@domain`) at `proxy` with `offer`.
    ///
    /// # Errors
    /// If the call is refused or not answered.
    pub fn invite(proxy: SocketAddr, alias: &str, offer: &str) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket for SIP")?;
        let local = socket.local_addr()?;
        let tag = local.port();
        let mut dialog = Self {
            socket,
            proxy,
            call_id: format!("bench-{tag}-{}@127.0.0.1", std::process::id()),
            from: format!("\"Bench\" <sip:bench@{local}>;tag=b{tag}"),
            to: format!("<sip:{alias}>"),
            target: format!("sip:{alias}"),
            cseq: 1,
            answer: Answer { audio: None, video: None },
            answered_after: Duration::ZERO,
        };
        let began = Instant::now();
        let invite = dialog.request("INVITE", "z9hG4bKinvite", offer);
        let ok = dialog.exchange(&invite, ANSWER_WITHIN)?;
        dialog.answered_after = began.elapsed();
        ensure!(status(&ok) == Some(200), "the call was refused: {}", ok.lines().next().unwrap_or_default());
        dialog.to = header(&ok, "To").context("200 without To")?.to_owned();
        let contact = header(&ok, "Contact").context("200 without Contact")?;
        dialog.target = contact.split(['<', '>']).nth(1).unwrap_or(contact).to_owned();
        dialog.answer = answer(&ok)?;
        let ack = dialog.request("ACK", "z9hG4bKack", "");
        dialog.socket.send_to(ack.as_bytes(), proxy)?;
        dialog.socket.set_nonblocking(true)?;
        Ok(dialog)
    }

    /// Its socket, to wait on.
    #[must_use]
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Answers what came in the dialog; true if the far side hung up.
    pub fn serve(&mut self) -> bool {
        let (mut buffer, mut over) = ([0; 8_192], false);
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            match message.split(' ').next() {
                // its ACK was lost
                Some("SIP/2.0") if status(&message) == Some(200) && message.contains(" INVITE") => {
                    let ack = self.request("ACK", "z9hG4bKack", "");
                    drop(self.socket.send_to(ack.as_bytes(), self.proxy));
                }
                Some("SIP/2.0" | "ACK") => {}
                Some(method) => {
                    over |= method == "BYE";
                    drop(self.socket.send_to(ok_to(&message).as_bytes(), from));
                }
                None => {}
            }
        }
        over
    }

    /// Hangs up.
    ///
    /// # Errors
    /// If the far side does not answer.
    pub fn bye(&mut self) -> Result<()> {
        self.cseq += 1;
        let bye = self.request("BYE", "z9hG4bKbye", "");
        self.socket.set_nonblocking(false)?;
        self.exchange(&bye, Duration::from_secs(5)).map(|_| ())
    }

    /// Sends until a final response comes.
    fn exchange(&self, request: &str, limit: Duration) -> Result<String> {
        let (began, mut buffer) = (Instant::now(), [0; 16_384]);
        let (mut sent, mut heard) = (None::<Instant>, false);
        while began.elapsed() < limit {
            if !heard && sent.is_none_or(|at| at.elapsed() >= T1) {
                self.socket.send_to(request.as_bytes(), self.proxy)?;
                sent = Some(Instant::now());
            }
            self.socket.set_read_timeout(Some(T1))?;
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            match status(&message) {
                Some(100..=199) => heard = true,
                Some(_) => return Ok(message),
                None => {
                    self.socket.send_to(ok_to(&message).as_bytes(), self.proxy)?;
                }
            }
        }
        bail!("{} was not answered within {limit:?}", request.lines().next().unwrap_or_default())
    }

    fn request(&self, method: &str, branch: &str, body: &str) -> String {
        let local = self.socket.local_addr().map_or_else(|_| String::new(), |local| local.to_string());
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch}{};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContact: <sip:bench@{local}>\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.target,
            self.cseq,
            self.from,
            self.to,
            self.call_id,
            self.cseq,
            body.len()
        )
    }
}

fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let prefix = format!("{name}: ");
    message.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(&prefix))
}

fn ok_to(request: &str) -> String {
    let mut response = String::from("SIP/2.0 200 OK\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            response.push_str(line);
            response.push_str("\r\n");
        }
    }
    response + "Content-Length: 0\r\n\r\n"
}

fn answer(message: &str) -> Result<Answer> {
    let body = message.split_once("\r\n\r\n").context("200 without a description")?.1;
    let (mut session, mut answer) = (None, Answer { audio: None, video: None });
    let mut media: Option<(&str, u16)> = None;
    for line in body.lines().chain(["m=end 0"]) {
        if let Some(address) = line.strip_prefix("c=IN IP4 ") {
            session = session.or_else(|| address.trim().parse().ok());
        }
        let Some(rest) = line.strip_prefix("m=") else { continue };
        if let (Some((kind, port)), Some(ip)) = (media.filter(|media| media.1 != 0), session) {
            let to = Some(SocketAddr::new(ip, port));
            match kind {
                "audio" => answer.audio = to,
                "video" => answer.video = to,
                _ => {}
            }
        }
        let mut words = rest.split(' ');
        media = words.next().zip(words.next().and_then(|port| port.parse().ok()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_where_media_go_and_which_are_declined() {
        let ok = "SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=1\r\n\r\nv=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5000 RTP/AVP 9\r\nm=video 0 RTP/AVP 97\r\n";
        let answer = answer(ok).expect("an answer");
        assert_eq!(answer.audio, "10.0.0.1:5000".parse().ok());
        assert_eq!(answer.video, None);
        assert_eq!((status(ok), header(ok, "To")), (Some(200), Some("<sip:a@b>;tag=1")));
    }
}
