//! The destination, as its trace tells it, or else its monitor.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::PAGE_BYTES;
use super::super::qmp::{self, Kind};
use super::super::trace::{CommandName, Event, Line, Name, State, Trace};
use super::{open_lines, wrong};
use crate::fact::{Arrival, Fact, Observations, ObserveError, Observed, Origin, Pages, Side, Source};
use crate::layout::Layout;

/// Flags of a record that is the end of a part.
const END_OF_PART: u16 = 0x010;

pub(super) struct Destination<'a> {
    layout: &'a Layout,
    path: PathBuf,
    trace: Trace<BufReader<File>>,
    ready: VecDeque<Observed>,
    /// Where blocks are in the address space of QEMU.
    mapped: Vec<Mapped>,
    discarding: bool,
    state_accepted: bool,
    expected: bool,
}

struct Mapped {
    host: u64,
    length: u64,
    pages: Pages,
}

impl<'a> Destination<'a> {
    pub fn new(path: &Path, layout: &'a Layout) -> Result<Self, ObserveError> {
        Ok(Self {
            layout,
            path: path.to_owned(),
            trace: Trace::new(open_lines(path)?),
            ready: VecDeque::new(),
            mapped: Vec::new(),
            discarding: false,
            state_accepted: false,
            expected: false,
        })
    }

    fn tell(&mut self, line: Line) -> Result<(), ObserveError> {
        let at = Origin { input: Source::DestinationTrace, position: line.number };
        let fact = match line.event {
            Event::StateSet(State::Active) if !self.expected => {
                self.expected = true;
                Fact::Expected
            }
            Event::StateSet(State::Failed) => Fact::Failed,
            Event::StateSet(State::PostcopyPaused) => Fact::Disconnected,
            Event::StateSet(State::PostcopyRecover) => Fact::Connected,
            Event::ProcessorsSet { run: true } => {
                // What runs has its state, whether or not a line says so.
                if !self.state_accepted {
                    self.push(at, line.at_us, Fact::StateAccepted);
                }
                Fact::Resumed
            }
            Event::PageLoaded { block, page, .. } => {
                let page = self.page(at, block, page)?;
                self.push(at, line.at_us, Fact::Arrived { channel: 0, page: Arrival::Page(page) });
                Fact::Installed(Pages { first: page, count: 1 })
            }
            Event::RecordLoaded { flags: END_OF_PART, .. } => return Ok(()),
            Event::RecordLoaded { channel, page, .. } => {
                Fact::Arrived { channel, page: Arrival::WithinBlock(page) }
            }
            Event::PagePlaced { host } => self.placed(at, host)?,
            Event::BlockMapped { block, host, length } => {
                let name = self.trace.name(block);
                if let Some(pages) = self.layout.block(name) {
                    self.mapped.push(Mapped { host, length, pages });
                }
                return Ok(());
            }
            Event::CommandReceived(CommandName::PostcopyRamDiscard) => {
                self.discarding = true;
                Fact::DiscardReceived
            }
            Event::CommandReceived(_) => {
                self.discarding = false;
                return Ok(());
            }
            // Before that command, all of a block is thrown away once.
            Event::PagesDiscarded { .. } if !self.discarding => return Ok(()),
            Event::PagesDiscarded { block, page, count } => {
                let first = self.page(at, block, page)?;
                self.page(at, block, page.saturating_add(count.saturating_sub(1)))?;
                Fact::Discarded(Pages { first, count: count as u32 })
            }
            Event::PackageReceived => {
                self.state_accepted = true;
                Fact::StateAccepted
            }
            Event::FaultSeen { block, page } => Fact::Faulted(self.page(at, block, page)?),
            Event::MessageSent { number: 3 | 4 } => Fact::RequestSent,
            Event::MessageSent { number: 5 } => Fact::ProgressSent,
            Event::MessageSent { number: 1 } => Fact::CompletionDeclared,
            _ => return Ok(()),
        };
        self.push(at, line.at_us, fact);
        Ok(())
    }

    /// The page at an address of QEMU; with the others that belong to the same page of the host.
    fn placed(&self, at: Origin, host: u64) -> Result<Fact, ObserveError> {
        let holds =
            |block: &&Mapped| host.checked_sub(block.host).is_some_and(|offset| offset < block.length);
        let block = self.mapped.iter().find(holds);
        let page = block.and_then(|block| self.layout.page(block.pages, (host - block.host) / PAGE_BYTES));
        let first = page.ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("a page is placed at {host:#x}, where no block of memory is"),
        })?;
        Ok(Fact::Installed(self.layout.together(first)))
    }

    fn page(&self, at: Origin, block: Name, within: u64) -> Result<u32, ObserveError> {
        let name = self.trace.name(block);
        let page = self.layout.block(name).and_then(|block| self.layout.page(block, within));
        page.ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("page {within:#x} of block '{name}', which the guest does not have"),
        })
    }

    fn push(&mut self, origin: Origin, at_us: Option<u64>, fact: Fact) {
        self.ready.push_back(Observed { side: Side::Destination, at_us, origin, fact });
    }
}

impl Observations for Destination<'_> {
    fn next(&mut self) -> Result<Option<Observed>, ObserveError> {
        while self.ready.is_empty() {
            let line = self.trace.next_line().map_err(|error| wrong(&self.path, error))?;
            let Some(line) = line else { break };
            self.tell(line)?;
        }
        Ok(self.ready.pop_front())
    }
}

/// What the monitor tells of the destination.
pub(super) fn of_events(events: &[qmp::Event]) -> Told {
    let mut told = VecDeque::new();
    let mut resumed = false;
    for event in events {
        let origin = Origin { input: Source::DestinationEvents, position: event.number as u64 };
        let mut push = |fact| {
            told.push_back(Observed { side: Side::Destination, at_us: Some(event.at_us), origin, fact });
        };
        match event.kind {
            Kind::State(State::Active) => push(Fact::Expected),
            Kind::State(State::Failed) => push(Fact::Failed),
            Kind::State(State::PostcopyPaused) => push(Fact::Disconnected),
            Kind::State(State::PostcopyRecover) => push(Fact::Connected),
            Kind::Resumed if !resumed => {
                resumed = true;
                push(Fact::StateAccepted);
                push(Fact::Resumed);
            }
            _ => {}
        }
    }
    Told(told)
}

pub(super) struct Told(VecDeque<Observed>);

impl Observations for Told {
    fn next(&mut self) -> Result<Option<Observed>, ObserveError> {
        Ok(self.0.pop_front())
    }
}
