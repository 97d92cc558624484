//! The way to the conference: TCP to its address, and UDP to the ports its media come from (W6), each from the ports that
//! the gateway's own connections leave by.

use super::{Step, Went, milliseconds, names};
use crate::world::{PortRange, World};
use domain::appliance::stun::{Answer, Question};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, UdpSocket};

/// Longest wait for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Questions that are sent before UDP counts as silent.
const TRIES: u32 = 3;
/// The first port of a conference's media (REQUIREMENTS W6).
const MEDIA_PORT: u16 = 19_302;
/// Ports that are tried to leave by before any will do.
const LEAVE: u16 = 16;

/// Tries the way to every conference, or to one URL.
pub(super) async fn test(to: Option<&str>, world: &World) -> Vec<Step> {
    let configured = &world.configured;
    let conferences = match to {
        Some(url) => vec![("Conference".to_owned(), url.to_owned())],
        None => configured.connectors.clone(),
    };
    if conferences.is_empty() {
        let said = "none is configured; add [[connectors]], or give one: test conference <url>";
        return vec![Step::new("Conference", Went::Badly, said)];
    }
    let mut steps = Vec::new();
    for (name, url) in conferences.iter().take(4) {
        let Some((host, port)) = host_of(url) else {
            steps.push(Step::new(
                name.as_str(),
                Went::Badly,
                "that is no https URL; write https://conference.example.com",
            ));
            continue;
        };
        match find(host).await {
            Ok(addresses) => {
                let at = addresses[0];
                steps.push(tcp(name, host, SocketAddr::new(at, port), configured.signalling).await);
                steps.push(udp(name, SocketAddr::new(at, MEDIA_PORT), configured.media).await);
            }
            Err(why) => steps.push(Step::new(name.as_str(), Went::Badly, why)),
        }
    }
    steps
}

async fn find(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => vec![address],
        Err(_) => names::addresses(&names::resolver()?, host).await?,
    };
    if found.is_empty() { Err(format!("{host} has no address")) } else { Ok(found) }
}

/// Host and port of an https URL.
fn host_of(url: &str) -> Option<(&str, u16)> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.contains('@'))?;
    let fine = |host: &str| {
        !host.is_empty()
            && host.len() <= 255
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (authority, 443),
    };
    fine(host).then_some((host, port))
}

async fn tcp(name: &str, host: &str, at: SocketAddr, from: PortRange) -> Step {
    let what = format!("{name}, TCP {}", at.port());
    let begun = Instant::now();
    let connected = tokio::time::timeout(PATIENCE, connect(at, from)).await;
    match connected {
        Ok(Ok(port)) => {
            let time = milliseconds(begun.elapsed());
            Step::new(what, Went::Well, format!("{host} ({at}) is connected in {time}, from port {port}"))
        }
        Ok(Err(error)) => Step::new(
            what,
            Went::Badly,
            format!("{host} ({at}) is not reached ({error}); is TCP {} let out?", at.port()),
        ),
        Err(_) => {
            let said = format!(
                "{host} ({at}) does not answer within {} s; is TCP {} let out?",
                PATIENCE.as_secs(),
                at.port()
            );
            Step::new(what, Went::Badly, said)
        }
    }
}

/// Connects from one of the ports of `from` where one is free, and says which.
async fn connect(at: SocketAddr, from: PortRange) -> io::Result<u16> {
    for port in leaving(from) {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A port of a connection before may be used again for another peer.
        socket.set_reuseaddr(true)?;
        if socket.bind(SocketAddr::new(any(at), port)).is_err() {
            continue;
        }
        match socket.connect(at).await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    || error.kind() == io::ErrorKind::AddrNotAvailable => {}
            connected => return connected.and_then(|stream| stream.local_addr()).map(|local| local.port()),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free to leave by"))
}

/// Ports to leave by: some of the range from a random one on, and then whichever the system gives.
fn leaving(from: PortRange) -> impl Iterator<Item = u16> {
    let seed = crate::store::seed().0;
    let count = u32::from(from.last - from.first) + 1;
    let start = u32::from(u16::from_le_bytes([seed[0], seed[1]])) % count;
    let within = move |step: u16| from.first + u16::try_from((start + u32::from(step)) % count).unwrap_or(0);
    (0..LEAVE).map(within).chain([0])
}

fn any(at: SocketAddr) -> IpAddr {
    if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

async fn udp(name: &str, at: SocketAddr, from: PortRange) -> Step {
    let what = format!("{name}, UDP {}", at.port());
    match ask(at, from).await {
        Ok(Some((Answer::SeenFrom(seen), time))) => Step::new(
            what,
            Went::Well,
            format!("{at} answers in {}; we are seen as {seen}", milliseconds(time)),
        ),
        Ok(Some((Answer::Refused, time))) => Step::new(
            what,
            Went::Well,
            format!("{at} answers in {}, though not where we are seen", milliseconds(time)),
        ),
        Ok(None) => {
            let said = format!(
                "{at} does not answer STUN: UDP {}-{} is not let out, or nobody answers it there",
                MEDIA_PORT,
                MEDIA_PORT + 7
            );
            Step::new(what, Went::Unknown, said)
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Step::new(
            what,
            Went::Well,
            format!("UDP comes to {at}, which says that nobody listens there now"),
        ),
        Err(error) => Step::new(what, Went::Badly, format!("{at} is not reached ({error})")),
    }
}

/// Asks by STUN from where we are seen; `None` if nobody answers.
async fn ask(at: SocketAddr, from: PortRange) -> io::Result<Option<(Answer, Duration)>> {
    let mut bound = None;
    for port in leaving(from) {
        if let Ok(socket) = UdpSocket::bind(SocketAddr::new(any(at), port)).await {
            bound = Some(socket);
            break;
        }
    }
    let socket =
        bound.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "no port is free to leave by"))?;
    socket.connect(at).await?;
    let seed = crate::store::seed().0;
    let question = Question::new(std::array::from_fn(|index| seed[index]));
    let mut packet = [0; 512];
    for _ in 0..TRIES {
        let sent = Instant::now();
        socket.send(&question.packet()).await?;
        let heard = tokio::time::timeout(PATIENCE / TRIES, async {
            loop {
                let count = socket.recv(&mut packet).await?;
                if let Some(answer) = question.read(&packet[..count]) {
                    return Ok::<_, io::Error>(answer);
                }
            }
        });
        if let Ok(answer) = heard.await {
            return answer.map(|answer| Some((answer, sent.elapsed())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Configured;

    fn run<T>(test: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    fn ports() -> PortRange {
        PortRange { first: 33_000, last: 39_999 }
    }

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(host_of("https://c.example"), Some(("c.example", 443)));
        assert_eq!(host_of("https://c.example:8443/a/b"), Some(("c.example", 8_443)));
        assert_eq!(host_of("https://[2001:db8::1]:8443"), Some(("[2001:db8::1]", 8_443)));
        assert_eq!(host_of("https://[2001:db8::1]/"), Some(("[2001:db8::1]", 443)));
        for wrong in
            ["http://c.example", "https://", "https://me:x@c.example", "https://c:0", "https://a b", "x"]
        {
            assert_eq!(host_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_conference_that_is_there_is_reached_from_the_gateways_own_ports() {
        run(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let step = tcp("meet", "c.example", at, ports()).await;
            assert_eq!(step.went, Went::Well, "{}", step.said);
            let (_, from) = listener.accept().await.unwrap();
            assert!((33_000..=39_999).contains(&from.port()), "{from}");
            drop(listener);
            let step = tcp("meet", "c.example", at, ports()).await;
            assert_eq!(step.went, Went::Badly);
            assert!(step.said.contains("is TCP"), "{}", step.said);
        });
    }

    #[test]
    fn udp_is_tried_by_stun() {
        run(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let at = server.local_addr().unwrap();
            tokio::spawn(async move {
                let mut packet = [0; 64];
                let (_, from) = server.recv_from(&mut packet).await.unwrap();
                let SocketAddr::V4(from4) = from else { unreachable!("loopback is IPv4") };
                // A Binding success with XOR-MAPPED-ADDRESS (RFC 8489 14.2).
                let mut answer = packet[..20].to_vec();
                (answer[0], answer[1], answer[3]) = (1, 1, 12);
                answer.extend([0, 0x20, 0, 8, 0, 1]);
                answer.extend((from.port() ^ 0x2112).to_be_bytes());
                answer.extend((u32::from(*from4.ip()) ^ 0x2112_a442).to_be_bytes());
                server.send_to(b"noise", from).await.unwrap();
                server.send_to(&answer, from).await.unwrap();
            });
            let step = udp("meet", at, ports()).await;
            assert_eq!(step.went, Went::Well);
            assert!(step.said.contains("we are seen as 127.0.0.1:"), "{}", step.said);
            let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let step = udp("meet", gone, ports()).await;
            assert!(step.said.contains("nobody listens there now"), "{}", step.said);
        });
    }

    #[test]
    fn without_a_conference_or_with_a_wrong_url_the_way_out_is_told() {
        assert!(run(test(None, &World::default()))[0].said.contains("test conference <url>"));
        let connectors = vec![("meet".to_owned(), "https://me:pw@c.example".to_owned())];
        let world =
            World { configured: Configured { connectors, ..Configured::default() }, ..World::default() };
        let step = &run(test(None, &world))[0];
        assert!(step.went == Went::Badly && !step.said.contains("pw"), "{}", step.said);
    }
}
