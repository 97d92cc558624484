//! Whatever comes in whatever order: the leg answers each offer once and ends once.

use super::super::*;
use super::rig::*;
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    Invite(Option<&'static str>),
    Offer(&'static str),
    OfferWanted,
    Answer(&'static str),
    OfferRefused,
    Confirmed,
    Info(&'static str, Vec<u8>),
    Ended,
    Command(LegCommand),
    Packet(u8, Vec<u8>),
    Frame(u32),
    Pass(u64),
}

const HELD: &str =
    "v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\nm=video 4002 RTP/AVP 97\na=rtpmap:97 VP8/90000\n";
const NOTHING: &str = "v=0\nm=audio 0 RTP/AVP 8\n";

fn step() -> impl Strategy<Value = Step> {
    let text = || prop::sample::select(vec![OFFER, HELD, NOTHING, "nonsense", ""]);
    let types = INFO_TYPES.to_vec();
    prop_oneof![
        prop::option::of(text()).prop_map(Step::Invite),
        text().prop_map(Step::Offer),
        Just(Step::OfferWanted),
        text().prop_map(Step::Answer),
        Just(Step::OfferRefused),
        Just(Step::Confirmed),
        (prop::sample::select(types), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(t, b)| Step::Info(t, b)),
        Just(Step::Ended),
        prop::sample::select(vec![
            LegCommand::Ring,
            LegCommand::Accept,
            LegCommand::Accept,
            LegCommand::End(HUNG_UP),
            LegCommand::RequestKeyframe(VIDEO),
            LegCommand::Dtmf('€'),
            LegCommand::Dtmf('1'),
        ])
        .prop_map(Step::Command),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(port, data)| Step::Packet(port % 6, data)),
        (0_u32..4).prop_map(Step::Frame),
        (0_u64..40_000).prop_map(Step::Pass),
    ]
}

fn run(rig: &mut Rig, step: Step) {
    match step {
        Step::Invite(offer) => rig.invite(offer),
        Step::Offer(offer) => rig.tell(SessionEvent::Offer(body(offer))),
        Step::OfferWanted => rig.tell(SessionEvent::OfferWanted),
        Step::Answer(answer) => rig.tell(SessionEvent::Answer(body(answer))),
        Step::OfferRefused => rig.tell(SessionEvent::OfferRefused(491)),
        Step::Confirmed => rig.tell(SessionEvent::Confirmed),
        Step::Info(content_type, body) => {
            rig.tell(SessionEvent::Info { content_type: content_type.to_owned(), body: body.into() });
        }
        Step::Ended => rig.tell(SessionEvent::Ended(HUNG_UP)),
        Step::Command(command) => rig.command(command),
        Step::Packet(port, data) => rig.packet(port, "192.0.2.9:4000", &data),
        Step::Frame(stream) => rig.frame(StreamId(stream), &picture(Duration::from_secs(1), 2_000)),
        Step::Pass(ms) => rig.pass(Duration::from_millis(ms)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_inputs_panics_or_ends_twice(steps in prop::collection::vec(step(), 0..40)) {
        let mut rig = Rig::new(config("203.0.113.5"));
        rig.invite(Some(OFFER));
        rig.command(LegCommand::Accept);
        for step in steps {
            run(&mut rig, step);
        }
        rig.tell(SessionEvent::Ended(HUNG_UP));
        let events = rig.events();
        let ends = events.iter().filter(|event| matches!(event, LegEvent::Ended(_))).count();
        prop_assert_eq!(ends, 1);
        prop_assert!(matches!(events.last(), Some(LegEvent::Ended(_))));
        prop_assert!(rig.commands().iter().filter(|command| matches!(command, SessionCommand::End(_))).count() <= 1);
    }

    #[test]
    fn every_offer_in_a_standing_call_is_answered_once(offers in prop::collection::vec(step(), 0..20)) {
        let mut rig = up();
        rig.commands();
        let offers = offers.into_iter().filter(|step| matches!(step, Step::Offer(_) | Step::OfferWanted | Step::Answer(_)));
        for offer in offers {
            let wants = usize::from(!matches!(offer, Step::Answer(_)));
            run(&mut rig, offer);
            let answers = rig.commands().into_iter().filter(|command| {
                matches!(command, SessionCommand::Answer(_) | SessionCommand::RefuseOffer)
            });
            prop_assert_eq!(answers.count(), wants);
        }
    }
}
