//! The way to the time: how far the box's clock is from each server's.

use super::{Step, Went, milliseconds, names};
use domain::appliance::sntp::{PACKET_BYTES, Question, Reading, Useless};
use domain::appliance::values::Server;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tokio::net::UdpSocket;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that are sent before a server counts as silent.
const TRIES: usize = 2;
/// The port of NTP.
const PORT: u16 = 123;
/// A clock that is farther off than this is wrong: certificates and tokens are judged by it.
const FAR: Duration = Duration::from_secs(1);

/// Asks every server, or one.
pub(super) async fn test(to: Option<&str>, servers: &[Server]) -> Vec<Step> {
    let servers = match to.map(Server::parse) {
        Some(Ok(server)) => vec![server],
        Some(Err(why)) => return vec![Step::new("Time server", Went::Badly, why)],
        None => servers.to_vec(),
    };
    if servers.is_empty() {
        let said = "none is set, so the box asks those that the network names; give one: test ntp <server>";
        return vec![Step::new("Time server", Went::Unknown, said)];
    }
    let mut steps = Vec::new();
    for server in &servers {
        let name = server.to_string();
        steps.push(match address_of(server).await {
            Ok(address) => one(&name, SocketAddr::new(address, PORT)).await,
            Err(why) => Step::new(name, Went::Badly, why),
        });
    }
    steps
}

async fn address_of(server: &Server) -> Result<IpAddr, String> {
    match server {
        Server::Address(address) => Ok(*address),
        Server::Name(name) => {
            let found = names::addresses(&names::resolver()?, name.as_str()).await?;
            found.first().copied().ok_or_else(|| format!("{name} has no address"))
        }
    }
}

async fn one(name: &str, at: SocketAddr) -> Step {
    let mut last = format!("{at} does not answer; is UDP {} let through?", at.port());
    for _ in 0..TRIES {
        match tokio::time::timeout(PATIENCE, ask(at)).await {
            Ok(Ok(Ok(reading))) => return judge(name, &reading),
            Ok(Ok(Err(useless))) => last = format!("{at}: {useless}"),
            Ok(Err(error)) => last = format!("{at} is not reached ({error})"),
            Err(_) => {}
        }
    }
    Step::new(name, Went::Badly, last)
}

fn judge(name: &str, reading: &Reading) -> Step {
    let (apart, trip) = (reading.apart(), milliseconds(reading.round_trip));
    let way = if reading.offset_ns < 0 { "ahead" } else { "behind" };
    let far = if apart < FAR { milliseconds(apart) } else { format!("{:.1} s", apart.as_secs_f64()) };
    let said = format!("the box's clock is {far} {way} (stratum {}, round trip {trip})", reading.stratum);
    Step::new(name, if apart < FAR { Went::Well } else { Went::Badly }, said)
}

/// One question and its answer.
async fn ask(at: SocketAddr) -> std::io::Result<Result<Reading, Useless>> {
    let any: IpAddr = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(at).await?;
    let seed = crate::store::seed().0;
    let question = Question::new(u64::from_le_bytes(std::array::from_fn(|index| seed[index])));
    let sent = now();
    socket.send(&question.packet()).await?;
    let mut packet = [0; PACKET_BYTES * 4];
    loop {
        let count = socket.recv(&mut packet).await?;
        match question.read(&packet[..count], sent, now()) {
            // Somebody else's answer: ours may still come.
            Err(Useless::NotOurs) => {}
            read => return Ok(read),
        }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::appliance::sntp::stamp;

    /// A server whose clock is `ahead` of ours.
    async fn server(ahead: Duration, spoil: fn(&mut [u8; PACKET_BYTES])) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; PACKET_BYTES];
            while let Ok((_, from)) = socket.recv_from(&mut packet).await {
                let time = stamp(now() + ahead).to_be_bytes();
                let mut answer = [0; PACKET_BYTES];
                (answer[0], answer[1]) = (0x24, 2);
                answer[24..32].copy_from_slice(&packet[40..48]);
                answer[32..40].copy_from_slice(&time);
                answer[40..48].copy_from_slice(&time);
                spoil(&mut answer);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        at
    }

    fn run<T>(test: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn k7_a_clock_that_is_right_and_one_that_is_far_off_are_told_apart() {
        run(async {
            let right = one("ntp", server(Duration::ZERO, |_| ()).await).await;
            assert_eq!(right.went, Went::Well, "{}", right.said);
            let off = one("ntp", server(Duration::from_secs(3_600), |_| ()).await).await;
            assert_eq!(off.went, Went::Badly);
            assert!(off.said.starts_with("the box's clock is 3600.0 s behind (stratum 2"), "{}", off.said);
        });
    }

    #[test]
    fn a_server_that_is_not_in_sync_or_not_there_is_told() {
        run(async {
            let unset = one("ntp", server(Duration::ZERO, |packet| packet[0] |= 0xc0).await).await;
            assert!(unset.said.contains("own clock is not in sync"), "{}", unset.said);
            let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let silent = one("ntp", gone).await;
            assert_eq!(silent.went, Went::Badly);
        });
    }

    #[test]
    fn without_a_server_nothing_is_claimed() {
        let steps = run(test(None, &[]));
        assert_eq!(steps[0].went, Went::Unknown);
        assert_eq!(run(test(Some("a b"), &[]))[0].went, Went::Badly);
    }
}
