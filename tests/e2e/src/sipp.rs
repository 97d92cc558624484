//! A room played from a script: sipp, with pictures and sound from a generated capture. For what baresip can't be made to
//! do: packetization-mode 1, silence in mid call, messages out of order.

use crate::lab::{Lab, free_port};
use crate::process::{Process, eventually};
use crate::wire::{self, Played, pack_h264, pack_pcmu};
use crate::{picture, sound};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Payload type of H.264 in the descriptions below.
pub const H264: u8 = 97;
/// The file that [`play`] plays, in the script's folder.
pub const CAPTURE: &str = "media.pcap";

/// A running sipp.
pub struct Sipp {
    process: Process,
    folder: PathBuf,
    /// Its port for sound (RTP); pictures are two above.
    pub media_port: u16,
}

/// Makes the capture a script plays with [`play`]: sound (G.711 µ-law) and pictures (H.264, FU-A and STAP-A), flash and beep
/// together, `seconds` long. One file, because sipp plays only one at a time.
///
/// # Errors
/// If ffmpeg fails or a file cannot be written.
pub fn make_captures(folder: &Path, size: (usize, usize), seconds: u16) -> Result<()> {
    let pictures = make_pictures(folder, size, seconds)?;
    let sound = sound::tone(8_000, f32::from(seconds), crate::room::ROOM_HZ, true);
    wire::write_pcap(&[pack_pcmu(&sound), pictures], &folder.join(CAPTURE))
}

/// Only the pictures of [`make_captures`], which stand alone every two seconds.
///
/// # Errors
/// If ffmpeg fails.
pub fn make_pictures(folder: &Path, (width, height): (usize, usize), seconds: u16) -> Result<Vec<Played>> {
    let stream = folder.join("picture.h264");
    let file = stream.to_str().context("path is no text")?;
    let output = [
        "-c:v",
        "libx264",
        "-profile:v",
        "baseline",
        "-preset",
        "veryfast",
        "-tune",
        "zerolatency",
        "-b:v",
        "1500k",
        "-maxrate",
        "1500k",
        "-bufsize",
        "750k",
        "-g",
        "60",
        "-f",
        "h264",
        file,
    ];
    picture::make_video(width, height, 30, seconds * 30, &output)?;
    Ok(pack_h264(&std::fs::read(&stream)?, 30, H264))
}

/// As [`make_captures`], without pictures.
///
/// # Errors
/// If the file cannot be written.
pub fn make_sound(folder: &Path, seconds: u16) -> Result<()> {
    let sound = sound::tone(8_000, f32::from(seconds), crate::room::ROOM_HZ, true);
    wire::write_pcap(&[pack_pcmu(&sound)], &folder.join(CAPTURE))
}

impl Sipp {
    /// Runs the scenario `xml` once against `to`; `%FOLDER%` in it stands for the folder of its captures.
    ///
    /// # Errors
    /// If sipp cannot be started.
    pub fn start(lab: &Lab, name: &str, xml: &str, to: SocketAddr, more: &[&str]) -> Result<Self> {
        let folder = lab.folder(name)?;
        let scenario = folder.join("scenario.xml");
        std::fs::write(&scenario, xml.replace("%FOLDER%", &folder.display().to_string()))?;
        let (port, media_port) = (free_port()?, free_port()? & !1);
        let process = Process::start("sipp", |command| {
            command
                .current_dir(&folder)
                .arg(to.to_string())
                .arg("-sf")
                .arg(&scenario)
                .args(["-m", "1", "-l", "1", "-i", "127.0.0.1", "-p", &port.to_string()])
                .args(["-mi", "127.0.0.1", "-mp", &media_port.to_string()])
                .args(["-nostdin", "-trace_err", "-error_file", "errors.log"])
                .args(more);
        })?;
        Ok(Self { process, folder, media_port })
    }

    /// Waits until the script has come to its [`mark`] of this name.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn reached(&self, name: &str, limit: Duration) -> Result<()> {
        let file = self.folder.join(name);
        let what = format!("the script reaches {name:?}");
        let reached = eventually(&what, limit, || file.exists().then_some(()));
        reached.await.with_context(|| format!("sipp printed:\n{}", self.process.printed()))
    }

    /// Waits until the script is through.
    ///
    /// # Errors
    /// If it is not within `limit`, or something else than it expects came.
    pub fn finish(mut self, limit: Duration) -> Result<()> {
        let status = self.process.wait(limit)?;
        ensure!(status.success(), "sipp's script failed ({status}):\n{}", self.process.printed());
        Ok(())
    }

    /// The process, for signals.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }
}

/// An INVITE with sound (G.711 µ-law) and pictures (H.264, packetization-mode 1); `[media_port]` and two above.
#[must_use]
pub fn invite(alias_user: &str, domain: &str) -> String {
    invite_with(alias_user, domain, "Supported: timer", &offer(""))
}

/// An INVITE with further headers and the description `body`, which may be empty.
#[must_use]
pub fn invite_with(alias_user: &str, domain: &str, headers: &str, body: &str) -> String {
    format!(
        "<send retrans=\"500\"><![CDATA[
INVITE sip:{alias_user}@{domain} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: \"Script\" <sip:script@[local_ip]:[local_port]>;tag=[pid]s[call_number]
To: <sip:{alias_user}@{domain}>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:script@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE
{headers}
{}
]]></send>",
        with_description(body)
    )
}

/// The headers of a description and it; of no body if it is empty. For the end of [`in_dialog`].
#[must_use]
pub fn with_description(body: &str) -> String {
    match body {
        "" => "Content-Length: 0\n".to_owned(),
        body => format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{body}"),
    }
}

/// A request outside any dialog, `headers` before an empty line.
#[must_use]
pub fn outside_dialog(method: &str, to: &str, cseq: u32, headers: &str) -> String {
    format!(
        "<send retrans=\"500\"><![CDATA[
{method} {to} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: \"Script\" <sip:script@[local_ip]:[local_port]>;tag=[pid]s[call_number]
To: <{to}>
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:script@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{headers}Content-Length: 0

]]></send>"
    )
}

/// A description of sound alone: `formats` as on an m-line, then attributes of it, received at `port`.
#[must_use]
pub fn sound_only(version: u32, host: &str, port: &str, formats: &str, attributes: &str) -> String {
    format!(
        "v=0
o=script 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP {formats}
{attributes}"
    )
}

/// The description of [`invite`], with `more` lines at its end.
#[must_use]
pub fn offer(more: &str) -> String {
    format!(
        "v=0
o=script 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
m=video [media_port+2] RTP/AVP {H264}
b=TIAS:1500000
a=rtpmap:{H264} H264/90000
a=fmtp:{H264} profile-level-id=42801f;packetization-mode=1
a=rtcp-fb:{H264} nack pli
a=rtcp-fb:{H264} ccm fir
{more}"
    )
}

/// A request in the dialog, `body` without or with headers of its own before an empty line.
#[must_use]
pub fn in_dialog(method: &str, cseq: u32, rest: &str) -> String {
    let retrans = if method == "ACK" { "" } else { " retrans=\"500\"" };
    format!(
        "<send{retrans}><![CDATA[
{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
From: \"Script\" <sip:script@[local_ip]:[local_port]>;tag=[pid]s[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:script@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{rest}
]]></send>"
    )
}

/// CANCEL of [`invite`], in its own transaction's branch.
#[must_use]
pub fn cancel(alias_user: &str, domain: &str) -> String {
    of_invite("CANCEL", alias_user, domain, &format!("To: <sip:{alias_user}@{domain}>"))
}

/// ACK of a refusal of [`invite`], in its own transaction's branch.
#[must_use]
pub fn ack_to_failure(alias_user: &str, domain: &str) -> String {
    of_invite("ACK", alias_user, domain, "[last_To:]")
}

/// CANCEL and the ACK of a refusal share Via, Call-ID and CSeq number with their INVITE (RFC 3261 9.1, 17.1.1.3).
fn of_invite(method: &str, alias_user: &str, domain: &str, to: &str) -> String {
    format!(
        "<send><![CDATA[
{method} sip:{alias_user}@{domain} SIP/2.0
[last_Via:]
From: \"Script\" <sip:script@[local_ip]:[local_port]>;tag=[pid]s[call_number]
{to}
Call-ID: [call_id]
CSeq: 1 {method}
Max-Forwards: 70
Content-Length: 0

]]></send>"
    )
}

/// Answers the request that came last with 200.
#[must_use]
pub fn answer_ok() -> String {
    "<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>"
        .to_owned()
}

/// Waits for a response.
#[must_use]
pub fn expect(status: u16) -> String {
    format!("<recv response=\"{status}\" rrs=\"true\"/>")
}

const PROVISIONAL: &str = "<recv response=\"100\" optional=\"true\"/><recv response=\"180\" optional=\"true\"/>\
     <recv response=\"183\" optional=\"true\"/>";

fn of_final(status: u16) -> String {
    // sipp gives up on a message without Contact when it is told to keep its route set.
    let keep = if status < 300 { " rrs=\"true\"" } else { "" };
    format!("response=\"{status}\"{keep}")
}

/// Tells the test that the script is here: see [`Sipp::reached`].
#[must_use]
pub fn mark(name: &str) -> String {
    format!("<nop><action><exec command=\"touch %FOLDER%/{name}\"/></action></nop>")
}

/// Lets provisional responses come, then waits for `status`.
#[must_use]
pub fn expect_final(status: u16) -> String {
    format!("{PROVISIONAL}<recv {}/>", of_final(status))
}

/// Plays the capture from now on. Pictures go two ports above sound, so both ends must have them there.
#[must_use]
pub fn play() -> &'static str {
    "<nop><action><exec play_pcap_audio=\"%FOLDER%/media.pcap\"/></action></nop>"
}

/// Does nothing for `milliseconds`.
#[must_use]
pub fn pause(milliseconds: u32) -> String {
    format!("<pause milliseconds=\"{milliseconds}\"/>")
}

/// A whole scenario out of its steps.
#[must_use]
pub fn scenario(steps: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"room\">\n{}\n</scenario>\n",
        steps.join("\n")
    )
}
