//! The log of steps of a run: what each place did, in an order in which causes come before effects.
//!
//! The source keeps the log of a migration. Every other place sends its own steps to where they are wanted *before* the
//! messages that come of them, on the same connection, so that the order in which they arrive will do. Steps are
//! numbered, so that those lost with a connection are sent again over the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::page::PageKind;
use protocol::policy::Policy;
use steplog::event::{Event, Step};
use steplog::header::{Header, LinkOrder, Unseen};
use steplog::place::{Epoch, HostId, Place};

use crate::layout::AddressSpaceLayout;

/// The header is padded to this, so that it can be written anew in place.
const HEADER_PADDING: usize = 64;

/// Where the steps of a place go.
pub trait StepRecorder: Send {
    /// A step was taken.
    fn record(&mut self, step: Step);
}

/// No log.
pub struct Unrecorded;

impl StepRecorder for Unrecorded {
    fn record(&mut self, _: Step) {}
}

/// Several logs of the same steps.
pub struct All(pub Vec<Box<dyn StepRecorder>>);

impl StepRecorder for All {
    fn record(&mut self, step: Step) {
        self.0.iter_mut().for_each(|recorder| recorder.record(step.clone()));
    }
}

/// A log in memory, that several places can share.
#[derive(Clone, Default)]
pub struct SharedLog(Arc<Mutex<Vec<Step>>>);

impl SharedLog {
    /// Another step.
    pub fn append(&self, step: Step) {
        self.lock().push(step);
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepRecorder for SharedLog {
    fn record(&mut self, step: Step) {
        self.append(step);
    }
}

/// The first line of a log.
pub fn header(policy: &Policy, layout: &AddressSpaceLayout, disrupted: bool, unseen: &[Unseen]) -> Header {
    let mapped = layout.numbered().filter(|(_, run)| run.kind == PageKind::FileMapped);
    Header {
        file_mapped: mapped.flat_map(|(first, run)| first..first + run.pages).collect(),
        disrupted,
        unseen: unseen.iter().copied().collect(),
        ..Header::new(&policy.name, LinkOrder::Fifo, layout.page_count())
    }
}

/// A log in a file.
pub struct LogFile {
    file: io::BufWriter<File>,
    header: [String; 2],
    width: usize,
    disrupted: bool,
    failure: Option<io::Error>,
}

impl LogFile {
    /// Begins a log of a run of such an algorithm over such pages.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(
        file: File,
        policy: &Policy,
        layout: &AddressSpaceLayout,
        unseen: &[Unseen],
    ) -> io::Result<Self> {
        let header = [false, true].map(|disrupted| {
            // Of numbers and names only, so there is always JSON for it.
            serde_json::to_string(&header(policy, layout, disrupted, unseen)).unwrap_or_default()
        });
        let width = header[1].len() + HEADER_PADDING;
        let mut log = Self { file: io::BufWriter::new(file), header, width, disrupted: false, failure: None };
        log.write_header()?;
        Ok(log)
    }

    fn write_header(&mut self) -> io::Result<()> {
        let Self { file, header, width, disrupted, .. } = self;
        writeln!(file, "{:width$}", header[usize::from(*disrupted)], width = *width)?;
        file.flush()
    }

    fn append(&mut self, step: &Step) -> io::Result<()> {
        if !self.disrupted && is_disruption(&step.event) {
            self.disrupted = true;
            self.file.flush()?;
            self.file.get_mut().seek(SeekFrom::Start(0))?;
            self.write_header()?;
            self.file.get_mut().seek(SeekFrom::End(0))?;
        }
        serde_json::to_writer(&mut self.file, step)?;
        self.file.write_all(b"\n")?;
        self.file.flush()
    }
}

impl StepRecorder for LogFile {
    /// A log that cannot be written ends; the migration goes on.
    fn record(&mut self, step: Step) {
        if self.failure.is_none()
            && let Err(error) = self.append(&step)
        {
            tracing::error!(%error, "the log cannot be written and ends here");
            self.failure = Some(error);
        }
    }
}

/// Puts a log in order around connections that break.
///
/// A place that notices that a connection is gone can be the first to, and the other end may go on to handle what had
/// arrived. In the model what was on its way is lost when the connection breaks, and whoever notices does so later. So
/// what the other end does before it notices comes first here, which it could have in fact: nothing that it does follows
/// from what the first does without it.
pub struct Untangled<R: StepRecorder> {
    to: Option<R>,
    /// Steps from the first that noticed a break which the other end has not.
    held: Vec<Step>,
    breaks: Vec<Break>,
}

struct Break {
    noticed_by: HostId,
    of: Place,
    /// Where in `held` that is.
    at: usize,
}

impl<R: StepRecorder> Untangled<R> {
    /// Writes the log to this place.
    pub fn new(to: R) -> Self {
        Self { to: Some(to), held: Vec::new(), breaks: Vec::new() }
    }

    /// Nothing more will come.
    pub fn finish(mut self) -> Option<R> {
        self.breaks.clear();
        self.release();
        self.to.take()
    }

    fn release(&mut self) {
        if self.breaks.is_empty() {
            let Self { to: Some(to), held, .. } = self else { return };
            held.drain(..).for_each(|step| to.record(step));
        }
    }

    /// Where this step has to go so that it comes before a break that it knows nothing of.
    fn before(&self, step: &Step) -> Option<usize> {
        let unaware = self.breaks.iter().filter(|broken| match step.event {
            Event::WriteBackStored { from: host, .. }
            | Event::WriteBackSuperseded { from: host, .. }
            | Event::VersionTold { to: host, .. }
            | Event::FetchServed { to: host, .. } => broken.of == step.place && broken.noticed_by == host,
            _ => broken.of == step.place,
        });
        unaware.map(|broken| broken.at).min()
    }
}

impl<R: StepRecorder> Drop for Untangled<R> {
    fn drop(&mut self) {
        self.breaks.clear();
        self.release();
    }
}

impl<R: StepRecorder> StepRecorder for Untangled<R> {
    fn record(&mut self, step: Step) {
        let place = step.place;
        let noticed = match step.event {
            Event::PeerDisconnected { peer, .. }
            | Event::PeerTimedOut { peer, .. }
            | Event::PeerConnected { peer, .. } => Some(peer),
            Event::PeerFenced { peer, .. } => Some(peer.into()),
            _ => None,
        };
        let by_other = |broken: &Break| broken.of == place && noticed == Some(broken.noticed_by.into());
        let again = |broken: &Break| {
            broken.of == Place::FileServer && place == broken.noticed_by.into() && noticed == Some(broken.of)
        };
        let is_over = |broken: &Break| by_other(broken) || again(broken);
        let gone = matches!(step.event, Event::PeerFenced { .. });
        let known = self.breaks.iter().any(is_over);
        self.breaks.retain(|broken| !(is_over(broken) || gone && noticed == Some(broken.of)));
        match self.before(&step).filter(|_| !known) {
            Some(at) => {
                self.held.insert(at, step);
                self.breaks.iter_mut().filter(|broken| broken.at >= at).for_each(|broken| broken.at += 1);
            }
            None => {
                if let (
                    Place::Host(noticed_by),
                    Event::PeerDisconnected { peer, .. } | Event::PeerTimedOut { peer, .. },
                ) = (place, &step.event)
                    && !known
                {
                    self.breaks.push(Break { noticed_by, of: *peer, at: self.held.len() });
                }
                self.held.push(step);
            }
        }
        self.release();
    }
}

/// Puts the word that a host expects a process before the start of its migration, as it was: the host said so when it was
/// asked, and its steps come here with its first message.
pub struct ExpectedFirst<R: StepRecorder> {
    to: R,
    /// Who has said that it expects a process, in which migration.
    expected: BTreeSet<(Place, Epoch)>,
    /// Steps from the start of a migration that has not been announced.
    held: Vec<Step>,
}

impl<R: StepRecorder> ExpectedFirst<R> {
    /// Writes the log to this place.
    pub fn new(to: R) -> Self {
        Self { to, expected: BTreeSet::new(), held: Vec::new() }
    }

    fn release(&mut self) {
        self.held.drain(..).for_each(|step| self.to.record(step));
    }
}

impl<R: StepRecorder> Drop for ExpectedFirst<R> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<R: StepRecorder> StepRecorder for ExpectedFirst<R> {
    fn record(&mut self, step: Step) {
        match step.event {
            Event::MigrationExpected { .. } => {
                self.expected.insert((step.place, step.epoch));
                self.to.record(step);
                self.release();
            }
            Event::MigrationStarted { to } if !self.expected.contains(&(to.into(), step.epoch)) => {
                self.held.push(step);
            }
            _ if self.held.is_empty() => self.to.record(step),
            _ => self.held.push(step),
        }
    }
}

fn is_disruption(event: &Event) -> bool {
    matches!(
        event,
        Event::MigrationCancelled { .. }
            | Event::MigrationRefused { .. }
            | Event::PeerDisconnected { .. }
            | Event::PeerTimedOut { .. }
            | Event::PeerFenced { .. }
            | Event::PeerConnected { .. }
            | Event::HostCrashed
    )
}

/// Steps that are to be sent to another place, kept until they are known to be in the log.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    kept: BTreeMap<u64, Step>,
    next: u64,
    sent: u64,
}

impl Outgoing {
    /// Another step.
    pub fn push(&mut self, step: Step) {
        self.kept.insert(self.next, step);
        self.next += 1;
    }

    /// The steps that were not sent over this connection, and the number of the first.
    pub fn take(&mut self) -> Option<(u64, Vec<Step>)> {
        let first = self.sent;
        let steps: Vec<_> = self.kept.range(first..).map(|(_, step)| step.clone()).collect();
        self.sent = self.next;
        (!steps.is_empty()).then_some((first, steps))
    }

    /// Whether all are known to be in the log.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// So many are in the log.
    pub fn seen(&mut self, count: u64) {
        self.kept = self.kept.split_off(&count.min(self.next));
    }

    /// There is a new connection; so many are in the log.
    pub fn reconnected(&mut self, count: u64) {
        self.seen(count);
        self.sent = count.min(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_ns: u64, event: Event) -> Step {
        Step { at_ns, place: Place::Host(HostId(0)), epoch: Epoch(1), event }
    }

    #[test]
    fn a_migration_is_announced_before_it_starts() {
        let log = SharedLog::default();
        let mut announced = ExpectedFirst::new(log.clone());
        let here = [Event::MigrationStarted { to: HostId(1) }, Event::StateSent { to: HostId(1) }];
        here.into_iter().for_each(|event| announced.record(step(1, event)));
        assert_eq!(log.steps(), [], "what the announcement may still have to come before is written");
        let expected = Event::MigrationExpected { from: HostId(0) };
        announced.record(Step { place: Place::Host(HostId(1)), ..step(2, expected) });
        announced.record(step(3, Event::ProcessExited));
        assert_eq!(log.steps().iter().map(|step| step.at_ns).collect::<Vec<_>>(), [2, 1, 1, 3]);
    }

    #[test]
    fn steps_lost_with_a_connection_are_sent_again() {
        let mut outgoing = Outgoing::default();
        (0..4).for_each(|at_ns| outgoing.push(step(at_ns, Event::ProcessExited)));
        let (first, steps) = outgoing.take().unwrap();
        assert_eq!((first, steps.len()), (0, 4));
        assert_eq!(outgoing.take(), None);
        outgoing.push(step(4, Event::ProcessExited));
        outgoing.reconnected(2);
        let (first, steps) = outgoing.take().unwrap();
        assert_eq!((first, steps[0].at_ns, steps.len()), (2, 2, 3));
    }

    #[test]
    fn a_log_says_that_something_went_wrong_once_it_has() {
        let mut read = tempfile::tempfile().unwrap();
        let mut log = LogFile::create(
            read.try_clone().unwrap(),
            &Policy::GENERIC,
            &AddressSpaceLayout::plain(5, 2, "f"),
            &[],
        )
        .unwrap();
        log.record(step(1, Event::ProcessExited));
        log.record(step(2, Event::HostCrashed));
        log.record(step(3, Event::ProcessExited));
        let mut text = String::new();
        read.seek(SeekFrom::Start(0)).unwrap();
        io::Read::read_to_string(&mut read, &mut text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(
            (header["disrupted"].as_bool(), header["file_mapped"].to_string()),
            (Some(true), "[0,1]".to_owned())
        );
        assert_eq!(lines.len(), 4);
    }
}
