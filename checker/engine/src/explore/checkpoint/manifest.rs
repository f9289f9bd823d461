//! The file that says what a checkpoint consists of: a line with the version, then JSON.

use std::path::Path;

use population::system::PropertyName;
use serde::{Deserialize, Serialize};

use super::levels::LevelFile;
use super::{CheckpointError, Identity, VERSION, whole_file};
use crate::explore::tally::Tally;
use crate::tabled::RecordOrigin;

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Manifest<R: PropertyName> {
    pub(super) identity: Identity,
    /// Time spent so far.
    pub(super) seconds: f64,
    /// Of all levels but the last, which has been found but not expanded.
    pub(super) total: Tally<R>,
    /// How the control records came about, in the order of their numbers.
    pub(super) controls: Vec<RecordOrigin>,
    /// How the page records came about, in the order of their numbers.
    pub(super) pages: Vec<RecordOrigin>,
    pub(super) levels: Vec<LevelFile>,
}

/// What the first line starts with.
const TITLE: &str = "sojourn exploration, version ";

impl<R: PropertyName> Manifest<R> {
    pub(super) fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        whole_file::write(path, |file| {
            writeln!(file, "{TITLE}{VERSION}")?;
            Ok(serde_json::to_writer(file, self)?)
        })?;
        Ok(())
    }

    pub(super) fn read(path: &Path) -> Result<Self, CheckpointError> {
        let damaged = |why: String| CheckpointError::Damaged { path: path.to_owned(), why };
        let (contents, _) = whole_file::read(path)?;
        let contents = std::str::from_utf8(&contents).map_err(|error| damaged(error.to_string()))?;
        let (title, json) = contents.split_once('\n').unwrap_or_default();
        let version = title.strip_prefix(TITLE).and_then(|version| version.parse().ok());
        match version {
            Some(VERSION) => serde_json::from_str(json).map_err(|error| damaged(error.to_string())),
            Some(found) => Err(CheckpointError::Version { path: path.to_owned(), found }),
            None => Err(damaged("it is not a checkpoint".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::RandomProperty;

    fn read(contents: &str) -> CheckpointError {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("manifest");
        whole_file::write(&path, |file| write!(file, "{contents}")).unwrap();
        match Manifest::<RandomProperty>::read(&path) {
            Ok(_) => panic!("this is no manifest"),
            Err(error) => error,
        }
    }

    #[test]
    fn other_files_and_versions_are_told_apart() {
        assert!(matches!(
            read("sojourn exploration, version 2\n{}"),
            CheckpointError::Version { found: 2, .. }
        ));
        assert!(matches!(read("sojourn exploration, version 1\n{}"), CheckpointError::Damaged { .. }));
        assert!(matches!(read("something else"), CheckpointError::Damaged { .. }));
        assert!(matches!(read(""), CheckpointError::Damaged { .. }));
    }
}
