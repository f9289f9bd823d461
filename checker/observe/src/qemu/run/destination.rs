//! The destination, as its trace tells it, or else its monitor.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::PAGE_BYTES;
use super::super::qmp::{self, QmpKind};
use super::super::trace::{CommandName, Name, QemuEvent, QemuState, QemuTrace, TraceLine};
use super::{QemuInputs, lacks_recovery, open_lines, wrong};
use crate::fact::{
    Fact, FactOrigin, HostSide, InputSource, Observations, ObserveError, ObservedFact, PageArrival, PageRange,
};
use crate::layout::BlockLayout;

/// Flags of a record that is the end of a part.
const END_OF_PART: u16 = 0x010;

pub(super) struct Destination<'a> {
    layout: &'a BlockLayout,
    path: PathBuf,
    trace: QemuTrace<BufReader<File>>,
    ready: VecDeque<ObservedFact>,
    /// Where blocks are in the address space of QEMU.
    mapped: Vec<Mapped>,
    discarding: bool,
    state_accepted: bool,
    expected: bool,
    /// Connections after a cut of which there are recordings; `None` where no connection was recorded.
    recoveries: Option<usize>,
}

struct Mapped {
    host: u64,
    length: u64,
    pages: PageRange,
}

impl<'a> Destination<'a> {
    pub fn new(path: &Path, inputs: &QemuInputs, layout: &'a BlockLayout) -> Result<Self, ObserveError> {
        Ok(Self {
            layout,
            path: path.to_owned(),
            trace: QemuTrace::new(open_lines(path)?),
            ready: VecDeque::new(),
            mapped: Vec::new(),
            discarding: false,
            state_accepted: false,
            expected: false,
            recoveries: inputs.stream.as_ref().map(|_| inputs.recoveries.len()),
        })
    }

    fn tell(&mut self, line: TraceLine) -> Result<(), ObserveError> {
        let at = FactOrigin { input: InputSource::DestinationTrace, position: line.number };
        let fact = match line.event {
            QemuEvent::StateSet(QemuState::Active) if !self.expected => {
                self.expected = true;
                Fact::Expected
            }
            QemuEvent::StateSet(QemuState::Failed) => Fact::Failed,
            QemuEvent::StateSet(QemuState::PostcopyPaused) => Fact::Disconnected,
            QemuEvent::StateSet(QemuState::PostcopyRecover) => {
                if let Some(recoveries) = &mut self.recoveries {
                    *recoveries = recoveries.checked_sub(1).ok_or_else(|| lacks_recovery(at))?;
                }
                Fact::Connected
            }
            QemuEvent::ProcessorsSet { run: true } => {
                // What runs has its state, whether or not a line says so.
                if !self.state_accepted {
                    self.push(at, line.at_us, Fact::StateAccepted);
                }
                Fact::Resumed
            }
            QemuEvent::PageLoaded { block, page, .. } => {
                let page = self.page(at, block, page)?;
                self.push(at, line.at_us, Fact::Arrived { channel: 0, page: PageArrival::Page(page) });
                Fact::Installed(PageRange { first: page, count: 1 })
            }
            QemuEvent::RecordLoaded { flags: END_OF_PART, .. } => return Ok(()),
            QemuEvent::RecordLoaded { channel, page, .. } => {
                Fact::Arrived { channel, page: PageArrival::WithinBlock(page) }
            }
            QemuEvent::PagePlaced { host } => self.placed(at, host)?,
            QemuEvent::BlockMapped { block, host, length } => {
                let name = self.trace.name(block);
                if let Some(pages) = self.layout.block(name) {
                    self.mapped.push(Mapped { host, length, pages });
                }
                return Ok(());
            }
            QemuEvent::CommandReceived(CommandName::PostcopyRamDiscard) => {
                self.discarding = true;
                Fact::DiscardReceived
            }
            QemuEvent::CommandReceived(_) => {
                self.discarding = false;
                return Ok(());
            }
            // Before that command, all of a block is thrown away once.
            QemuEvent::PagesDiscarded { .. } if !self.discarding => return Ok(()),
            QemuEvent::PagesDiscarded { block, page, count } => {
                let first = self.page(at, block, page)?;
                self.page(at, block, page.saturating_add(count.saturating_sub(1)))?;
                Fact::Discarded(PageRange { first, count: count as u32 })
            }
            QemuEvent::PackageReceived => {
                self.state_accepted = true;
                Fact::StateAccepted
            }
            QemuEvent::FaultSeen { block, page } => Fact::Faulted(self.page(at, block, page)?),
            QemuEvent::MessageSent { number: 3 | 4 } => Fact::RequestSent,
            QemuEvent::MessageSent { number: 5 } => Fact::ProgressSent,
            QemuEvent::MessageSent { number: 1 } => Fact::CompletionDeclared,
            _ => return Ok(()),
        };
        self.push(at, line.at_us, fact);
        Ok(())
    }

    /// The page at an address of QEMU; with the others that belong to the same page of the host.
    fn placed(&self, at: FactOrigin, host: u64) -> Result<Fact, ObserveError> {
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

    fn page(&self, at: FactOrigin, block: Name, within: u64) -> Result<u32, ObserveError> {
        let name = self.trace.name(block);
        let page = self.layout.block(name).and_then(|block| self.layout.page(block, within));
        page.ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("page {within:#x} of block '{name}', which the guest does not have"),
        })
    }

    fn push(&mut self, origin: FactOrigin, at_us: Option<u64>, fact: Fact) {
        self.ready.push_back(ObservedFact { side: HostSide::Destination, at_us, origin, fact });
    }
}

impl Observations for Destination<'_> {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        while self.ready.is_empty() {
            let line = self.trace.next_line().map_err(|error| wrong(&self.path, error))?;
            let Some(line) = line else { break };
            self.tell(line)?;
        }
        Ok(self.ready.pop_front())
    }
}

/// What the monitor tells of the destination.
pub(super) fn of_events(events: &[qmp::QmpEvent]) -> Told {
    let mut told = VecDeque::new();
    let mut resumed = false;
    for event in events {
        let origin = FactOrigin { input: InputSource::DestinationEvents, position: event.number as u64 };
        let mut push = |fact| {
            told.push_back(ObservedFact {
                side: HostSide::Destination,
                at_us: Some(event.at_us),
                origin,
                fact,
            });
        };
        match event.kind {
            QmpKind::State(QemuState::Active) => push(Fact::Expected),
            QmpKind::State(QemuState::Failed) => push(Fact::Failed),
            QmpKind::State(QemuState::PostcopyPaused) => push(Fact::Disconnected),
            QmpKind::State(QemuState::PostcopyRecover) => push(Fact::Connected),
            QmpKind::Resumed if !resumed => {
                resumed = true;
                push(Fact::StateAccepted);
                push(Fact::Resumed);
            }
            _ => {}
        }
    }
    Told(told)
}

pub(super) struct Told(VecDeque<ObservedFact>);

impl Observations for Told {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        Ok(self.0.pop_front())
    }
}
