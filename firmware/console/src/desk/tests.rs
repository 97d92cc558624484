//! The desk in virtual time: who may what, what comes back by itself, and what is written down.

use super::{Peer, SESSIONS, SessionId};
use crate::protocol::{Ask, Authority, Hidden, Ownership, Path, Purpose, Stage, View, Where};
use crate::testing::{CODE, PASSWORD, Rig};
use domain::appliance::commit::TRIAL;
use domain::appliance::request::{Haste, Request, Tier, What};
use std::time::Duration;

fn set(field: &str, text: &str) -> Ask {
    Ask::Set { changes: vec![(field.to_owned(), text.to_owned())] }
}

fn login(password: &str) -> Ask {
    Ask::Login { password: Hidden(password.to_owned()) }
}

fn administrator(rig: &mut Rig) -> SessionId {
    let id = rig.open(1, Peer::Trusted, Where::Serial);
    assert!(rig.ask(id, login(PASSWORD)).is_done());
    id
}

fn acts(rig: &Rig) -> Vec<String> {
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}: {}", line["by"], line["act"], line["outcome"]).replace('"', "")
    };
    rig.seen.log.lines().map(line).collect()
}

#[test]
fn wrong_network_settings_come_back_by_themselves_a_hundred_times_of_a_hundred() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    for round in 0..100_u64 {
        assert!(rig.ask(id, set("host-name", &format!("wrong-{round}"))).is_done());
        assert!(rig.ask(id, Ask::Apply).is_done());
        assert_eq!(rig.host_name(), format!("wrong-{round}"));
        rig.pass(TRIAL - Duration::from_millis(round + 1));
        assert_eq!(rig.facts(id).stage, Stage::OnTrial(1));
        rig.pass(Duration::from_millis(round + 1));
        assert_eq!(rig.host_name(), "gantry-004711");
        assert_eq!(rig.facts(id).stage, Stage::Standing);
    }
    assert_eq!(acts(&rig).iter().filter(|act| *act == "box take-back: done").count(), 100);
}

#[test]
fn a_box_that_restarts_on_trial_comes_back_with_the_settings_before() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    rig.ask(id, set("lan0.ipv4", "192.0.2.10/24"));
    rig.ask(id, Ask::Apply);
    rig.restart();
    let last = rig.seen.requests.iter().rev().find(|request| request.what() == What::Network).unwrap();
    let Request::Network(settings) = last else { panic!("{last:?}") };
    assert_eq!(settings.interfaces[0].ipv4.to_string(), "dhcp");
    assert!(rig.seen.log.contains("restarted before anybody confirmed"));
}

#[test]
fn what_cannot_be_kept_is_not_put_in_force() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    rig.ask(id, set("host-name", "new"));
    rig.seen.disk_is_full = true;
    let refused = rig.ask(id, Ask::Apply);
    assert!(refused.problems[0].contains("could not be kept: no space left"), "{refused:?}");
    assert_eq!(rig.host_name(), "gantry-004711");
    assert_eq!(rig.facts(id).stage, Stage::Staged);
    let new = Ask::Password { old: Hidden(PASSWORD.into()), new: Hidden("another horse battery".into()) };
    assert!(!rig.ask(id, new.clone()).is_done());
    assert!(rig.ask(id, login(PASSWORD)).is_done(), "the old one still holds");
    rig.seen.disk_is_full = false;
    assert!(rig.ask(id, Ask::Apply).is_done() && rig.ask(id, new).is_done());
    assert!(!rig.ask(id, login(PASSWORD)).is_done());
}

#[test]
fn nobody_changes_anything_before_he_has_shown_himself() {
    let asks = [
        set("host-name", "mine"),
        Ask::Apply,
        Ask::Confirm,
        Ask::TakeBack,
        Ask::Discard,
        Ask::Reboot { haste: Haste::Now },
        Ask::PowerOff { haste: Haste::Drained },
        Ask::Drain,
        Ask::Resume,
        Ask::Forgive { address: "192.0.2.1".parse().unwrap() },
        Ask::Locate { minutes: 5 },
        Ask::Bundle { file: "x.tar".into() },
        Ask::Password { old: Hidden(PASSWORD.into()), new: Hidden("another horse battery".into()) },
        Ask::Reset { tier: Tier::Everything, phrase: "reset everything".into(), code: Hidden(CODE.into()) },
    ];
    for at in [Where::Serial, Where::Panel] {
        let mut rig = Rig::claimed();
        let requests = rig.seen.requests.len();
        let id = rig.open(1, Peer::Trusted, at);
        for ask in asks.clone() {
            let reply = rig.ask(id, ask.clone());
            assert!(!reply.is_done(), "{at:?} {ask:?}");
            assert!(reply.problems[0].ends_with("first"), "{reply:?}");
        }
        assert_eq!(rig.seen.requests.len(), requests);
        let looks = rig.ask(id, Ask::Test { which: Path::Gateway, to: None }).is_done();
        assert_eq!(looks, at == Where::Panel);
    }
    // Another user of the box may not even try a password.
    let mut rig = Rig::claimed();
    let stranger = rig.open(1, Peer::Stranger, Where::Serial);
    for ask in asks.into_iter().chain([login(PASSWORD), Ask::Show { view: View::Audit }]) {
        assert!(!rig.ask(stranger, ask).is_done());
    }
    assert!(rig.ask(stranger, Ask::Show { view: View::Status }).is_done());
    assert!(!rig.ask(SessionId(99), Ask::Facts).is_done(), "no connection");
}

#[test]
fn the_page_looks_at_everything_and_changes_nothing_without_the_administrators_password() {
    let mut rig = Rig::claimed();
    let page = rig.open(1, Peer::Gateway, Where::Page);
    for view in View::ALL {
        assert!(rig.ask(page, Ask::Show { view }).is_done(), "{view:?}");
    }
    for ask in [set("host-name", "new"), Ask::Apply, Ask::Drain, Ask::Reboot { haste: Haste::Now }] {
        let refused = rig.ask(page, ask);
        assert!(refused.problems[0].contains("password"), "{refused:?}");
    }
    assert!(!rig.ask(page, login("a wrong horse battery")).is_done());
    assert!(!rig.ask(page, set("host-name", "new")).is_done());
    assert!(rig.ask(page, login(PASSWORD)).is_done());
    assert!(rig.ask(page, set("host-name", "new")).is_done() && rig.ask(page, Ask::Apply).is_done());
    assert_eq!(rig.host_name(), "new");
    assert_eq!(acts(&rig).last().unwrap(), "page apply: on trial");
}

#[test]
fn what_somebody_before_the_box_must_do_is_not_done_at_the_page_even_with_the_password() {
    let mut rig = Rig::claimed();
    let page = rig.open(1, Peer::Gateway, Where::Page);
    assert!(rig.ask(page, login(PASSWORD)).is_done());
    let code = || Hidden(CODE.into());
    for ask in [
        Ask::Reset { tier: Tier::Everything, phrase: "reset everything".into(), code: code() },
        Ask::Prove { purpose: Purpose::Recover, code: code() },
        Ask::Own { password: Some(Hidden("another horse battery".into())) },
        Ask::Held,
    ] {
        assert!(rig.ask(page, ask).problems[0].contains("at the box itself"));
    }
}

#[test]
fn the_gateway_is_a_stranger_wherever_but_at_the_page() {
    let mut rig = Rig::claimed();
    for (number, at) in [(1, Where::Serial), (2, Where::Panel), (3, Where::Command)] {
        let id = rig.open(number, Peer::Gateway, at);
        assert!(!rig.ask(id, login(PASSWORD)).is_done(), "{at:?}");
        assert!(!rig.ask(id, set("host-name", "mine")).is_done(), "{at:?}");
    }
    let stranger = rig.open(4, Peer::Stranger, Where::Page);
    assert!(!rig.ask(stranger, login(PASSWORD)).is_done(), "only the gateway serves the page");
}

#[test]
fn a_command_line_of_the_boxs_own_needs_no_password_and_is_not_locked() {
    let mut rig = Rig::claimed();
    let id = rig.open(1, Peer::Trusted, Where::Command);
    rig.pass(Duration::from_secs(100_000));
    assert!(rig.ask(id, set("host-name", "new")).is_done());
    let stranger = rig.open(2, Peer::Stranger, Where::Command);
    assert!(!rig.ask(stranger, set("host-name", "mine")).is_done());
}

#[test]
fn the_first_owner_gives_the_code_and_guesses_get_slower() {
    let mut rig = Rig::unclaimed();
    let id = rig.open(1, Peer::Trusted, Where::Serial);
    let prove = |code: &str| Ask::Prove { purpose: Purpose::Claim, code: Hidden(code.to_owned()) };
    let own = || Ask::Own { password: Some(Hidden(PASSWORD.to_owned())) };
    assert!(!rig.ask(id, own()).is_done(), "no proof, no password");
    for guess in 0..5 {
        assert!(!rig.ask(id, prove(&format!("0000-000{guess}"))).is_done());
    }
    let closed = rig.ask(id, prove(CODE));
    assert!(closed.problems[0].contains("too many wrong tries"), "{closed:?}");
    assert!(rig.facts(id).alarms.iter().any(|alarm| alarm.contains("5 wrong codes")));
    rig.pass(Duration::from_secs(31));
    assert!(rig.ask(id, prove(CODE)).is_done());
    assert!(!rig.ask(id, Ask::Own { password: Some(Hidden("short".into())) }).is_done());
    assert!(rig.ask(id, own()).is_done());
    let facts = rig.facts(id);
    assert_eq!((facts.ownership, facts.authority), (Ownership::Claimed, Authority::Administrator));
    assert!(!rig.ask(id, prove(CODE)).is_done(), "claimed is claimed");
    assert!(!rig.seen.log.contains("0815") && !rig.seen.log.contains(PASSWORD), "{}", rig.seen.log);
}

#[test]
fn a_reset_wants_the_words_and_the_whole_code() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    let reset = |phrase: &str, code: &str| Ask::Reset {
        tier: Tier::Everything,
        phrase: phrase.to_owned(),
        code: Hidden(code.to_owned()),
    };
    for wrong in [reset("reset settings", CODE), reset("reset everything", "0815"), reset("yes", CODE)] {
        assert!(!rig.ask(id, wrong).is_done());
    }
    let asked = |rig: &Rig| rig.seen.requests.contains(&Request::FactoryReset(Tier::Everything));
    assert!(!asked(&rig));
    assert!(rig.ask(id, reset("Reset Everything", CODE)).is_done());
    assert!(asked(&rig));
}

#[test]
fn every_act_leaves_an_audit_line_and_the_log_is_whole() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    for ask in [
        set("host-name", "new"),
        Ask::Apply,
        Ask::Confirm,
        set("dns", "192.0.2.53"),
        Ask::Discard,
        Ask::Locate { minutes: 5 },
        Ask::Test { which: Path::Dns, to: Some("meet.example.com".into()) },
        Ask::Bundle { file: "support".into() },
        Ask::Drain,
        Ask::Resume,
        Ask::Forgive { address: "192.0.2.1".parse().unwrap() },
        Ask::Reboot { haste: Haste::Drained },
        Ask::Password { old: Hidden(PASSWORD.into()), new: Hidden("another horse battery".into()) },
        Ask::Logout,
    ] {
        assert!(rig.ask(id, ask.clone()).is_done(), "{ask:?}");
    }
    assert_eq!(
        acts(&rig),
        [
            "serial login: done",
            "serial set: done",
            "serial apply: on trial",
            "serial confirm: done",
            "serial set: done",
            "serial discard: done",
            "serial locate: the box blinks for 5 minutes",
            "serial test: dns",
            "serial support-bundle: asked",
            "serial drain: asked",
            "serial resume: asked",
            "serial forgive: asked",
            "serial reboot: asked",
            "serial password: done",
            "serial logout: done",
        ]
    );
    assert_eq!(domain::appliance::audit::Chain::verify(&rig.seen.log).unwrap().last_number(), 15);
    assert!(!rig.seen.log.contains("horse"), "no password is in it");
}

#[test]
fn a_bundles_name_leads_nowhere_else() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    for name in ["", "../x.tar", "/etc/passwd", ".hidden", "a b", "x\n", &"a".repeat(99)] {
        assert!(!rig.ask(id, Ask::Bundle { file: name.to_owned() }).is_done(), "{name:?}");
    }
}

#[test]
fn the_locate_lamp_goes_out_by_itself() {
    let mut rig = Rig::claimed();
    let id = rig.open(1, Peer::Trusted, Where::Command);
    rig.ask(id, Ask::Locate { minutes: 15 });
    rig.pass(Duration::from_secs(899));
    assert_eq!(rig.facts(id).locate, crate::protocol::Locate::On);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.facts(id).locate, crate::protocol::Locate::Off);
}

#[test]
fn connections_are_bounded_and_strangers_cannot_take_all() {
    let mut rig = Rig::claimed();
    let mut opened = 0;
    while rig.desk.open(rig.now, SessionId(opened), Peer::Stranger).is_ok() {
        opened += 1;
        assert!(opened < 100);
    }
    assert!(usize::try_from(opened).unwrap() < SESSIONS, "some are kept for the console itself");
    assert!(rig.desk.open(rig.now, SessionId(50), Peer::Trusted).is_ok());
    rig.desk.close(SessionId(0));
    assert!(rig.desk.open(rig.now, SessionId(51), Peer::Stranger).is_ok());
}

#[test]
fn an_interface_that_is_plugged_in_can_be_set() {
    let mut rig = Rig::claimed();
    let id = administrator(&mut rig);
    rig.world.nics.push(crate::protocol::Nic { name: "lan2".into(), ..crate::protocol::Nic::default() });
    assert!(rig.ask(id, set("lan2.ipv4", "198.51.100.7/24")).is_done());
    assert_eq!(rig.facts(id).difference, ["lan2.ipv4: off -> 198.51.100.7/24"]);
}

proptest::proptest! {
    /// Whatever is asked in whatever order by whom: only an administrator ever has anything put in force or asked for.
    #[test]
    fn nothing_happens_without_authority(asks in proptest::collection::vec((0_usize..12, 0_u64..3), 0..60)) {
        let mut rig = Rig::claimed();
        let ids = [rig.open(0, Peer::Trusted, Where::Serial), rig.open(1, Peer::Stranger, Where::Command), rig.open(2, Peer::Trusted, Where::Panel)];
        let before = rig.seen.requests.len();
        for (ask, who) in asks {
            let ask = match ask {
                0 => Ask::Facts,
                1 => set("host-name", "mine"),
                2 => Ask::Apply,
                3 => Ask::Confirm,
                4 => login("wrong password"),
                5 => Ask::Own { password: None },
                6 => Ask::Prove { purpose: Purpose::Unlock, code: Hidden("9999".into()) },
                7 => Ask::Reboot { haste: Haste::Now },
                8 => Ask::Hello { at: Where::Panel },
                9 => Ask::Logout,
                10 => Ask::Awake,
                _ => Ask::TakeBack,
            };
            rig.ask(ids[usize::try_from(who).unwrap()], ask);
        }
        proptest::prop_assert_eq!(rig.seen.requests.len(), before);
        proptest::prop_assert_eq!(rig.facts(ids[0]).ownership, Ownership::Claimed);
    }
}
