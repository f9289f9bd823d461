//! The recorded runs, unpacked.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use observe::account::{CostLimits, Dumps};
use observe::criu::CriuInputs;
use observe::fact::ObserveError;
use observe::qemu::run::{QemuInputs, QemuRun, Recovery};
use observe::report::Report;
use tempfile::TempDir;

pub const RUNS: [&str; 3] = ["pre-copy", "post-copy", "post-copy-cut-recovered"];

/// A recorded run in a folder of its own, where it may be changed.
pub struct Recording {
    pub folder: TempDir,
}

impl Recording {
    pub fn of(run: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(run);
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let (name, mut bytes) = (path.file_name().unwrap().to_str().unwrap(), Vec::new());
            let file = File::open(&path).unwrap();
            let name = match name.strip_suffix(".gz") {
                Some(name) => {
                    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
                    name
                }
                None => {
                    { file }.read_to_end(&mut bytes).unwrap();
                    name
                }
            };
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn inputs(&self) -> QemuInputs {
        let if_there = |name: &str| Some(self.path(name)).filter(|path| path.exists());
        let recovery = if_there("recovery-stream.bin")
            .map(|stream| Recovery { stream, return_path: if_there("recovery-return-path.bin") });
        QemuInputs {
            stream: if_there("stream.bin"),
            return_path: if_there("return-path.bin"),
            recoveries: recovery.into_iter().collect(),
            source_trace: if_there("source.trace"),
            destination_trace: if_there("destination.trace"),
            events: if_there("qmp.json"),
            ..QemuInputs::default()
        }
    }

    pub fn tell(&self) -> Result<Report, ObserveError> {
        tell(self.inputs(), &self.path("log.ndjson"))
    }
}

/// Tells a run, with its log in that file.
pub fn tell(inputs: QemuInputs, log: &Path) -> Result<Report, ObserveError> {
    let log = BufWriter::new(File::create(log).unwrap());
    QemuRun::survey(inputs)?.tell(CostLimits::default(), Dumps::default(), log, &mut |_| {})
}

impl Recording {
    /// What was recorded of a run of CRIU.
    pub fn criu_inputs(&self) -> CriuInputs {
        CriuInputs {
            lazy_requests: Some(self.path("requests.bin")),
            lazy_answers: Some(self.path("answers.bin")),
            images: Some(self.folder.path().to_owned()),
            lazy_log: Some(self.path("lazy-pages.log")),
            dump_log: Some(self.path("dump.log")),
            ..CriuInputs::default()
        }
    }
}
