//! The universal conditions: all that a move may ask of *every* (other) page.

use enumset::EnumSetType;

use crate::migration::Migration;
use crate::page::DirtyLog::InStep;
use crate::page::{Holding, Kind, Neglect, Page, Plan, Transit, WriteBack};
use crate::paging::Life;
use crate::strategy::Freeze;
use crate::system::Conditions;

/// Something that a page record meets or not, and that a move may ask of all (other) pages.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// No fault is being served: the process waits for nothing, nothing is on its way to it.
    Quiet,
    /// Not due in this pre-copy pass.
    NotDue,
    /// In step with the destination.
    InStep,
    /// The freeze transfer has done with it what it has to do.
    FreezeDone,
    /// On a return: the source has sent it, or holds no copy.
    Carried,
    /// No content in flight: what a control message behind all contents on a FIFO link finds.
    Landed,
    /// If it travelled, it has arrived.
    Arrived,
    /// No other host owes it.
    Settled,
    /// No request for it is in flight.
    Unasked,
    /// It is not the case that a request for it waits at the source and could be answered.
    NoDemand,
    /// Ghost, asked by `S7` alone: it is not the case that its owner has dropped a request for it that could be answered.
    Heeded,
    /// The process's host knows that the file server has its last content. A page that a former host still
    /// owes may have been acknowledged to that host, which is the only one to know.
    WrittenBack,
    /// No message of an aborted attempt is in flight.
    NoStray,
    /// One-shot: nothing that was sent ahead of the state is in flight; what is pushed is behind it.
    Ahead,
    // Asked by the choices about pages, threads and connections.
    /// No thread waits for it.
    Unwaited,
    /// If the source owes it, it is on its way on the connection for answers.
    MainRead,
}

impl Migration {
    /// The conditions that a page record meets. Those that a guard asks read protocol variables alone.
    pub(crate) fn sound_conditions(&self, page: &Page) -> Conditions {
        let idle = page.write_back == WriteBack::Idle;
        let clean = !page.dirty && idle;
        let freeze_done = match self.strategy.freeze {
            Freeze::All => page.sent,
            Freeze::Modified => page.sent || clean,
            Freeze::NotInStep => page.log == InStep,
            Freeze::FlushModified => clean,
            Freeze::None => true,
        };
        let owed = matches!(page.plan, Plan::FromSource | Plan::FromThird);
        let arrived = page.destination.is_held() && page.content.is_idle();
        let met = [
            (Condition::Quiet, !page.waiting && !page.aside.late && page.content.is_idle()),
            (Condition::NotDue, !page.log.is_due()),
            (Condition::InStep, page.log == InStep),
            (Condition::FreezeDone, freeze_done || page.aside.life != Life::Used),
            (Condition::Carried, page.sent || page.source == Holding::Absent),
            (Condition::Landed, page.content.is_idle() && page.older == 0 && !page.stray.is_held()),
            (Condition::Arrived, page.plan != Plan::Travelled || arrived),
            (Condition::Settled, !owed),
            (Condition::Unasked, page.request == Transit::Idle || page.plan == Plan::FromStore),
            (Condition::NoDemand, !(page.asked && idle)),
            (Condition::Heeded, !(owed && idle && page.neglect == Neglect::Unsent)),
            (Condition::WrittenBack, page.kind == Kind::Private || (clean && page.plan != Plan::FromSource)),
            (Condition::NoStray, !page.stray.is_held()),
            (Condition::Ahead, page.older == 0 && !page.stray.is_held() && (owed || page.content.is_idle())),
            (Condition::Unwaited, !(page.waiting && owed)),
            (Condition::MainRead, !owed || page.aside.apart),
        ];
        met.into_iter().filter(|(_, met)| *met).map(|(condition, _)| condition).collect()
    }
}
