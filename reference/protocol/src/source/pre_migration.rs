//! The process still runs here; a destination is chosen. Pre-copy happens in this phase.

use steplog::event::{Bytes, Event};
use steplog::page::PageNumber;
use steplog::place::Sequence;

use super::{Frozen, Route};
use crate::error::{Error, LocalFault, Refusal};
use crate::page::PageKind;
use crate::page_set::PageSet;
use crate::policy::{Freeze, LogReading, Passes, Policy, Pre, Stop};
use crate::running::context::{Context, Stepped, View};
use crate::running::{Resident, Suspension};
use crate::wire::FormerHost;
use crate::wire::{Channel, Message, REGISTERS_LEN_MAX};
use crate::work::Work;

/// A migration has begun and the process still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreMigration {
    /// The process.
    pub resident: Resident,
    /// Where it is going.
    pub route: Route,
    /// What the destination has been sent.
    pub sent: Sent,
    /// The pass of pre-copy, in an algorithm that makes passes.
    pub pass: Option<Pass>,
}

/// What the destination has been sent in this migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How often each page was sent.
    pub sequences: Vec<Sequence>,
    /// The pages whose content, as last sent, was current when the memory was last asked about writes.
    pub in_step: PageSet,
}

/// A pass of pre-copy. It takes up what was written since the last one sent it, and sends no page twice: what is
/// written after it was sent, or while it was in step, is for the next pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Counted from 1.
    pub number: u32,
    /// The pages it has still to send.
    pub due: PageSet,
    /// Those among them whose marks it has still to clear, where that is a step of its own.
    pub uncleared: PageSet,
}

impl Pass {
    fn new(number: u32, due: PageSet, policy: &Policy) -> Self {
        let mut uncleared = due.clone();
        if policy.log == LogReading::Page {
            uncleared.clear();
        }
        Self { number, due, uncleared }
    }
}

impl Sent {
    fn nothing(page_count: u64) -> Self {
        let sequences = vec![Sequence::default(); PageNumber(page_count).index()];
        Self { sequences, in_step: PageSet::empty(page_count) }
    }

    /// Sends the current content of a page to a host.
    pub(crate) fn send(
        &mut self,
        page: PageNumber,
        to: FormerHost,
        channel: Channel,
        cx: &mut Context<'_>,
    ) -> Result<Sequence, LocalFault> {
        let counter = &mut self.sequences[page.index()];
        let sequence = counter.0.checked_add(1).map(Sequence).ok_or(LocalFault::CounterExhausted(page))?;
        let content = cx.memory.copy_out(page)?;
        *counter = sequence;
        self.in_step.insert(page);
        cx.send_over(channel, to.host, to.epoch, Message::Page { page, sequence, content });
        Ok(sequence)
    }
}

impl PreMigration {
    pub(super) fn new(resident: Resident, route: Route, view: View<'_>) -> Self {
        let page_count = resident.pages.len() as u64;
        let first = |resident: &Resident| {
            let mut due = PageSet::filled(page_count, |page| resident.is_to_copy(page, view.policy));
            // All others are due in any case.
            let written = view.policy.leaves_to_store().then(|| view.written());
            for page in written.into_iter().flatten().filter(|page| resident.is_here(*page)) {
                due.insert(page);
            }
            Pass::new(1, due, view.policy)
        };
        let pass = matches!(view.policy.pre, Pre::Copy(_)).then(|| first(&resident));
        Self { resident, route, sent: Sent::nothing(page_count), pass }
    }

    fn copy_due(&self, page: PageNumber) -> bool {
        let due = |pass: &Pass| pass.due.contains(page) && !pass.uncleared.contains(page);
        !self.resident.exited && self.pass.as_ref().is_some_and(due)
    }

    fn clear_due(&self, page: PageNumber) -> bool {
        !self.resident.exited && self.pass.as_ref().is_some_and(|pass| pass.uncleared.contains(page))
    }

    fn pass_is_over(&self) -> bool {
        self.pass.as_ref().is_none_or(|pass| pass.due.is_empty())
    }

    fn all_in_step(&self, view: View<'_>) -> bool {
        let out_of_step = |page| self.is_out_of_step(page, view.policy);
        !view.written().any(|page| self.resident.is_here(page)) && !view.image.page_numbers().any(out_of_step)
    }

    /// Whether the destination is to be sent a page, not counting writes that the memory still keeps to itself.
    fn is_out_of_step(&self, page: PageNumber, policy: &Policy) -> bool {
        self.resident.is_to_copy(page, policy) && !self.sent.in_step.contains(page)
    }

    fn next_pass_due(&self, view: View<'_>) -> bool {
        let Some(pass) = &self.pass else { return false };
        let another = match view.policy.pre {
            Pre::Copy(Passes::AtMost(passes)) => pass.number < passes,
            Pre::Copy(Passes::UntilInStep) => pass.number < u32::MAX,
            Pre::None | Pre::WriteBack => false,
        };
        another && !self.resident.exited && self.pass_is_over() && !self.all_in_step(view)
    }

    /// Whether the process may be suspended now, and if not, why not.
    pub(super) fn check_suspension(&self, view: View<'_>) -> Result<(), Refusal> {
        if self.resident.exited {
            return Err(Refusal::Exited);
        }
        if let Some(page) = self.resident.outstanding_request() {
            return Err(Refusal::RequestOutstanding(page));
        }
        let copied_enough = match view.policy.pre {
            Pre::None | Pre::WriteBack => true,
            Pre::Copy(_) if view.policy.stop != Stop::Passes => true,
            Pre::Copy(Passes::AtMost(_)) => self.pass_is_over(),
            Pre::Copy(Passes::UntilInStep) => self.all_in_step(view),
        };
        if copied_enough { Ok(()) } else { Err(Refusal::PassUnfinished) }
    }

    pub(super) fn is_due(&self, work: Work, view: View<'_>) -> bool {
        match work {
            Work::ClearMark(page) => self.clear_due(page),
            Work::Copy(page) => self.copy_due(page),
            Work::BeginPass => self.next_pass_due(view),
            Work::WriteBack(page) => self.resident.write_back_due(page, view),
            Work::Release => self.resident.release_due(view),
            _ => false,
        }
    }

    pub(super) fn perform(&mut self, work: Work, cx: &mut Context<'_>) -> Stepped {
        let epoch = self.route.epoch;
        match (work, &mut self.pass) {
            (Work::ClearMark(page), Some(pass)) => {
                if cx.memory.take_written(page).map_err(LocalFault::from)? {
                    self.resident.note_written(page);
                }
                // Nothing says any more that it was written.
                self.sent.in_step.remove(page);
                pass.uncleared.remove(page);
                Ok((epoch, Event::MarkCleared { page }))
            }
            (Work::Copy(page), Some(pass)) => {
                let marked = cx.policy.log == LogReading::Page;
                if marked && cx.memory.take_written(page).map_err(LocalFault::from)? {
                    self.resident.note_written(page);
                }
                let (from, to) = (FormerHost { host: self.route.to, epoch }, self.route.to);
                let sequence = self.sent.send(page, from, Channel::Main, cx)?;
                pass.due.remove(page);
                Ok((epoch, Event::PageCopied { page, sequence, pass: pass.number, to }))
            }
            (Work::BeginPass, Some(pass)) => {
                let written = cx.memory.written_pages().map_err(LocalFault::from)?;
                let due = PageSet::filled(cx.image.page_count(), |page| {
                    let to_copy = self.resident.is_to_copy(page, cx.policy);
                    let out_of_step = to_copy && !self.sent.in_step.contains(page);
                    out_of_step || (self.resident.is_here(page) && written.contains(page))
                });
                *pass = Pass::new(pass.number + 1, due, cx.policy);
                Ok((epoch, Event::PassBegun { pass: pass.number }))
            }
            (Work::WriteBack(page), _) => self.resident.write_back(page, cx),
            (Work::Release, _) => self.resident.release(Some(FormerHost { host: self.route.to, epoch }), cx),
            _ => Err(Refusal::NotDue(work).into()),
        }
    }

    /// Suspends the process and fixes what will be sent before it runs again.
    pub(super) fn suspend(
        &mut self,
        suspension: Suspension,
        cx: &mut Context<'_>,
    ) -> Result<(Frozen, Event), Error> {
        if suspension.registers.len() > REGISTERS_LEN_MAX {
            return Err(Refusal::RegistersTooLarge(suspension.registers.len()).into());
        }
        if suspension.switched && cx.policy.stop != Stop::Switch {
            return Err(Refusal::NoSwitch.into());
        }
        self.check_suspension(cx.view())?;
        cx.memory.freeze().map_err(Error::NotSuspended)?;
        for page in cx.memory.take_written_pages().map_err(LocalFault::from)?.iter() {
            if self.resident.note_written(page) {
                self.sent.in_step.remove(page);
            }
        }
        let Suspension { registers, code_page, stack_page, switched } = suspension;
        let out_of_step = |page| self.resident.is_here(page) && !self.sent.in_step.contains(page);
        let switched = switched && cx.image.page_numbers().any(out_of_step);
        // Back to where the process came from, the pages kept here go with it: it is to need nobody afterwards.
        let returning = self.resident.came_from() == Some(self.route.to);
        let to_transfer = PageSet::filled(cx.image.page_count(), |page| {
            let in_working_set = (code_page == Some(page) && cx.image.kind(page) == PageKind::FileMapped)
                || (stack_page == Some(page) && cx.image.kind(page) == PageKind::Private);
            self.resident.is_here(page)
                && (returning
                    || (!switched && self.travels(page, cx.policy))
                    || (cx.policy.working_set && in_working_set))
        });
        let to_flush = PageSet::filled(cx.image.page_count(), |page| {
            cx.policy.freeze == Freeze::Flush && self.resident.is_here(page) && self.resident.page(page).dirty
        });
        let registers_sent = Bytes(registers.clone());
        let event = Event::ProcessSuspended { registers: registers_sent, code_page, stack_page, switched };
        let resident = std::mem::take(&mut self.resident);
        let sent = std::mem::take(&mut self.sent);
        Ok((Frozen { resident, route: self.route, registers, sent, to_transfer, to_flush, switched }, event))
    }

    fn travels(&self, page: PageNumber, policy: &Policy) -> bool {
        match policy.freeze {
            Freeze::All => true,
            Freeze::Modified => self.resident.page(page).dirty,
            Freeze::NotInStep => self.is_out_of_step(page, policy),
            Freeze::Flush | Freeze::None => false,
        }
    }

    /// What could be due, most urgent first.
    pub(super) fn candidates<'a>(&'a self, view: View<'a>) -> Box<dyn Iterator<Item = Work> + 'a> {
        let copies = self.pass.iter().flat_map(|pass| {
            let next =
                |page| if pass.uncleared.contains(page) { Work::ClearMark(page) } else { Work::Copy(page) };
            pass.due.iter().map(next)
        });
        Box::new(
            [Work::Release, Work::BeginPass]
                .into_iter()
                .chain(copies)
                .chain(view.write_backs(&self.resident)),
        )
    }
}
