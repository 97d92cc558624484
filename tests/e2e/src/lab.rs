//! One test's bench: a folder for its peers and one for what people may want to look at afterwards.

use anyhow::{Context, Result};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// A fresh folder, gone with the test, and a folder for artefacts that stays: `target/e2e/<test>/`.
pub struct Lab {
    folder: tempfile::TempDir,
    artefacts: PathBuf,
}

impl Lab {
    /// A bench for the test `name`.
    ///
    /// # Errors
    /// If a folder cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gantry-e2e-").tempdir().context("a fresh folder")?;
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
        let artefacts = target.join("e2e").join(name);
        std::fs::create_dir_all(&artefacts)
            .with_context(|| format!("cannot make {}", artefacts.display()))?;
        Ok(Self { folder, artefacts })
    }

    /// A path in the fresh folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A fresh sub-folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// A file that takes long to make and is the same for every test: made once, by `make` at the path it is given.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn cached(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.artefacts.with_file_name("media");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(name);
        if !path.exists() {
            // Renamed when whole, so that a test running beside this one never reads half a file.
            let part = self.path(name);
            make(&part)?;
            std::fs::copy(&part, path.with_extension("part"))?;
            std::fs::rename(path.with_extension("part"), &path)?;
        }
        Ok(path)
    }

    /// Where an artefact of this name goes.
    #[must_use]
    pub fn artefact(&self, name: &str) -> PathBuf {
        self.artefacts.join(name)
    }
}

/// A port that is free for UDP and TCP on loopback now. The kernel hands out ephemeral ports in a circle, so that nobody
/// else gets it in the moment until it is bound.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    for _ in 0..64 {
        let udp = UdpSocket::bind("127.0.0.1:0").context("a free port")?;
        let port = udp.local_addr()?.port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free for UDP and TCP")
}
