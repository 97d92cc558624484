//! What callers see and hear of themes: of folders and of uploads, and what becomes of files that are lost, moved or too many.

use super::*;
use crate::certificates::DataKey;
use crate::configuration::Secrets;
use crate::configuration::tests::FIRST;
use base::Size;
use domain::alarm::{Fact, Health};
use domain::api::Kind;
use domain::config::Theme;
use domain::prompt::Prompt;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use store::Expected;
use tempfile::TempDir;

/// A picture of one grey.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels = vec![200; (width * height) as usize];
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("encoded");
    file
}

/// So many milliseconds of silence at 44.1 kHz.
pub fn wav(millis: u32) -> Vec<u8> {
    let bytes = 44_100 * millis / 1_000 * 2;
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0data".to_vec();
    wav.extend(bytes.to_le_bytes());
    wav.extend(vec![0; bytes as usize]);
    wav
}

fn file(name: &str) -> File {
    name.parse().expect("a prompt's file")
}

fn theme(folder: &Path) -> [Theme; 1] {
    [Theme { name: "dark".into(), folder: Some(folder.to_owned()) }]
}

fn health(read: &ThemesRead) -> Health {
    let facts: Vec<_> = read.facts().collect();
    let [Fact::Theme { name, health }] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!(name, "dark");
    health.clone()
}

fn size(read: &ThemesRead, theme: Option<&str>, prompt: Prompt) -> Size {
    read.prompts.picture(theme, prompt, "42").expect("a picture").size()
}

/// P5
#[test]
fn p5_a_theme_takes_the_place_of_what_it_has_and_of_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("welcome.png"), png(320, 180)).expect("written");
    fs::write(folder.path().join("lobby.wav"), wav(1_000)).expect("written");

    let read = Reader::new().expect("prompts").read(&theme(folder.path()), None);
    assert_eq!(size(&read, Some("dark"), Prompt::Welcome), Size::new(320, 180));
    assert_eq!(size(&read, Some("dark"), Prompt::Lobby), Size::HD720);
    assert_eq!(size(&read, None, Prompt::Welcome), Size::HD720);
    let lasts = |theme, prompt| read.prompts.voice(theme, prompt).expect("a voice").duration();
    let silence = "a second at 44.1 kHz, and silence";
    assert_eq!(lasts(Some("dark"), Prompt::Lobby), Duration::from_millis(1_400), "{silence}");
    assert_eq!(lasts(Some("dark"), Prompt::Welcome), lasts(None, Prompt::Welcome));
    assert_eq!(health(&read), Health::Good);
}

/// P5
#[test]
fn p5_a_file_that_can_not_be_used_is_told_of_and_the_built_in_stands_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("full.wav"), b"ID3").expect("written");
    fs::write(folder.path().join("welcome.png"), png(320, 180)).expect("written");
    let mut reader = Reader::new().expect("prompts");
    let read = reader.read(&theme(folder.path()), None);
    assert_eq!(
        size(&read, Some("dark"), Prompt::Welcome),
        Size::new(320, 180),
        "the rest is as it should be"
    );
    let said = "callers see and hear what is built in: full.wav is no WAV file; save it as WAV, PCM, 16 bit";
    assert_eq!(health(&read), Health::Bad { why: said.to_owned() });

    let read = reader.read(&theme(Path::new("/nowhere")), None);
    assert_eq!(size(&read, Some("dark"), Prompt::Welcome), Size::HD720);
    let said = "callers see and hear what is built in: the folder /nowhere is not there; put it back, or upload the files";
    assert_eq!(health(&read), Health::Bad { why: said.to_owned() });
}

/// A box with a theme.
struct Bench {
    folder: TempDir,
    configuration: Arc<Configuration>,
    themes: Themes,
}

impl Bench {
    fn new() -> Self {
        let bench = Self::of(tempfile::tempdir().expect("a folder"));
        bench.write(&[(Some("dark"), "dark")]);
        bench
    }

    fn of(folder: TempDir) -> Self {
        let key = Arc::new(DataKey::load(&folder.path().join("data.key")).expect("a key"));
        let opened = Configuration::open(folder.path(), Secrets::new(key), Some(("gantry.toml", FIRST)));
        let configuration = Arc::new(opened.map_err(|error| error.to_string()).expect("a configuration").0);
        let themes = Themes::open(Arc::clone(&configuration), &folder.path().join("themes")).expect("themes");
        Self { folder, configuration, themes }
    }

    /// The same after a restart.
    fn again(self) -> Self {
        let Self { folder, configuration, themes } = self;
        drop((configuration, themes));
        Self::of(folder)
    }

    /// Makes, renames (a name and what it becomes) or removes themes.
    fn write(&self, themes: &[(Option<&str>, &str)]) {
        let change = |id: &str, body| Change {
            kind: Kind::Themes,
            id: id.to_owned(),
            expected: Expected::Anything,
            body,
        };
        let mut changes = Vec::new();
        for (name, was) in themes {
            if *name != Some(*was) {
                changes.push(change(was, None));
            }
            changes.extend(name.map(|name| change(name, Some(json!({ "name": name })))));
        }
        let along = self.themes.follow(&changes).expect("read");
        self.configuration
            .change_within("ann", &changes, along.edits.clone(), &|_, _| Ok(()))
            .expect("changed");
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), NotKept> {
        self.themes.put("ann", "dark", file(name), bytes)
    }

    /// The files that lie there.
    fn lying(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("themes")).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// P5
#[test]
fn p5_what_is_uploaded_comes_before_the_folders_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("welcome.png"), png(320, 180)).expect("written");
    let bench = Bench::new();
    let body = json!({ "name": "dark", "folder": folder.path() });
    let set =
        Change { kind: Kind::Themes, id: "dark".into(), expected: Expected::Anything, body: Some(body) };
    bench.configuration.change("ann", &[set]).expect("changed");
    assert_eq!(size(&bench.themes.read_all(), Some("dark"), Prompt::Welcome), Size::new(320, 180));
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    bench.put("full.wav", &wav(500)).expect("taken");
    assert_eq!(size(&bench.themes.read_all(), Some("dark"), Prompt::Welcome), Size::new(640, 360));

    let bench = bench.again();
    let read = bench.themes.read_all();
    assert_eq!(size(&read, Some("dark"), Prompt::Welcome), Size::new(640, 360));
    let used = &read.used[&("dark".to_owned(), file("full.wav"))];
    let upload = Used { origin: Origin::Upload, about: Some("0.9 s".into()), trouble: None };
    assert_eq!(used, &upload, "half a second, and silence");
    assert_eq!(bench.themes.file("dark", file("full.wav")).expect("read"), Some(wav(500)));
    bench.themes.remove("ann", "dark", file("welcome.png")).expect("removed");
    assert_eq!(size(&bench.themes.read_all(), Some("dark"), Prompt::Welcome), Size::new(320, 180));
    let said = bench.themes.remove("ann", "dark", file("welcome.png")).expect_err("it is gone").to_string();
    assert_eq!(said, "theme \"dark\" has no uploaded welcome.png");
    // Who did it stands in the audit log.
    let acts: Vec<_> = bench.configuration.audit(None, 10).into_iter().map(|line| line.act).collect();
    assert_eq!(acts[..3], ["remove-theme-file", "upload-theme-file", "upload-theme-file"]);
}

/// P5
#[test]
fn p5_a_file_that_is_refused_changes_nothing() {
    let bench = Bench::new();
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    for (name, bytes, says) in [
        ("welcome.png", &b"GIF89a"[..], "welcome.png is no whole PNG file"),
        ("welcome.png", &png(32, 32), "welcome.png is 32x32"),
        ("lobby.wav", b"ID3", "lobby.wav is no WAV file"),
    ] {
        let said = bench.put(name, bytes).expect_err("refused").to_string();
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(size(&bench.themes.read_all(), Some("dark"), Prompt::Welcome), Size::new(640, 360));
    assert_eq!(bench.lying().len(), 1);
}

/// P5
#[test]
fn p5_an_uploaded_file_that_is_lost_or_damaged_is_told_of_until_it_is_uploaded_again() {
    let bench = Bench::new();
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    let lying = bench.lying();
    for damage in ["", "something else"] {
        fs::write(&lying[0], damage).expect("written");
        // Whoever has decoded it already does not read it again.
        let folder = bench.folder.path().join("themes");
        let read = Themes::open(Arc::clone(&bench.configuration), &folder).expect("themes").read_all();
        assert_eq!(size(&read, Some("dark"), Prompt::Welcome), Size::HD720);
        let Health::Bad { why } = health(&read) else { panic!("it is told of") };
        assert!(
            why.ends_with("welcome.png can't be read: it was damaged on the disk; upload it again"),
            "{why}"
        );
    }
    let bench = bench.again();
    assert_ne!(health(&bench.themes.read_all()), Health::Good);
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    assert_eq!(health(&bench.themes.read_all()), Health::Good);
    assert_eq!(health(&bench.again().themes.read_all()), Health::Good);
}

/// P5
#[test]
fn p5_files_go_where_their_theme_goes() {
    let bench = Bench::new();
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    bench.write(&[(Some("night"), "dark")]);
    let read = bench.themes.read_all();
    assert_eq!(size(&read, Some("night"), Prompt::Welcome), Size::new(640, 360));
    bench.write(&[(None, "night")]);
    bench.write(&[(Some("night"), "night")]);
    assert_eq!(size(&bench.themes.read_all(), Some("night"), Prompt::Welcome), Size::HD720, "it begins anew");
}

#[test]
fn what_nobody_names_makes_room_the_oldest_first_and_what_somebody_names_never_does() {
    let bench = Bench::new();
    bench.put("welcome.png", &png(640, 360)).expect("taken");
    let named = bench.lying();
    let folder = bench.folder.path().join("themes");
    let mut age = Duration::from_secs(2_000);
    // Of a slot that is older, and of one that is older still.
    for name in ["old", "older"] {
        let stale = fs::File::create(folder.join(name)).expect("made");
        stale.set_len(uploads::MOST_BYTES / 2).expect("as long as that");
        stale.set_modified(std::time::SystemTime::now() - age).expect("dated");
        age *= 2;
    }
    bench.put("full.png", &png(64, 64)).expect("taken");
    let left = bench.lying();
    assert!(left.contains(&named[0]) && left.contains(&folder.join("old")), "{left:?}");
    assert!(!left.contains(&folder.join("older")), "{left:?}");
}

#[test]
fn where_there_is_no_room_nothing_is_taken_but_what_takes_the_place_of_as_much() {
    // Three voices of 8 MiB.
    let bench = Bench::new();
    let voice = |first: u8| {
        let mut wav = wav(59_000);
        wav.resize(8 * 1024 * 1024, 0);
        let at = 44;
        wav[at] = first;
        let bytes = u32::try_from(wav.len() - at).expect("small");
        wav[at - 4..at].copy_from_slice(&bytes.to_le_bytes());
        // Two channels, so that it is no longer than it may be.
        wav[22] = 2;
        wav
    };
    for (name, first) in [("welcome.wav", 1), ("lobby.wav", 2), ("full.wav", 3)] {
        bench.put(name, &voice(first)).expect("taken");
    }
    let said = bench.put("refused.wav", &voice(4)).expect_err("refused").to_string();
    assert!(
        said.starts_with("no room for refused.wav: themes may have 176 files and 25165824 bytes"),
        "{said}"
    );
    bench.put("full.wav", &voice(5)).expect("in the place of the one before");
    // What an import leaves without its theme makes room.
    bench.write(&[(Some("night"), "night")]);
    let orphaned = Change { kind: Kind::Themes, id: "dark".into(), expected: Expected::Anything, body: None };
    bench.configuration.change("ann", &[orphaned]).expect("changed");
    bench.themes.put("ann", "night", file("full.wav"), &voice(6)).expect("taken");
    let said = bench.put("full.wav", &voice(7)).expect_err("its theme is gone").to_string();
    assert_eq!(said, "there is no theme \"dark\"; make it first");
}

/// P5
#[test]
fn p5_a_picture_that_is_called_as_a_voice_is_no_voice_though_it_is_known_as_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["welcome.png", "lobby.wav"] {
        fs::write(folder.path().join(name), png(320, 180)).expect("written");
    }
    let read = Reader::new().expect("prompts").read(&theme(folder.path()), None);
    assert_eq!(size(&read, Some("dark"), Prompt::Lobby), Size::HD720);
    assert_ne!(health(&read), Health::Good);
}
