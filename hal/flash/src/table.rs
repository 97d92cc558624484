//! The disk's table (GPT; UEFI 2.10, 5.3) on a disk that is larger than the image: its copy goes to the disk's end, and the last
//! partition reaches to there. That partition's file system grows when the box starts.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes of a sector: the image's table counts in these.
pub const SECTOR: u64 = 512;
/// Partitions end at a multiple of so many sectors.
const GRAIN: u64 = 2048;
/// Bytes of a header that its checksum covers.
const HEADER: usize = 92;
/// Bytes of entries that are read at most.
const ENTRIES: usize = 1 << 20;

/// Why a table can't be grown.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk can't be read or written.
    #[error("the disk's table: {0}")]
    Disk(#[from] io::Error),
    /// There is none, or it is damaged.
    #[error("the disk's table is none: {0}; write the image again")]
    Wrong(&'static str),
}

/// Grows the table on `disk`, which has `size` bytes. How many bytes the last partition has comes back.
///
/// # Errors
/// If there is no whole table, or the disk can't be written. The disk's own copy is written before the table that refers to it.
pub fn grow<D: Read + Write + Seek>(disk: &mut D, size: u64) -> Result<u64, TableError> {
    let mut header = [0; SECTOR as usize];
    read(disk, 1, &mut header)?;
    if &header[..8] != b"EFI PART" || get32(&header, 12) as usize != HEADER {
        return Err(TableError::Wrong("no header"));
    }
    let sum = get32(&header, 16);
    put32(&mut header, 16, 0);
    if crc32(&header[..HEADER]) != sum {
        return Err(TableError::Wrong("its header's checksum is another"));
    }
    let (count, each) = (get32(&header, 80) as usize, get32(&header, 84) as usize);
    let bytes = count.saturating_mul(each).next_multiple_of(SECTOR as usize);
    if each < 128 || bytes > ENTRIES {
        return Err(TableError::Wrong("no room for its entries"));
    }
    let mut entries = vec![0; bytes];
    read(disk, get64(&header, 72), &mut entries)?;
    if crc32(&entries[..count * each]) != get32(&header, 88) {
        return Err(TableError::Wrong("its entries' checksum is another"));
    }

    let (old, last) = (get64(&header, 32), (size / SECTOR).saturating_sub(1));
    let copy = last.saturating_sub(bytes as u64 / SECTOR);
    let used = entries[..count * each].chunks_exact_mut(each).filter(|entry| entry[..16] != [0; 16]);
    let entry = used.max_by_key(|entry| get64(entry, 40)).ok_or(TableError::Wrong("it has no partitions"))?;
    let (first, end) = (get64(entry, 32), get64(entry, 40));
    if end >= copy {
        return Err(TableError::Wrong("its partitions do not fit the disk"));
    }
    let grown = (copy / GRAIN * GRAIN).saturating_sub(1).max(end);
    put64(entry, 40, grown);

    put64(&mut header, 48, copy - 1);
    put32(&mut header, 88, crc32(&entries[..count * each]));
    if old != last && old > end {
        // The copy's old place; nobody is to find two.
        write(disk, old, &[0; SECTOR as usize])?;
    }
    let mut other = header;
    place(&mut other, last, 1, copy);
    write(disk, copy, &entries)?;
    write(disk, last, &other)?;
    disk.flush()?;
    place(&mut header, 1, last, 2);
    write(disk, 2, &entries)?;
    write(disk, 1, &header)?;
    let mut protective = [0; SECTOR as usize];
    read(disk, 0, &mut protective)?;
    put32(&mut protective, 446 + 12, u32::try_from(last).unwrap_or(u32::MAX));
    write(disk, 0, &protective)?;
    disk.flush()?;
    Ok((grown + 1 - first) * SECTOR)
}

/// Where a header stands, where the other one does, and where its entries are.
fn place(header: &mut [u8], here: u64, other: u64, entries: u64) {
    put64(header, 24, here);
    put64(header, 32, other);
    put64(header, 72, entries);
    put32(header, 16, 0);
    put32(header, 16, crc32(&header[..HEADER]));
}

fn read<D: Read + Seek>(disk: &mut D, sector: u64, to: &mut [u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(sector.saturating_mul(SECTOR)))?;
    disk.read_exact(to)
}

fn write<D: Write + Seek>(disk: &mut D, sector: u64, from: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(sector.saturating_mul(SECTOR)))?;
    disk.write_all(from)
}

fn get32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn get64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn put32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn put64(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

/// CRC-32 as Ethernet has it (ITU-T V.42, 8.1.1.6.2).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A disk of `sectors` with one partition.
    fn disk(sectors: u64, end: u64) -> Vec<u8> {
        let mut disk = vec![0; (sectors * SECTOR) as usize];
        let entry = &mut disk[1024..1024 + 128];
        entry[0] = 1;
        put64(entry, 32, 2048);
        put64(entry, 40, end);
        let entries = crc32(&disk[1024..1024 + 128 * 128]);
        let header = &mut disk[512..1024];
        header[..8].copy_from_slice(b"EFI PART");
        put32(header, 12, HEADER as u32);
        put32(header, 80, 128);
        put32(header, 84, 128);
        put32(header, 88, entries);
        place(header, 1, sectors - 1, 2);
        disk
    }

    #[test]
    fn a_checksum_is_ethernets() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_last_partition_reaches_to_the_end_of_a_larger_disk_and_both_tables_say_so() {
        let mut larger = disk(8192, 4095);
        larger.resize(20_000 * 512, 9);
        let mut disk = Cursor::new(larger);
        let bytes = grow(&mut disk, 20_000 * SECTOR).unwrap();
        assert_eq!(bytes, (18_432 - 2048) * SECTOR);
        let disk = disk.into_inner();
        let (first, other) = (&disk[512..1024], &disk[19_999 * 512..]);
        assert_eq!((get64(first, 32), get64(other, 32)), (19_999, 1));
        assert_eq!((get64(first, 24), get64(other, 24)), (1, 19_999));
        assert_eq!(get64(first, 48), 19_966);
        assert_eq!(disk[1024..1024 + 16_384], disk[19_967 * 512..19_999 * 512]);
        assert_eq!(get32(&disk, 446 + 12), 19_999);
        // And again: nothing changes.
        let mut again = Cursor::new(disk.clone());
        grow(&mut again, 20_000 * SECTOR).unwrap();
        assert!(again.into_inner() == disk, "a second time changes something");
    }

    #[test]
    fn what_is_no_table_or_does_not_fit_is_left_as_it_is() {
        let mut damaged = disk(8192, 4095);
        damaged[512 + 40] ^= 1;
        let mut entries = disk(8192, 4095);
        entries[1024 + 40] ^= 1;
        for mut wrong in [vec![0; 8192 * 512], damaged, entries, disk(8192, 8191)] {
            let before = wrong.clone();
            let size = wrong.len() as u64;
            assert!(grow(&mut Cursor::new(&mut wrong[..]), size).is_err());
            assert!(wrong == before, "it was written to");
        }
    }
}
