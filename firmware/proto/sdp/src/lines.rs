//! Makes odd descriptions fit the strict line parser: what rooms really send, less what nobody reads.
//!
//! `sdp-types` refuses the whole text for one line: a NUL, an `o=` version above 64 bits, a second `c=`, a `b=` without
//! a number. None of these says anything about media, so such lines are mended or left out here. Only `m=` lines
//! stay whatever they hold: dropping one would shift the others.

/// `text` with each line in the form the parser takes; keeps `v`, `o`, `s`, `c`, `b`, `m` and `a`.
pub(crate) fn cleaned(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text).replace('\0', "");
    let mut clean = Clean::default();
    for line in text.split(['\r', '\n']) {
        clean.take(line.trim());
    }
    clean.out
}

#[derive(Default)]
struct Clean {
    out: Vec<u8>,
    origin: bool,
    name: bool,
    connection: bool,
    in_media: bool,
}

impl Clean {
    fn take(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        match key {
            "v" if self.out.is_empty() => self.put(key, value),
            "o" if !self.origin && is_origin(value) => {
                self.origin = true;
                self.put(key, value);
            }
            "s" if !self.name && !self.in_media => {
                self.name = true;
                self.put(key, value);
            }
            "c" if is_connection(value) && (self.in_media || !self.connection) => {
                self.connection |= !self.in_media;
                self.put(key, value);
            }
            "b" if is_bandwidth(value) => self.put(key, value),
            "m" => {
                self.in_media = true;
                let fields: Vec<&str> = value.split_whitespace().collect();
                self.put(key, &fields.join(" "));
            }
            "a" => self.put(key, value),
            _ => {}
        }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
        self.out.extend_from_slice(value.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

fn is_origin(value: &str) -> bool {
    let fields: Vec<&str> = value.split_whitespace().collect();
    matches!(fields[..], [_, _, version, net, family, _] if version.parse::<u64>().is_ok() && is_token(net) && is_token(family))
        && !value.contains('\t')
}

fn is_connection(value: &str) -> bool {
    let fields: Vec<&str> = value.split_whitespace().collect();
    matches!(fields[..], [net, family, _] if is_token(net) && is_token(family)) && !value.contains('\t')
}

fn is_bandwidth(value: &str) -> bool {
    let mut fields = value.split(':');
    let number = fields.nth(1).is_some_and(|number| number.parse::<u64>().is_ok());
    number && fields.next().is_none()
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        String::from_utf8(cleaned(text.as_bytes())).unwrap()
    }

    #[test]
    fn lines_nobody_reads_and_lines_that_are_broken_go() {
        let odd = "v=0\r\no=- 99999999999999999999 1 IN IP4 h\r\no=- 1 99999999999999999999 IN IP4 h\r\ni=x\r\nt=a\r\nb=AS\r\njunk\r\n";
        assert_eq!(clean(odd), "v=0\r\no=- 99999999999999999999 1 IN IP4 h\r\n");
    }

    #[test]
    fn nul_bytes_bare_line_feeds_and_spaces_are_mended() {
        assert_eq!(
            clean("v=0\na=x\0y\nm=audio  1 RTP/AVP   0 \0\n"),
            "v=0\r\na=xy\r\nm=audio 1 RTP/AVP 0\r\n"
        );
    }

    #[test]
    fn a_format_list_of_nul_bytes_is_no_format_list() {
        assert_eq!(clean("v=0\nm=audio 1 RTP/AVP \0\n"), "v=0\r\nm=audio 1 RTP/AVP\r\n");
    }

    #[test]
    fn of_two_session_connections_the_first_stays_and_each_media_keeps_its_own() {
        let text =
            "v=0\r\nc=IN IP4 1.1.1.1\r\nc=IN IP4 2.2.2.2\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 3.3.3.3\r\n";
        assert_eq!(clean(text), text.replace("c=IN IP4 2.2.2.2\r\n", ""));
    }
}
