//! The published test messages under tests/vectors and what their RFCs ask for each.
#![allow(
    clippy::disallowed_methods,
    reason = "the vectors are files; only the machines themselves may read none"
)]
#![allow(dead_code, reason = "each test binary reads the columns it needs")]

use std::path::{Path, PathBuf};

/// What the parser does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtParser {
    /// Takes it.
    Accept,
    /// Rejects it with this status.
    Reject(u16),
    /// Drops it.
    Drop,
}

/// What a UAS sends in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnWire {
    /// Any answer but 400, 416, 501 and 505.
    Any,
    /// Nothing.
    Nothing,
    /// One of these.
    OneOf(Vec<u16>),
}

/// One message.
#[derive(Debug, Clone)]
pub struct Vector {
    /// Its name in the RFC.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it is a request.
    pub is_request: bool,
    /// What the parser does.
    pub parser: AtParser,
    /// What a UAS sends.
    pub wire: OnWire,
}

/// Every message of `suite` (`rfc4475`, `rfc5118`), in the order of its table.
pub fn vectors(suite: &str) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors").join(suite);
    let table = std::fs::read_to_string(folder.join("expect.txt")).expect("the table of expectations");
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| vector(&folder, line))
        .collect()
}

fn vector(folder: &Path, line: &str) -> Vector {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [name, kind, parser, wire] = columns[..] else { panic!("not four columns: {line}") };
    let file: PathBuf = folder.join(format!("{name}.dat"));
    Vector {
        name: name.to_owned(),
        bytes: std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        is_request: kind == "request",
        parser: match parser {
            "accept" => AtParser::Accept,
            "drop" => AtParser::Drop,
            status => AtParser::Reject(status.parse().expect("a status")),
        },
        wire: match wire {
            "any" => OnWire::Any,
            "none" => OnWire::Nothing,
            list => OnWire::OneOf(list.split('/').map(|status| status.parse().expect("a status")).collect()),
        },
    }
}
