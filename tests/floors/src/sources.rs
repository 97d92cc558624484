//! How a source file looks: its length, its name, its first line, and where `unsafe` may stand.

use crate::plan::{EMPTY_NAMES, FILE_LINES, UNSAFE};

/// What departs from the plan in the Rust file `path`, from the root of the workspace, which holds `text`.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        faults.push(format!(
            "{path} has {lines} lines; split it by what it is about, at most {FILE_LINES} are read in one go"
        ));
    }
    for name in path.split('/').flat_map(|part| part.trim_end_matches(".rs").split(['_', '-'])) {
        if EMPTY_NAMES.contains(&name) {
            faults.push(format!("{path} is called {name:?}, which says nothing; call it by what is inside"));
        }
    }
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    if !first.is_some_and(|line| line.starts_with("//!")) {
        faults.push(format!("{path} does not begin with a //! line; say in one what it is"));
    }
    let code = code(text);
    if !UNSAFE.iter().any(|folder| path.starts_with(folder)) {
        for (number, _) in
            code.lines().enumerate().filter(|(_, line)| words(line).any(|word| word == "unsafe"))
        {
            let line = number + 1;
            faults.push(format!(
                "{path}:{line}: unsafe may stand in {} only; move it there behind a safe function",
                UNSAFE.join(", ")
            ));
        }
    }
    for (number, line) in code
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("mod ") || line.contains(" mod "))
    {
        let name = words(line).skip_while(|word| *word != "mod").nth(1).unwrap_or_default();
        if let Some(empty) = name.split('_').find(|part| EMPTY_NAMES.contains(part)) {
            faults.push(format!(
                "{path}:{}: module {name} is called {empty:?}, which says nothing; call it by what is inside",
                number + 1
            ));
        }
    }
    for line in unreasoned(&code) {
        faults.push(format!(
            "{path}:{line}: an allow without a reason; write reason = \"...\" beside it, or do without"
        ));
    }
    for (number, _) in text.lines().enumerate().filter(|(_, line)| {
        line.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == concat!("TO", "DO") || word == concat!("FIX", "ME"))
    }) {
        faults.push(format!("{path}:{}: a note of work to be done; do it, or open an issue", number + 1));
    }
    faults
}

/// The lines of attributes that allow something and give no reason.
fn unreasoned(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (start, _) in code.match_indices('#') {
        let rest = &code[start + 1..];
        let Some(inside) = rest.strip_prefix("![").or_else(|| rest.strip_prefix('[')) else { continue };
        let mut depth = 1;
        let end = inside.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        });
        let attribute = &inside[..end.unwrap_or(inside.len())];
        let allows = words(attribute).any(|word| matches!(word, "allow" | "expect"));
        if allows && !words(attribute).any(|word| word == "reason") {
            lines.push(1 + code[..start].matches('\n').count());
        }
    }
    lines
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `text` without comments and without what stands in strings and characters; lines stay where they are.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = skipped(rest, code.chars().next_back());
        if skip > 0 {
            code.extend(rest[..skip].chars().filter(|c| *c == '\n'));
            code.push(' ');
            rest = &rest[skip..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// How many bytes of a comment, string or character begin here; 0 if none does.
fn skipped(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && let Some(length) = raw_string(rest) {
        return length;
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return 1 + closed(inside, '"');
    }
    match rest.strip_prefix('\'') {
        // A character; what has no quote after one character is a lifetime.
        Some(inside) if inside.starts_with('\\') || inside.chars().nth(1) == Some('\'') => {
            1 + closed(inside, '\'')
        }
        _ => 0,
    }
}

/// Up to and with the quote that is not escaped.
fn closed(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = inside.find(|c| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    end.map_or(inside.len(), |end| end + 1)
}

fn raw_string(rest: &str) -> Option<usize> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    let inside = after[hashes..].strip_prefix('"')?;
    let begun = rest.len() - inside.len();
    let close = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&close).map_or(rest.len(), |end| begun + end + close.len()))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! What it is.\n";

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(path, &format!("{HEAD}{text}"))
    }

    #[test]
    fn a_plain_file_is_good() {
        let text =
            "use std::fmt;\n#[allow(dead_code, reason = \"shown\")]\nfn f<'a>(x: &'a str) -> char { '\"' }\n";
        assert_eq!(faults("firmware/domain/src/call.rs", text), Vec::<String>::new());
    }

    #[test]
    fn unsafe_outside_its_folders_is_found_and_inside_is_not() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        let found = faults("firmware/domain/src/call.rs", text);
        assert!(
            found[0].starts_with("firmware/domain/src/call.rs:3: unsafe may stand in media-dsp/kernels/"),
            "{found:?}"
        );
        assert!(faults("firmware/gatewayd/src/engine/call.rs", text).len() == 1);
        assert!(faults("firmware/gatewayd/src/net/udp.rs", text).is_empty());
        assert!(faults("media-dsp/kernels/src/yuv.rs", text).is_empty());
    }

    #[test]
    fn unsafe_in_comments_strings_and_longer_words_is_none() {
        let text = "// unsafe\n/* unsafe /* unsafe */ unsafe */\nconst A: &str = \"unsafe \\\" unsafe\";\n\
                    const B: &str = r#\"unsafe \" unsafe\"#;\nconst C: char = '\\'';\nlint!(unsafe_code);\n";
        assert_eq!(faults("firmware/domain/src/a.rs", text), Vec::<String>::new());
        assert_eq!(faults("firmware/domain/src/a.rs", &format!("{text}unsafe fn f() {{}}\n")).len(), 1);
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        let found = faults("firmware/domain/src/a.rs", &"\n".repeat(FILE_LINES));
        assert!(found[0].starts_with("firmware/domain/src/a.rs has 801 lines; split it"), "{found:?}");
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(faults("firmware/domain/src/util.rs", "").len(), 1);
        assert_eq!(faults("tests/e2e/tests/common/mod.rs", "").len(), 1);
        assert_eq!(faults("firmware/domain/src/call_manager.rs", "").len(), 1);
        assert_eq!(faults("firmware/domain/src/a.rs", "pub mod test_helpers {}\n").len(), 1);
        assert!(faults("firmware/domain/src/commonplace.rs", "mod utility;\n").is_empty());
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_is_found() {
        assert!(check("a.rs", "use std::fmt;\n")[0].contains("does not begin with a //! line"));
        assert!(check("a.rs", "")[0].contains("does not begin with a //! line"));
        assert!(check("a.rs", "#![no_main]\n//! A fuzz target.\n").is_empty());
    }

    #[test]
    fn an_allow_without_a_reason_is_found() {
        let text =
            "#[allow(dead_code)]\nfn f() {}\n#[cfg_attr(test, allow(\n    dead_code,\n))]\nfn g() {}\n";
        let found = faults("a.rs", text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.rs:2: an allow without a reason"), "{found:?}");
        assert!(found[1].starts_with("a.rs:4: "), "{found:?}");
    }

    #[test]
    fn a_note_of_work_to_be_done_is_found() {
        assert_eq!(faults("a.rs", concat!("// TO", "DO: later\n")).len(), 1);
    }
}
