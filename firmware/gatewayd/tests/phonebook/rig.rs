//! A daemon with a phonebook, and Debian's LDAP tools to ask it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub const BASE: &str = "dc=meet,dc=example,dc=com";
pub const USER: &str = "cn=rooms,dc=meet,dc=example,dc=com";
pub const PASSWORD: &str = "open sesame";

const GATEWAY: &str = "[gateway]\ndomains = [\"meet.example.com\"]\npublic_address = \"127.0.0.1\"\nworkers = 1\n\
                       [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = []\ntls = []\n";
const PHONEBOOK: &str = "[phonebook]\nldap = [\"127.0.0.1:0\"]\n";

/// A running daemon; it goes with this.
pub struct Daemon {
    child: Child,
    folder: TempDir,
    ldap: SocketAddr,
    ldaps: Option<SocketAddr>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, if it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a tool said: its exit status, which is LDAP's result code, and its output.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
        Self {
            code: output.status.code().expect("it ended by itself"),
            out: text(output.stdout),
            errors: text(output.stderr),
        }
    }
}

/// Entries by name, each with its lines in no order.
pub type Entries = BTreeMap<String, BTreeSet<String>>;

impl Said {
    /// The entries in what `ldapsearch` printed as LDIF.
    pub fn entries(&self) -> Entries {
        let mut entries = Entries::new();
        for entry in self.out.split("\n\n").filter(|entry| !entry.trim().is_empty()) {
            let mut lines = entry.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            let Some(name) = lines.next().filter(|line| line.starts_with("dn:")) else { continue };
            let lines = lines.map(str::to_owned).collect();
            assert_eq!(entries.insert(name.to_owned(), lines), None, "{name} came twice");
        }
        entries
    }
}

impl Said {
    /// Lines that `other` has not, each behind its entry.
    pub fn less(&self, other: &Self) -> Vec<String> {
        let lines = |said: &Self| -> BTreeSet<String> {
            let entries = said.entries().into_iter();
            entries
                .flat_map(|(name, lines)| lines.into_iter().map(move |line| format!("{name} {line}")))
                .collect()
        };
        lines(self).difference(&lines(other)).cloned().collect()
    }
}

/// What is written below an entry in the configuration.
pub fn entry(group: Option<&str>, name: &str, aliases: &[&str], description: &str) -> String {
    let group = group.map_or_else(String::new, |group| format!("group = {group:?}\n"));
    format!(
        "[[phonebook_entries]]\nname = {name:?}\n{group}aliases = {aliases:?}\ndescription = {description:?}\n"
    )
}

pub fn rooms() -> String {
    [
        entry(
            Some("Berlin"),
            "Board Room",
            &["sip:board@example.com", "h323:board", "+49 30 1234"],
            "12 seats",
        ),
        entry(Some("Berlin"), "Huddle, small", &["sip:huddle@example.com"], ""),
        entry(Some("Rome"), "Abbey", &["h323:abbey", "4711"], ""),
        entry(None, "Reception", &["100"], ""),
    ]
    .concat()
}

impl Daemon {
    /// With these lines of `[phonebook]` and these entries.
    pub fn start(phonebook: &str, entries: &str) -> Self {
        Self::of(
            &format!("{GATEWAY}{PHONEBOOK}{phonebook}\n{entries}"),
            tempfile::tempdir().expect("a folder"),
        )
    }

    /// That serves LDAPS as well, with a certificate for its address.
    pub fn secure(phonebook: &str, entries: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certify(&folder);
        let place = |name: &str| folder.path().join(name).display().to_string();
        let files = format!("certificate = {:?}\nkey = {:?}\n", place("chain.pem"), place("key.pem"));
        let config = format!("{GATEWAY}{files}{PHONEBOOK}ldaps = [\"127.0.0.1:0\"]\n{phonebook}\n{entries}");
        Self::of(&config, folder)
    }

    fn of(config: &str, folder: TempDir) -> Self {
        let file = folder.path().join("gantry.toml");
        std::fs::write(&file, format!("{config}\n[log]\nto = \"stderr\"\n")).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewayd"));
        command.arg("--config").arg(&file).arg("--control").arg(folder.path().join("control"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("one object");
        let address = |kind: &str| {
            let text = ready["phonebook"][kind][0].as_str();
            text.map(|text| text.parse().expect("an address"))
        };
        Self { ldap: address("ldap").expect("an address"), ldaps: address("ldaps"), child, folder }
    }

    pub fn url(&self) -> String {
        format!("ldap://{}", self.ldap)
    }

    pub fn secure_url(&self) -> String {
        format!("ldaps://{}", self.ldaps.expect("it serves LDAPS"))
    }

    /// The authority that its certificate is checked against.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn address(&self) -> SocketAddr {
        self.ldap
    }

    /// `ldapsearch` under the base, without a login.
    pub fn search(&self, arguments: &[&str]) -> Said {
        search(&self.url(), arguments)
    }

    /// How many entries a filter finds under the base.
    pub fn count(&self, filter: &str) -> usize {
        let said = self.search(&[filter, "1.1"]);
        assert_eq!(said.code, 0, "{said:?}");
        said.entries().len()
    }

    pub fn ask(&self, question: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.folder.path().join("control")).expect("a control socket");
        writeln!(stream, "{question}").expect("asked");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).expect("an object")
    }
}

/// One of the LDAP tools, with simple authentication and without the user's own settings.
pub fn tool(name: &str, url: &str) -> Command {
    let mut command = Command::new(name);
    command.env("LDAPNOINIT", "1").args(["-x", "-H", url]).stdin(Stdio::null());
    command
}

/// `ldapsearch` for names and values, as plain LDIF.
pub fn search(url: &str, arguments: &[&str]) -> Said {
    let mut command = tool("ldapsearch", url);
    command.args(["-LLL", "-o", "ldif-wrap=no", "-b", BASE]).args(arguments);
    command.output().expect("ldapsearch").into()
}

fn certify(folder: &TempDir) {
    let mut params = CertificateParams::new(vec![]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Without a name of its own it would be taken for the other's issuer and subject alike.
    params.distinguished_name.push(DnType::CommonName, "authority of the test");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    // By its address: for "localhost" these tools ask for the machine's own name.
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let own = own.signed_by(&key, &issuer).expect("a certificate");
    for (name, text) in
        [("ca.pem", authority.pem()), ("chain.pem", own.pem()), ("key.pem", key.serialize_pem())]
    {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
}
