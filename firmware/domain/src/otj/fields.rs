//! A template: text with `${name}` fields of what was found, so `${id}@${host}` becomes an address.
//!
//! A field may say what of it is taken: `${id:digits}` leaves out the spaces and hyphens that people read numbers by,
//! `${id:lower}` writes it in lower case. `$$` is a dollar sign. There are no loops, conditions or calls.

use base::alias;

/// Longest template, in bytes: an alias has no more.
pub const TEMPLATE_BYTES: usize = alias::MAX_BYTES;

/// Text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String, Take),
}

/// What of a field is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    All,
    Digits,
    Lower,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Nothing there.
    #[error("is empty; write what is dialled, such as ${{code}}@rooms.example.com")]
    Empty,
    /// Longer than any alias.
    #[error("has {0} bytes; at most {TEMPLATE_BYTES} are taken")]
    TooLong(usize),
    /// There is no such field.
    #[error("names field {0:?}, which there is not; there are {1}")]
    NoSuchField(String, String),
    /// Only `digits` and `lower` are known.
    #[error("takes {0:?} of a field; write ${{name}}, ${{name:digits}} or ${{name:lower}}")]
    NoSuchTake(String),
    /// A `$` that begins nothing.
    #[error("has \"$\" where no field begins; write ${{name}}, and $$ for the character itself")]
    BadField,
}

impl Fields {
    /// Parses `source` for fields of these names, which `listed` lists in messages.
    ///
    /// # Errors
    /// [`FieldsError`] if it is empty, too long, or names what there is not.
    pub fn parse(source: &str, known: impl Fn(&str) -> bool, listed: &str) -> Result<Self, FieldsError> {
        if source.is_empty() {
            return Err(FieldsError::Empty);
        }
        if source.len() > TEMPLATE_BYTES {
            return Err(FieldsError::TooLong(source.len()));
        }
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((text, after)) = rest.split_once('$') {
            pieces.push(Piece::Text(text.to_owned()));
            if let Some(next) = after.strip_prefix('$') {
                pieces.push(Piece::Text("$".to_owned()));
                rest = next;
                continue;
            }
            let field = after.strip_prefix('{').and_then(|field| field.split_once('}'));
            let (field, next) = field.ok_or(FieldsError::BadField)?;
            let (name, take) = field.split_once(':').map_or((field, Take::All), |(name, take)| match take {
                "digits" => (name, Take::Digits),
                "lower" => (name, Take::Lower),
                _ => (field, Take::All),
            });
            if let Some((_, take)) = name.split_once(':') {
                return Err(FieldsError::NoSuchTake(take.to_owned()));
            }
            if !known(name) {
                return Err(FieldsError::NoSuchField(name.to_owned(), listed.to_owned()));
            }
            pieces.push(Piece::Field(name.to_owned(), take));
            rest = next;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// Filled with the values of fields; one that has none is empty.
    #[must_use]
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(name, Take::All) => value(name),
            Piece::Field(name, Take::Digits) => value(name).chars().filter(char::is_ascii_digit).collect(),
            Piece::Field(name, Take::Lower) => value(name).to_ascii_lowercase(),
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Fields, FieldsError> {
        Fields::parse(source, |name| ["id", "host"].contains(&name), "id, host")
    }

    fn filled(source: &str) -> String {
        let value = |name: &str| if name == "id" { "12 34-A".to_owned() } else { String::new() };
        parse(source).unwrap().filled(value)
    }

    #[test]
    fn fields_are_filled_and_the_rest_is_text() {
        assert_eq!(filled("a-${id}.${host}$$@b"), "a-12 34-A.$@b");
        assert_eq!(filled("${id:digits}@b"), "1234@b");
        assert_eq!(filled("${id:lower}"), "12 34-a");
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_way_out() {
        let message = |source: &str| parse(source).unwrap_err().to_string();
        assert_eq!(message("${who}"), "names field \"who\", which there is not; there are id, host");
        assert!(message("${id:upper}").starts_with("takes \"upper\" of a field; write ${name}"));
        assert!(message("$id").starts_with("has \"$\" where no field begins"));
        assert!(message("${id").starts_with("has \"$\""));
        assert!(message("").starts_with("is empty; write what is dialled, such as ${code}@"));
        assert!(message(&"a".repeat(251)).starts_with("has 251 bytes"));
    }
}
