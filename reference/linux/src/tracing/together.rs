//! Who puts system calls into a thread takes turns with it: on one processor each hands over to the other at once, on two each has to
//! wake the other.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// This thread and some that it traces are on one processor for as long as this lives. Where that is not permitted, each stays where it is.
#[derive(Debug)]
pub(crate) struct Together {
    before: Vec<(Option<Pid>, CpuSet)>,
}

impl Together {
    pub(crate) fn with(tids: impl Iterator<Item = i32>) -> Self {
        let mut here = CpuSet::new();
        here.set(sched_getcpu().min(CpuSet::MAX_CPU - 1));
        let mut before = Vec::new();
        for thread in std::iter::once(None).chain(tids.filter_map(Pid::from_raw).map(Some)) {
            if let Ok(set) = sched_getaffinity(thread)
                && sched_setaffinity(thread, &here).is_ok()
            {
                before.push((thread, set));
            }
        }
        Self { before }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        for (thread, set) in &self.before {
            // It was permitted before; or the thread is gone.
            let _ = sched_setaffinity(*thread, set);
        }
    }
}
