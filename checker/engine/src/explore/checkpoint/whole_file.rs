//! Files that are there as a whole or not at all, with a checksum at the end.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{CheckpointError, io_error};

/// Writes a file under a temporary name, waits until it is on the disk, and renames it.
///
/// If anything fails, an existing file of that name stays as it is and nothing else remains. Returns the
/// checksum, which is also the last four bytes of the file.
pub(super) fn write(
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<u32, CheckpointError> {
    let temporary = path.with_extension("tmp");
    let written = write_and_rename(&temporary, path, contents);
    written.map_err(|error| {
        // The error that matters is the one at hand.
        let _ = fs::remove_file(&temporary);
        io_error("write", path)(error)
    })
}

fn write_and_rename(
    temporary: &Path,
    path: &Path,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<u32> {
    let file = File::create(temporary)?;
    let mut summing = Summing { inner: BufWriter::new(file), sum: crc32fast::Hasher::new() };
    contents(&mut summing)?;
    let Summing { mut inner, sum } = summing;
    let sum = sum.finalize();
    inner.write_all(&sum.to_le_bytes())?;
    inner.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    fs::rename(temporary, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(sum)
}

/// Reads a file; returns its contents and the checksum.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, u32), CheckpointError> {
    let damaged = |why: &str| CheckpointError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let mut contents = fs::read(path).map_err(io_error("read", path))?;
    let Some(at) = contents.len().checked_sub(4) else { return Err(damaged("it is too short")) };
    let stored = contents.split_off(at);
    let sum = crc32fast::hash(&contents);
    if stored != sum.to_le_bytes() {
        return Err(damaged("the checksum does not match"));
    }
    Ok((contents, sum))
}

struct Summing<W> {
    inner: W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(
            matches!(failed, Err(CheckpointError::Io { action: "write", path: named, .. }) if named == path)
        );
        assert_eq!(read(&path).unwrap().0, b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, |file| file.write_all(b"contents")).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
            assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
            fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
        }
    }
}
