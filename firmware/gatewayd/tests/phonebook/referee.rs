//! Debian's slapd as the referee: it takes our own entries, under the definitions that we publish, and is asked the same.

use crate::rig::{BASE, Daemon, Said, entry, search};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Searches as arguments of `ldapsearch`: which entries there are of each is for slapd to say. Left out is what the two do differently by
/// decision: an order of `cn` and `sn`, which RFC 4519 has no rule for; approximate matching, which slapd does by sound; extensible
/// matching, which is undefined here.
const SEARCHES: &[&[&str]] = &[
    // Whole values, of each rule.
    &["(cn=Board Room)"],
    &["(cn=board   ROOM)"],
    &["(commonName=board room)"],
    &["(2.5.4.3=board room)"],
    &["(cn=boardroom)"],
    &["(telephoneNumber=+49 30-12 34)"],
    &["(telephoneNumber=49301234)"],
    &["(SIPIdentitySIPURI=sip:board@example.com)"],
    &["(SIPIdentitySIPURI=SIP:BOARD@example.com)"],
    &["(h323IdentityH323-ID=ABBEY)"],
    &["(h323IdentitydialedDigits=4711)"],
    &["(objectClass=PERSON)"],
    &["(objectClass=2.5.6.6)"],
    &["(objectClass=organizationalUnit)"],
    &["(dc=meet)"],
    &["(o=MEET)"],
    &["(cn=stra\u{df}e \u{fc}ber m\u{fc}nchen)"],
    &["(cn=STRA\u{df}E \u{dc}BER M\u{dc}NCHEN)"],
    &["(cn=Stra\u{df}e u\u{308}ber Mu\u{308}nchen)"],
    &["(cn=a\\2ab\\28c\\29\\5cd)"],
    // Pieces of values.
    &["(cn=b*)"],
    &["(cn=*room)"],
    &["(cn=*oar*)"],
    &["(cn=b*d*r*m)"],
    &["(cn=*o*o*m*)"],
    &["(sn=ab*)"],
    &["(telephoneNumber=*3012*)"],
    &["(telephoneNumber=+49*34)"],
    &["(SIPIdentitySIPURI=*board*)"],
    &["(SIPIdentitySIPURI=*BOARD*)"],
    &["(commUniqueId=*a*)"],
    &["(description=*seats*)"],
    &["(cn=*\u{dc}BER*)"],
    &["(cn=*\\2a*)"],
    &["(objectClass=pers*)"],
    // Presence.
    &["(cn=*)"],
    &["(telephoneNumber=*)"],
    &["(nothing=*)"],
    &["(mail=*)"],
    &["(!(telephoneNumber=*))"],
    &["(!(nothing=*))"],
    // Order, where slapd has a rule.
    &["(SIPIdentitySIPURI>=sip:h)"],
    &["(SIPIdentitySIPURI<=sip:h)"],
    &["(telephoneNumber>=1)"],
    &["(!(telephoneNumber>=1))"],
    // Types above and below.
    &["(name=berlin)"],
    &["(name=*b*)"],
    // Logic in three values.
    &["(&(objectClass=person)(sn=ab*))"],
    &["(|(cn=*oar*)(telephoneNumber=*oar*))"],
    &["(&(objectClass=commObject)(!(SIPIdentitySIPURI=*)))"],
    &["(!(nothing=known))"],
    &["(|(nothing=known)(cn=abbey))"],
    &["(&(nothing=known)(cn=abbey))"],
    &["(!(&(nothing=known)(cn=abbey)))"],
    &["(!(|(nothing=known)(cn=abbey)))"],
    &["(!(objectClass=nobody))"],
    &["(|(objectClass=nobody)(objectClass=h323Identity))"],
    &["(!(cn;lang-de=abbey))"],
    &["(&)"],
    &["(|)"],
    &["(!(!(cn=abbey)))"],
    &["(&(|(cn=a*)(cn=b*))(!(ou=rome))(objectClass=inetOrgPerson))"],
    // Where, and what of it.
    &["-s", "base", "(objectClass=*)"],
    &["-s", "one", "(objectClass=*)"],
    &["-b", "OU=berlin, DC=meet,dc=example,dc=com", "(cn=*)"],
    &["-b", "ou=Berlin,dc=meet,dc=example,dc=com", "-s", "one", "(objectClass=*)"],
    &["-b", "cn=Huddle\\2c small\\2B,ou=Berlin,dc=meet,dc=example,dc=com", "-s", "base", "(objectClass=*)"],
    &["-b", "cn=Huddle\\, small\\+,ou=Berlin,dc=meet,dc=example,dc=com", "(cn=*)"],
    &["-b", "ou=nowhere,dc=meet,dc=example,dc=com", "(cn=*)"],
    &["-b", "cn=x,cn=Abbey,ou=Rome,dc=meet,dc=example,dc=com", "(cn=*)"],
    &["-b", "dc=example,dc=org", "(cn=*)"],
    &["-b", "nonsense", "(cn=*)"],
    &["(cn=abbey)", "cn"],
    &["(cn=abbey)", "CN", "surname", "nothing", "mail"],
    &["(cn=abbey)", "1.1"],
    &["(cn=abbey)", "name"],
    &["(cn=abbey)", "*", "structuralObjectClass", "hasSubordinates"],
    &["(ou=berlin)", "hasSubordinates"],
    &["-A", "(cn=abbey)", "cn", "ou"],
    &["-E", "pr=3/noprompt", "(cn=*)", "cn"],
    &["-E", "pr=3/noprompt", "-z", "5", "(cn=x*)", "cn"],
];

/// A slapd that holds what `daemon` shows. It is asked by a socket in a folder, so it needs no port.
struct Referee {
    child: Child,
    folder: TempDir,
}

impl Drop for Referee {
    fn drop(&mut self) {
        // It has ended already, if it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Referee {
    fn with_entries_of(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let shown = daemon.search(&["(objectClass=*)"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        std::fs::write(place("entries.ldif"), &shown.out).expect("written");
        std::fs::write(place("h350.schema"), ldap::h350_schema().join("\n")).expect("written");
        std::fs::create_dir(place("data")).expect("a folder");
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\ninclude {0}/h350.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix \"{BASE}\"\ndirectory {0}/data\n\
             sizelimit unlimited\naccess to * by * read\n",
            folder.path().display()
        );
        std::fs::write(place("slapd.conf"), config).expect("written");
        // A copy, since Debian's AppArmor profile keeps the original out of folders such as this.
        std::fs::copy("/usr/sbin/slapd", place("slapd")).expect("slapd is installed");
        let slapd = |arguments: &[&str]| {
            let mut command = Command::new(place("slapd"));
            command.args(arguments).arg("-f").arg(place("slapd.conf")).stdin(Stdio::null());
            command
        };
        let added = slapd(&["-T", "add"]).arg("-l").arg(place("entries.ldif")).output().expect("slapadd");
        assert!(added.status.success(), "slapd does not take our entries: {}", Said::from(added).errors);
        let url = url(&folder);
        let mut child = slapd(&["-d", "none", "-h", &url]).stderr(Stdio::piped()).spawn().expect("slapd");
        let errors = BufReader::new(child.stderr.take().expect("its errors"));
        let mut lines = errors.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("slapd starting")), "slapd does not start");
        Self { child, folder }
    }

    fn search(&self, arguments: &[&str]) -> Said {
        search(&url(&self.folder), arguments)
    }
}

fn url(folder: &TempDir) -> String {
    format!("ldapi://{}", folder.path().join("ldapi").display().to_string().replace('/', "%2F"))
}

fn phonebook() -> String {
    [
        entry(
            Some("Berlin"),
            "Board Room",
            &["sip:board@example.com", "h323:board", "+49 30 1234"],
            "12 seats",
        ),
        entry(Some("Berlin"), "Huddle, small+", &["sip:huddle@example.com"], " two seats "),
        entry(Some("Rome"), "Abbey", &["h323:abbey", "4711"], ""),
        entry(Some("Rome"), "Able", &["sips:able@example.com", "sip:Able@example.com"], "a  b"),
        entry(None, "Reception", &["100"], "Empfang f\u{fc}r alle"),
        entry(Some("M\u{fc}nchen"), "Stra\u{df}e \u{fc}ber M\u{fc}nchen", &["sip:m@example.com"], ""),
        entry(Some("Odd; names"), "a*b(c)\\d", &["x@example.com"], ""),
        entry(Some("Odd; names"), "#1 = \"best\" <room>", &["y@example.com"], "=,+<>#;\\\""),
    ]
    .concat()
}

/// K6
#[test]
fn k6_slapd_finds_the_same_entries_with_the_same_values() {
    let daemon = Daemon::start("", &phonebook());
    let referee = Referee::with_entries_of(&daemon);
    let mut differing = Vec::new();
    let mut found = 0;
    for arguments in SEARCHES {
        let (ours, its) = (daemon.search(arguments), referee.search(arguments));
        found += ours.entries().len();
        if (ours.code, ours.entries()) != (its.code, its.entries()) {
            let difference = format!("ours alone {:?}, slapd's alone {:?}", ours.less(&its), its.less(&ours));
            differing.push(format!("{arguments:?}: {} and {}, {difference}", ours.code, its.code));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(found > 2 * SEARCHES.len(), "the searches find too little to tell");
}

/// Errors name the same lowest entry that there is.
#[test]
fn slapd_tells_the_same_name_above_what_is_not_there() {
    let daemon = Daemon::start("", &phonebook());
    let referee = Referee::with_entries_of(&daemon);
    for base in ["ou=nowhere,dc=meet,dc=example,dc=com", "cn=x,cn=abbey,ou=ROME,dc=meet,dc=example,dc=com"] {
        let matched = |said: Said| {
            let line = said.errors.lines().find(|line| line.starts_with("Matched DN:")).map(str::to_owned);
            line.unwrap_or_else(|| panic!("no matched DN: {said:?}"))
        };
        assert_eq!(matched(daemon.search(&["-b", base])), matched(referee.search(&["-b", base])));
    }
}
