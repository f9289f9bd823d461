//! Progress on standard error: a line that moves on a terminal, a line every few seconds elsewhere.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use checker::judge::JudgeProgress;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::remark;

/// How long to be silent between two lines where nothing can move.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Says what is going on.
pub(super) struct Teller {
    bar: Option<ProgressBar>,
    task: RefCell<String>,
    said: Cell<Instant>,
}

impl Teller {
    pub(super) fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        Teller { bar, task: RefCell::default(), said: Cell::new(Instant::now()) }
    }

    /// The next task begins.
    pub(super) fn begin(&self, task: String) {
        *self.task.borrow_mut() = task;
        self.say(None);
    }

    /// The task goes on, and is so far.
    pub(super) fn note(&self, detail: impl Display) {
        self.say(Some(detail.to_string()));
    }

    /// The task goes on.
    pub(super) fn report(&self, progress: &JudgeProgress) {
        self.say(Some(match progress {
            JudgeProgress::Exploring(progress) => format!(
                "{} states, {:.1} M/s, frontier {}, depth {}, {}",
                progress.states,
                progress.states_per_second / 1e6,
                progress.frontier,
                progress.depth,
                ByteSize(progress.memory_bytes),
            ),
            JudgeProgress::Stateright { states, depth } => {
                format!("stateright: {states} states, depth {depth}")
            }
            JudgeProgress::BuildingGraph(progress) => format!(
                "liveness: {} states, {} expanded, {} transitions",
                progress.states, progress.expanded, progress.transitions
            ),
        }));
    }

    /// The task goes on, this far.
    pub(super) fn go_on(&self, detail: String) {
        self.say(Some(detail));
    }

    /// All is done; the moving line disappears.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, detail: Option<String>) {
        let line = || {
            let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("{}{detail}", self.task.borrow())
        };
        if let Some(bar) = &self.bar {
            bar.set_message(line());
            bar.tick();
        } else if self.said.get().elapsed() >= LINE_EVERY {
            self.said.set(Instant::now());
            remark(line());
        }
    }
}
