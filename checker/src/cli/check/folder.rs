//! The directory that explorations are saved in: one command at a time, and nothing in it is lost without a word.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs4::fs_std::FileExt;

/// The directory, taken until this is dropped.
pub(super) struct Folder {
    _lock: File,
}

impl Folder {
    /// Takes the directory; creates it if necessary.
    ///
    /// # Errors
    /// Another command has it; it holds explorations and none is to be resumed; one is to be resumed and it holds none.
    pub fn take(directory: &Path, resume: bool) -> Result<Self> {
        let place = || format!("--checkpoint {}", directory.display());
        fs::create_dir_all(directory).with_context(place)?;
        let lock = File::options().create(true).truncate(false).write(true).open(directory.join("lock"));
        let lock = lock.with_context(place)?;
        if !FileExt::try_lock_exclusive(&lock).with_context(place)? {
            bail!("{}: another checker saves its explorations there", place());
        }
        match (explorations(directory).with_context(place)?.first(), resume) {
            (Some(exploration), false) => bail!(
                "{}: {} is an exploration, which is not begun anew: go on with --resume, or remove it",
                place(),
                exploration.display()
            ),
            (None, true) => bail!("{}: there is no exploration to resume", place()),
            _ => Ok(Folder { _lock: lock }),
        }
    }
}

/// The directories of explorations, in alphabetical order.
fn explorations(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| path.join("manifest").exists());
    found.sort();
    Ok(found)
}
