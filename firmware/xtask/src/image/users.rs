//! From sysusers.d(5) to `/etc/passwd` and `/etc/group`: a read-only root is built with its users.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;

/// The two files.
#[derive(Debug, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
}

/// Makes the files from a sysusers.d text in which every id is a number.
///
/// # Errors
/// If a line is not understood, or has no fixed id: ids must be the same in every build and on every slot.
pub fn accounts(text: &str) -> Result<Accounts> {
    let mut users = vec![(0, "root".to_owned(), 0, "root".to_owned(), "/".to_owned())];
    let mut groups: Vec<(u32, String, Vec<String>)> = vec![(0, "root".to_owned(), Vec::new())];
    for (index, line) in text.lines().enumerate() {
        let at = || format!("line {}: {line:?}", index + 1);
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            [] => {}
            ["g", name, id] | ["g", name, id, ..] => {
                groups.push((number(id).with_context(at)?, name.to_owned(), Vec::new()))
            }
            ["u", name, id, what, home, ..] => {
                let (user, group) = match id.split_once(':') {
                    Some((user, group)) => (number(user).with_context(at)?, group),
                    None => (number(id).with_context(at)?, name),
                };
                if group == name && !groups.iter().any(|(_, known, _)| known == name) {
                    groups.push((user, name.to_owned(), Vec::new()));
                }
                let known = groups.iter().find(|(_, known, _)| known == group);
                let (group, ..) = known.with_context(|| format!("{}: no group {group} above it", at()))?;
                users.push((user, name.to_owned(), *group, what.to_owned(), home.to_owned()));
            }
            ["m", user, group] => {
                let known = groups.iter_mut().find(|(_, known, _)| known == group);
                let (.., members) = known.with_context(|| format!("{}: no group {group} above it", at()))?;
                members.push(user.to_owned());
            }
            _ => bail!("{}: not understood; write u, g or m as sysusers.d(5) says", at()),
        }
    }
    let mut accounts = Accounts { passwd: String::new(), group: String::new() };
    for (user, name, group, what, home) in users {
        writeln!(accounts.passwd, "{name}:x:{user}:{group}:{what}:{home}:/usr/sbin/nologin")?;
    }
    for (group, name, members) in groups {
        writeln!(accounts.group, "{name}:x:{group}:{}", members.join(","))?;
    }
    Ok(accounts)
}

fn number(id: &str) -> Result<u32> {
    id.parse().with_context(|| format!("{id:?} is no fixed id; write a number"))
}

/// The words of a line; a quoted one may hold blanks.
fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return Vec::new();
    }
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_ascii_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_groups_and_members_come_out_as_files() {
        let text = "# who is who\ng tty 5\nu gatewayd 800 \"The gateway\" /var/lib/gantry/gatewayd\nm gatewayd tty\nu x 801:tty \"X\" /\n";
        let accounts = accounts(text).unwrap();
        assert!(
            accounts
                .passwd
                .contains("gatewayd:x:800:800:The gateway:/var/lib/gantry/gatewayd:/usr/sbin/nologin\n")
        );
        assert!(accounts.passwd.contains("x:x:801:5:X:/:"));
        assert!(accounts.group.contains("tty:x:5:gatewayd\n"));
        assert!(accounts.group.contains("gatewayd:x:800:\n"));
    }

    #[test]
    fn ids_that_differ_from_box_to_box_are_refused() {
        let error = format!("{:#}", accounts("u a - \"A\" /").unwrap_err());
        assert!(error.contains("line 1") && error.contains("write a number"), "{error}");
        assert!(accounts("m a b").is_err());
        assert!(accounts("z a").is_err());
    }
}
