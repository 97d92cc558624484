//! Calls that are over: what the history keeps of each, and how it is written as a table (RFC 4180).

use crate::status::Call;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The columns of the table.
pub const COLUMNS: &str =
    "began,ended,seconds,caller,display_name,alias,rule,connector,meeting,cause,fault\r\n";

/// A call that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallRecord {
    /// Its number in the history; each is greater than all before it.
    #[serde(default)]
    pub seq: u64,
    /// When it came: RFC 3339, by the box's clock.
    pub began: String,
    /// When it ended.
    pub ended: String,
    /// How long it was there, in seconds.
    pub seconds: f64,
    /// Who ended it or was at fault: `Caller`, `Callee`, `Gateway`, `Network`, `Upstream`, `Operator`.
    pub fault: String,
    /// Why it ended, such as `HungUp`.
    pub cause: String,
    /// How it stood when it ended: its legs with their streams.
    pub call: Call,
}

impl CallRecord {
    /// Its row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let text = |text: &Option<String>| field(text.as_deref().unwrap_or_default());
        let call = &self.call;
        let (connector, meeting) = call.meeting().unwrap_or_default();
        let row = [
            field(&self.began),
            field(&self.ended),
            format!("{:.1}", self.seconds),
            text(&call.caller),
            text(&call.display_name),
            text(&call.alias),
            text(&call.rule),
            field(connector),
            field(meeting),
            field(&self.cause),
            field(&self.fault),
        ];
        format!("{}\r\n", row.join(","))
    }
}

/// A field in quotation marks. One that a spreadsheet would take for a formula gets an apostrophe before it: callers choose their names.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_callers_name_breaks_no_table_and_is_no_formula() {
        assert_eq!(field("Board \"A\", 2"), "\"Board \"\"A\"\", 2\"");
        assert_eq!(field("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(field("+49 30"), "\"'+49 30\"");
    }
}
