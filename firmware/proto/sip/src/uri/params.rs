//! Parameters of URIs and headers: `;name=value;name="quoted value";name` (RFC 3261 25.1 `generic-param`).

use crate::message::lex;
use std::fmt;

/// Parameters behind `;`, in order; names compare without regard to case. Values are kept as written, quotes included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// No parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of `name`, as written: `None` if it is not there, `Some("")` if it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    /// The value of `name` with quotes and their escapes taken off.
    #[must_use]
    pub fn unquoted(&self, name: &str) -> Option<String> {
        self.get(name).map(lex::unquote)
    }

    /// Whether `name` is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name` to `value`, in place if it is there, else at the end. `value` is written as it stands.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(clean);
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((clean(name), value)),
        }
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `a=1;b;c="x"`, what stands behind the first `;`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut params = Self::new();
        lex::split(text, b';').try_for_each(|piece| params.push_piece(piece))?;
        Ok(params)
    }

    /// Reads one `name[=value]` and adds it at the end.
    pub(crate) fn push_piece(&mut self, piece: &str) -> Result<(), &'static str> {
        self.0.push(read_param(piece)?);
        Ok(())
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

fn read_param(piece: &str) -> Result<(String, Option<String>), &'static str> {
    let (name, value) = match lex::find_outside(piece, b'=').and_then(|at| piece.split_at_checked(at)) {
        Some((name, value)) => (lex::trim(name), Some(lex::trim(value.get(1..).unwrap_or("")))),
        None => (piece, None),
    };
    if name.is_empty() {
        return Err("an empty parameter: two ; in a row or one at the end");
    }
    if name.bytes().any(|b| lex::is_lws(b) || matches!(b, b'"' | b'<' | b'>')) {
        return Err("a parameter's name holds white space, quotes or angle brackets");
    }
    let good = match value {
        Some(quoted) if quoted.starts_with('"') => {
            lex::take_quoted(quoted).is_some_and(|(_, rest)| rest.is_empty())
        }
        Some(plain) => !plain.bytes().any(|b| lex::is_lws(b) || b == b'"'),
        None => true,
    };
    if !good {
        return Err("a parameter's value has unbalanced quotes or white space");
    }
    Ok((name.to_owned(), value.map(str::to_owned)))
}

/// What is set from outside may not break out of its header line.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_are_kept_as_written() {
        let mut params = Params::parse(r#" Tag = a ; lr; text="x; \"y\"" "#).unwrap_or_default();
        assert_eq!((params.get("TAG"), params.get("lr"), params.get("none")), (Some("a"), Some(""), None));
        assert_eq!(params.unquoted("text").as_deref(), Some(r#"x; "y""#));
        assert_eq!(params.to_string(), r#";Tag=a;lr;text="x; \"y\"""#);
        params.set("tag", Some("b\r\nc"));
        params.remove("TEXT");
        assert_eq!(params.to_string(), ";Tag=b  c;lr");
    }

    #[test]
    fn empty_names_and_unbalanced_quotes_are_refused() {
        for bad in ["", "a;;b", ";", "a=\"x", "a=x y", "a=\"x\"y", "=x", "a b"] {
            assert!(Params::parse(bad).is_err(), "{bad}");
        }
    }
}
