//! A bound on how long a test may take, and the end of its processes however it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills the processes named to it when it is dropped. When that does not happen in time, it kills them and ends the test program.
pub struct Watched {
    processes: Arc<Mutex<Vec<i32>>>,
}

const LOOK_INTERVAL: Duration = Duration::from_millis(100);

impl Watched {
    pub fn for_at_most(time: Duration) -> Self {
        let processes = Arc::new(Mutex::new(Vec::new()));
        let watched = Arc::downgrade(&processes);
        let began = Instant::now();
        std::thread::spawn(move || {
            while began.elapsed() < time {
                std::thread::sleep(LOOK_INTERVAL);
                if watched.strong_count() == 0 {
                    return;
                }
            }
            if let Some(processes) = watched.upgrade() {
                end(&processes);
                eprintln!("a test was not over after {time:?}");
                // What hangs in this program hangs in a call that nothing else ends.
                std::process::abort();
            }
        });
        Self { processes }
    }

    pub fn add(&self, pid: i32) {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        end(&self.processes);
    }
}

fn end(processes: &Mutex<Vec<i32>>) {
    for pid in processes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // Most have ended.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
