//! What a driver carries for a process without looking into it: the question what files there are, the plan of what is to be
//! built, the state at the freeze. Short, since the last of them travels while the process stands still.

use std::path::PathBuf;

use linux::AddressRange;
use linux::inventory::Inventory;
use linux::plan::FileChoices;
use linux::state::FrozenProcess;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::stored::StoredRun;
use crate::subject::SubjectError;

/// No parcel is longer than this once it is unpacked.
const PARCEL_LEN_MAX: usize = 256 << 20;

/// What have you of these files?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FilesQuestion {
    /// Tells one start of one machine from all others, so that equal inode numbers mean something.
    pub boot: String,
    /// The files.
    pub files: Vec<FileFacts>,
}

/// What tells a file from others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileFacts {
    /// As the process knows it.
    pub path: PathBuf,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Of the content.
    pub hash: [u8; 32],
}

/// What is to be built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildPlan {
    /// The process.
    pub inventory: Inventory,
    /// What the destination has of its files.
    pub files: FileChoices,
    /// Where the pages of the protocol are.
    pub ranges: Vec<AddressRange>,
    /// How many more there are.
    pub spares: u64,
    /// Which of them are of files of the file server.
    pub stored: Vec<StoredRun>,
}

/// The state at the freeze.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrozenParcel {
    /// All but pages.
    pub state: FrozenProcess,
    /// Pages that have come since the plan was made.
    pub extra: Vec<AddressRange>,
}

/// Packs something. What `known` has in common with it, which the other end has as well, hardly counts.
pub fn pack(value: &impl Serialize, known: &[u8]) -> Result<Vec<u8>, SubjectError> {
    let bytes = postcard::to_stdvec(value).map_err(|error| SubjectError::System(error.to_string()))?;
    let len = (bytes.len() as u64).to_le_bytes();
    Ok([&len[..], &lz4_flex::block::compress_with_dict(&bytes, known)].concat())
}

/// Unpacks it again.
pub fn unpack<T: DeserializeOwned>(parcel: &[u8], known: &[u8]) -> Result<T, SubjectError> {
    let unfit = |error: &dyn std::fmt::Display| SubjectError::Unfit(error.to_string());
    let (len, rest) = parcel.split_first_chunk::<8>().ok_or_else(|| unfit(&"too short"))?;
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    // What was packed is at most 255 times as long unpacked.
    if len > PARCEL_LEN_MAX || len / 256 > rest.len() {
        return Err(unfit(&"longer than it can be"));
    }
    let bytes = lz4_flex::block::decompress_with_dict(rest, len, known).map_err(|error| unfit(&error))?;
    postcard::from_bytes(&bytes).map_err(|error| unfit(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_hardly_counts() {
        let known: Vec<u8> =
            (0..9000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        let parcel = pack(&known, &known).unwrap();
        assert!(parcel.len() < known.len() / 4, "{} of {}", parcel.len(), known.len());
        assert_eq!(unpack::<Vec<u8>>(&parcel, &known).unwrap(), known);
    }

    #[test]
    fn what_is_no_parcel_is_refused() {
        let parcel = pack(&vec![1u8, 2, 3], &[]).unwrap();
        assert!(unpack::<Vec<u8>>(&parcel[..7], &[]).is_err());
        assert!(unpack::<Vec<u8>>(&[0xff; 30], &[]).is_err());
        let mut long = parcel.clone();
        long[2] = 1;
        assert!(unpack::<Vec<u8>>(&long, &[]).is_err());
        assert!(unpack::<FilesQuestion>(&parcel, &[]).is_err());
    }
}
