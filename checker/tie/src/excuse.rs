//! Why real endpoints do not take a transition of the model.
//!
//! An excuse is a claim about transitions, and it is refuted where endpoints do take one that it covers.

use model::concrete::State;
use model::disruption::{Connection, Leftover};
use model::page::{Currency, DirtyLog, Holding, Plan, Transit, WriteBack};
use model::paging::Channels;
use model::strategy::{Clean, Fallback, Freeze, Passes, Pre, Strategy};
use model::{Control, ControlStep, Link, Migration, Move, Page, PageStep, Phase, Process};

use super::drive::Transition;

/// Why real endpoints do not take a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excuse {
    /// An empty pass of pre-copy. The model cannot ask that *some* page be due, so it begins a pass in which nothing
    /// is; the reference does not.
    EmptyPass,
    /// A switch to post-copy that leaves nothing behind. To the reference that is a suspension like any other.
    EmptySwitch,
    /// A pass is cut short by the next one. The reference begins a pass when the last one is over.
    PassCutShort,
    /// An attempt is started while its destination still has something of the last one. The operator announces an
    /// attempt to its destination before it starts it; at that the destination forgets the last one, or refuses because
    /// it is in doubt. Or while *go* has not been answered: a former host that is told of it knows that *go* was heard.
    Unannounced,
    /// A message arrives before one that was sent earlier in the same direction, over a link that keeps order: the word
    /// of an attempt that was called off, or what was sent in it, or the answer to *go*. The model lets other messages overtake
    /// these.
    Overtakes,
    /// The source of an attempt that its destination has forgotten sends a page that the freeze does not send. The model
    /// has forgotten what there was to send.
    NotToBeSent,
    /// The same source writes back a page that the freeze has sent: the duty has gone along. The model has forgotten that
    /// it was sent.
    DutySent,
    /// A host says *complete* where it has lost the connection and knows: it has called the attempt off for that. It
    /// waits for a new one.
    KnownToBeCut,
    /// A host that has the state of an attempt to come back serves a page that it owes. It first waits to hear what
    /// becomes of the attempt; until it has the state it goes on serving.
    ServesWithState,
    /// A host destroys what it keeps while it has something of an attempt to come back that was called off. When it hears
    /// *complete* it forgets that first: to the model, a step of its own.
    ForgetsFirst,
    /// The destination of an attempt that was called off says *ready* although a page that it waits for is still on its
    /// way. The model lets it, for the sake of copies that pre-copy has sent before.
    ReadyTooSoon,
    /// The same although it has served a page since that the state says it has: so the attempt was called off, and it has
    /// ignored the state.
    StateIgnored,
    /// A lossy link makes a duplicate of a page from the file server, or of a write-back that the file server has stored
    /// already. The model does not tell duplicates from the file server, which an outage ends, from those of a host, which a
    /// cut ends; endpoints meet neither here, but in storms.
    StoreDuplicate,
    /// A message is lost, or sent again, while the hosts set up a connection. It waits for the resync in any case, so
    /// endpoints are not driven through that.
    SettingUp,
    /// A host says *complete*, or that the process has exited, to one whose death it has fallen back from. It has been told of that
    /// death, and says nothing.
    KnownToBeDead,
    /// It begins in a state that the model reaches through excused transitions only.
    Unreachable,
}

/// The reason why endpoints cannot take a transition, whatever state they are in, but for its being unreachable.
pub(super) fn excuse(migration: &Migration, transition: &Transition) -> Option<Excuse> {
    use ControlStep::{Destroy, LoseMessage, MigrateBack, MigrateOnward, NextPass};
    use ControlStep::{ResendMessage, SendComplete, SendOldReady};
    let (before, step, _) = transition;
    let aftermath = before.control.aftermath;
    let disrupted = !migration.disruptions.is_none();
    let left = aftermath.leftover != Leftover::None;
    let in_step = || before.pages.iter().all(|page| page.log == DirtyLog::InStep);
    let suspended_in_vain =
        before.control.phase == Phase::Forgotten && before.control.process == Process::Migration;
    let noticed = aftermath.connection == Connection::Broken && left && aftermath.struck == 1;
    let served = before.control.phase == Phase::Running && before.pages.iter().any(|page| page.crossings > 0);
    let has_state = match aftermath.leftover {
        Leftover::Rebuilding => !served,
        leftover => leftover == Leftover::InDoubt,
    };
    match step {
        Move::Control(LoseMessage | ResendMessage) if aftermath.connection == Connection::Resyncing => {
            Some(Excuse::SettingUp)
        }
        Move::Control(NextPass) if in_step() => Some(Excuse::EmptyPass),
        Move::Control(ControlStep::Switch) if in_step() => Some(Excuse::EmptySwitch),
        Move::Control(NextPass) if before.pages.iter().any(|page| page.log.is_due()) => {
            Some(Excuse::PassCutShort)
        }
        Move::Control(MigrateBack | MigrateOnward) if left || before.control.unanswered => {
            Some(Excuse::Unannounced)
        }
        Move::Control(Destroy) if left => Some(Excuse::ForgetsFirst),
        Move::Control(SendComplete | ControlStep::Exit) if has_fallen_back(migration, before) => {
            Some(Excuse::KnownToBeDead)
        }
        Move::Control(SendComplete) if noticed => Some(Excuse::KnownToBeCut),
        Move::Control(SendOldReady) if aftermath.struck == 1 && is_awaited(migration, before) => {
            Some(Excuse::ReadyTooSoon)
        }
        Move::Control(SendOldReady) if served => Some(Excuse::StateIgnored),
        Move::Page(PageStep::SendInVain, _)
            if suspended_in_vain && !is_to_be_sent(migration, before, moved(transition)?) =>
        {
            Some(Excuse::NotToBeSent)
        }
        Move::Page(PageStep::WriteBack, _)
            if suspended_in_vain && moved(transition)?.stray == Holding::Held(Currency::Current) =>
        {
            Some(Excuse::DutySent)
        }
        Move::Page(PageStep::DuplicatePage, _)
            if disrupted && migration.comes_from_store(&before.control, moved(transition)?) =>
        {
            Some(Excuse::StoreDuplicate)
        }
        Move::Page(PageStep::DuplicateStore, _) if disrupted && is_stored(moved(transition)?) => {
            Some(Excuse::StoreDuplicate)
        }
        Move::Page(PageStep::Serve, _) if has_state => Some(Excuse::ServesWithState),
        _ => (migration.link == Link::Fifo && overtakes(migration, before, transition))
            .then_some(Excuse::Overtakes),
    }
}

/// Does a message arrive before those that an attempt which was called off has left on the same link? Over a connection
/// that was there from the start, the word of that is one of them.
fn overtakes(migration: &Migration, before: &State<Migration>, (_, step, _): &Transition) -> bool {
    let apart = migration.strategy.paging.channels == Channels::DemandApart;
    let aftermath = before.control.aftermath;
    let cancel = aftermath.leftover != Leftover::None && aftermath.recoveries == 0;
    match step {
        // The answer to *go* is the first thing that the destination says, but for requests where they go over another connection.
        Move::Page(PageStep::DeliverRequest, _) if apart => false,
        Move::Control(ControlStep::Destroy) | Move::Page(PageStep::DeliverRequest, _)
            if before.control.unanswered =>
        {
            true
        }
        // From the host that said *ready*.
        Move::Control(ControlStep::Commit | ControlStep::Finish) => aftermath.old_ready,
        Move::Page(PageStep::DeliverPage, _) => aftermath.old_ready && before.control.phase == Phase::Running,
        // To it.
        Move::Control(ControlStep::Destroy) => before.pages.iter().any(|page| page.stray.is_held()),
        Move::Page(PageStep::DeliverRequest, _) => cancel,
        _ => false,
    }
}

/// Has the process a page that comes from a store although its dead source owed it? It had sent the page; or nobody had, where all
/// pages are sent.
fn has_fallen_back(migration: &Migration, before: &State<Migration>) -> bool {
    let Control { phase, aftermath, .. } = before.control;
    let Strategy { clean, real, .. } = &migration.strategy;
    let fell = |page: &Page| match page.plan {
        Plan::FromStore => page.crossings > 0,
        Plan::Settled => page.crossings == 0 && *clean == Clean::Travel,
        _ => false,
    };
    let falls = real.fallback == Fallback::Store && phase == Phase::Running && aftermath.source_down;
    falls && before.pages.iter().any(fell)
}

/// May a suspended source have this page still to send? Pre-copy alone does not say so in the page's record.
fn is_to_be_sent(migration: &Migration, before: &State<Migration>, page: &Page) -> bool {
    let strategy = &migration.strategy;
    let in_working_set = || {
        let sent = before.pages.iter().any(|other| other.kind == page.kind && other.stray.is_held());
        strategy.working_set && page.write_back == WriteBack::Idle && !sent
    };
    match strategy.freeze {
        Freeze::NotInStep => strategy.pre != Pre::Copy(Passes::Unbounded),
        Freeze::Modified => page.dirty,
        Freeze::All => true,
        Freeze::None | Freeze::FlushModified => strategy.is_lazy() || in_working_set(),
    }
}

/// Is the newest content that an attempt has sent of a page still on its way? It is if it went once, or has not been
/// outdated by a later one. Duplicates do not count.
fn is_awaited(migration: &Migration, before: &State<Migration>) -> bool {
    let once = !matches!(migration.strategy.pre, Pre::Copy(_));
    let newest = |stray: Holding| stray == Holding::Held(Currency::Current) || (once && stray.is_held());
    migration.link != Link::Lossy && before.pages.iter().any(|page| newest(page.stray))
}

/// Does the file server have the newest content, which is on its way there again?
fn is_stored(page: &Page) -> bool {
    page.store == Currency::Current && page.write_back == WriteBack::Sent(Transit::Flying(Currency::Current))
}

/// The page of a page step, as it was before.
fn moved((before, _, after): &Transition) -> Option<&Page> {
    let mut others = after.pages.clone();
    before.pages.iter().find(|page| {
        let at = others.iter().position(|other| other == *page);
        at.map(|at| others.remove(at)).is_none()
    })
}
