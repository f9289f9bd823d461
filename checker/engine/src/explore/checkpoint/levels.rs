//! Files with the states of some levels.
//!
//! A file is the states one after the other, each in as many bytes as its layout needs, the lowest byte
//! first. Widths and the number of states in each level are in the manifest.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CheckpointError, whole_file};
use crate::explore::layout::{Layout, Word};
use crate::explore::store::Store;
use crate::tabled::{ControlId, PageId};

/// What the manifest says about such a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LevelFile {
    first_level: usize,
    /// The number of states in each level.
    sizes: Vec<u64>,
    pages: usize,
    control_bits: u32,
    page_bits: u32,
    checksum: u32,
}

impl LevelFile {
    pub(super) fn levels(&self) -> usize {
        self.sizes.len()
    }

    /// Writes the closed levels from `first_level` on.
    pub(super) fn write<W: Word>(
        directory: &Path,
        store: &Store<W>,
        first_level: usize,
    ) -> Result<Self, CheckpointError> {
        let layout = store.layout();
        let (pages, (control_bits, page_bits)) = (layout.pages(), layout.widths());
        let sizes = store.level_sizes()[first_level..].to_vec();
        let mut file = LevelFile { first_level, sizes, pages, control_bits, page_bits, checksum: 0 };
        file.checksum = whole_file::write(&file.path(directory), |out| {
            (first_level..store.levels()).try_for_each(|level| write_level(store, level, out))
        })?;
        Ok(file)
    }

    /// Adds the levels to a store; `exists` says whether there are such records.
    pub(super) fn read<W: Word>(
        &self,
        directory: &Path,
        store: &mut Store<W>,
        exists: impl Fn(ControlId, &[PageId]) -> bool,
    ) -> Result<(), CheckpointError> {
        let path = self.path(directory);
        let (contents, checksum) = whole_file::read(&path)?;
        let damaged = |why: &str| CheckpointError::Damaged { path: path.clone(), why: why.to_owned() };
        if checksum != self.checksum || self.first_level != store.levels() {
            return Err(damaged("the manifest means another file"));
        }
        let layout = Layout::with_bits(self.pages, self.control_bits, self.page_bits)
            .filter(|layout| layout.pages() == store.layout().pages())
            .ok_or_else(|| damaged("its states have an impossible layout"))?;

        let mut states = contents.chunks(bytes_of(layout));
        for size in &self.sizes {
            for _ in 0..*size {
                let bytes = states.next().ok_or_else(|| damaged("states are missing"))?;
                let mut word = [0; size_of::<u128>()];
                word[..bytes.len()].copy_from_slice(bytes);
                let (control, pages) = layout.unpack(u128::from_le_bytes(word));
                if !exists(control, &pages) {
                    return Err(damaged("it has a state of unknown records"));
                }
                if !store.insert(store.layout().pack(control, &pages)) {
                    return Err(damaged("it has a state twice"));
                }
            }
            store.close_level();
        }
        if states.next().is_some() { Err(damaged("it has too many states")) } else { Ok(()) }
    }

    fn path(&self, directory: &Path) -> PathBuf {
        directory.join(format!("levels-{:06}", self.first_level))
    }
}

fn write_level<W: Word>(store: &Store<W>, level: usize, out: &mut dyn Write) -> io::Result<()> {
    let bytes = bytes_of(store.layout());
    let mut states = Vec::new();
    for piece in store.pieces(level) {
        store.read(piece, &mut states);
        for state in &states {
            out.write_all(&state.bits().to_le_bytes()[..bytes])?;
        }
    }
    Ok(())
}

/// How many bytes a state takes; at least one, so that states can be told apart.
fn bytes_of(layout: Layout) -> usize {
    (layout.bits().div_ceil(u8::BITS) as usize).max(1)
}
