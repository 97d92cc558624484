//! From text to parts: every wrong field is found, not only the first.
//!
//! serde stops at the first error. So what was wrong is noted, taken out of the document, and the rest is read again, until
//! only good parts are left. What is missing because it was taken out is not told again.

use crate::Board;
use crate::disk::Disk;
use crate::parts::{Arch, Boot, Identity, Kernel, Nic, Panel, Sensor, Serial, Watchdog};
use crate::values::Name;
use serde::Deserialize;
use serde_path_to_error::{Path, Segment};
use std::collections::BTreeSet;
use std::fmt;
use toml::{Table, Value};

/// Something wrong in a board's description, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field, such as `nics[1].path`; empty for the document itself.
    pub field: String,
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { field, message } = self;
        let gap = if field.is_empty() { "" } else { ": " };
        write!(f, "{field}{gap}{message}")
    }
}

/// Everything wrong in a board's description, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

/// The document as it is written. [`Board`] has no way to be read but through the checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    board: Head,
    identity: Identity,
    serial: Serial,
    nics: Vec<Nic>,
    watchdogs: Vec<Watchdog>,
    panel: Panel,
    #[serde(default)]
    sensors: Vec<Sensor>,
    kernel: Kernel,
    boot: Boot,
    disk: Disk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: Name,
    title: String,
    product: String,
    arch: Arch,
}

/// Reads the shape.
pub(crate) fn read(text: &str) -> Result<Board, Problems> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let message = format!("not TOML: {}", error.to_string().trim_end().replace('\n', "; "));
        Problems(vec![Problem { field: String::new(), message }])
    })?;
    let mut rest = Rest { document: Value::Table(table), gone: BTreeSet::new() };
    let mut problems = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Document>(rest.document.clone()) {
            Ok(good) if problems.is_empty() => return Ok(board(good)),
            Ok(_) => break,
            Err(error) => error,
        };
        let steps = steps(error.path());
        let field = rest.field(&steps);
        let message = error.inner().message().trim().replace('\n', ", ");
        let field = match absent(&message) {
            Some(name) => within(&field, name),
            None => field,
        };
        if !rest.gone.contains(&field) {
            let message = match absent(&message) {
                Some(_) => "is missing; the other boards show how it is written".to_owned(),
                None => message,
            };
            problems.push(Problem { field, message });
        }
        if !rest.take_out(&steps) {
            break;
        }
    }
    problems.sort();
    problems.dedup();
    Err(Problems(problems))
}

fn board(document: Document) -> Board {
    let Document { board, identity, serial, nics, watchdogs, panel, sensors, kernel, boot, disk } = document;
    let Head { name, title, product, arch } = board;
    Board {
        name,
        title,
        product,
        arch,
        identity,
        serial,
        nics,
        watchdogs,
        panel,
        sensors,
        kernel,
        boot,
        disk,
    }
}

/// The field that serde misses, if that is what it says.
fn absent(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

fn within(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// A step down into the document.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// The way to a value. serde goes one level further where an enum's variant is unknown.
fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// What is left of a document.
struct Rest {
    document: Value,
    /// The fields that were taken out, as they were written.
    gone: BTreeSet<String>,
}

impl Rest {
    /// The field at `steps` as it was written: an element's number counts those before it that are gone.
    fn field(&self, steps: &[Step]) -> String {
        let mut field = String::new();
        for step in steps {
            match step {
                Step::Key(key) => field = within(&field, key),
                Step::Index(index) => {
                    let kept = |at: &usize| !self.gone.contains(&format!("{field}[{at}]"));
                    let at = (0..).filter(kept).nth(*index).unwrap_or(*index);
                    field = format!("{field}[{at}]");
                }
            }
        }
        field
    }

    /// Takes the value at `steps` out; `false` if there is none, so that nothing more can be read.
    fn take_out(&mut self, steps: &[Step]) -> bool {
        let Some((last, above)) = steps.split_last() else { return false };
        let field = self.field(steps);
        let mut at = &mut self.document;
        for step in above {
            let below = match step {
                Step::Key(key) => at.get_mut(key.as_str()),
                Step::Index(index) => at.get_mut(*index),
            };
            match below {
                Some(value) => at = value,
                None => return false,
            }
        }
        let taken = match (last, at) {
            (Step::Key(key), Value::Table(table)) => table.remove(key).is_some(),
            (Step::Index(index), Value::Array(array)) if *index < array.len() => {
                array.remove(*index);
                true
            }
            _ => false,
        };
        self.gone.insert(field);
        taken
    }
}
