//! The one thread that traces: the kernel takes `ptrace` requests from the thread that attached only.

use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::error::{LinuxError, Result};

type Job = Box<dyn FnOnce() + Send>;

struct Task<F, T> {
    job: F,
    answer: mpsc::Sender<Result<T>>,
}

impl<T, F: FnOnce() -> Result<T>> Task<F, T> {
    fn run(self) {
        let result = (self.job)();
        let _ = self.answer.send(result);
    }
}

/// A thread that runs closures in order. What it traces is let go by the kernel when it ends.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(name: &str) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .map_err(|source| LinuxError::System { doing: "start the tracing thread".to_owned(), source })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` there and waits for its answer.
    pub(crate) fn run<T: Send>(&self, job: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.run_beside(job, || ()).map(|(answer, ())| answer)
    }

    /// The same, with something else to be done here meanwhile.
    pub(crate) fn run_beside<T: Send, U>(
        &self,
        job: impl FnOnce() -> Result<T> + Send,
        meanwhile: impl FnOnce() -> U,
    ) -> Result<(T, U)> {
        let jobs = self.jobs.as_ref().ok_or(LinuxError::TracerEnded)?;
        let (answer, waiting) = mpsc::channel();
        let task = Task { job, answer };
        let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || task.run());
        // SAFETY: only the lifetime changes. What the job borrows is used and dropped before this function returns or unwinds:
        // `Waiting`, below, ends when `answer` was used or dropped, `run` consumes `job` before it uses `answer`, and a task that is
        // dropped without having run drops its fields in order, `job` first. A refused job is dropped by `send` itself.
        let job: Job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
        jobs.send(job).map_err(|_| LinuxError::TracerEnded)?;
        let waiting = Waiting(waiting);
        let done = meanwhile();
        let answer = waiting.0.recv().unwrap_or(Err(LinuxError::TracerEnded))?;
        Ok((answer, done))
    }
}

/// Dropped, it waits until nothing of the job is left.
struct Waiting<T>(mpsc::Receiver<Result<T>>);

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        while self.0.recv().is_ok() {}
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
