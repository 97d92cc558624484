//! One question of a form: what is asked, what may be answered, and how it is edited with few keys or many.

use super::Reach;
use super::cells::{Address, Cells, Choice, Digits, Letters};
use super::line::{Echo, LineEditor};
use crate::protocol::Row;
use domain::appliance::values::InterfaceName;
use domain::appliance::{Draft, Field};
use std::net::Ipv4Addr;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// By which its answer is found again.
    pub id: &'static str,
    /// What is asked, on a wide screen.
    pub label: String,
    /// The same in at most 16 characters.
    pub short: String,
    /// What may be answered.
    pub kind: Kind,
    /// What is to be read before answering.
    pub rows: Vec<Row>,
}

/// What may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing; it is read and left.
    Read,
    /// One of these values, each with what is shown for it.
    Choice(Vec<(String, String)>),
    /// A text for a field of the settings, with what it may become.
    Field {
        /// The field.
        field: Field,
        /// What is offered.
        offer: String,
    },
    /// An IPv4 address.
    Address {
        /// What is offered.
        offer: Option<Ipv4Addr>,
        /// The bits of its network's prefix.
        prefix: u8,
    },
    /// A number below ten to the `digits`.
    Number {
        /// What is offered.
        offer: u32,
        /// How many digits it has.
        digits: usize,
    },
    /// The label's code.
    Code {
        /// How many digits of it.
        digits: usize,
    },
    /// A password.
    Password,
    /// Any text.
    Text {
        /// What is offered.
        offer: String,
    },
}

/// How an answer is being edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Editor {
    /// By four keys.
    Cells(Cells),
    /// On a line.
    Line(LineEditor),
    /// Not at all.
    Read,
}

impl Question {
    /// A question without anything to read before.
    #[must_use]
    pub fn new(id: &'static str, label: impl Into<String>, short: impl Into<String>, kind: Kind) -> Self {
        Self { id, label: label.into(), short: short.into(), kind, rows: Vec::new() }
    }

    /// With something to read before.
    #[must_use]
    pub fn after(mut self, rows: Vec<Row>) -> Self {
        self.rows = rows;
        self
    }

    /// A choice of words that are shown as they are.
    #[must_use]
    pub fn words(id: &'static str, label: &str, short: &str, words: &[(&str, &str)]) -> Self {
        let options = words.iter().map(|(value, shown)| ((*value).to_owned(), (*shown).to_owned())).collect();
        Self::new(id, label, short, Kind::Choice(options))
    }

    /// What may be answered, as a hint.
    #[must_use]
    pub fn hint(&self) -> String {
        match &self.kind {
            Kind::Read | Kind::Choice(_) | Kind::Text { .. } => String::new(),
            Kind::Field { field, .. } => field.hint().to_owned(),
            Kind::Address { .. } => "an address such as 192.0.2.1".to_owned(),
            Kind::Number { digits, .. } => format!("up to {digits} digits"),
            Kind::Code { digits } => format!("{digits} digits, on the box's label"),
            Kind::Password if self.id == "new" => "at least 10 characters; it is not shown".to_owned(),
            Kind::Password => "it is not shown".to_owned(),
        }
    }

    /// Its editor.
    #[must_use]
    pub fn editor(&self, reach: Reach) -> Editor {
        match (&self.kind, reach) {
            (Kind::Read, _) => Editor::Read,
            (Kind::Choice(options), _) => Editor::Cells(Cells::Choice(Choice::of(options.clone()))),
            (Kind::Password, Reach::Keyboard) => Editor::Line(LineEditor::new(Echo::Hidden, 128)),
            (Kind::Code { .. }, Reach::Keyboard) => Editor::Line(LineEditor::new(Echo::Shown, 32)),
            (_, Reach::Keyboard) => {
                Editor::Line(LineEditor::new(Echo::Shown, super::line::LINE_CHARS).with(&self.offer()))
            }
            (Kind::Address { offer: None, .. }, Reach::FourKeys) => {
                Editor::Cells(Cells::Address(Address::blank()))
            }
            (Kind::Address { offer: Some(offer), prefix }, Reach::FourKeys) => {
                Editor::Cells(Cells::Address(Address::offer(*offer, *prefix)))
            }
            (Kind::Number { offer, digits }, Reach::FourKeys) => {
                Editor::Cells(Cells::Digits(Digits::of(*offer, *digits)))
            }
            (Kind::Code { digits }, Reach::FourKeys) => Editor::Cells(Cells::Digits(Digits::zero(*digits))),
            (Kind::Field { field: Field::HostName, offer }, Reach::FourKeys) => {
                Editor::Cells(Cells::Letters(Letters::offer(Letters::HOST, offer, 63)))
            }
            (Kind::Field { field: Field::Of(..), offer }, Reach::FourKeys) => {
                Editor::Cells(Cells::Letters(Letters::offer(Letters::IPV6, offer, 43)))
            }
            (Kind::Field { offer, .. } | Kind::Text { offer }, Reach::FourKeys) => {
                Editor::Cells(Cells::Letters(Letters::offer(Letters::SERVER, offer, 120)))
            }
            // Nobody keys a password with four keys: one is made up and shown.
            (Kind::Password, Reach::FourKeys) => Editor::Read,
        }
    }

    /// What is offered, as text.
    #[must_use]
    pub fn offer(&self) -> String {
        match &self.kind {
            Kind::Field { offer, .. } | Kind::Text { offer } => offer.clone(),
            Kind::Address { offer, .. } => offer.map_or_else(String::new, |offer| offer.to_string()),
            Kind::Number { offer, .. } => offer.to_string(),
            Kind::Choice(options) => options.first().map_or_else(String::new, |(value, _)| value.clone()),
            Kind::Read | Kind::Code { .. } | Kind::Password => String::new(),
        }
    }

    /// Whether `answer` can be one, before anybody is asked.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        match &self.kind {
            Kind::Field { field, .. } => check_field(field, answer),
            Kind::Address { .. } => domain::appliance::values::ipv4(answer).map(drop),
            Kind::Number { .. } if answer.trim().parse::<u32>().is_err() => {
                Err("that is no number".to_owned())
            }
            Kind::Choice(options) if !options.iter().any(|(value, _)| value == answer) => {
                let known: Vec<_> = options.iter().map(|(value, _)| value.as_str()).collect();
                Err(format!("take one of {}", known.join(", ")))
            }
            Kind::Code { .. } | Kind::Password if answer.is_empty() => Err("nothing was typed".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether `text` is right for `field` by itself.
fn check_field(field: &Field, text: &str) -> Result<(), String> {
    let names: Vec<InterfaceName> = match field {
        Field::Of(name, _) => vec![name.clone()],
        _ => Vec::new(),
    };
    let mut scratch = Draft::delivered(&names, None);
    scratch.set(field, text).map_err(|problem| problem.to_string())
}
