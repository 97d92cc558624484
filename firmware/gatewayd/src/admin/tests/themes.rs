//! P5 by the API: files of themes are uploaded, listed, shown and removed, and callers see and hear them at once.

use super::*;
use crate::media::prompts::Prompts;
use crate::themes::tests::{png, wav};
use base::Size;
use domain::alarm::AlarmKind;
use domain::prompt::Prompt;

impl Bench {
    async fn themed() -> (Self, Caller) {
        let bench = Self::new();
        let ann = bench.administrator().await;
        bench.ask(&ann, "POST", "/themes", Some(json!({ "name": "dark blue" }))).await.is(201);
        (bench, ann)
    }

    async fn put(&self, by: &Caller, file: &str, kind: &str, bytes: Vec<u8>) -> Answer {
        let path = format!("/themes/dark%20blue/files/{file}");
        self.send(by, "PUT", &path, Body::from(bytes), &[("content-type", kind)]).await
    }

    async fn get(&self, by: &Caller, file: &str) -> Answer {
        self.ask(by, "GET", &format!("/themes/dark%20blue/files/{file}"), None).await
    }

    /// What the shard shows and says from now on.
    fn shows(&mut self) -> Option<Prompts> {
        let mut last = None;
        while let Ok(event) = self.events.try_recv() {
            if let Event::Prompts(prompts) = event {
                last = Some(prompts);
            }
        }
        last
    }
}

fn part<'a>(listed: &'a Value, file: &str) -> &'a Value {
    listed["items"].as_array().unwrap().iter().find(|item| item["file"] == file).unwrap()
}

#[test]
fn p5_an_uploaded_picture_and_voice_are_listed_shown_and_what_callers_have_at_once() {
    run(async {
        let (mut bench, ann) = Bench::themed().await;
        let listed = bench.ask(&ann, "GET", "/themes/dark%20blue/files", None).await;
        assert_eq!(listed.is(200).body["items"].as_array().unwrap().len(), 22);
        let welcome = json!({
            "file": "welcome.png", "prompt": "welcome", "part": "picture", "came_by": "built-in", "about": null, "trouble": null,
            "words": "Enter the meeting ID: then press #, To delete the last digit, press *",
        });
        assert_eq!(part(&listed.body, "welcome.png"), &welcome);
        assert!(
            bench.get(&ann, "welcome.png").await.is(200).bytes.starts_with(b"\x89PNG"),
            "the built-in one"
        );
        let none = bench.get(&ann, "welcome.wav").await;
        assert!(
            none.is(404).body["detail"].as_str().unwrap().contains("the built-in says: Welcome."),
            "{}",
            none.text
        );

        let taken = bench.put(&ann, "welcome.png", "image/png", png(640, 360)).await;
        assert_eq!(
            (&taken.is(200).body["came_by"], &taken.body["about"]),
            (&json!("upload"), &json!("640x360"))
        );
        let shown =
            bench.shows().expect("it is told").picture(Some("dark blue"), Prompt::Welcome, "").unwrap();
        assert_eq!(shown.size(), Size::new(640, 360));
        for kind in ["audio/wav", "audio/x-wav", "Audio/Vnd.Wave; codec=1", "application/octet-stream"] {
            bench.put(&ann, "lobby.wav", kind, wav(300)).await.is(200);
        }
        let answer = bench.get(&ann, "lobby.wav").await;
        assert_eq!((answer.is(200).header("content-type"), &*answer.bytes), ("audio/wav", &*wav(300)));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");

        // It goes where its theme goes.
        let renamed = bench.ask(&ann, "PATCH", "/themes/dark%20blue", Some(json!({ "name": "night" }))).await;
        renamed.is(200);
        bench.ask(&ann, "GET", "/themes/night/files/lobby.wav", None).await.is(200);
        bench.ask(&ann, "PATCH", "/themes/night", Some(json!({ "name": "dark blue" }))).await.is(200);
        bench.ask(&ann, "DELETE", "/themes/dark%20blue/files/welcome.png", None).await.is(204);
        let shown =
            bench.shows().expect("it is told").picture(Some("dark blue"), Prompt::Welcome, "").unwrap();
        assert_eq!(shown.size(), Size::HD720);
        bench.ask(&ann, "DELETE", "/themes/dark%20blue/files/welcome.png", None).await.is(404);
    });
}

#[test]
fn p5_what_is_no_picture_or_voice_is_refused_with_its_own_sentence() {
    run(async {
        let (mut bench, ann) = Bench::themed().await;
        let vic = bench.logged_in("vic", access::Role::Viewer).await;
        bench.put(&vic, "welcome.png", "image/png", png(64, 64)).await.is(403);
        for (status, file, kind, bytes, says) in [
            (
                415,
                "welcome.png",
                "audio/wav",
                png(64, 64),
                "welcome.png came as \"audio/wav\"; send it as image/png",
            ),
            (422, "welcome.png", "image/png", b"GIF89a".to_vec(), "welcome.png is no whole PNG file"),
            (
                422,
                "full.wav",
                "audio/wav",
                png(64, 64),
                "full.wav is no WAV file; save it as WAV, PCM, 16 bit",
            ),
            (404, "goodbye.wav", "audio/wav", wav(100), "\"goodbye.wav\" is no prompt's file"),
            (
                413,
                "full.wav",
                "audio/wav",
                vec![0; 12 * 1024 * 1024 + 1],
                "the body is larger than this takes",
            ),
        ] {
            let refused = bench.put(&ann, file, kind, bytes).await;
            let said = refused.is(status).body["detail"].as_str().unwrap();
            assert!(said.contains(says), "{said}");
        }
        let unknown = bench.ask(&ann, "GET", "/themes/light/files", None).await;
        assert_eq!(unknown.is(404).body["detail"], "there is no theme \"light\"; make it first");
        assert!(bench.shows().is_none(), "callers see what they saw");
    });
}

#[test]
fn p5_a_theme_whose_file_is_lost_is_an_alarm() {
    run(async {
        let (bench, ann) = Bench::themed().await;
        bench.put(&ann, "welcome.png", "image/png", png(64, 64)).await.is(200);
        let folder = bench.closed();
        let lying = std::fs::read_dir(folder.path().join("themes")).unwrap().next().unwrap().unwrap().path();
        std::fs::remove_file(lying).unwrap();
        let bench = Bench::of(folder);
        bench.admin.show_themes().await;
        kept::stands(&bench, AlarmKind::ThemeIncomplete, true).await;
        let ann = bench.administrator().await;
        let listed = bench.ask(&ann, "GET", "/themes/dark%20blue/files", None).await;
        let trouble = part(&listed.is(200).body, "welcome.png")["trouble"].as_str().unwrap();
        assert!(trouble.starts_with("welcome.png can't be read: "), "{trouble}");
        bench.put(&ann, "welcome.png", "image/png", png(64, 64)).await.is(200);
        kept::stands(&bench, AlarmKind::ThemeIncomplete, false).await;
    });
}
