//! How long a command goes on: until it is interrupted, or its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use checker::report::Conclusion;

use super::End;
use super::output::remark;

/// Until when.
pub(super) struct Patience {
    interrupted: Arc<AtomicBool>,
    started: Instant,
    timeout: Option<Duration>,
}

impl Patience {
    /// From now on. The first Ctrl-C asks for a partial report, the second ends the program.
    pub fn start(timeout: Option<Duration>) -> Result<Self> {
        let interrupted = Arc::default();
        stop_on_interrupt(&interrupted)?;
        Ok(Patience { interrupted, started: Instant::now(), timeout })
    }

    /// Has somebody pressed Ctrl-C?
    pub fn interrupted(&self) -> &AtomicBool {
        &self.interrupted
    }

    /// The same, for whoever looks at it on the way.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// When the time is up.
    pub fn until(&self) -> Option<Instant> {
        self.started.checked_add(self.timeout?)
    }

    /// Is it over?
    pub fn is_out(&self) -> bool {
        self.interrupted.load(Relaxed) || self.time_is_up()
    }

    /// Is the time up?
    pub fn time_is_up(&self) -> bool {
        self.timeout.is_some_and(|timeout| self.started.elapsed() >= timeout)
    }

    /// How a command ends that came to this conclusion, and `complete`ly so or only as far as it got.
    pub fn end(&self, conclusion: Conclusion, complete: bool) -> End {
        match (complete, self.interrupted.load(Relaxed), self.timeout) {
            (_, true, _) => {
                remark("interrupted: this is as far as it got");
                End::Interrupted
            }
            (true, ..) => End::Concluded(conclusion),
            (false, false, timeout) => {
                let seconds = timeout.unwrap_or_default().as_secs_f64();
                remark(format_args!("inconclusive: it takes longer than {seconds} s"));
                End::Concluded(conclusion.max(Conclusion::Inconclusive))
            }
        }
    }
}

/// The first Ctrl-C asks for a partial report, the second ends the program.
pub(super) fn stop_on_interrupt(interrupted: &Arc<AtomicBool>) -> Result<()> {
    let interrupted = Arc::clone(interrupted);
    ctrlc::set_handler(move || {
        if interrupted.swap(true, Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot react to Ctrl-C")
}
