//! What a program or library needs to be loaded (ELF-64, little-endian; System V ABI, chapters 4 and 5).

/// What is asked of an ELF file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The loader's path, if it is a program that needs one.
    pub loader: Option<String>,
    /// Names of the libraries that it is linked with.
    pub libraries: Vec<String>,
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// A part of the file.
#[derive(Clone, Copy)]
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

/// What `file` needs; `None` if it is no whole ELF file of this kind.
pub fn needs(file: &[u8]) -> Option<Needs> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    let segments: Option<Vec<_>> = (0..count).map(|index| segment(file, table + index * size)).collect();
    let segments = segments?;
    let of = |kind| segments.iter().find(|segment| segment.kind == kind);
    let loader = of(PT_INTERP).and_then(|segment| text(file, segment.offset));
    let Some(dynamic) = of(PT_DYNAMIC) else { return Some(Needs { loader, libraries: Vec::new() }) };
    let entries: Vec<_> = (0..dynamic.size / 16)
        .map_while(|index| {
            let at = dynamic.offset + index * 16;
            Some((number(file, at, 8)?, number(file, at + 8, 8)?)).filter(|(tag, _)| *tag != DT_NULL)
        })
        .collect();
    let (_, strings) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?;
    let strings = segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find(|segment| (segment.address..segment.address + segment.size).contains(strings))
        .map(|segment| strings - segment.address + segment.offset)?;
    let needed = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
    let libraries: Option<Vec<_>> = needed.map(|(_, at)| text(file, strings + at)).collect();
    Some(Needs { loader, libraries: libraries? })
}

fn segment(file: &[u8], at: u64) -> Option<Segment> {
    Some(Segment {
        kind: number(file, at, 4)?,
        offset: number(file, at + 8, 8)?,
        address: number(file, at + 16, 8)?,
        size: number(file, at + 32, 8)?,
    })
}

fn number(file: &[u8], at: u64, bytes: usize) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let mut number = [0; 8];
    number[..bytes].copy_from_slice(file.get(at..at.checked_add(bytes)?)?);
    Some(u64::from_le_bytes(number))
}

fn text(file: &[u8], at: u64) -> Option<String> {
    let rest = file.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library_and_its_loader() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&file).unwrap();
        assert!(needs.loader.unwrap().contains("ld-linux"));
        assert!(needs.libraries.iter().any(|name| name == "libc.so.6"), "{:?}", needs.libraries);
    }

    #[test]
    fn what_is_cut_off_or_no_elf_is_none_and_never_a_panic() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs(b"#!/bin/sh\n"), None);
        for end in (0..4096).step_by(7) {
            needs(&file[..end]);
        }
        let mut wild = file[..4096].to_vec();
        wild[32..64].fill(0xff);
        assert_eq!(needs(&wild), None);
    }
}
