//! Where packages come from: the Debian mirror that this machine's apt knows, asked without being root.
//!
//! Nothing of the machine's own package state is read or changed: apt is given folders of its own under `target/`.

use super::packages::{Archive, Lock, Pinned};
use crate::shell::{Program, target};
use anyhow::{Context, Result, bail, ensure};
use board::Arch;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What an image is made of.
const RELEASE: &str = "bookworm";
/// Who signs what an image is made of.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// apt's own way to fetch one file.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// A Debian mirror.
pub struct Mirror {
    main: String,
    security: String,
}

impl Mirror {
    /// The one of this machine's apt; `GANTRY_DEBIAN` and `GANTRY_DEBIAN_SECURITY` name others.
    ///
    /// # Errors
    /// If there is none.
    pub fn find() -> Result<Self> {
        let format = "$(ORIGIN) $(RELEASE) $(REPO_URI)";
        let listed =
            Program::new("apt-get").args(["indextargets", "--format", format]).read().unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let find = |variable: &str, suite: &str| -> Result<String> {
            let known = std::env::var(variable).ok().or_else(|| {
                let wanted = format!("Debian {suite} ");
                listed.lines().find_map(|line| line.strip_prefix(&wanted)).map(str::to_owned)
            });
            let known = known.with_context(|| {
                format!(
                    "apt knows no mirror of {suite} (`apt-get update` may be missing); set {variable} to one"
                )
            })?;
            Ok(format!("{}/", known.trim_end_matches('/')))
        };
        let main = find("GANTRY_DEBIAN", RELEASE)?;
        let security = find("GANTRY_DEBIAN_SECURITY", &format!("{RELEASE}-security"))?;
        Ok(Self { main, security })
    }

    fn base(&self, archive: Archive) -> &str {
        match archive {
            Archive::Main => &self.main,
            Archive::Security => &self.security,
        }
    }

    /// The newest of `names` for `arch`, and of what the package `kernel` stands for.
    ///
    /// # Errors
    /// If the mirror can't be asked or lacks one of them.
    pub fn newest(&self, names: &[&str], kernel: &str, arch: Arch) -> Result<Lock> {
        let apt = self.apt(arch)?;
        apt.get(&["update", "-q"])?;
        let kernel = apt.stands_for(kernel)?;
        let mut arguments = vec!["download", "--print-uris", "-q"];
        arguments.extend(names);
        arguments.push(&kernel);
        let lines = apt.get(&arguments)?;
        let pinned: Option<Vec<_>> =
            lines.lines().filter(|line| line.starts_with('\'')).map(|line| self.pinned(line)).collect();
        let mut packages =
            pinned.with_context(|| format!("apt answered what was not understood:\n{lines}"))?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        for name in names.iter().copied().chain([kernel.as_str()]) {
            ensure!(packages.iter().any(|package| package.name == name), "the mirror has no package {name}");
        }
        Ok(Lock { kernel, packages })
    }

    /// From `'<uri>' <name>_<version>_<architecture>.deb <size> SHA256:<hash>`.
    fn pinned(&self, line: &str) -> Option<Pinned> {
        let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let [file, size, hash] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
        let archive = if uri.starts_with(&self.security) { Archive::Security } else { Archive::Main };
        let [name, version, architecture] = file.strip_suffix(".deb")?.split('_').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        Some(Pinned {
            name: name.to_owned(),
            version: version.replace("%3a", ":"),
            architecture: architecture.to_owned(),
            archive,
            path: uri.strip_prefix(self.base(archive))?.to_owned(),
            size: size.parse().ok()?,
            sha256: hash.strip_prefix("SHA256:")?.to_owned(),
        })
    }

    /// The package's file, fetched if it is not there yet, and held against its hash.
    ///
    /// # Errors
    /// If the mirror does not have it any more, or it is another.
    pub fn fetch(&self, package: &Pinned, board: &str) -> Result<PathBuf> {
        let cache = cache();
        let file = cache.join(format!("{}_{}.deb", &package.sha256[..16], package.name));
        if !file.exists() {
            std::fs::create_dir_all(&cache)?;
            let uri = format!("{}{}", self.base(package.archive), package.path);
            let part = file.with_extension("part");
            eprintln!("fetching {} {}", package.name, package.version);
            let nobody = "APT::Sandbox::User=";
            let fetched = Program::new(HELPER)
                .args(["-o", nobody, "download-file", &uri])
                .args([part.as_os_str()])
                .args([format!("SHA256:{}", package.sha256)])
                .read();
            fetched.with_context(|| {
                format!(
                    "{} {} could not be fetched. Old versions leave the mirror: take newer ones by `cargo xtask image \
                     --refresh-lock {board}`, look at what changed in packages.lock, and commit it",
                    package.name, package.version
                )
            })?;
            std::fs::rename(&part, &file)?;
        }
        let content = std::fs::read(&file)?;
        let hash = hex(&Sha256::digest(&content));
        if hash != package.sha256 {
            std::fs::remove_file(&file)?;
            bail!(
                "{} is not the {} of packages.lock (its hash is {hash}); it was thrown away, try again",
                file.display(),
                package.name
            );
        }
        Ok(file)
    }

    /// An apt that knows this mirror only.
    fn apt(&self, arch: Arch) -> Result<Apt> {
        let folder = target().join("image/apt").join(arch.debian());
        for inside in ["state/lists/partial", "cache/archives/partial", "etc"] {
            std::fs::create_dir_all(folder.join(inside))?;
        }
        std::fs::write(folder.join("state/status"), "")?;
        let options = format!("[arch={} signed-by={KEYRING}]", arch.debian());
        let mut sources = String::new();
        for (base, suite) in [(&self.main, ""), (&self.main, "-updates"), (&self.security, "-security")] {
            writeln!(sources, "deb {options} {base} {RELEASE}{suite} main")?;
        }
        std::fs::write(folder.join("etc/sources.list"), sources)?;
        Ok(Apt { folder, arch })
    }
}

/// Where fetched packages are kept; `GANTRY_CACHE` names another folder.
fn cache() -> PathBuf {
    std::env::var_os("GANTRY_CACHE").map_or_else(|| target().join("image/cache"), PathBuf::from)
}

/// An apt with folders of its own.
struct Apt {
    folder: PathBuf,
    arch: Arch,
}

impl Apt {
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let at = |inside: &str| self.folder.join(inside).display().to_string();
        let options = [
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("state/status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::sourcelist={}", at("etc/sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            format!("APT::Architecture={}", self.arch.debian()),
            format!("APT::Architectures={}", self.arch.debian()),
            "APT::Sandbox::User=".to_owned(),
            "Debug::NoLocking=1".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let options = options.iter().flat_map(|option| ["-o", option.as_str()]);
        let output = Program::new(program).within(&self.folder).args(options).args(arguments).read()?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    fn get(&self, arguments: &[&str]) -> Result<String> {
        self.run("apt-get", arguments)
    }

    /// The package that the empty package `name` depends on: Debian names the newest kernel of a line so.
    fn stands_for(&self, name: &str) -> Result<String> {
        let shown = self.run("apt-cache", &["show", "--no-all-versions", name])?;
        let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "));
        let depends = depends.with_context(|| format!("{name} depends on no kernel"))?;
        let kernel = depends.split([',', ' ']).next().filter(|kernel| kernel.starts_with("linux-image-"));
        Ok(kernel.with_context(|| format!("{name} depends on {depends}, which is no kernel"))?.to_owned())
    }
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text += &format!("{byte:02x}");
        text
    })
}

/// The hash of a file.
///
/// # Errors
/// If it cannot be read.
pub fn sha256(file: &Path) -> Result<String> {
    let mut open = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut open, &mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror() -> Mirror {
        Mirror {
            main: "http://mirror.invalid/debian/".into(),
            security: "http://mirror.invalid/debian-security/".into(),
        }
    }

    #[test]
    fn what_apt_prints_is_pinned_with_its_archive_epoch_and_hash() {
        let line = "'http://mirror.invalid/debian-security/pool/updates/main/z/z/z_1.2-1_all.deb' z_1%3a1.2-1_all.deb 7 SHA256:ab";
        let pinned = mirror().pinned(line).unwrap();
        assert_eq!((pinned.name.as_str(), pinned.version.as_str()), ("z", "1:1.2-1"));
        assert_eq!(
            (pinned.archive, pinned.path.as_str()),
            (Archive::Security, "pool/updates/main/z/z/z_1.2-1_all.deb")
        );
        assert_eq!((pinned.size, pinned.sha256.as_str()), (7, "ab"));
        assert_eq!(mirror().pinned("'http://elsewhere.invalid/z.deb' z_1_all.deb 7 SHA256:ab"), None);
    }
}
