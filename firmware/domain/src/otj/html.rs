//! HTML as the text that a person sees, with the targets of its links: `Join <https://meet.google.com/abc-defg-hij>`.
//!
//! Not a parser of the HTML standard: tags go, blocks begin lines, character references are read, and what is no tag stays,
//! since invitations hold `<https://...>` in plain text too. One pass, so the time is linear whatever is nested.

/// Longest character reference, in bytes: `&CounterClockwiseContourIntegral;` is the longest that exists, and not known here.
const REFERENCE_BYTES: usize = 10;
/// Tags that begin a line.
const BLOCKS: &[&str] = &[
    "address",
    "blockquote",
    "body",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];
/// Tags whose contents nobody sees.
const UNSEEN: &[&str] = &["script", "style", "template"];
/// What a link may begin with and still be no place to join: letters to people.
const LETTERS: &str = "mailto:";
/// Schemes, as which `<https://...>` and `<sip:...>` are told from tags of another namespace such as `<o:p>`.
const SCHEMES: &[&str] = &["http", "https", "sip", "sips", "h323", "tel", "mailto", "im", "conf"];

/// How much of a text is HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// None of it.
    Plain,
    /// Plain text with tags or character references in it: its lines are lines.
    Fragment,
    /// A document: its lines mean nothing.
    Document,
}

impl Shape {
    /// What `text` looks like.
    pub(super) fn of(text: &str) -> Self {
        let mut shape = Shape::Plain;
        for (at, _) in text.match_indices('<') {
            let Some(tag) = Tag::read(&text[at..]) else { continue };
            match tag.name.as_str() {
                "html" | "body" | "head" => return Shape::Document,
                "a" | "b" | "i" | "u" | "em" | "strong" | "span" | "font" => shape = Shape::Fragment,
                name if BLOCKS.contains(&name) => shape = Shape::Fragment,
                _ => {}
            }
        }
        let referred = || text.match_indices('&').any(|(at, _)| reference(&text[at..]).is_some());
        if shape == Shape::Plain && referred() { Shape::Fragment } else { shape }
    }
}

/// The text of `html`.
pub(super) fn text(html: &str, shape: Shape) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    // Once nothing closes, nothing does: what follows is text, and is not searched again for each `<`.
    let mut closes = true;
    while let Some(at) = rest.find(['<', '&', '\n', '\r']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes()[0] {
            b'<' if closes => match markup(rest, &mut out) {
                Markup::Is(taken) => taken,
                Markup::None => keep(rest, &mut out),
                Markup::NeverCloses => {
                    closes = false;
                    keep(rest, &mut out)
                }
            },
            b'&' => match reference(rest) {
                Some((c, taken)) => {
                    out.push(c);
                    taken
                }
                None => keep(rest, &mut out),
            },
            b'\n' | b'\r' if shape == Shape::Document => {
                out.push(' ');
                1
            }
            _ => keep(rest, &mut out),
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

fn keep(rest: &str, out: &mut String) -> usize {
    out.push_str(&rest[..1]);
    1
}

/// What begins at a `<`.
enum Markup {
    /// A tag, comment or hidden element of so many bytes.
    Is(usize),
    /// Nothing of the kind.
    None,
    /// What would be one, if it ended.
    NeverCloses,
}

fn markup(rest: &str, out: &mut String) -> Markup {
    if rest.starts_with("<!--") {
        return rest.find("-->").map_or(Markup::NeverCloses, |end| Markup::Is(end + 3));
    }
    if rest.starts_with("<!") || rest.starts_with("<?") {
        return rest.find('>').map_or(Markup::NeverCloses, |end| Markup::Is(end + 1));
    }
    let Some(tag) = Tag::read(rest) else { return Markup::None };
    let Some(end) = tag_end(rest) else { return Markup::NeverCloses };
    if UNSEEN.contains(&tag.name.as_str()) && !tag.closing {
        return Markup::Is(hidden(rest, end, &tag.name));
    }
    if BLOCKS.contains(&tag.name.as_str()) {
        out.push('\n');
    }
    if tag.name == "a"
        && let Some(link) = attribute(&rest[..end], "href")
    {
        out.push_str(" <");
        out.push_str(&link);
        out.push_str("> ");
    }
    Markup::Is(end)
}

/// Up to and with the end tag of `name`; all the rest without one, as browsers do.
fn hidden(rest: &str, from: usize, name: &str) -> usize {
    let mut at = from;
    while let Some(next) = rest[at..].find("</") {
        at += next + 2;
        if rest[at..].get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        }
    }
    rest.len()
}

/// A tag's name.
struct Tag {
    /// In lower case.
    name: String,
    /// Whether it is an end tag.
    closing: bool,
}

impl Tag {
    /// The tag that begins with `rest`'s `<`, whether it ends or not.
    fn read(rest: &str) -> Option<Self> {
        let inner = rest.strip_prefix('<')?;
        let (closing, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let length = inner
            .bytes()
            .take(32)
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'))
            .count();
        let (name, after) = inner.split_at(length);
        let name = name.to_ascii_lowercase();
        let ends = after.starts_with(['>', '/', ' ', '\t', '\r', '\n']);
        let scheme = name.split_once(':').is_some_and(|(scheme, _)| SCHEMES.contains(&scheme));
        (ends && name.starts_with(|c: char| c.is_ascii_alphabetic()) && !scheme)
            .then_some(Self { name, closing })
    }
}

/// Up to and with the `>` of a tag, quotes counted; where a quote never closes, the first `>` after all.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') if rest[..at].trim_end().ends_with('=') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    quote.and(rest.find('>')).map(|end| end + 1)
}

/// The value of an attribute, its references read.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    let value = loop {
        let at = rest.find('=')?;
        let (before, after) = (rest[..at].trim_end(), rest[at + 1..].trim_start());
        let wanted = before.len() >= name.len()
            && before.get(before.len() - name.len()..).is_some_and(|end| end.eq_ignore_ascii_case(name))
            && !before[..before.len() - name.len()]
                .ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let (value, next) = match after.chars().next()? {
            quote @ ('"' | '\'') => {
                after[1..].split_once(quote).unwrap_or((after[1..].trim_end_matches('>'), ""))
            }
            _ => after.split_at(after.find([' ', '\t', '\r', '\n', '>']).unwrap_or(after.len())),
        };
        if wanted {
            break value;
        }
        rest = next;
    };
    let value = text(value.trim(), Shape::Document);
    let letters = value.get(..LETTERS.len()).is_some_and(|start| start.eq_ignore_ascii_case(LETTERS));
    (!value.is_empty() && !letters).then_some(value)
}

/// The character that a reference at the start of `rest` stands for, and the bytes it takes.
fn reference(rest: &str) -> Option<(char, usize)> {
    let inner = rest.strip_prefix('&')?;
    let end = inner.bytes().take(REFERENCE_BYTES).position(|b| b == b';')?;
    let name = inner.get(..end)?;
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))?
        }
        None => named(name)?,
    };
    Some((c, end + 2))
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" | "ensp" | "emsp" | "thinsp" | "Tab" => ' ',
        "NewLine" => '\n',
        "shy" | "zwj" | "zwnj" => '\u{ad}',
        "colon" => ':',
        "sol" => '/',
        "period" => '.',
        "commat" => '@',
        "num" => '#',
        "lowbar" => '_',
        "equals" => '=',
        "quest" => '?',
        "lpar" => '(',
        "rpar" => ')',
        "hyphen" | "dash" => '-',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str) -> String {
        text(html, Shape::of(html))
    }

    #[test]
    fn tags_go_and_links_stay() {
        let html = r#"<p>Join: <a class=x href="https://a.example/?b=1&amp;c=2">here</a></p>"#;
        assert_eq!(read(html), "\nJoin:  <https://a.example/?b=1&c=2> here\n");
        assert_eq!(read("<a data-href='no' HREF = 'sip:1@a.example'>x</a>"), " <sip:1@a.example> x");
        assert_eq!(read("<a href=https://a.example/b>x</a>"), " <https://a.example/b> x");
        assert_eq!(read("<a href='mailto:bob@a.example'>Bob</a>"), "Bob");
    }

    #[test]
    fn what_is_no_tag_stays() {
        let kept = "<br>a <https://a.example> <sip:1@a.example> 1 < 2 > 0 <bob@a.example>";
        assert_eq!(read(kept), format!("\n{}", &kept[4..]));
        assert_eq!(read("<div><o:p>a</o:p></div>"), "\na\n");
    }

    #[test]
    fn nobody_sees_scripts_styles_and_comments() {
        assert_eq!(read("<p>a<script>sip:1@x</SCRIPT >b<!-- sip:2@x -->c<style>d"), "\nabc");
    }

    #[test]
    fn character_references_are_read_and_half_ones_stay() {
        assert_eq!(
            read("1&#64;a&#x2E;b&commat;c &amp;amp; &bogus; &#xD800; &amp"),
            "1@a.b@c &amp; &bogus; &#xD800; &amp"
        );
        assert_eq!(read("a&data=1;"), "a&data=1;");
    }

    #[test]
    fn lines_of_a_document_mean_nothing_and_those_of_a_fragment_do() {
        assert_eq!(read("<html>a\nb"), "\na b");
        assert_eq!(read("a\nb<br>c"), "a\nb\nc");
        assert_eq!(Shape::of("a\nb <https://a.example> AT&T"), Shape::Plain);
    }

    #[test]
    fn what_never_closes_is_text() {
        assert_eq!(read("<br><a href=\"x"), "\n<a href=\"x");
        assert_eq!(read("<br><a href=\"x>y"), "\n <x> y");
        assert_eq!(read("<br><!-- a"), "\n<!-- a");
    }
}
