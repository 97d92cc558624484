//! The support bundle: what goes in, and that no secret does.
//!
//! ```text
//!  files, answers ─▶ Redactor: whole documents read and their secrets replaced ─▶ known secrets ─▶ patterns ─▶ tar
//! ```
//! Every text goes through [`Redactor::text`], whatever it is: known secrets are replaced wherever they stand, and so is
//! what looks like one. A document with named fields goes through [`Redactor::toml`] first; one that cannot be read is
//! left out.

use base::Secret;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Largest part of a bundle; what is longer loses its beginning, as the end is newer.
pub const PART_BYTES: usize = 8 * 1024 * 1024;
/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";
/// Known secrets shorter than this are not looked for: they would hit half the bundle.
const SHORTEST: usize = 4;
/// Fields that hold secrets, in any document of ours.
const SECRET_FIELDS: &[&str] =
    &["value", "password", "secret", "passphrase", "private_key", "pin", "token", "credential"];

/// What goes into a bundle, each a file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// What the bundle is, of which box, made when and by whom.
    About,
    /// How the box is: calls, slots, sensors, clock.
    Status,
    /// The box's settings.
    Settings,
    /// The gateway's configuration.
    Configuration,
    /// Interfaces, addresses, routes, name servers as they are.
    Network,
    /// Results of the path tests.
    Tests,
    /// Why the box and its services stopped.
    Reasons,
    /// Who did what.
    Audit,
    /// The journal of this boot and the one before.
    Journal,
    /// What the kernel says of memory, processors and load.
    Kernel,
}

impl Part {
    /// All of them, in the bundle's order.
    pub const ALL: [Self; 10] = [
        Self::About,
        Self::Status,
        Self::Settings,
        Self::Configuration,
        Self::Network,
        Self::Tests,
        Self::Reasons,
        Self::Audit,
        Self::Journal,
        Self::Kernel,
    ];

    /// Its file's name.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::About => "about.txt",
            Self::Status => "status.json",
            Self::Settings => "settings.toml",
            Self::Configuration => "gantry.toml",
            Self::Network => "network.txt",
            Self::Tests => "tests.txt",
            Self::Reasons => "reasons.jsonl",
            Self::Audit => "audit.log",
            Self::Journal => "journal.txt",
            Self::Kernel => "kernel.txt",
        }
    }
}

/// Takes secrets out of texts.
pub struct Redactor {
    known: Vec<Secret<String>>,
}

/// What looks like a secret wherever it stands, and what stands in its place.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let fields =
        r"password|passwd|passphrase|secret|private[_-]?key|api[_-]?key|access[_-]?token|credential|pin";
    let patterns = [
        // PEM private keys, also cut off at the end of a log.
        (
            r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)".to_owned(),
            REDACTED,
        ),
        (r"\$(?:argon2[a-z]*|2[aby]|5|6|y)\$[A-Za-z0-9./+=,$-]+".to_owned(), REDACTED),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?".to_owned(), REDACTED),
        (r"(?i)(authorization\s*[:=]\s*)[^\r\n]+".to_owned(), "${1}[redacted]"),
        (r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}".to_owned(), "${1}[redacted]"),
        (r#"(://[^/\s:@"']*:)[^@/\s"']+@"#.to_owned(), "${1}[redacted]@"),
        (r"(?i)(\ba=crypto:\d+\s+\S+\s+inline:)[^\s|]+".to_owned(), "${1}[redacted]"),
        (format!(r#"(?i)("?\b(?:{fields})"?\s*[:=]\s*)"(?:[^"\\]|\\.)*""#), "${1}\"[redacted]\""),
        (format!(r"(?i)('?\b(?:{fields})'?\s*[:=]\s*)'[^']*'"), "${1}'[redacted]'"),
        (format!(r#"(?i)(\b(?:{fields})\s*[:=]\s*)[^\s"',;\[]+"#), "${1}[redacted]"),
    ];
    patterns
        .into_iter()
        .filter_map(|(pattern, with)| Regex::new(&pattern).ok().map(|regex| (regex, with)))
        .collect()
});

/// What stands in quotes behind the name of a secret field.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(r#"(?m)\b({})\s*=\s*["']+([^"'\r\n]+)"#, SECRET_FIELDS.join("|"));
    Regex::new(&pattern).unwrap_or_else(|error| unreachable!("that pattern compiles: {error}"))
});

impl Redactor {
    /// With secrets that are known: tokens, passwords, codes.
    #[must_use]
    pub fn new(known: Vec<Secret<String>>) -> Self {
        let mut known: Vec<_> =
            known.into_iter().filter(|secret| secret.expose().len() >= SHORTEST).collect();
        // A longer one may hold a shorter one.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { known }
    }

    /// `text` without secrets, and without what a terminal would act on.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text: String =
            text.chars().map(|c| if c.is_control() && !"\n\t".contains(c) { '?' } else { c }).collect();
        for secret in &self.known {
            for form in forms(secret.expose()) {
                text = text.replace(&form, REDACTED);
            }
        }
        for (pattern, with) in PATTERNS.iter() {
            text = pattern
                .replace_all(&text, |found: &Captures<'_>| {
                    let mut put = String::new();
                    found.expand(with, &mut put);
                    // Lines stay where they are.
                    put.extend(found[0].matches('\n'));
                    put
                })
                .into_owned();
        }
        text
    }

    /// A TOML document without the values of its secret fields; `None` if it is none, as then nobody knows what is in it.
    #[must_use]
    pub fn toml(&self, text: &str) -> Option<String> {
        let mut table: toml::Table = text.parse().ok()?;
        table.iter_mut().for_each(|(key, value)| hide(key, value));
        Some(self.text(&toml::to_string(&table).ok()?))
    }

    /// The secrets of a TOML document, to be looked for elsewhere too; of one that cannot be read, what stands behind the
    /// names of such fields.
    #[must_use]
    pub fn secrets_of(text: &str) -> Vec<Secret<String>> {
        let mut found = Vec::new();
        match text.parse::<toml::Table>() {
            Ok(table) => table.iter().for_each(|(key, value)| collect(key, value, &mut found)),
            Err(_) => {
                found.extend(QUOTED.captures_iter(text).map(|quoted| Secret::new(quoted[2].to_owned())))
            }
        }
        found
    }
}

/// A secret as it may stand in a text: as it is, and as JSON and URLs write it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    let url: String = secret
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let mut forms = vec![secret.to_owned(), json, url];
    forms.retain(|form| form.len() >= SHORTEST);
    forms.dedup();
    forms
}

fn is_secret(key: &str) -> bool {
    SECRET_FIELDS.contains(&key.to_ascii_lowercase().replace('-', "_").as_str())
}

fn hide(key: &str, value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| hide(key, value)),
        toml::Value::Array(items) => items.iter_mut().for_each(|item| hide(key, item)),
        other if is_secret(key) => *other = toml::Value::String(REDACTED.to_owned()),
        _ => {}
    }
}

fn collect(key: &str, value: &toml::Value, found: &mut Vec<Secret<String>>) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| collect(key, value, found)),
        toml::Value::Array(items) => items.iter().for_each(|item| collect(key, item, found)),
        toml::Value::String(text) if is_secret(key) => found.push(Secret::new(text.clone())),
        _ => {}
    }
}

/// The last [`PART_BYTES`] of `text`, from the beginning of a line.
#[must_use]
pub fn newest(text: &str) -> &str {
    let Some(from) = text.len().checked_sub(PART_BYTES).filter(|from| *from > 0) else { return text };
    let rest = &text.as_bytes()[from..];
    let line = rest.iter().position(|b| *b == b'\n').map_or(text.len(), |at| from + at + 1);
    &text[line..]
}

/// Files as one tar archive (POSIX.1-1988 ustar), under a folder of its own.
#[must_use]
pub fn tar(folder: &str, files: &[(&str, &[u8])], at: u64) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        archive.extend(header(&format!("{folder}/{name}"), content.len(), at));
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn header(name: &str, size: usize, at: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |from: usize, text: &str| header[from..from + text.len()].copy_from_slice(text.as_bytes());
    let name: String = name.chars().filter(char::is_ascii_graphic).take(99).collect();
    put(0, &name);
    put(100, "0000640\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", size.min(0o77_777_777_777)));
    put(136, &format!("{:011o}\0", at.min(0o77_777_777_777)));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "tok\"en/with specials+7";
    const DEVICE: &str = "s3cr3t-of-the-room";

    fn redactor() -> Redactor {
        let config = format!(
            "[[tokens]]\nname = 'a'\nvalue = '{TOKEN}'\n[[devices]]\nalias = 'a@b'\npassword = '{DEVICE}'\n"
        );
        Redactor::new(Redactor::secrets_of(&config))
    }

    #[test]
    fn no_planted_secret_survives_in_any_form() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIabc\ndef==\n-----END EC PRIVATE KEY-----";
        let cut = "-----BEGIN PRIVATE KEY-----\nMIIcutoff";
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJnYW50cnkifQ.c2lnbmF0dXJl";
        let argon = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaGhhc2g";
        let json = serde_json::to_string(TOKEN).unwrap();
        let text = format!(
            "token {TOKEN} json {json} url tok%22en%2Fwith%20specials%2B7\nroom said {DEVICE}!\n{key}\nproxy http://me:hunter2@proxy.example\n\
             Authorization: Digest response=\"0123abcd\"\nauth bearer abcdefghijkl\njwt={jwt}\nhash {argon}\npassword = \"o\\\"dd\"\n\
             passphrase: 'single'\nsecret=plainword next\n{{\"password\":\"injson\"}}\na=crypto:1 AES_CM_128 inline:WVNfX19zZW1jdGw|2^20\n{cut}"
        );
        let clean = redactor().text(&text);
        for planted in [
            TOKEN,
            "with specials",
            "tok%22en",
            DEVICE,
            "MHcCAQEEIIabc",
            "def==",
            "hunter2",
            "0123abcd",
            "abcdefghijkl",
            jwt,
            "c2lnbmF0dXJl",
            argon,
            "aGFzaGhhc2g",
            "o\\\"dd",
            "single",
            "plainword",
            "injson",
            "WVNfX19",
            "MIIcutoff",
        ] {
            assert!(!clean.contains(planted), "{planted} is in:\n{clean}");
        }
        for kept in ["proxy.example", "room said", "next", "a=crypto:1 AES_CM_128"] {
            assert!(clean.contains(kept), "{kept} is gone from:\n{clean}");
        }
        assert_eq!(redactor().text(&clean), clean, "what is clean stays as it is");
    }

    #[test]
    fn a_configuration_keeps_its_shape_without_its_secrets() {
        let text = format!(
            "[gateway]\ndomains = ['meet.example.com']\n[[tokens]]\nname = 'tenant a'\nvalue = \"\"\"\nmulti\nline {TOKEN}\"\"\"\n\
             [[devices]]\nalias = 'room@meet.example.com'\npassword = '{DEVICE}'\n"
        );
        let clean = redactor().toml(&text).unwrap();
        for kept in ["meet.example.com", "tenant a", "room@meet.example.com", REDACTED] {
            assert!(clean.contains(kept), "{clean}");
        }
        assert!(!clean.contains("multi") && !clean.contains(DEVICE), "{clean}");
        assert_eq!(redactor().toml("not [ toml"), None, "what cannot be read is left out");
    }

    #[test]
    fn the_secrets_of_a_broken_configuration_are_looked_for_all_the_same() {
        let broken = format!("[[tokens]\nvalue = '{DEVICE}'\nname = 'plain name'\n");
        let redactor = Redactor::new(Redactor::secrets_of(&broken));
        assert_eq!(
            redactor.text(&format!("died with {DEVICE} of plain name")),
            "died with [redacted] of plain name"
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_taken_out() {
        assert_eq!(redactor().text("a\u{1b}[2Jb\tc\nd"), "a?[2Jb\tc\nd");
    }

    #[test]
    fn a_long_part_keeps_its_end() {
        let long = "line of the journal\n".repeat(PART_BYTES / 10);
        let kept = newest(&long);
        assert!(kept.len() <= PART_BYTES && kept.len() > PART_BYTES - 100 && kept.starts_with("line of"));
        assert_eq!(newest("short"), "short");
        let one_line = "é".repeat(PART_BYTES);
        assert_eq!(newest(&one_line), "");
    }

    #[test]
    fn a_tar_is_what_posix_says() {
        let archive = tar("box", &[("a.txt", b"hello"), ("b.txt", b"")], 1_000_000_000);
        assert_eq!(archive.len() % 512, 0);
        assert_eq!(&archive[..9], b"box/a.txt");
        assert_eq!(&archive[257..263], b"ustar\0");
        assert_eq!(&archive[124..136], b"00000000005\0");
        assert_eq!(&archive[512..517], b"hello");
        assert_eq!(&archive[1024..1033], b"box/b.txt");
        let sum: u32 = archive[..512]
            .iter()
            .enumerate()
            .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
            .sum();
        assert_eq!(&archive[148..154], format!("{sum:06o}").as_bytes());
    }

    proptest! {
        #[test]
        fn a_known_secret_is_gone_wherever_it_stands(before in "\\PC{0,20}", after in "\\PC{0,20}", secret in "[!-~]{8,40}") {
            let redactor = Redactor::new(vec![Secret::new(secret.clone())]);
            let clean = redactor.text(&format!("{before}{secret}{after}"));
            let shown = format!("{before}{REDACTED}{after}");
            prop_assert!(!clean.contains(&secret) || shown.contains(&secret), "{}", clean);
        }
    }
}
