//! The inputs of a target: those that the fuzzer has kept, one archive a target, and findings, each under its name.
//!
//! ```text
//! fuzz/corpus/TARGET.tar.gz     what `cargo fuzz cmin` kept, named by hash           committed
//! fuzz/findings/TARGET/NAME     an input that once found something, or must           committed
//! fuzz/corpus/TARGET/           both, unpacked: where cargo-fuzz reads and writes     not committed
//! ```
//!
//! An archive is a function of the inputs alone (sorted, without times and owners), so that packing twice changes
//! nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, Builder, EntryType, Header};

use crate::TARGETS;

/// No input is larger, in bytes; cargo-fuzz is not told to try longer ones.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Inputs by name.
pub type Inputs = BTreeMap<String, Vec<u8>>;

/// Why a corpus cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An entry of an archive is no input.
    #[error("{}: {entry}: {reason}", path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// What the entry is called.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Where the corpora are: the folder of this package.
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The committed inputs of a target: its archive and its findings.
///
/// # Errors
///
/// The archive cannot be read or is none. A target may be without findings.
pub fn committed(home: &Path, target: &str) -> Result<Inputs, CorpusError> {
    let mut inputs = archived(&archive(home, target))?;
    inputs.extend(folder(&findings(home, target))?);
    Ok(inputs)
}

/// Unpacks the committed inputs of all targets for cargo-fuzz. What is there already stays.
///
/// # Errors
///
/// An archive cannot be read, or an input cannot be written.
pub fn unpack(home: &Path) -> Result<usize, CorpusError> {
    let mut written = 0;
    for (target, _) in TARGETS {
        let folder = unpacked(home, target);
        fs::create_dir_all(&folder).map_err(|error| at(&folder, error))?;
        for (name, input) in committed(home, target)? {
            let path = folder.join(name);
            fs::write(&path, input).map_err(|error| at(&path, error))?;
            written += 1;
        }
    }
    Ok(written)
}

/// Packs what is unpacked, but for the findings, and replaces the archives of the targets that are unpacked.
///
/// # Errors
///
/// An input cannot be read, or an archive cannot be written; it then is as it was.
pub fn pack(home: &Path) -> Result<usize, CorpusError> {
    let mut packed = 0;
    for (target, _) in TARGETS {
        let mut inputs = folder(&unpacked(home, target))?;
        for (name, finding) in folder(&findings(home, target))? {
            inputs.retain(|other, input| *other != name && *input != finding);
        }
        if inputs.is_empty() {
            continue;
        }
        packed += inputs.len();
        let (path, next) = (archive(home, target), home.join(format!("corpus/{target}.next")));
        write_archive(&next, &inputs).map_err(|error| at(&next, error))?;
        fs::rename(&next, &path).map_err(|error| at(&path, error))?;
    }
    Ok(packed)
}

fn archive(home: &Path, target: &str) -> PathBuf {
    home.join(format!("corpus/{target}.tar.gz"))
}

fn unpacked(home: &Path, target: &str) -> PathBuf {
    home.join("corpus").join(target)
}

fn findings(home: &Path, target: &str) -> PathBuf {
    home.join("findings").join(target)
}

fn at(path: &Path, error: io::Error) -> CorpusError {
    CorpusError::File { path: path.to_owned(), error }
}

/// The inputs in an archive: plain files by plain names, nothing else.
fn archived(path: &Path) -> Result<Inputs, CorpusError> {
    let file = File::open(path).map_err(|error| at(path, error))?;
    let mut archive = Archive::new(GzDecoder::new(file));
    let mut inputs = Inputs::new();
    for entry in archive.entries().map_err(|error| at(path, error))? {
        let mut entry = entry.map_err(|error| at(path, error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refuse = |reason| CorpusError::Entry { path: path.to_owned(), entry: name.clone(), reason };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(refuse("is no plain file"));
        }
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(refuse("is no plain name"));
        }
        if entry.size() > INPUT_BYTES_MAX {
            return Err(refuse("is too long"));
        }
        let mut input = Vec::new();
        entry.read_to_end(&mut input).map_err(|error| at(path, error))?;
        inputs.insert(name, input);
    }
    Ok(inputs)
}

/// The files in a folder; none if there is no such folder.
fn folder(path: &Path) -> Result<Inputs, CorpusError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Inputs::new()),
        entries => entries.map_err(|error| at(path, error))?,
    };
    let mut inputs = Inputs::new();
    for entry in entries {
        let file = entry.map_err(|error| at(path, error))?.path();
        let input = fs::read(&file).map_err(|error| at(&file, error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        inputs.insert(name, input);
    }
    Ok(inputs)
}

fn write_archive(path: &Path, inputs: &Inputs) -> io::Result<()> {
    let compressed = GzBuilder::new().mtime(0).write(File::create(path)?, Compression::best());
    let mut archive = Builder::new(compressed);
    for (name, input) in inputs {
        let mut header = Header::new_gnu();
        header.set_size(input.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        archive.append_data(&mut header, name, input.as_slice())?;
    }
    archive.into_inner()?.finish()?.sync_all()
}
