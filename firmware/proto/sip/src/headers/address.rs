//! A name and an address: From, To, Contact, Route and their like (RFC 3261 20.10).

use super::HeaderError;
use crate::message::lex;
use crate::uri::{Params, Uri};
use std::fmt;

/// `"display name" <uri>;parameters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted; `None` if there is none.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// The header's parameters: `tag`, `expires`, `q`, `+sip.instance` ...
    pub params: Params,
}

impl NameAddr {
    /// `<uri>`.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// With this display name.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> Self {
        self.display = Some(display.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect());
        self
    }

    /// With this tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The dialog's tag; an empty one is none.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// Reads one element of `header`.
    ///
    /// # Errors
    /// [`HeaderError`] if brackets or quotes do not match, or the address is none.
    pub fn parse(header: &'static str, text: &str) -> Result<Self, HeaderError> {
        read(text).map_err(|problem| HeaderError::new(header, text, problem))
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", lex::quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

fn read(text: &str) -> Result<NameAddr, &'static str> {
    let text = lex::trim(text);
    if text.starts_with('"') {
        let (quoted, rest) = lex::take_quoted(text).ok_or("the quoted display name has no end")?;
        let rest = lex::trim(rest).strip_prefix('<').ok_or("no <address> behind the display name")?;
        return bracketed(Some(lex::unquote(quoted)), rest);
    }
    match text.split_once('<') {
        Some((display, rest)) => bracketed(read_display(display)?, rest),
        None => bare(text),
    }
}

/// A display name without quotes. Characters that should have been quoted are taken as meant (RFC 4475 3.1.2.15 allows
/// it); a quote among them is not.
fn read_display(text: &str) -> Result<Option<String>, &'static str> {
    match lex::trim(text) {
        "" => Ok(None),
        display if display.contains(['"', ';', '>']) => Err("the display name has unbalanced quotes"),
        display => Ok(Some(display.to_owned())),
    }
}

fn bracketed(display: Option<String>, rest: &str) -> Result<NameAddr, &'static str> {
    let (uri, rest) = rest.split_once('>').ok_or("the address has no closing >")?;
    let uri = Uri::parse(lex::trim(uri)).map_err(|error| error.problem)?;
    let params = match lex::trim(rest) {
        "" => Params::new(),
        rest => {
            Params::parse(rest.strip_prefix(';').ok_or("something other than ;parameters stands behind >")?)?
        }
    };
    Ok(NameAddr { display, uri, params })
}

/// Without brackets every parameter is the header's, and the address may hold no `?` or `,` (RFC 3261 20.10).
fn bare(text: &str) -> Result<NameAddr, &'static str> {
    let (uri, params) = match text.split_once(';') {
        Some((uri, params)) => (uri, Params::parse(params)?),
        None => (text, Params::new()),
    };
    if uri.contains(['?', ',']) {
        return Err("an address with ? or , must stand in < >");
    }
    Ok(NameAddr { display: None, uri: Uri::parse(lex::trim(uri)).map_err(|error| error.problem)?, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse("Contact", text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn quoted_names_and_parameters_may_hold_anything() {
        let addr = parse(r#""Room, \"a<b\"" <sip:r@h;x=1>;+sip.instance="<urn:uuid:0-1>";expires=60"#);
        assert_eq!(addr.display.as_deref(), Some(r#"Room, "a<b""#));
        assert_eq!(addr.uri.params.get("x"), Some("1"));
        assert_eq!(addr.params.unquoted("+sip.instance").as_deref(), Some("<urn:uuid:0-1>"));
        assert_eq!(parse(&addr.to_string()), addr);
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let addr = parse("sip:a@h ;   tag    = 1918181833n");
        assert_eq!((addr.tag(), addr.uri.params.is_empty()), (Some("1918181833n"), true));
        assert!(NameAddr::parse("Contact", "sip:user@example.com?Route=%3Csip:sip.example.com%3E").is_err());
    }

    #[test]
    fn brackets_need_no_space_before_them_and_may_hold_some() {
        assert_eq!(parse("caller<sip:c@h>;tag=1").display.as_deref(), Some("caller"));
        assert_eq!(parse("\"W\" < sip:t@h >").uri.to_string(), "sip:t@h");
    }

    #[test]
    fn unbalanced_quotes_and_brackets_are_refused() {
        for bad in
            [r#""Mr. J. User <sip:j@h>"#, "<sip:j@h", "J\"x <sip:j@h>", "<sip:j@h> x", "<sip:j@h>;;", "", "*"]
        {
            assert!(NameAddr::parse("To", bad).is_err(), "{bad}");
        }
    }
}
