//! What every `Cargo.toml` and `clippy.toml` must say.

use crate::plan::{PURE_BANS, PURE_FOLDERS};

/// What each crate takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// What departs from the plan in a crate's `Cargo.toml`, which is called `file` and holds `text`.
#[must_use]
pub fn check(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for field in INHERITED {
        if !says(text, "package", field) {
            faults.push(format!("{file}: [package] does not take its {field} from the workspace; write {field}.workspace = true"));
        }
    }
    if !lines(text).any(|(section, line)| section == "lints" && squeezed(line) == "workspace=true") {
        faults.push(format!(
            "{file}: the workspace's lints do not hold here; write [lints] and workspace = true"
        ));
    }
    for (section, line) in lines(text).filter(|(section, _)| section.ends_with("dependencies")) {
        if !squeezed(line).contains("workspace=true") {
            faults.push(format!("{file}: [{section}] {line:?} has a version or path of its own; put it in the root's [workspace.dependencies] and write <name>.workspace = true"));
        }
    }
    faults
}

/// What departs from the plan in the `clippy.toml` of the pure folder `folder`. `root` is the root's, which the nearest
/// one replaces.
#[must_use]
pub fn check_bans(folder: &str, text: Option<&str>, root: &str) -> Vec<String> {
    let Some(text) = text else {
        return vec![format!(
            "{folder} is pure code but has no clippy.toml; copy that of {}",
            PURE_FOLDERS[0]
        )];
    };
    let banned = |ban: &str| bans(text).any(|banned| banned == ban);
    let mut faults: Vec<_> = PURE_BANS
        .iter()
        .filter(|ban| !banned(ban))
        .map(|ban| format!("{folder}/clippy.toml does not ban {ban}; pure code takes it as an argument"))
        .collect();
    let replaced = bans(root).filter(|ban| !banned(ban));
    faults.extend(
        replaced.map(|ban| {
            format!("{folder}/clippy.toml replaces the root's, but does not ban {ban}; repeat it")
        }),
    );
    faults
}

/// Whether `[section]` says that `field` is the workspace's.
fn says(text: &str, wanted: &str, field: &str) -> bool {
    lines(text)
        .any(|(section, line)| section == wanted && squeezed(line) == format!("{field}.workspace=true"))
}

/// The lines of a TOML text that say something, each with the section it stands in.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    text.lines().map(str::trim).filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').trim_start_matches('[');
            return None;
        }
        (!line.is_empty() && !line.starts_with('#')).then_some((section, line))
    })
}

fn bans(text: &str) -> impl Iterator<Item = &str> {
    let path = |line: &'_ str| line.trim_start().starts_with("{ path");
    text.lines().filter(move |line| path(line)).filter_map(|line| line.split('"').nth(1))
}

fn squeezed(line: &str) -> String {
    line.split('#').next().unwrap_or(line).split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                        license.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n\
                        [dependencies]\nbase.workspace = true\nserde = { workspace = true, features = [\"rc\"] } # shared\n";

    #[test]
    fn a_manifest_that_inherits_everything_is_good() {
        assert_eq!(check("Cargo.toml", GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_manifest_with_a_version_of_its_own_is_found() {
        let own = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert!(
            check("x/Cargo.toml", &own)[0].starts_with("x/Cargo.toml: [package] does not take its edition")
        );
        let pinned = GOOD.replace("base.workspace = true", "base = \"1\"");
        assert!(check("x/Cargo.toml", &pinned)[0].contains("has a version or path of its own"));
        let dev = format!("{GOOD}[dev-dependencies]\nproptest = \"1\"\n");
        assert_eq!(check("x/Cargo.toml", &dev).len(), 1);
    }

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        let bare = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert!(check("x/Cargo.toml", &bare)[0].contains("write [lints]"));
    }

    #[test]
    fn a_pure_folder_without_its_bans_is_found() {
        let root = "disallowed-methods = [\n    { path = \"std::thread::sleep\", reason = \"no\" },\n]\n";
        assert!(check_bans("firmware/x", None, root)[0].contains("has no clippy.toml"));
        let all: String =
            PURE_BANS.iter().map(|ban| format!("    {{ path = \"{ban}\", reason = \"\" }},\n")).collect();
        assert_eq!(
            check_bans("firmware/x", Some(&all), root),
            ["firmware/x/clippy.toml replaces the root's, but does not ban std::thread::sleep; repeat it"]
        );
        let some = format!("{}{root}", all.replace("std::time::Instant::now", "std::time::Instant::then"));
        assert_eq!(
            check_bans("firmware/x", Some(&some), root),
            [
                "firmware/x/clippy.toml does not ban std::time::Instant::now; pure code takes it as an argument"
            ]
        );
    }
}
