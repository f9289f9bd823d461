//! Whose steps they are: the model has roles and no hosts, so that is followed here.

use model::Phase;
use steplog::event::{Event, Step};
use steplog::place::{HostId, Place};

use super::disrupted::calls_off;

/// Which host has which part so far; `None` while no line has told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    /// Where the process is: runs, is suspended, or is about to be released.
    process: Option<HostId>,
    /// Where it last was.
    former: Option<HostId>,
    /// Where it goes.
    destination: Option<HostId>,
}

impl Places {
    /// Notes a step. If it is not one of the place that took it, returns the place that could have, if any could.
    pub(super) fn note(&mut self, step: &Step) -> Result<(), Option<Place>> {
        let part = self.part(&step.event);
        let host = match (step.place, part) {
            (Place::FileServer, Part::FileServer) => return Ok(()),
            (Place::FileServer, part) => return Err(self.host(part).map(Place::Host)),
            (Place::Host(_), Part::FileServer) => return Err(Some(Place::FileServer)),
            (Place::Host(host), _) => host,
        };
        if let Some(other) = self.host(part).filter(|other| *other != host) {
            return Err(Some(other.into()));
        }
        match step.event {
            Event::MigrationStarted { to } => {
                (self.process, self.destination) = (Some(host), Some(to));
            }
            Event::ProcessResumed { .. } => {
                (self.former, self.process, self.destination) = (self.process, Some(host), None);
            }
            Event::HostCrashed => {
                let gone = |of: &mut Option<HostId>| *of = of.filter(|other| *other != host);
                [&mut self.process, &mut self.former, &mut self.destination].into_iter().for_each(gone);
            }
            ref event if calls_off(event) => (self.process, self.destination) = (Some(host), None),
            _ if part == Part::Process => self.process = Some(host),
            _ => {}
        }
        Ok(())
    }

    /// The host that has the model's part of the source in this phase.
    pub(super) fn source(&self, phase: Phase) -> Option<HostId> {
        if phase.at_source() { self.process } else { self.former }
    }

    fn host(&self, part: Part) -> Option<HostId> {
        match part {
            Part::Process => self.process,
            Part::Destination => self.destination,
            Part::Former => self.former,
            Part::Any | Part::FileServer => None,
        }
    }

    /// The part that takes such a step.
    fn part(&self, event: &Event) -> Part {
        match event {
            Event::MigrationStarted { .. }
            | Event::ProcessSuspended { .. }
            | Event::PageRead { .. }
            | Event::PageWritten { .. }
            | Event::PageFaulted { .. }
            | Event::PageLoaded { .. }
            | Event::ProcessExited
            | Event::PassBegun { .. }
            | Event::PageCopied { .. }
            | Event::PageTransferred { .. }
            | Event::PageFlushed { .. }
            | Event::PageWrittenBack { .. }
            | Event::StateSent { .. }
            | Event::ProcessHandedOver { .. }
            | Event::ProcessReleased { .. }
            | Event::MigrationCancelled { .. }
            | Event::RefusalLearned { .. }
            | Event::CompletionDeclared { .. } => Part::Process,
            Event::StateAccepted { .. }
            | Event::ReadinessDeclared { .. }
            | Event::MigrationRefused { .. }
            | Event::ProcessResumed { .. } => Part::Destination,
            // Before the process resumes, the host that hands it over pushes already.
            Event::PagePushed { .. } if self.destination.is_some() => Part::Process,
            Event::PagePushed { .. } => Part::Former,
            Event::WriteBackStored { .. } | Event::WriteBackSuperseded { .. } | Event::FetchServed { .. } => {
                Part::FileServer
            }
            Event::MigrationExpected { .. }
            | Event::PeerDisconnected { .. }
            | Event::PeerTimedOut { .. }
            | Event::PeerFenced { .. }
            | Event::PeerConnected { .. }
            | Event::HostCrashed
            | Event::WriteBackRepeated { .. }
            | Event::FetchRepeated { .. }
            | Event::CancellationLearned { .. }
            | Event::ResyncAccepted { .. }
            | Event::CancellationRepeated { .. }
            | Event::DestructionRepeated { .. }
            | Event::PageServed { .. }
            | Event::ImageDestroyed { .. }
            | Event::PageInstalled { .. }
            | Event::ReadinessLearned { .. }
            | Event::RequestAccepted { .. }
            | Event::CompletionLearned { .. }
            | Event::DestructionLearned { .. }
            | Event::ExitLearned { .. }
            | Event::WriteBackAcknowledged { .. }
            | Event::PageFetched { .. }
            | Event::MessageIgnored { .. } => Part::Any,
        }
    }
}

/// A part in a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Process,
    Destination,
    Former,
    FileServer,
    Any,
}
