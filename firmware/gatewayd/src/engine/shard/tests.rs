//! A whole shard on loopback, turned by hand: what a bug in one call costs, what a flood costs, and how a drain ends.

mod licences;

use super::*;
use crate::alarms::{self, AlarmsHandle, Places};
use crate::certificates::Credentials;
use crate::engine::call::Wish;
use crate::media::{Isolation, MeetingKey};
use crate::start;
use base::Codec;
use base::ids::StreamId;
use domain::alarm::AlarmKind;
use domain::media::{MediaPlan, Sound};
use sip::session::SessionCommand;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use tokio::task::LocalSet;

/// Longest wait for anything on loopback.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shard, a room that speaks SIP to it, and a conference that never answers.
struct Rig {
    shard: Shard,
    events: mpsc::Sender<Event>,
    alarms: AlarmsHandle,
    gateway: SocketAddr,
    gateway_tcp: SocketAddr,
    room: UdpSocket,
    heard: Vec<String>,
    _conference: TcpListener,
}

/// Runs a test inside what a shard runs in.
fn on_loopback(test: impl AsyncFnOnce(Rig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    LocalSet::new().block_on(&runtime, async { test(Rig::new("")).await });
}

impl Rig {
    /// With more lines of the section `[media]`.
    fn new(media: &str) -> Self {
        let conference = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}", conference.local_addr().expect("an address"));
        let text = format!(
            "[gateway]\ndomains = [\"meet.example.com\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
             [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = [\"127.0.0.1:0\"]\n[media]\n{media}\n\
             [[tokens]]\nname = \"test\"\nvalue = \"t\"\ntrust = \"trusted\"\n\
             [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"{url}\"\n\
             [[rules]]\nname = \"meetings\"\npriority = 100\n"
        );
        let config = Arc::new(Config::parse("test", &text).expect("a configuration"));
        let bound = start::bind(&config, Credentials::default()).expect("ports");
        let listening = bound.listening().expect("addresses");
        let (events, receiver) = mpsc::channel(16);
        let alarms = alarms::start(&config, Places::system(None), Seed([7; 32])).expect("alarms");
        let channel = (events.clone(), receiver);
        let shard =
            start::shard(config, bound, channel, mpsc::channel(1).0, (alarms.teller(), Isolation::Thread))
                .expect("a shard");
        let room = UdpSocket::bind("127.0.0.1:0").expect("a port");
        room.set_nonblocking(true).expect("a socket");
        let (gateway, gateway_tcp) = (listening.udp[0], listening.tcp[0]);
        Self { shard, events, alarms, gateway, gateway_tcp, room, heard: Vec::new(), _conference: conference }
    }

    fn send(&self, text: &str) {
        self.room.send_to(text.as_bytes(), self.gateway).expect("loopback takes it");
    }

    fn request(&self, method: &str, call: &str, to_tag: &str, body: &str) -> String {
        let room = self.room.local_addr().expect("an address");
        let branch = if method == "ACK" { "ack" } else { "first" };
        format!(
            "{method} sip:1234567890123@meet.example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP {room};branch=z9hG4bK-{call}-{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:room@example.com>;tag=r-{call}\r\nTo: <sip:1234567890123@meet.example.com>{to_tag}\r\n\
             Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:room@{room}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A room calls; the answer is the call's id.
    async fn invite(&mut self, call: &str) -> CallId {
        let next = CallId(self.shard.next_call);
        self.send(&self.request("INVITE", call, "", OFFER));
        self.hear(&format!("180 for {call}"), |text| text.contains(call) && text.starts_with("SIP/2.0 180"))
            .await;
        assert!(self.shard.calls.contains_key(&next));
        next
    }

    /// Turns the shard until `wanted` finds something.
    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = wanted(self) {
                return found;
            }
            self.turn().await;
            assert!(Instant::now() < deadline, "{what} did not come; heard: {:#?}", self.heard);
        }
    }

    /// One turn, if there is anything to turn for.
    async fn turn(&mut self) {
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(20), self.shard.next()).await {
            self.shard.handle(Instant::now(), event);
        }
        let mut buffer = [0; 8_192];
        while let Ok((count, _)) = self.room.recv_from(&mut buffer) {
            self.heard.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    }

    async fn hear(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.until(what, |rig| rig.heard.iter().find(|text| wanted(text)).cloned()).await
    }

    /// A bug in the call's code: in the middle of a turn, with wishes made and media half set up.
    fn break_call(&mut self, id: CallId) {
        let before = self.shard.bugs;
        self.shard.guarded(Instant::now(), id, |call, plane, wishes| {
            let meeting = MeetingKey { connector: "meet".into(), meeting: "1234567890123".into() };
            plane.apply(call.machine().id(), &meeting, sound_up(), &HashMap::new());
            wishes
                .push(Wish::Session(SessionCommand::Info { content_type: "text/plain", body: "no".into() }));
            panic!("a deliberate bug");
        });
        assert_eq!(self.shard.bugs, before + 1);
    }

    /// Nothing of any call is left: neither here, nor ports, nor media, nor, when SIP has lingered, in the endpoint.
    fn assert_empty(&mut self) {
        let shard = &mut self.shard;
        let held = (shard.calls.len(), shard.sessions.len(), shard.sockets.len(), shard.wakes.len());
        assert_eq!(held, (0, 0, 0, 0));
        assert_eq!(shard.parts.ports.out(), 0, "ports");
        let figures = shard.parts.plane.figures();
        assert_eq!((figures.sources, figures.sinks), (0, 0), "media");
        assert_eq!(shard.licensed.status().taken, 0, "call licences");
        shard.handle(Instant::now() + 4 * LINGER, Event::Wake);
        assert!(shard.parts.sip.endpoint().is_idle(), "{:?}", shard.parts.sip.endpoint().gauges());
    }
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

fn sound_up() -> MediaPlan {
    let frame_time = Duration::from_millis(20);
    let (inputs, sink) = (vec![StreamId(0)], StreamId(9));
    let mut plan = MediaPlan::default();
    plan.up.sound =
        Some(Sound { inputs, sink, codec: Codec::Opus, bps: 32_000, expected_loss: 0, frame_time });
    plan
}

#[test]
fn a_bug_in_a_call_before_its_answer_ends_it_alone_with_500_and_gives_everything_back() {
    on_loopback(async |mut rig| {
        let broken = rig.invite("broken").await;
        let other = rig.invite("other").await;
        assert_eq!(rig.shard.parts.ports.out(), 10);

        rig.break_call(broken);

        let answer = rig.hear("500", |text| text.contains("broken") && text.starts_with("SIP/2.0 500")).await;
        assert_eq!(rig.shard.calls.keys().collect::<Vec<_>>(), [&other], "the other goes on");
        assert_eq!((rig.shard.parts.ports.out(), rig.shard.sockets.len()), (5, 5));
        let ended = rig.shard.ended.back().map(|ended| ended.cause.clone());
        assert_eq!(ended.as_deref(), Some("Gateway/InternalError"));

        let tag =
            answer.lines().find(|line| line.starts_with("To:")).and_then(|line| line.split_once(";tag="));
        let tag = format!(";tag={}", tag.expect("a tag").1.trim());
        rig.send(&rig.request("ACK", "broken", &tag, "").replace("-ack;", "-first;"));
        rig.break_call(other);
        rig.hear("500", |text| text.contains("other") && text.starts_with("SIP/2.0 500")).await;
        assert!(!rig.heard.iter().any(|text| text.starts_with("INFO")), "what was wished is not done");
        rig.assert_empty();

        rig.invite("later").await;
    });
}

#[test]
fn a_bug_in_a_call_that_stands_ends_it_with_bye() {
    on_loopback(async |mut rig| {
        let id = rig.invite("standing").await;
        let answer = SessionCommand::Accept(OFFER.into());
        rig.shard.grant(Instant::now(), id, Wish::Session(answer));
        let ok = rig.hear("200", |text| text.starts_with("SIP/2.0 200")).await;
        let to = ok.lines().find(|line| line.starts_with("To:")).expect("a To").to_owned();
        let tag = to.split_once(";tag=").expect("a tag").1;
        rig.send(&rig.request("ACK", "standing", &format!(";tag={tag}"), ""));
        rig.until("the ACK", |rig| (rig.shard.parts.sip.endpoint().gauges().dialogs == 1).then_some(()))
            .await;
        rig.turn().await;
        rig.turn().await;

        rig.break_call(id);

        let bye = rig.hear("BYE", |text| text.starts_with("BYE ")).await;
        assert!(bye.contains("Call-ID: standing"), "{bye}");
        rig.assert_empty();
    });
}

#[test]
fn who_calls_what_no_rule_takes_holds_no_port() {
    on_loopback(async |mut rig| {
        rig.send(&rig.request("INVITE", "stray", "", OFFER).replace("sip:1234567890123@", "sip:nobody@"));
        rig.hear("404", |text| text.starts_with("SIP/2.0 404")).await;
        assert_eq!(rig.shard.parts.ports.out(), 0);
        rig.assert_empty();
    });
}

#[test]
fn a_flood_on_the_sip_socket_is_read_a_little_a_turn_and_media_are_read_between() {
    on_loopback(async |mut rig| {
        let id = rig.invite("flooded").await;
        let media = rig
            .shard
            .calls
            .get_mut(&id)
            .expect("the call")
            .call
            .socket(Side::Caller, Port(0))
            .expect("a socket")
            .udp
            .local();
        rig.turn().await;
        const FLOOD: u64 = 120;
        (0..FLOOD).for_each(|_| rig.send("this is no message"));
        rig.room.send_to(b"nor is this", (rig.gateway.ip(), media.port())).expect("loopback takes it");

        let malformed = |rig: &Rig| rig.shard.parts.sip.endpoint().counters().malformed;
        let event = rig.shard.next().await;
        rig.shard.handle(Instant::now(), event);
        assert!(malformed(&rig) < FLOOD, "one turn does not read it all");
        rig.until("the rest", |rig| (malformed(rig) == FLOOD && rig.shard.unread.is_empty()).then_some(()))
            .await;
    });
}

#[test]
fn a_sip_message_far_longer_than_a_media_packet_is_taken_whole() {
    on_loopback(async |mut rig| {
        let long = format!("{OFFER}{}", "a=x-filling:0123456789abcdef0123456789abcdef\r\n".repeat(150));
        rig.send(&rig.request("INVITE", "long", "", &long));
        rig.hear("180", |text| text.starts_with("SIP/2.0 180")).await;
    });
}

/// P17
#[test]
fn p17_a_bug_a_full_box_and_a_blocked_scanner_are_alarms() {
    on_loopback(async |rig| {
        drop(rig);
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let first = 10_000 + probe % 20_000 / 2 * 2;
        let mut rig = Rig::new(&format!("ports = \"{first}-{}\"\n[defence]\nallow = []", first + 15));
        for call in ["one", "two", "three", "four"] {
            rig.send(&rig.request("INVITE", call, "", OFFER));
        }
        rig.hear("503", |text| text.starts_with("SIP/2.0 503")).await;
        let standing = rig.shard.calls.keys().copied().next().expect("a call");
        rig.break_call(standing);
        let scanner =
            rig.request("OPTIONS", "scan", "", "").replace("Max-F", "User-Agent: friendly-scanner\r\nMax-F");
        rig.send(&scanner);
        rig.until("the alarms", |rig| {
            let alarms = rig.alarms.list();
            let stands = |kind| alarms.iter().any(|alarm| alarm.kind == kind);
            let wanted = [AlarmKind::CapacityReached, AlarmKind::InternalError, AlarmKind::ScannerBlocked];
            wanted.into_iter().all(stands).then_some(())
        })
        .await;
        assert_eq!(rig.shard.room, Room::Left, "a call gave its ports back");
    });
}

#[test]
fn a_full_port_range_is_refused_with_503_and_free_again_after() {
    on_loopback(async |rig| {
        drop(rig);
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let first = 10_000 + probe % 20_000 / 2 * 2;
        let mut rig = Rig::new(&format!("ports = \"{first}-{}\"", first + 15));
        // A call takes five of sixteen ports, so no more than three stand at a time.
        for call in ["one", "two", "three", "four"] {
            rig.send(&rig.request("INVITE", call, "", OFFER));
        }
        let refused = rig.hear("503", |text| text.starts_with("SIP/2.0 503")).await;
        assert!(refused.contains("Call-ID: "), "{refused}");
        let standing: Vec<CallId> = rig.shard.calls.keys().copied().collect();
        standing.into_iter().for_each(|id| rig.break_call(id));
        assert_eq!(rig.shard.parts.ports.out(), 0);
    });
}

#[test]
fn when_answers_left_is_in_the_statistics() {
    on_loopback(async |mut rig| {
        for ask in ["first", "second"] {
            rig.send(&rig.request("OPTIONS", ask, "", ""));
            rig.hear("an answer", |text| text.contains(ask)).await;
        }
        let departed = rig.shard.parts.sip.departures();
        assert_eq!((departed.software, departed.hardware), (1, 0), "the first is stamped, by the kernel");
    });
}

#[test]
fn a_drain_ends_though_a_peer_keeps_its_connection_open_and_another_goes_on_asking() {
    on_loopback(async |mut rig| {
        let connection = std::net::TcpStream::connect(rig.gateway_tcp).expect("a connection");
        rig.until("the connection", |rig| (rig.shard.parts.sip.connections() == 1).then_some(())).await;
        let now = Instant::now();
        rig.shard.handle(now, Event::Drain { deadline: now });
        assert!(rig.shard.is_over(now), "nothing is there to wait for");

        rig.send(&rig.request("OPTIONS", "asking", "", ""));
        rig.hear("an answer", |text| text.contains("asking")).await;
        assert!(!rig.shard.is_over(now), "what comes late is absorbed");
        assert!(rig.shard.is_over(now + LINGER), "but not for ever");
        drop((connection, rig.events));
        tokio::time::timeout(PATIENCE, Shard { lingers: Some(now), ..rig.shard }.run())
            .await
            .expect("it ends");
    });
}

#[test]
fn a_call_that_stands_when_a_drain_begins_ends_at_the_deadline_and_no_new_one_is_taken() {
    on_loopback(async |mut rig| {
        rig.invite("before").await;
        let now = Instant::now();
        let deadline = now + Duration::from_secs(5);
        rig.shard.handle(now, Event::Drain { deadline });
        rig.send(&rig.request("INVITE", "after", "", OFFER));
        rig.hear("503", |text| text.contains("after") && text.starts_with("SIP/2.0 503")).await;
        assert!(!rig.shard.is_over(deadline + LINGER), "a call stands");

        rig.shard.handle(deadline, Event::Wake);

        rig.hear("503", |text| text.contains("before") && text.starts_with("SIP/2.0 503")).await;
        // The conference does not answer our good-bye either, so it is given up.
        let given_up = deadline + domain::call::ENDING;
        rig.shard.handle(given_up, Event::Wake);
        assert!(rig.shard.is_over(given_up + LINGER));
        rig.assert_empty();
    });
}
