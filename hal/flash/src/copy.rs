//! An image onto a disk, and back to see whether it is there.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// Bytes that are written or compared at a time.
pub const CHUNK: usize = 4 << 20;

/// Why a disk does not hold the image.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The image can't be read.
    #[error("the image cannot be read at byte {at}: {source}")]
    Image {
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The disk can't be written.
    #[error("the disk cannot be written at byte {at}: {source}; replace this disk")]
    Write {
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The disk can't be read.
    #[error("the disk cannot be read back at byte {at}: {source}; replace this disk")]
    ReadBack {
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The disk gives back something else.
    #[error("the disk does not give back what was written at byte {at}; replace this disk")]
    Differs {
        /// The first such byte.
        at: u64,
    },
}

/// Writes `size` bytes of the image, holes too: what was on the disk before must not shine through. `done` hears how many bytes are written.
///
/// # Errors
/// If the image can't be read or the disk not be written.
pub fn write(
    image: &mut impl Read,
    disk: &mut impl Write,
    size: u64,
    mut done: impl FnMut(u64),
) -> Result<(), CopyError> {
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let part = &mut chunk[..next(size - at)];
        image.read_exact(part).map_err(|source| CopyError::Image { at, source })?;
        disk.write_all(part).map_err(|source| CopyError::Write { at, source })?;
        at += part.len() as u64;
        done(at);
    }
    disk.flush().map_err(|source| CopyError::Write { at, source })
}

/// Compares what the disk gives back with the image; the SHA-256 of it comes back, in hexadecimal digits.
///
/// # Errors
/// If one can't be read, or they differ.
pub fn verify(
    image: &mut impl Read,
    disk: &mut impl Read,
    size: u64,
    mut done: impl FnMut(u64),
) -> Result<String, CopyError> {
    let (mut wanted, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < size {
        let length = next(size - at);
        let (wanted, found) = (&mut wanted[..length], &mut found[..length]);
        image.read_exact(wanted).map_err(|source| CopyError::Image { at, source })?;
        disk.read_exact(found).map_err(|source| CopyError::ReadBack { at, source })?;
        if wanted != found {
            let same = wanted.iter().zip(found.iter()).take_while(|(a, b)| a == b).count();
            return Err(CopyError::Differs { at: at + same as u64 });
        }
        hash.update(found);
        at += length as u64;
        done(at);
    }
    let mut digits = String::new();
    for byte in hash.finalize() {
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

fn next(left: u64) -> usize {
    usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn image() -> Vec<u8> {
        let mut image = vec![7; CHUNK + 1000];
        image[100..200].fill(0);
        image
    }

    #[test]
    fn what_is_written_is_read_back_and_a_bit_that_turned_is_found() {
        let image = image();
        let size = image.len() as u64;
        // Something longer was there before.
        let mut disk = Cursor::new(vec![9; 2 * CHUNK]);
        let mut heard = Vec::new();
        write(&mut &image[..], &mut disk, size, |at| heard.push(at)).unwrap();
        assert_eq!(heard, [CHUNK as u64, size]);
        let mut disk = disk.into_inner();
        let hash = verify(&mut &image[..], &mut &disk[..], size, |_| ()).unwrap();
        assert_eq!(hash.len(), 64);

        disk[CHUNK + 5] ^= 1;
        let error = verify(&mut &image[..], &mut &disk[..], size, |_| ()).unwrap_err().to_string();
        assert!(error.contains(&format!("at byte {};", CHUNK + 5)), "{error}");
    }

    #[test]
    fn a_disk_or_an_image_that_ends_early_is_told_apart() {
        let image = image();
        let size = image.len() as u64;
        let mut small = [0; 100];
        let error = write(&mut &image[..], &mut &mut small[..], size, |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::Write { at: 0, .. }), "{error}");
        let error = write(&mut &image[..100], &mut Vec::new(), size, |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::Image { at: 0, .. }), "{error}");
        let error = verify(&mut &image[..], &mut &image[..CHUNK], size, |_| ()).unwrap_err();
        assert!(matches!(error, CopyError::ReadBack { at, .. } if at == CHUNK as u64), "{error}");
    }
}
