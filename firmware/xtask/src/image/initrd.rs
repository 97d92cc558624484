//! The initrd: one static program and the modules it loads, as a cpio archive (Linux, Documentation/driver-api/early-userspace/
//! buffer-format.rst).

use crate::shell::Program;
use anyhow::{Context, Result};
use std::path::Path;

/// What a file of the archive is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File(u32),
    /// A character device with its numbers.
    Device(u32, u32),
}

/// An archive being written.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    count: u32,
}

impl Archive {
    fn add(&mut self, name: &str, kind: Kind, content: &[u8]) {
        let (mode, major, minor) = match kind {
            Kind::Folder => (0o040_755, 0, 0),
            Kind::File(mode) => (0o100_000 | mode, 0, 0),
            Kind::Device(major, minor) => (0o020_600, major, minor),
        };
        self.count += 1;
        let size = content.len() as u32;
        let fields = [self.count, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name.len() as u32 + 1, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.count = u32::MAX;
        self.bytes.extend(b"070701");
        for field in [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0] {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(b"TRAILER!!!\0");
        self.pad();
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }
}

/// The modules of an initrd, each with its path and content.
pub struct Modules {
    /// Loaded first, in this order.
    pub early: Vec<(String, Vec<u8>)>,
    /// Loaded just before systemd starts.
    pub late: Vec<(String, Vec<u8>)>,
}

/// Writes the initrd with the program `init` to `file`.
///
/// # Errors
/// If it cannot be packed.
pub fn write(file: &Path, init: &[u8], modules: &Modules) -> Result<()> {
    let mut archive = Archive::default();
    for folder in ["boot", "dev", "proc", "sys", "run", "root", "modules"] {
        archive.add(folder, Kind::Folder, b"");
    }
    // The first process speaks here until the kernel's own /dev is there.
    archive.add("dev/console", Kind::Device(5, 1), b"");
    archive.add("init", Kind::File(0o755), init);
    let mut laid = Vec::new();
    for (list, part) in [("modules/early", &modules.early), ("modules/late", &modules.late)] {
        let mut lines = String::new();
        for (path, content) in part {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !laid.contains(&name) {
                archive.add(&format!("modules/{name}"), Kind::File(0o644), content);
                lines += &format!("/modules/{name}\n");
                laid.push(name);
            }
        }
        archive.add(list, Kind::File(0o644), lines.as_bytes());
    }
    let plain = file.with_extension("cpio");
    std::fs::write(&plain, archive.finish()).with_context(|| format!("cannot write {}", plain.display()))?;
    let arguments = ["-19", "-T1", "-q", "-f", "--rm", "-o"].map(std::ffi::OsStr::new);
    Program::new("zstd").args(arguments).args([file, &plain]).read()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_begin_where_the_kernel_looks_for_them() {
        let mut archive = Archive::default();
        archive.add("modules", Kind::Folder, b"");
        archive.add("init", Kind::File(0o755), b"hello");
        let bytes = archive.finish();
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(bytes.len() % 512, 0);
        // Name and content begin at multiples of four.
        let at = bytes.windows(5).position(|window| window == b"init\0").unwrap();
        assert_eq!((at - 110) % 4, 0);
        assert_eq!(bytes.windows(5).position(|window| window == b"hello").unwrap() % 4, 0);
    }
}
