//! The steps: what a control record and what a page can do, a row for each.
//!
//! A row says what the step is, how fair the scheduler is to it, in which worlds it exists (`only`, and for the
//! steps of disruptions the ones that give it an occasion), and which function takes it: guard and effect are there.
//! The order of the rows is the order in which moves are listed.

use std::fmt;

use crate::control::Control;
use crate::disruption::Disruption::{
    self, Cancel, CrashDestination, CrashSource, Cut, Outage, Refuse, Suspect,
};
use crate::migration::{Hosts, Link, Migration};
use crate::moves::{AfterControl, AfterPage};
use crate::page::Page;
use crate::strategy::{Clean, HandOver, LogReading, Stop};
use crate::system::Fairness;

use Fair::{Delivery, Free, Strong, Weak};

macro_rules! steps {
    ($(#[$about:meta])* $name:ident, $take:ty {
        $($(#[$meaning:meta])* $step:ident: $row:ident($($what:expr),*) $(.$adapt:ident($($with:expr)?))*,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$meaning])* $step,)* }

        impl $name {
            /// All of them, in the order in which moves are listed.
            pub const ALL: [$name; [$($name::$step),*].len()] = [$($name::$step),*];

            pub(crate) fn row(self) -> &'static Row<$take> {
                static ROWS: [Row<$take>; $name::ALL.len()] =
                    [$(Row::<$take>::$row($($what),*)$(.$adapt($($with)?))*),*];
                &ROWS[self as usize]
            }
        }
    };
}

pub(crate) type TakeControl = fn(&Migration, &Control) -> AfterControl;
pub(crate) type TakePage = fn(&Migration, &Control, &Page) -> AfterPage;

steps! {
    /// A step of the control record.
    ControlStep, TakeControl {
        /// The operator starts a migration to the host at the other end of the last one. Without pre-copy
        /// this suspends the process.
        MigrateBack: step(Free, Migration::migrate_back),
        /// The operator starts a migration to the third host.
        MigrateOnward: step(Free, Migration::migrate_onward).only(|world| world.hosts == Hosts::Three),
        /// Pre-copy begins its next pass.
        NextPass: step(Weak, Migration::next_pass).only(|world| world.strategy.copies_in_passes()),
        /// Pre-copy ends, the process is suspended.
        Suspend: step(Weak, Migration::suspend).only(|world| world.strategy.copies()),
        /// The freeze transfer is done: the source sends the state and the dirty map.
        SendState: step(Weak, Migration::send_state),
        /// The destination gets the state, and discards what the dirty map says is stale.
        DeliverState: step(Delivery, Migration::deliver_state),
        /// The destination has reconstructed the process and says *ready*.
        SendReady: step(Weak, Migration::send_ready).only(|world| world.strategy.says_ready()),
        /// The source gets *ready*, commits, and says *go*.
        Commit: step(Delivery, Migration::commit).only(|world| world.strategy.says_ready()),
        /// The destination gets *go*, or has what *go* came with, and resumes the process.
        Resume: step(Delivery, Migration::resume),
        /// The destination needs the source no more and says *complete*.
        SendComplete: step(Weak, Migration::send_complete),
        /// The source gets *complete*, destroys its process, and says *destroyed*.
        Destroy: step(Delivery, Migration::destroy),
        /// The destination gets *destroyed*: back at rest.
        Finish: step(Delivery, Migration::finish),
        /// The process exits.
        Exit: step(Free, Migration::exit),
        /// The other host gets the notice of exit and frees everything.
        DeliverExit: step(Delivery, Migration::deliver_exit),
        /// The link loses the control message in flight.
        LoseMessage: step(Free, Migration::lose_message).only(Migration::is_lossy),
        /// Its sender's timer sends it again.
        ResendMessage: step(Weak, Migration::resend_message).only(Migration::is_lossy),
        /// Disruption: the source's machine dies. Before the hand-over is complete the process dies with it.
        CrashSource: strike(Disruption::CrashSource, Migration::crash_source),
        /// Disruption: the destination's machine dies. After the commit the process dies with it.
        CrashDestination: strike(Disruption::CrashDestination, Migration::crash_destination),
        /// Disruption: the link between the hosts breaks, and what is in flight on it is lost.
        Cut: strike(Disruption::Cut, Migration::cut),
        /// Disruption: the file server gets out of reach, and what is in flight to and from it is lost.
        Outage: strike(Disruption::Outage, Migration::outage),
        /// Disruption: the operator cancels. Before the commit that aborts the attempt; afterwards it is too late, and the
        /// answer says so.
        Cancel: strike(Disruption::Cancel, Migration::cancel),
        /// Disruption: the destination refuses where it could say *ready*, and forgets the attempt.
        Refuse: strike(Disruption::Refuse, Migration::refuse),
        /// Disruption: the source takes the destination for dead. Before the commit it aborts; afterwards it gives the
        /// connection up.
        SuspectDestination: strike(Disruption::Suspect, Migration::suspect_destination),
        /// Disruption: the destination takes the source for dead. Before *ready* it forgets the attempt; afterwards it
        /// gives the connection up.
        SuspectSource: strike(Disruption::Suspect, Migration::suspect_source),
        /// The source has lost the connection, or hears that the destination has refused or forgotten: it aborts, and the
        /// process thaws.
        Abort: repair(&[Cut, CrashDestination, Refuse, Suspect], Delivery, Migration::abort),
        /// The destination has lost the connection before it said *ready*: it forgets the attempt.
        Forget: repair(&[Cut], Weak, Migration::forget),
        /// The destination hears that an attempt was aborted (from *cancel*, from a later attempt's first message, or in
        /// answer to its resync), and forgets it.
        DeliverCancel: repair(&[Cut, Cancel, Suspect], Weak, Migration::deliver_cancel),
        /// The state of an aborted attempt arrives.
        DeliverOldState: repair(&[Cancel, Suspect], Weak, Migration::deliver_old_state)
            .only(|world| world.strategy.real.hand_over != HandOver::OneShot),
        /// The destination says *ready* in an aborted attempt.
        SendOldReady: repair(&[Cut, Cancel, Suspect], Weak, Migration::send_old_ready)
            .only(|world| world.strategy.says_ready()),
        /// *Ready* of an aborted attempt arrives, and is ignored.
        DeliverOldReady: repair(&[Cancel, Suspect], Weak, Migration::deliver_old_ready)
            .only(|world| world.strategy.says_ready()),
        /// The hosts have a new connection. After the commit the destination's *resync* is on its way, or its *complete*
        /// again.
        Reconnect: repair(&[Cut, Suspect], Weak, Migration::reconnect),
        /// The source hears how far the destination is, what it holds and what it waits for. It says *go* or *destroyed*
        /// again if that is awaited; what is owed and not held is owed again; what is waited for is a demand.
        DeliverResync: repair(&[Cut, Suspect], Weak, Migration::deliver_resync),
        /// Reliable word that a machine is dead reaches the other host. If that was the last host of the process, it is
        /// lost; if nothing is needed from there any more, the process goes on without it; if it was the destination of an
        /// attempt, the source aborts. The machine comes back vacant.
        Fence: repair(&[CrashSource, CrashDestination], Weak, Migration::fence),
        /// The file server is in reach again.
        StoreReturns: repair(&[Outage], Weak, Migration::store_returns),

        // What real systems have: how the hand-over is agreed, what ends pre-copy.

        /// Acknowledged: the source hears that the process runs at the destination.
        DeliverAnswer: step(Delivery, Migration::deliver_answer)
            .only(|world| world.strategy.real.hand_over == HandOver::Acknowledged),
        /// The operator switches to post-copy: pre-copy ends, the process is suspended, what was not sent is owed.
        Switch: step(Free, Migration::switch).only(|world| world.strategy.real.stop == Stop::Switch),
        /// The source has lost the connection, has not been told that the process runs elsewhere, and runs it again.
        TakeBack: repair(&[Cut, Suspect], Free, Migration::take_back)
            .only(|world| matches!(world.strategy.real.hand_over, HandOver::Acknowledged | HandOver::None)),
        /// One-shot: the connection is gone under the one message, which nobody sends again. The process is lost.
        Perish: repair(&[Cut, Suspect], Weak, Migration::perish)
            .only(|world| world.strategy.real.hand_over == HandOver::OneShot),
        /// Without a hand-over: the destination resumes the process of an attempt that the source has called off.
        ResumeAbandoned: repair(&[Cut, Cancel, Suspect], Free, Migration::resume_abandoned)
            .only(|world| world.strategy.real.hand_over == HandOver::None),
        /// The announcement arrives: the destination expects a migration, and says so.
        DeliverAnnouncement: step(Delivery, Migration::deliver_announcement).only(Migration::announces),
        /// The source hears that it is expected, and the migration begins.
        Begin: step(Delivery, Migration::begin).only(Migration::announces),
    }
}

steps! {
    /// A step of one page.
    PageStep, TakePage {
        /// The process writes to the page. Where the state tells no difference, the step leads to the same
        /// state. (Reads never make one; `S2` judges every read that is possible.)
        Write: step(Free, Migration::write),
        /// The process touches a missing page, and its host loads it from the local backing store.
        LoadLocal: step(Free, Migration::load_local).only(|world| world.strategy.clean == Clean::LocalStore),
        /// The process touches a missing page, and its host requests it from its owner or the file server.
        Fault: step(Free, Migration::fault).only(Migration::requests),
        /// Pre-copy sends the page.
        Copy: step(Weak, Migration::copy).only(|world| world.strategy.copies()).sending(),
        /// The freeze transfer sends the page to the destination.
        SendFrozen: step(Weak, Migration::send_frozen).only(|world| world.strategy.sends_frozen()).sending(),
        /// The page under the instruction or the stack pointer goes along with the state.
        SendWorkingSet: step(Free, Migration::send_working_set)
            .only(|world| world.strategy.working_set).sending(),
        /// The owner sends a requested page.
        Serve: step(Weak, Migration::serve).only(|world| world.strategy.owes_pages()).sending(),
        /// The source sends a page unasked.
        Push: step(Weak, Migration::push).only(|world| world.strategy.pushes()).sending(),
        /// The owner gets a request; one for a page that it has sent is dropped.
        DeliverRequest: step(Delivery, Migration::deliver_request).only(|world| world.strategy.owes_pages()),
        /// The same, and the link keeps a duplicate of the request.
        DuplicateRequest: step(Free, Migration::duplicate_request)
            .only(|world| world.is_lossy() && world.strategy.owes_pages()),
        /// The newest content message arrives.
        DeliverPage: step(Delivery, Migration::deliver_page),
        /// The same, and the link keeps a duplicate of it.
        DuplicatePage: step(Free, Migration::duplicate_page).only(Migration::is_lossy),
        /// An earlier content message arrives.
        DeliverOlder: step(Weak, Migration::deliver_older).only(|world| world.strategy.copies()),
        /// A duplicate of a content message arrives.
        DeliverEcho: step(Weak, Migration::deliver_echo).only(Migration::is_lossy),
        /// The file server gets a request and sends the page.
        ServeFromStore: step(Delivery, Migration::serve_from_store)
            .only(|world| world.strategy.fetches_from_store()),
        /// The process's host sends the page to the file server.
        WriteBack: step(Strong, Migration::write_back).only(|world| world.strategy.writes_to_store()),
        /// The file server gets a write-back, stores it, and acknowledges.
        Store: step(Delivery, Migration::store).only(|world| world.strategy.writes_to_store()),
        /// The same, and the link keeps a duplicate of the write-back.
        DuplicateStore: step(Free, Migration::duplicate_store)
            .only(|world| world.is_lossy() && world.strategy.writes_to_store()),
        /// A duplicate of a write-back arrives at the file server.
        StoreEcho: step(Weak, Migration::store_echo)
            .only(|world| world.is_lossy() && world.strategy.writes_to_store()),
        /// The acknowledgement of a write-back arrives.
        DeliverAcknowledgement: step(Delivery, Migration::deliver_acknowledgement)
            .only(|world| world.strategy.writes_to_store()),
        /// The link loses the request.
        LoseRequest: step(Free, Migration::lose_request).only(|world| world.is_lossy() && world.requests()),
        /// Its sender sends it again: by its timer, or when the file server is in reach again.
        ResendRequest: step(Weak, Migration::resend_request).only(|world| world.resends_requests()),
        /// The link loses the newest content message.
        LosePage: step(Free, Migration::lose_page).only(Migration::is_lossy),
        /// Its sender's timer sends it again.
        ResendPage: step(Weak, Migration::resend_page).only(Migration::is_lossy),
        /// The link loses the write-back, or its acknowledgement.
        LoseWriteBack: step(Free, Migration::lose_write_back)
            .only(|world| world.is_lossy() && world.strategy.writes_to_store()),
        /// The sender sends it again: by its timer, or when the file server is in reach again.
        ResendWriteBack: step(Weak, Migration::resend_write_back).only(Migration::resends_write_backs),
        /// The source, which has not heard that the destination has forgotten the attempt, sends the page.
        SendInVain: repair(&[Refuse, Suspect], Free, Migration::send_in_vain)
            .only(Migration::leaves_strays),
        /// A message with the page's content from an aborted attempt arrives; its epoch tells, and it is dropped.
        DeliverStray: repair(&[Cancel, Refuse, Suspect], Weak, Migration::deliver_stray)
            .only(Migration::leaves_strays),
        /// The destination has reliable word of the source's death and was still owed the page: the process is lost.
        DeclareLost: repair(&[CrashSource, CrashDestination], Weak, Migration::declare_lost)
            .only(Migration::can_lose_pages),

        // What real systems have: the hand-over, the dirty log.

        /// One-shot: the state is there, and the connection is gone under a page that the process cannot resume without.
        PerishWithout: repair(&[Cut, Suspect, CrashSource], Weak, Migration::perish_without).only(|world| {
            let sends = world.strategy.sends_before_commit() && world.link != Link::Fifo;
            sends && world.strategy.real.hand_over == HandOver::OneShot
        }),
        /// The destination has reliable word of the source's death, and a backing store has the page that was owed.
        FallBack: repair(&[CrashSource, CrashDestination], Weak, Migration::fall_back)
            .only(|world| world.falls_back() && world.can_lose_pages()),
        /// The page's mark in the dirty log is cleared, after the log was read and before the page is sent.
        ClearLog: step(Weak, Migration::clear_log).only(|world| world.strategy.real.log == LogReading::Pass),
        /// Somebody whom the dirty log does not see writes to the page. Only defects have it.
        WriteUnlogged: step(Free, Migration::write_unlogged).only(|_| false),
        // Choices about pages and threads.
        /// Another thread touches a page that is missing and waited for.
        FaultAgain: step(Free, Migration::fault_again).only(Migration::wakes_apart),
        /// The process's host hears that fault: the thread waits with the others, or is woken since the page is there.
        HearFault: step(Weak, Migration::hear_fault).only(Migration::wakes_apart),
        /// Whoever waits for the page is woken, since it is there.
        Wake: step(Weak, Migration::wake).only(Migration::wakes_apart),
        /// The process, or a balloon, gives the page's content up: it is zero from now on.
        Discard: step(Free, Migration::discard).only(Migration::comes_and_goes),
        /// The process unmaps the page.
        Unmap: step(Free, Migration::unmap).only(Migration::comes_and_goes),
        /// The process maps a page, which is zero.
        Map: step(Free, Migration::map).only(Migration::comes_and_goes),
        /// The process says that it does not need the page's content.
        Exempt: step(Free, Migration::exempt).only(Migration::comes_and_goes),
        /// The destination asks for a page that nobody waits for.
        Pull: step(Weak, Migration::pull).only(|world| world.strategy.pulls()),
    }
}

/// What there is to know of a step.
pub(crate) struct Row<T> {
    /// A step of the undisturbed protocol, or of what goes wrong.
    pub(crate) part: Part,
    exists: fn(&Migration) -> bool,
    fair: Fair,
    sends: bool,
    /// The step from a control record (and a page): `None` where its guard forbids it.
    pub(crate) take: T,
}

/// Where a step belongs.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// It is there even if nothing goes wrong.
    Undisturbed,
    /// It is the disruption itself.
    Strike(Disruption),
    /// One of these disruptions gives it an occasion.
    Repair(&'static [Disruption]),
}

/// What may be ignored for how long.
#[derive(Clone, Copy)]
enum Fair {
    /// For ever: what the operator, the process, a disruption or the link's faults do.
    Free,
    /// Not while it remains possible.
    Weak,
    /// Not while it is possible again and again: writing back, which each migration interrupts.
    Strong,
    /// Strong on a lossy link, which loses again and again, and weak on others.
    Delivery,
}

impl<T: Copy> Row<T> {
    const fn step(fair: Fair, take: T) -> Self {
        Row { part: Part::Undisturbed, exists: |_| true, fair, sends: false, take }
    }

    const fn strike(kind: Disruption, take: T) -> Self {
        Row { part: Part::Strike(kind), ..Row::step(Free, take) }
    }

    const fn repair(kinds: &'static [Disruption], fair: Fair, take: T) -> Self {
        Row { part: Part::Repair(kinds), ..Row::step(fair, take) }
    }

    /// Only some algorithms have it, or only some worlds.
    const fn only(self, exists: fn(&Migration) -> bool) -> Self {
        Row { exists, ..self }
    }

    /// It puts a page's content on the link from source to destination.
    const fn sending(self) -> Self {
        Row { sends: true, ..self }
    }

    /// Can the step ever be taken there? Without a defect every such step must occur in some explored run: the checker
    /// reports one that does not.
    pub(crate) fn exists(&self, world: &Migration) -> bool {
        let occasion = match self.part {
            Part::Undisturbed => true,
            Part::Strike(kind) => world.disruptions.include(kind),
            Part::Repair(kinds) => {
                kinds.iter().any(|kind| world.disruptions.include(*kind) && world.is_repaired_after(*kind))
            }
        };
        occasion && (self.exists)(world)
    }

    fn fairness(&self, lossy: bool) -> Fairness {
        match self.fair {
            Free => Fairness::None,
            Delivery if !lossy => Fairness::Weak,
            Weak => Fairness::Weak,
            Strong | Delivery => Fairness::Strong,
        }
    }
}

impl ControlStep {
    /// The disruption that the step is, if it is one.
    pub fn disruption(self) -> Option<Disruption> {
        match self.row().part {
            Part::Strike(kind) => Some(kind),
            Part::Undisturbed | Part::Repair(_) => None,
        }
    }

    /// May the scheduler ignore it?
    pub fn fairness(self, lossy: bool) -> Fairness {
        self.row().fairness(lossy)
    }
}

impl PageStep {
    /// Does the step put a page's content on the link from source to destination?
    pub fn sends_content(self) -> bool {
        self.row().sends
    }

    /// May the scheduler ignore it?
    pub fn fairness(self, lossy: bool) -> Fairness {
        self.row().fairness(lossy)
    }
}

impl fmt::Display for ControlStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kebab(f, &format!("{self:?}"))
    }
}

impl fmt::Display for PageStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        kebab(f, &format!("{self:?}"))
    }
}

pub(crate) fn kebab(f: &mut fmt::Formatter<'_>, camel: &str) -> fmt::Result {
    for (at, letter) in camel.char_indices() {
        if letter.is_uppercase() && at > 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", letter.to_ascii_lowercase())?;
    }
    Ok(())
}
