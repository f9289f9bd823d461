//! A step log as text for people: who does what, step by step.
//!
//! ```text
//!   0.110 ms  A            suspends the process
//!   0.110 ms  A            sends its state to B
//!   0.231 ms  B            has the state from A
//! ```

use std::fmt::{self, Write};

use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::HostId;

use crate::host::ProcessState;

/// The transcript of a log, one line a step. Reads are left out: they are many and change nothing.
pub fn transcript(log: &[Step]) -> String {
    let mut text = String::new();
    for step in log.iter().filter(|step| !matches!(step.event, Event::PageRead { .. })) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", Line(step));
    }
    text
}

struct Line<'a>(&'a Step);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { at_ns, place, event, .. } = self.0;
        let (ms, us) = (at_ns / 1_000_000, at_ns / 1000 % 1000);
        write!(f, "{ms:3}.{us:03} ms  {:11}  {}", place.to_string(), Sentence(event))
    }
}

struct Sentence<'a>(&'a Event);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::MigrationExpected { from } => write!(f, "expects the process from {from}"),
            Event::MigrationAnnounced { to } => write!(f, "announces that the process is to move to {to}"),
            Event::MigrationStarted { to } => write!(f, "starts to migrate the process to {to}"),
            Event::ProcessSuspended { code_page, stack_page, .. } => {
                let name = |page: &Option<PageNumber>| page.map_or("-".to_owned(), |page| page.0.to_string());
                let (code, stack) = (name(code_page), name(stack_page));
                write!(f, "suspends the process (code page {code}, stack page {stack})")
            }
            Event::MigrationCancelled { to } => write!(f, "calls off the migration to {to}"),
            Event::MigrationRefused { to } => write!(f, "refuses the process, tells {to}"),
            Event::PeerDisconnected { peer, fate } => {
                write!(f, "has lost the connection to {peer}{}", Then(fate))
            }
            Event::PeerTimedOut { peer, fate } => {
                write!(f, "hears nothing from {peer} for too long{}", Then(fate))
            }
            Event::PeerFenced { peer, fate } => write!(f, "learns that {peer} is dead{}", Then(fate)),
            Event::PeerConnected { peer, resync } => {
                let says = match resync {
                    None => "",
                    Some(Progress::AwaitingGo) => ", says that it awaits go",
                    Some(Progress::Running) => ", says what it lacks",
                    Some(Progress::Complete) => ", says that it misses nothing any more",
                };
                write!(f, "is connected to {peer} again{says}")
            }
            Event::HostCrashed => f.write_str("crashes"),
            Event::PageRead { page, .. } => write!(f, "| reads {page}"),
            Event::PageWritten { page, .. } => write!(f, "| writes {page}"),
            Event::PageFaulted { page, asked } => write!(f, "| faults on {page}, asks {asked} for it"),
            Event::PageLoaded { page } => write!(f, "| faults on {page}, loads it from the local store"),
            Event::FaultHeard { page, woken: false } => write!(f, "| waits for {page} as well"),
            Event::FaultHeard { page, woken: true } => {
                write!(f, "| has faulted on {page}, which is there, is woken")
            }
            Event::ThreadsWoken { page } => write!(f, "wakes who waits for {page}"),
            Event::PagePulled { page, asked } => write!(f, "asks {asked} for {page} ahead"),
            Event::ProcessExited => f.write_str("| exits"),
            Event::PassBegun { pass } => write!(f, "begins pass {pass}"),
            Event::MarkCleared { page } => write!(f, "clears the mark of {page}"),
            Event::PageCopied { page, sequence, pass, to } => {
                write!(f, "copies {page} to {to} in pass {pass}, number {}", sequence.0)
            }
            Event::PageTransferred { page, sequence, to } => {
                write!(f, "transfers {page} to {to}, number {}", sequence.0)
            }
            Event::PageFlushed { page, version } => write!(f, "flushes {page}, version {}", version.0),
            Event::PageWrittenBack { page, version } => {
                write!(f, "writes {page} back, version {}", version.0)
            }
            Event::StateSent { to } => write!(f, "sends the state to {to}"),
            Event::ProcessHandedOver { to } => write!(f, "hands the process over to {to}"),
            Event::ProcessReleased { told } => write!(f, "frees everything{}", Told(told)),
            Event::PageServed { page, to, .. } => write!(f, "serves {page} to {to}"),
            Event::PagePushed { page, to, .. } => write!(f, "pushes {page} to {to}"),
            Event::ImageDestroyed { told } => {
                write!(f, "destroys what is left of the process{}", Told(told.as_slice()))
            }
            Event::ReadinessDeclared { to } => write!(f, "is ready, tells {to}"),
            Event::CompletionDeclared { told } => write!(f, "misses nothing any more{}", Told(told)),
            Event::PageInstalled { page, from, .. } => write!(f, "installs {page} from {from}"),
            Event::StateAccepted { from, discarded } if discarded.is_empty() => {
                write!(f, "has the state from {from}")
            }
            Event::StateAccepted { from, discarded } => {
                let pages: Vec<_> = discarded.iter().map(|page| page.0.to_string()).collect();
                write!(f, "has the state from {from}, discards the outdated pages {}", pages.join(", "))
            }
            Event::ReadinessLearned { from } => write!(f, "learns that {from} is ready"),
            Event::ProcessResumed { from } => write!(f, "resumes the process from {from}"),
            Event::ResumptionLearned { from } => write!(f, "learns that {from} runs the process"),
            Event::RequestAccepted { page, from } => write!(f, "is asked for {page} by {from}"),
            Event::CompletionLearned { from } => write!(f, "learns that {from} misses nothing any more"),
            Event::DestructionLearned { from, at_rest: false } => write!(f, "learns that {from} is free"),
            Event::DestructionLearned { from, at_rest: true } => {
                write!(f, "learns that {from} is free, is at rest")
            }
            Event::ExitLearned { from } => write!(f, "learns from {from} that the process has exited"),
            Event::WriteBackAcknowledged { page, version } => {
                write!(f, "knows {page} in version {} to be safe", version.0)
            }
            Event::CancellationLearned { from } => {
                write!(f, "learns that the process stays on {from}, forgets it")
            }
            Event::RefusalLearned { from } => write!(f, "is refused by {from}"),
            Event::ResyncAccepted { from, progress, owed_again, requested } => {
                write!(f, "hears from {from} how far it is")?;
                if *progress == Progress::AwaitingGo {
                    f.write_str(", says go again")?;
                }
                write!(f, "{}{}", Pages(", owes again", owed_again), Pages(", is asked for", requested))
            }
            Event::CancellationRepeated { to } => write!(f, "tells {to} again that the process stays"),
            Event::DestructionRepeated { to } => write!(f, "tells {to} again that nothing is left"),
            Event::WriteBackRepeated { page, version } => {
                write!(f, "writes {page} back again, version {}", version.0)
            }
            Event::VersionAsked { page } => write!(f, "asks which version of {page} is stored"),
            Event::PageFellBack { page, version: None } => {
                write!(f, "loads {page}, which a dead machine owed")
            }
            Event::PageFellBack { page, version: Some(version) } => {
                write!(f, "finds {page} stored in version {}, its last", version.0)
            }
            Event::PageLost { page, version } => {
                write!(f, "loses the process: {page} is stored only in version {}", version.0)
            }
            Event::FetchRepeated { page } => write!(f, "asks for {page} again"),
            Event::PageFetched { page, version } => write!(f, "installs {page} in version {}", version.0),
            Event::MessageIgnored { kind, page, from, .. } => {
                let about = page.map_or(String::new(), |page| format!(" about {page}"));
                write!(f, "ignores a late {kind:?} message{about} from {from}")
            }
            Event::WriteBackStored { page, version, .. } => {
                write!(f, "stores {page} in version {}", version.0)
            }
            Event::WriteBackSuperseded { page, version, held, .. } => {
                write!(f, "keeps {page} in version {}, not {}", held.0, version.0)
            }
            Event::VersionTold { page, version, to } => {
                write!(f, "tells {to} that it has {page} in version {}", version.0)
            }
            Event::FetchServed { page, version, to } => {
                write!(f, "sends {page} in version {} to {to}", version.0)
            }
        }
    }
}

/// What has become of the migration.
struct Then<'a>(&'a Option<Fate>);

impl fmt::Display for Then<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "",
            Some(Fate::Migrated) => ", is at rest without it",
            Some(Fate::CarriedOn(_)) => ", carries on",
            Some(Fate::Forgotten(_)) => ", forgets the process",
            Some(Fate::Paused(_)) => ", waits",
            Some(Fate::Lost(_)) => ", the process is lost",
        })
    }
}

struct Pages<'a>(&'a str, &'a [PageNumber]);

impl fmt::Display for Pages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, pages) = self;
        let numbers: Vec<_> = pages.iter().map(|page| page.0.to_string()).collect();
        if numbers.is_empty() { Ok(()) } else { write!(f, "{what} {}", numbers.join(", ")) }
    }
}

struct Told<'a>(&'a [HostId]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(HostId::to_string).collect();
        if names.is_empty() { Ok(()) } else { write!(f, ", tells {}", names.join(" and ")) }
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "Normal",
            Self::PreMigration => "Pre-migration",
            Self::Migration => "Migration",
            Self::PostMigration => "Post-migration",
        })
    }
}
