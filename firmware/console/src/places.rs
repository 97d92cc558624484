//! Where everything is on a box. All of it lies below one root, so that a test shows a made tree.

use std::path::{Path, PathBuf};

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    root: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Places {
    /// Below `root`; `/` on a box.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// `path`, which begins with `/`, below the root.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// What the console keeps.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.at("/var/lib/gantry/console")
    }

    /// The two copies of the settings.
    #[must_use]
    pub fn settings(&self) -> [PathBuf; 2] {
        ["settings.toml", "settings.2.toml"].map(|name| self.state().join(name))
    }

    /// The two copies of the administrator's hash.
    #[must_use]
    pub fn owner(&self) -> [PathBuf; 2] {
        ["owner", "owner.2"].map(|name| self.state().join(name))
    }

    /// The audit log, and the one before it.
    #[must_use]
    pub fn audit(&self) -> [PathBuf; 2] {
        ["audit.log", "audit.old.log"].map(|name| self.state().join(name))
    }

    /// What outlives even a reset of everything: the claim code, given by the flasher.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.at("/var/lib/gantry/identity")
    }

    /// Why the box and its services stopped.
    #[must_use]
    pub fn reasons(&self) -> PathBuf {
        self.at("/var/lib/gantry/reasons.jsonl")
    }

    /// What the box wrote down of its life between two starts.
    #[must_use]
    pub fn life(&self) -> PathBuf {
        self.at("/var/lib/gantry/life.json")
    }

    /// The socket of `gantry serve`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.at("/run/gantry/console.sock")
    }

    /// The gateway's control socket.
    #[must_use]
    pub fn gateway(&self) -> PathBuf {
        self.at("/run/gantry/gatewayd.sock")
    }

    /// What the gateway keeps.
    #[must_use]
    pub fn gateway_state(&self) -> PathBuf {
        self.at("/var/lib/gantry/gatewayd")
    }

    /// The gateway's configuration: what it begins with, and from then on a copy of what it keeps.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.gateway_state().join("gantry.toml")
    }

    /// The configuration that a box begins with.
    #[must_use]
    pub fn delivered_configuration(&self) -> PathBuf {
        self.at("/usr/share/gantry/gantry.toml")
    }

    /// The key over the gateway's secrets, sealed by the TPM.
    #[must_use]
    pub fn sealed_data_key(&self) -> PathBuf {
        self.at("/var/lib/gantry/data-key.sealed")
    }

    /// The same, open, for the service manager to give to the gateway; in memory only, and empty where there is none.
    #[must_use]
    pub fn data_key(&self) -> PathBuf {
        self.at("/run/gantry-keys/gantry.data-key")
    }

    /// The folder of requests.
    #[must_use]
    pub fn requests(&self) -> PathBuf {
        self.at("/run/gantry/apply")
    }

    /// The folder of answers, which only root writes.
    #[must_use]
    pub fn answers(&self) -> PathBuf {
        self.at("/run/gantry/applied")
    }

    /// Who stamps the packets of each network card, and why.
    #[must_use]
    pub fn stamping(&self) -> PathBuf {
        self.answers().join("stamping")
    }

    /// What was noticed while the box ran: a line a file may be appended to by each service.
    #[must_use]
    pub fn notes(&self) -> PathBuf {
        self.at("/run/gantry/notes")
    }

    /// Where support bundles go.
    #[must_use]
    pub fn bundles(&self) -> PathBuf {
        self.at("/data/support")
    }

    /// That the next start forgets everything.
    #[must_use]
    pub fn forget(&self) -> PathBuf {
        self.at("/var/lib/gantry/forget-everything")
    }

    /// The mark that what is on DATA is still to be forgotten.
    #[must_use]
    pub fn forget_data(&self) -> PathBuf {
        self.at("/var/lib/gantry/forget-data")
    }
}
