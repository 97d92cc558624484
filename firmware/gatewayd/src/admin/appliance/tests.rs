//! The box by the API: who may look, what needs the console's password, and what a set-up that refuses or is gone becomes.

use super::super::access::Role;
use super::super::tests::{Bench, run};
use crate::console::Console;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";

/// A set-up on a socket of its own: takes one password, answers asks by name, and notes those that were let through.
struct SetUp {
    folder: TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl SetUp {
    fn new(answer: impl Fn(&Value) -> Value + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("console.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for line in lines.map_while(Result::ok) {
                    let ask: Value = serde_json::from_str(&line).unwrap();
                    let said = match ask["ask"].as_str().unwrap() {
                        "hello" => json!({}),
                        "login" if ask["password"] == PASSWORD => json!({}),
                        "login" => json!({ "problems": ["that password is wrong"] }),
                        _ => {
                            noted.lock().unwrap().push(ask.clone());
                            answer(&ask)
                        }
                    };
                    stream.write_all(format!("{said}\n").as_bytes()).unwrap();
                }
            }
        });
        Self { folder, asked }
    }

    fn bench(&self) -> Bench {
        Bench::on(Console::at(Some(self.folder.path().join("console.sock"))))
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn said(text: &str) -> Value {
    json!({ "rows": [{ "label": "", "value": text }], "data": { "done": text } })
}

fn facts() -> Value {
    json!({ "data": {
        "version": "0.1.0", "host_name": "rack-7", "serial_number": "GT-4711", "ownership": "claimed", "panel_digits": 4,
        "authority": "nobody", "panel": "full", "stage": { "on-trial": 97 }, "difference": ["lan0.ipv4: dhcp -> 192.0.2.10/24"],
        "fields": [["host-name", "rack-7"], ["lan0.ipv4", "dhcp"]],
        "interfaces": [{ "name": "lan0", "mac": "52:54:00:12:34:56", "link": "up, 1000 Mbit/s", "addresses": ["192.0.2.10/24"],
                         "gateway": "192.0.2.1", "stamps": null }],
        "dns": ["192.0.2.1"], "recovery_left": null, "locate": "off", "alarms": [], "summary": "in service", "calls": 2, "slot": "A",
    } })
}

#[test]
fn whoever_may_look_sees_the_box_and_each_part_of_it() {
    run(async {
        let set_up = SetUp::new(|ask| if ask["ask"] == "facts" { facts() } else { said("Slot A runs") });
        let bench = set_up.bench();
        let viewer = bench.logged_in("vera", Role::Viewer).await;
        let answer = bench.ask(&viewer, "GET", "/box", None).await;
        answer.is(200);
        assert_eq!(answer.body["host_name"], "rack-7");
        assert_eq!(answer.body["stage"]["on-trial"], 97);
        assert_eq!(answer.body["settings"][1], json!({ "name": "lan0.ipv4", "text": "dhcp" }));
        for view in super::VIEWS {
            let answer = bench.ask(&viewer, "GET", &format!("/box/views/{view}"), None).await;
            assert_eq!(answer.is(200).body["rows"][0]["value"], "Slot A runs");
        }
        bench.ask(&viewer, "GET", "/box/views/audit", None).await.is(404);
        let restart = json!({ "password": PASSWORD, "haste": "now" });
        bench.ask(&viewer, "POST", "/box:restart", Some(restart)).await.is(403);
    });
}

#[test]
fn what_is_done_to_the_box_takes_the_consoles_password_and_is_noted() {
    run(async {
        let set_up = SetUp::new(|_| said("the box restarts"));
        let bench = set_up.bench();
        let ann = bench.administrator().await;
        let restart = |password: &str| Some(json!({ "password": password, "haste": "drained" }));
        let wrong = bench.ask(&ann, "POST", "/box:restart", restart("a guess")).await;
        assert_eq!(wrong.is(403).body["detail"], "that password is wrong");
        assert!(set_up.asked().is_empty());
        let done = bench.ask(&ann, "POST", "/box:restart", restart(PASSWORD)).await;
        assert_eq!(done.is(200).body["rows"][0]["value"], "the box restarts");
        let changes = json!({ "password": PASSWORD, "changes": { "lan0.ipv4": "192.0.2.10/24" } });
        bench.ask(&ann, "POST", "/box/settings:stage", Some(changes)).await.is(200);
        let word = Some(json!({ "password": PASSWORD }));
        for act in ["apply", "confirm", "take-back", "discard"] {
            bench.ask(&ann, "POST", &format!("/box/settings:{act}"), word.clone()).await.is(200);
        }
        let asked: Vec<_> =
            set_up.asked().iter().map(|ask| ask["ask"].as_str().unwrap().to_owned()).collect();
        assert_eq!(asked, ["reboot", "set", "apply", "confirm", "take-back", "discard"]);
        assert_eq!(set_up.asked()[1]["changes"], json!([["lan0.ipv4", "192.0.2.10/24"]]));
        let audit = bench.ask(&ann, "GET", "/audit", None).await;
        assert!(audit.text.contains("the box restarts") && !audit.text.contains(PASSWORD), "{}", audit.text);
    });
}

#[test]
fn what_the_set_up_refuses_is_told_problem_by_problem() {
    run(async {
        let problems = ["lan0.ipv4: no address", "host-name: too long"];
        let set_up = SetUp::new(move |_| json!({ "problems": problems }));
        let bench = set_up.bench();
        let ann = bench.administrator().await;
        let changes = json!({ "password": PASSWORD, "changes": { "lan0.ipv4": "x" } });
        let refused = bench.ask(&ann, "POST", "/box/settings:stage", Some(changes)).await;
        let told: Vec<_> = refused.is(409).body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["message"].clone())
            .collect();
        assert_eq!(told, problems);
    });
}

#[test]
fn a_support_bundle_is_handed_out_as_it_was_made() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("support.tar");
        std::fs::write(&path, "a bundle").unwrap();
        let set_up = SetUp::new(move |_| json!({ "data": { "file": path, "bytes": 8 } }));
        let bench = set_up.bench();
        let ann = bench.administrator().await;
        let answer =
            bench.ask(&ann, "POST", "/box:support-bundle", Some(json!({ "password": PASSWORD }))).await;
        assert_eq!(answer.is(200).text, "a bundle");
        assert_eq!(answer.header("content-type"), "application/x-tar");
        assert!(answer.header("content-disposition").contains("support-"));
    });
}

#[test]
fn a_gateway_without_a_box_and_a_set_up_that_is_gone_say_so() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let nowhere = bench.ask(&ann, "GET", "/box", None).await;
        assert!(nowhere.is(404).body["detail"].as_str().unwrap().contains("--console"));
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::on(Console::at(Some(folder.path().join("gone"))));
        let ann = bench.administrator().await;
        bench.ask(&ann, "GET", "/box", None).await.is(503);
    });
}
