//! `sojourn measure`: what moving real processes costs, measured on links of one machine.
//!
//! [`bed`] has the machines, [`exercise`] is the program that is moved and [`report`] what it says, [`run`] moves it once. What is
//! made of that: [`paper`], the published experiment, with [`figure`] as its picture, and [`goals`], what the project asks of itself.
//! [`statistics`] and [`table`] are for both.

pub mod bed;
pub mod exercise;
pub mod figure;
pub mod goals;
pub mod paper;
pub mod report;
pub mod run;
pub mod simulated;
pub mod statistics;
pub mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The published link, in bits a second.
pub const RATE: u64 = 100_000_000;

/// The published address space, in pages.
pub const PAGES: u64 = 2560;

/// What everything is measured with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// This command.
    pub sojourn: PathBuf,
    /// The program that is moved.
    pub exercise: PathBuf,
    /// How often each figure is measured.
    pub repetitions: usize,
}

impl Tools {
    /// Those beside this command.
    ///
    /// # Errors
    /// They are not there.
    pub fn here(repetitions: usize) -> anyhow::Result<Self> {
        let sojourn = std::env::current_exe()?;
        let exercise = sojourn.with_file_name("sojourn-exercise");
        anyhow::ensure!(
            exercise.is_file(),
            "{} is not there: it belongs beside this command",
            exercise.display()
        );
        Ok(Self { sojourn, exercise, repetitions: repetitions.max(1) })
    }
}

/// Whether somebody has interrupted the measurements: they end, and take away what they made.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends the measurements as soon as it can be.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether they are to end.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// A directory for the files of a bed.
fn scratch() -> anyhow::Result<ScratchDirectory> {
    let path = std::env::temp_dir().join(format!("sojourn-measure-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    Ok(ScratchDirectory(path))
}

/// Gone when it is dropped.
struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        // What cannot be removed is of no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
