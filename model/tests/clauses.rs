//! Each clause of each property objects to something that no other clause objects to, and to nothing that it should not.
//!
//! A judge is tested by what it must refuse: records and steps made by hand, most of which no algorithm ever reaches.

use model::disruption::{Aftermath, Connection, Leftover};
use model::page::{Currency, Holding, Kind, Neglect, Plan, Transit, WriteBack};
use model::strategy::Freeze;
use model::system::{ControlMove, Judged, Live, PageMove};
use model::{
    Condition, Control, ControlStep, Disruptions, Hosts, Link, Migration, Page, PageStep, Phase, Process,
    Property, Strategy, algorithms,
};

const CURRENT: Holding = Holding::Held(Currency::Current);
const STALE: Holding = Holding::Held(Currency::Stale);
const ABSENT: Holding = Holding::Absent;

/// Three hosts, or two where things go wrong.
fn undisturbed(strategy: Strategy) -> Migration {
    Migration::new(strategy, Hosts::Three, Link::Unordered)
}

fn disturbed(strategy: Strategy) -> Migration {
    let any = Disruptions::up_to(2, enumset::EnumSet::all());
    Migration::new(strategy, Hosts::Two, Link::Unordered).with_disruptions(any)
}

fn normal() -> Control {
    Control::at_rest(Process::Normal)
}

fn frozen(phase: Phase) -> Control {
    Control { phase, source_runs: false, ..Control::at_rest(Process::Migration) }
}

fn resumed(phase: Phase) -> Control {
    Control { phase, source_runs: false, destination_runs: true, ..Control::at_rest(Process::PostMigration) }
}

fn after(control: Control, change: impl Fn(&mut Aftermath)) -> Control {
    let mut aftermath = control.aftermath;
    change(&mut aftermath);
    Control { aftermath, ..control }
}

/// A page of the destination, or on its way there.
fn planned(plan: Plan) -> Page {
    Page { plan, ..Page::GONE }
}

#[track_caller]
fn page(system: &Migration, property: Property, expected: bool, control: Control, page: Page) {
    let violated = system.judge_page(&control, &page);
    assert_eq!(violated.contains(property), expected, "{property} of {page:?} under {control:?}");
}

#[track_caller]
fn step(
    system: &Migration,
    property: Property,
    expected: bool,
    step: ControlStep,
    from: Control,
    to: Control,
) {
    let taken = ControlMove { requires: Default::default(), control: to };
    let violated = system.judge_control_move(step, &from, &taken);
    assert_eq!(violated.contains(property), expected, "{property} of {step} from {from:?} to {to:?}");
}

#[track_caller]
fn sends(system: &Migration, expected: bool, step: PageStep, control: Control, page: Page) {
    let taken = PageMove { requires: Default::default(), control, page };
    let violated = system.judge_page_move(step, &control, &page, &taken).violated;
    assert_eq!(violated.contains(Property::S4), expected, "{step} of {page:?} under {control:?}");
}

#[track_caller]
fn pends(system: &Migration, property: Property, expected: bool, control: Control, page: Option<Page>) {
    let pending = system.pending(property, &control, page.as_ref());
    assert_eq!(pending, expected, "{property} of {page:?} under {control:?}");
}

#[test]
fn s1_at_rest_the_hosts_own_copy_counts_or_what_it_will_fetch() {
    let system = undisturbed(algorithms::GENERIC);
    let rest = Control::at_rest(Process::PreMigration);
    let held = |source, destination, third| Page { source, destination, third, ..Page::GONE };
    page(&system, Property::S1, false, rest, held(CURRENT, STALE, STALE));
    page(&system, Property::S1, true, rest, held(STALE, CURRENT, CURRENT));
    page(&system, Property::S1, false, rest, held(ABSENT, CURRENT, STALE));
    page(&system, Property::S1, true, rest, held(ABSENT, STALE, CURRENT));
    page(&system, Property::S1, false, rest, held(ABSENT, ABSENT, CURRENT));
    page(&system, Property::S1, true, rest, held(ABSENT, ABSENT, STALE));
    let nowhere = Page::GONE;
    page(&system, Property::S1, false, rest, nowhere);
    page(&system, Property::S1, true, rest, Page { store: Currency::Stale, ..nowhere });
    let fetched = |content| Page { content: Transit::Flying(content), ..nowhere };
    page(&system, Property::S1, true, rest, fetched(Currency::Stale));
    let newer = Page { store: Currency::Stale, ..fetched(Currency::Current) };
    page(&system, Property::S1, false, rest, newer);
    // Who does not know what was modified has no use for the backing store.
    page(&undisturbed(algorithms::POST_COPY), Property::S1, true, normal(), nowhere);
}

#[test]
fn s1_each_plan_has_its_place() {
    let system = undisturbed(algorithms::GENERIC);
    let running = resumed(Phase::Running);
    for plan in [Plan::Travelled, Plan::Settled] {
        let there = |destination| Page { destination, source: CURRENT, third: CURRENT, ..planned(plan) };
        page(&system, Property::S1, false, running, there(CURRENT));
        page(&system, Property::S1, true, running, there(STALE));
        page(&system, Property::S1, true, running, there(ABSENT));
        let coming = |content| Page { content: Transit::Flying(content), ..there(ABSENT) };
        page(&system, Property::S1, false, running, coming(Currency::Current));
        page(&system, Property::S1, true, running, coming(Currency::Stale));
    }
    for (plan, owner) in [(Plan::FromSource, 0), (Plan::FromThird, 1)] {
        let at_owner = |owned| {
            let (source, third) = if owner == 0 { (owned, STALE) } else { (STALE, owned) };
            Page { source, third, ..planned(plan) }
        };
        page(&system, Property::S1, false, running, at_owner(CURRENT));
        page(&system, Property::S1, true, running, at_owner(STALE));
        // The owner believes that it has sent it, and nothing is on its way.
        page(&system, Property::S1, true, running, Page { sent: true, ..at_owner(CURRENT) });
        let coming = |content| Page { sent: true, content: Transit::Flying(content), ..at_owner(STALE) };
        page(&system, Property::S1, false, running, coming(Currency::Current));
        page(&system, Property::S1, true, running, coming(Currency::Stale));
    }
    let stored = |store| Page { store, source: CURRENT, ..planned(Plan::FromStore) };
    page(&system, Property::S1, false, running, stored(Currency::Current));
    page(&system, Property::S1, true, running, stored(Currency::Stale));
}

#[test]
fn s1_excuses_the_dead_and_what_a_broken_connection_will_tell() {
    let system = disturbed(algorithms::LAZY_COPY);
    let lost = Page { sent: true, source: STALE, ..planned(Plan::FromSource) };
    for phase in [Phase::Exiting, Phase::Exited, Phase::Doomed, Phase::Lost] {
        page(&system, Property::S1, false, Control { phase, ..Control::GONE }, lost);
    }
    let broken = after(resumed(Phase::Running), |left| left.connection = Connection::Broken);
    // What was sent in vain is still at its sender; that something else was on its way is no excuse.
    page(&system, Property::S1, false, broken, Page { source: CURRENT, ..lost });
    page(&system, Property::S1, true, broken, Page { content: Transit::Lost(Currency::Current), ..lost });

    let dead = after(resumed(Phase::Running), |left| left.source_down = true);
    let owed = planned(Plan::FromSource);
    page(&system, Property::S1, false, dead, owed);
    page(&system, Property::S1, true, resumed(Phase::Running), owed);
    page(&system, Property::S1, true, dead, Page { destination: STALE, ..owed });
    page(&system, Property::S1, true, dead, Page { source: STALE, ..owed });
    page(&system, Property::S1, true, dead, planned(Plan::FromStore).stale_store());
    // A return under way: the host returned to owed the page.
    let returning = Control { returning: true, ..frozen(Phase::Forgotten) };
    let died = after(returning, |left| left.destination_down = true);
    page(&system, Property::S1, false, died, Page::GONE);
    page(&system, Property::S1, true, returning, Page::GONE);
    page(&system, Property::S1, true, Control { returning: false, ..died }, Page::GONE);
}

trait StaleStore {
    fn stale_store(self) -> Self;
}

impl StaleStore for Page {
    fn stale_store(self) -> Self {
        Page { store: Currency::Stale, ..self }
    }
}

#[test]
fn s2_only_a_running_process_reads_and_only_its_own_copy() {
    let system = undisturbed(algorithms::POST_COPY);
    let at = |source, destination| Page { source, destination, ..Page::GONE };
    page(&system, Property::S2, true, normal(), at(STALE, CURRENT));
    page(&system, Property::S2, false, normal(), at(CURRENT, STALE));
    page(&system, Property::S2, false, normal(), at(ABSENT, STALE));
    page(&system, Property::S2, true, resumed(Phase::Running), at(CURRENT, STALE));
    page(&system, Property::S2, false, resumed(Phase::Running), at(STALE, CURRENT));
    page(&system, Property::S2, false, frozen(Phase::Freeze), at(STALE, STALE));
    // What the host takes for settled is read, whether it is there or not; what is missing otherwise is a fault.
    for plan in [Plan::FromSource, Plan::FromThird, Plan::FromStore, Plan::Travelled, Plan::Settled] {
        let settled = plan == Plan::Settled;
        page(&system, Property::S2, settled, resumed(Phase::Running), planned(plan));
        page(
            &system,
            Property::S2,
            false,
            Control { destination_runs: false, ..resumed(Phase::Running) },
            planned(plan),
        );
        page(&system, Property::S2, false, normal(), planned(plan));
    }
}

#[test]
fn s3_two_at_once_or_the_source_after_its_commit() {
    let system = undisturbed(algorithms::POST_COPY);
    let violated = |control: Control| system.judge_control(&control).contains(Property::S3);
    assert!(!violated(normal()));
    assert!(!violated(resumed(Phase::Running)));
    assert!(violated(Control { destination_runs: true, ..normal() }));
    for phase in [Phase::Committed, Phase::Running, Phase::Completing, Phase::Departing] {
        assert!(violated(Control { phase, ..normal() }), "{phase:?}");
        assert!(!violated(Control { phase, source_runs: false, ..normal() }), "{phase:?}");
    }
    assert!(!violated(Control { phase: Phase::Accepted, ..normal() }));
}

#[test]
fn s4_each_freeze_transfer_declares_what_it_may_send() {
    let freeze = |freeze| undisturbed(Strategy { freeze, ..algorithms::TOTAL_COPY });
    let control = frozen(Phase::Freeze);
    let clean = Page::loaded(Kind::Private);
    let dirty = Page { dirty: true, ..clean };
    let in_step = Page { destination: CURRENT, ..clean };
    let on_its_way = Page { content: Transit::Flying(Currency::Current), ..clean };
    let outdated = Page { destination: STALE, ..clean };
    let step = PageStep::SendFrozen;
    sends(&freeze(Freeze::All), false, step, control, clean);
    sends(&freeze(Freeze::Modified), false, step, control, dirty);
    sends(&freeze(Freeze::Modified), true, step, control, clean);
    sends(&freeze(Freeze::NotInStep), false, step, control, clean);
    sends(&freeze(Freeze::NotInStep), false, step, control, outdated);
    sends(&freeze(Freeze::NotInStep), true, step, control, in_step);
    sends(&freeze(Freeze::NotInStep), true, step, control, on_its_way);
    sends(&freeze(Freeze::FlushModified), true, step, control, dirty);
    sends(&freeze(Freeze::None), true, step, control, dirty);
}

#[test]
fn s4_the_working_set_is_one_page_of_each_kind() {
    let system = undisturbed(algorithms::GENERIC);
    let (code, stack) = (Page::loaded(Kind::FileMapped), Page::loaded(Kind::Private));
    let control = frozen(Phase::Freeze);
    let step = PageStep::SendWorkingSet;
    for page in [code, stack] {
        sends(&system, false, step, control, page);
        // Whatever is called differently is no working set.
        sends(&system, true, PageStep::Push, control, page);
    }
    let code_sent = Control { code_page_sent: true, ..control };
    let stack_sent = Control { stack_page_sent: true, ..control };
    sends(&system, true, step, code_sent, code);
    sends(&system, false, step, code_sent, stack);
    sends(&system, true, step, stack_sent, stack);
    sends(&system, false, step, stack_sent, code);
}

#[test]
fn s4_a_return_carries_what_is_held_while_the_process_is_suspended() {
    let lazy = undisturbed(algorithms::LAZY_COPY);
    let returning = Control { returning: true, ..frozen(Phase::Freeze) };
    let held = Page::loaded(Kind::Private);
    sends(&lazy, false, PageStep::SendFrozen, returning, held);
    sends(&lazy, true, PageStep::SendFrozen, returning, Page { source: ABSENT, ..held });
    sends(&lazy, true, PageStep::SendFrozen, frozen(Phase::Freeze), held);

    let post = undisturbed(algorithms::POST_COPY);
    for phase in [Phase::Freeze, Phase::Offered, Phase::Rebuilding, Phase::Accepted] {
        sends(&post, true, PageStep::Push, frozen(phase), held);
        sends(&post, false, PageStep::DeliverPage, frozen(phase), held);
        sends(&post, false, PageStep::WriteBack, frozen(phase), held);
    }
    // What is sent behind *go* holds nothing up.
    for phase in [Phase::PreCopy { pass: 1 }, Phase::Committed, Phase::Running] {
        sends(&post, false, PageStep::Push, frozen(phase), held);
    }
    for step in [PageStep::Copy, PageStep::SendFrozen, PageStep::SendWorkingSet, PageStep::Serve] {
        sends(&post, true, step, frozen(Phase::Freeze), held);
    }
}

#[test]
fn s5_nothing_is_needed_from_a_host_that_is_left() {
    let system = undisturbed(algorithms::LAZY_COPY);
    let rest = normal();
    let held = Page::loaded(Kind::Private);
    page(&system, Property::S5, false, rest, held);
    page(&system, Property::S5, true, rest, Page { third: STALE, ..held });
    page(&system, Property::S5, true, rest, Page { destination: STALE, ..held });

    let departing = resumed(Phase::Departing);
    page(&system, Property::S5, false, departing, planned(Plan::Settled));
    page(&system, Property::S5, true, departing, planned(Plan::FromSource));
    page(&system, Property::S5, true, departing, planned(Plan::FromThird));
    page(&system, Property::S5, true, departing, Page { third: CURRENT, ..planned(Plan::Settled) });

    for phase in [Phase::Running, Phase::Completing] {
        let at_rest = Control { process: Process::Normal, ..resumed(phase) };
        for plan in [Plan::FromSource, Plan::FromThird] {
            page(&system, Property::S5, true, at_rest, planned(plan));
            page(&system, Property::S5, false, resumed(phase), planned(plan));
        }
        page(&system, Property::S5, false, at_rest, planned(Plan::Settled));
    }
}

#[test]
fn s5_no_write_back_of_a_page_that_has_left() {
    let system = undisturbed(algorithms::GENERIC);
    let unheard = WriteBack::Acknowledged(true);
    for phase in [Phase::Rebuilding, Phase::Accepted, Phase::Committed] {
        for plan in [Plan::Travelled, Plan::Settled, Plan::FromStore] {
            page(&system, Property::S5, true, frozen(phase), Page { write_back: unheard, ..planned(plan) });
            page(&system, Property::S5, false, frozen(phase), planned(plan));
        }
        // A page that the source keeps may be written back there.
        let kept = Page { write_back: unheard, ..planned(Plan::FromSource) };
        page(&system, Property::S5, false, frozen(phase), kept);
    }
    let left = Page { write_back: unheard, ..planned(Plan::Travelled) };
    page(&system, Property::S5, false, frozen(Phase::Offered), left);
}

#[test]
fn s6_newer_content_is_not_replaced_and_what_is_acknowledged_is_there() {
    let system = undisturbed(algorithms::GENERIC);
    let goes_back = |step, before: Page, after: Page| {
        let control = Control::at_rest(Process::PreMigration);
        let taken = PageMove { requires: Default::default(), control, page: after };
        system.judge_page_move(step, &control, &before, &taken).violated.contains(Property::S6)
    };
    let newest = Page::loaded(Kind::FileMapped);
    let older = newest.stale_store();
    let sent = |content| WriteBack::Sent(Transit::Flying(content));
    for step in [PageStep::Store, PageStep::DuplicateStore, PageStep::StoreEcho] {
        assert!(goes_back(step, newest, older), "{step} replaces the newest content");
        assert!(!goes_back(step, newest, newest), "{step} leaves it");
        assert!(!goes_back(step, older, older), "{step} brings nothing newer");
    }
    for step in [PageStep::Store, PageStep::DuplicateStore] {
        let arrives = |content| Page { write_back: sent(content), ..older };
        assert!(goes_back(step, arrives(Currency::Current), older), "{step} does not store it");
        assert!(!goes_back(step, arrives(Currency::Stale), older), "{step} stores what is old already");
    }
    // The duplicate is not the write-back that is still under way.
    let under_way = Page { write_back: sent(Currency::Current), ..older };
    assert!(!goes_back(PageStep::StoreEcho, under_way, under_way));
    assert!(goes_back(PageStep::DeliverAcknowledgement, older, older));
    assert!(!goes_back(PageStep::DeliverAcknowledgement, newest, newest));
    // Written again since.
    let dirty = Page { dirty: true, ..older };
    assert!(!goes_back(PageStep::DeliverAcknowledgement, dirty, dirty));
    assert!(!goes_back(PageStep::Write, newest, older));
}

#[test]
fn s7_all_other_pages_are_undemanded() {
    let system = undisturbed(algorithms::POST_COPY);
    let control = resumed(Phase::Running);
    let owed = Page { source: CURRENT, ..planned(Plan::FromSource) };
    let judge = |step| {
        let taken = PageMove { requires: Default::default(), control, page: owed };
        system.judge_page_move(step, &control, &owed, &taken)
    };
    let violated = |step, other: Page| {
        use model::system::System;
        judge(step).given(system.conditions(&other)).contains(Property::S7)
    };
    let asked = Page { asked: true, ..owed };
    let dropped = Page { neglect: Neglect::Unsent, ..owed };
    let written_back = WriteBack::Acknowledged(true);
    for step in [PageStep::Push, PageStep::Serve] {
        assert!(!violated(step, owed));
    }
    assert!(violated(PageStep::Push, asked));
    assert!(violated(PageStep::Push, dropped), "that the source has dropped the request is no excuse");
    assert!(violated(PageStep::Push, Page { plan: Plan::FromThird, ..dropped }));
    assert!(!violated(PageStep::Serve, asked) && !violated(PageStep::Serve, dropped));
    // One that cannot be answered yet, and one whose page has been sent or has arrived.
    assert!(!violated(PageStep::Push, Page { write_back: written_back, ..asked }));
    assert!(!violated(PageStep::Push, Page { write_back: written_back, ..dropped }));
    assert!(!violated(PageStep::Push, Page { neglect: Neglect::Pushed, ..owed }));
    assert!(!violated(PageStep::Push, Page { plan: Plan::Settled, ..dropped }));
}

#[test]
fn s8_the_bound_of_each_algorithm_and_one_more_for_each_recovery() {
    let bounds = [
        (algorithms::TOTAL_COPY, Some(1)),
        (algorithms::TOTAL_COPY_DIRTY, Some(1)),
        (algorithms::PRE_COPY, Some(3)),
        (algorithms::PRE_COPY_UNBOUNDED, None),
        (algorithms::LAZY_COPY, Some(1)),
        (algorithms::FLUSHING, Some(0)),
        (algorithms::POST_COPY, Some(1)),
        (algorithms::ASSISTED_POST_COPY, Some(2)),
        (algorithms::GENERIC, Some(1)),
    ];
    for (strategy, bound) in bounds {
        let system = disturbed(strategy);
        let exceeded = |recoveries, crossings| {
            let control = after(resumed(Phase::Running), |left| left.recoveries = recoveries);
            let taken =
                PageMove { requires: Default::default(), control, page: Page { crossings, ..Page::GONE } };
            let violated = system.judge_page_move(PageStep::Serve, &control, &Page::GONE, &taken).violated;
            violated.contains(Property::S8)
        };
        for recoveries in 0..=2 {
            match bound {
                Some(bound) => {
                    assert!(!exceeded(recoveries, bound + recoveries), "{}", system.strategy.name);
                    assert!(exceeded(recoveries, bound + recoveries + 1), "{}", system.strategy.name);
                }
                None => assert!(!exceeded(recoveries, u8::MAX), "{}", system.strategy.name),
            }
        }
    }
}

#[test]
fn s9_the_process_follows_its_cycle() {
    let all = [
        Process::Normal,
        Process::PreMigration,
        Process::Migration,
        Process::PostMigration,
        Process::Exited,
        Process::Lost,
    ];
    use Process::{Exited, Lost, Migration as Frozen, Normal, PostMigration as Post, PreMigration as Pre};
    let legal: [(Strategy, &[(Process, Process)]); 6] = [
        (algorithms::TOTAL_COPY, &[(Normal, Frozen), (Frozen, Normal), (Post, Normal)]),
        (algorithms::PRE_COPY, &[(Normal, Pre), (Pre, Frozen), (Frozen, Normal), (Post, Normal)]),
        (algorithms::LAZY_COPY, &[(Normal, Frozen), (Post, Frozen), (Frozen, Post)]),
        (algorithms::POST_COPY, &[(Normal, Frozen), (Frozen, Post), (Post, Normal)]),
        (algorithms::ASSISTED_POST_COPY, &[(Normal, Pre), (Pre, Frozen), (Frozen, Post), (Post, Normal)]),
        (algorithms::GENERIC, &[(Pre, Frozen), (Frozen, Post), (Post, Pre)]),
    ];
    for (strategy, legal) in legal {
        let system = undisturbed(strategy);
        for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
            let ends = matches!(to, Exited | Lost) && !(from == Frozen && to == Exited);
            let allowed = from == to || ends || legal.contains(&(from, to));
            // A phase in which nothing can be aborted any more.
            let control = |process| Control { phase: Phase::Committed, ..Control::at_rest(process) };
            let (from, to) = (control(from), control(to));
            self::step(&system, Property::S9, !allowed, ControlStep::Commit, from, to);
        }
    }
}

#[test]
fn s9_a_return_an_abort_and_a_fence_have_ways_of_their_own() {
    let lazy = disturbed(algorithms::LAZY_COPY);
    let post = resumed(Phase::Departing);
    step(&lazy, Property::S9, true, ControlStep::Finish, post, normal());
    step(&lazy, Property::S9, false, ControlStep::Finish, Control { returning: true, ..post }, normal());
    step(&lazy, Property::S9, false, ControlStep::Fence, post, normal());
    let wrong_rest = Control::at_rest(Process::PreMigration);
    step(&lazy, Property::S9, true, ControlStep::Fence, post, wrong_rest);

    let copies = disturbed(algorithms::PRE_COPY);
    for phase in [Phase::PreCopy { pass: 1 }, Phase::Freeze, Phase::Accepted, Phase::Forgotten] {
        let attempt = frozen(phase);
        step(&copies, Property::S9, false, ControlStep::Abort, attempt, normal());
        step(&copies, Property::S9, true, ControlStep::Abort, attempt, wrong_rest);
        let returning = Control { returning: true, ..attempt };
        let back = resumed(Phase::Running);
        step(&lazy, Property::S9, false, ControlStep::Abort, returning, back);
        let at_rest = Control { process: Process::Normal, ..back };
        step(&lazy, Property::S9, true, ControlStep::Abort, returning, at_rest);
        step(&disturbed(algorithms::TOTAL_COPY), Property::S9, true, ControlStep::Abort, attempt, back);
    }
    let lost = Control { process: Process::Lost, ..normal() };
    step(&copies, Property::S9, true, ControlStep::Abort, Control { phase: Phase::Freeze, ..lost }, normal());
}

#[test]
fn s9_nothing_resumes_but_what_was_committed() {
    let system = undisturbed(algorithms::POST_COPY);
    for phase in [Phase::Rest, Phase::Freeze, Phase::Offered, Phase::Rebuilding, Phase::Accepted] {
        step(&system, Property::S9, true, ControlStep::Resume, frozen(phase), resumed(Phase::Running));
    }
    step(
        &system,
        Property::S9,
        false,
        ControlStep::Resume,
        frozen(Phase::Committed),
        resumed(Phase::Running),
    );
}

#[test]
fn s10_only_what_is_over_may_end() {
    let system = disturbed(algorithms::POST_COPY);
    let may_end = |phase| system.may_end(&Control { phase, ..Control::GONE });
    assert!(may_end(Phase::Exited) && may_end(Phase::Lost));
    for phase in [
        Phase::Rest,
        Phase::PreCopy { pass: 1 },
        Phase::Freeze,
        Phase::Offered,
        Phase::Rebuilding,
        Phase::Accepted,
        Phase::Committed,
        Phase::Running,
        Phase::Completing,
        Phase::Departing,
        Phase::Exiting,
        Phase::Forgotten,
        Phase::Doomed,
    ] {
        assert!(!may_end(phase), "{phase:?}");
    }
}

#[test]
fn s11_an_attempt_has_one_outcome() {
    let system = disturbed(algorithms::TOTAL_COPY);
    let thawed = |phase| Control { source_runs: true, ..frozen(phase) };
    for phase in [Phase::Committed, Phase::Running, Phase::Completing] {
        step(&system, Property::S11, true, ControlStep::Abort, frozen(phase), thawed(phase));
        // After the death of the peer the survivor is called the source.
        step(&system, Property::S11, false, ControlStep::Fence, frozen(phase), normal());
    }
    step(&system, Property::S11, false, ControlStep::Finish, resumed(Phase::Departing), normal());
    step(&system, Property::S11, false, ControlStep::Abort, frozen(Phase::Accepted), normal());

    let committed = frozen(Phase::Committed);
    step(&system, Property::S11, false, ControlStep::Commit, frozen(Phase::Accepted), committed);
    step(&system, Property::S11, true, ControlStep::DeliverOldReady, frozen(Phase::Offered), committed);
    step(&system, Property::S11, true, ControlStep::DeliverOldReady, frozen(Phase::Rebuilding), committed);
    step(&system, Property::S11, false, ControlStep::LoseMessage, committed, committed);

    let running = resumed(Phase::Running);
    step(&system, Property::S11, false, ControlStep::Resume, committed, running);
    step(&system, Property::S11, true, ControlStep::Resume, frozen(Phase::Accepted), running);
    let in_doubt = after(normal(), |left| left.leftover = Leftover::InDoubt);
    let both = Control { destination_runs: true, ..in_doubt };
    step(&system, Property::S11, true, ControlStep::Resume, in_doubt, both);
    // A return that is aborted resumes where it came from.
    let returning = Control { returning: true, ..frozen(Phase::Freeze) };
    step(&system, Property::S11, false, ControlStep::Abort, returning, running);
    let late = Control { returning: true, ..normal() };
    step(&system, Property::S11, true, ControlStep::Abort, late, Control { source_runs: false, ..running });
}

#[test]
fn s12_lost_takes_a_death_and_nothing_elsewhere() {
    let system = disturbed(algorithms::POST_COPY);
    let lost = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };
    let doomed = Control { phase: Phase::Doomed, ..lost };
    step(&system, Property::S12, false, ControlStep::Fence, doomed, lost);
    step(&system, Property::S12, true, ControlStep::Fence, resumed(Phase::Running), lost);
    step(&system, Property::S12, false, ControlStep::CrashSource, frozen(Phase::Freeze), doomed);

    let given_up = |step, control: Control, page: Page, to: Control| {
        let taken = PageMove { requires: Default::default(), control: to, page: Page::GONE };
        system.judge_page_move(step, &control, &page, &taken).violated.contains(Property::S12)
    };
    let alive = resumed(Phase::Running);
    let dead = after(alive, |left| left.source_down = true);
    let owed = planned(Plan::FromSource);
    let step = PageStep::DeclareLost;
    assert!(!given_up(step, dead, owed, lost));
    assert!(given_up(step, alive, owed, lost), "nobody has died");
    for plan in [Plan::Settled, Plan::FromStore, Plan::Travelled] {
        assert!(given_up(step, dead, planned(plan), lost), "nothing was owed");
    }
    assert!(given_up(step, dead, Page { destination: CURRENT, ..owed }, lost), "it is here");
    let coming = Page { content: Transit::Flying(Currency::Current), ..owed };
    assert!(given_up(step, dead, coming, lost), "it is on its way");
    assert!(!given_up(step, dead, Page { destination: STALE, ..owed }, lost));
    // Whatever the step is called, and even if it leads nowhere.
    assert!(given_up(PageStep::Write, alive, owed, lost));
    assert!(given_up(step, alive, owed, alive));
    assert!(!given_up(PageStep::Write, alive, owed, alive));
}

#[test]
fn what_speaks_of_disruptions_says_nothing_without_them() {
    let system = undisturbed(algorithms::TOTAL_COPY);
    let lost = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };
    step(&system, Property::S12, false, ControlStep::Fence, resumed(Phase::Running), lost);
    let thawed = Control { source_runs: true, ..frozen(Phase::Committed) };
    step(&system, Property::S11, false, ControlStep::Abort, frozen(Phase::Committed), thawed);
}

#[test]
fn l1_whoever_owes_a_page() {
    let system = disturbed(algorithms::LAZY_COPY);
    for plan in [Plan::FromSource, Plan::FromThird] {
        pends(&system, Property::L1, true, resumed(Phase::Running), Some(planned(plan)));
        pends(&system, Property::L1, true, resumed(Phase::Completing), Some(planned(plan)));
        pends(&system, Property::L1, false, frozen(Phase::Freeze), Some(planned(plan)));
        let lost = Control { phase: Phase::Lost, ..Control::GONE };
        pends(&system, Property::L1, false, lost, Some(planned(plan)));
    }
    for plan in [Plan::Settled, Plan::FromStore, Plan::Travelled, Plan::Undecided] {
        pends(&system, Property::L1, false, resumed(Phase::Running), Some(planned(plan)));
    }
}

#[test]
fn l2_from_the_start_to_the_end() {
    let system = disturbed(algorithms::POST_COPY);
    for phase in [Phase::Rest, Phase::Exited, Phase::Lost] {
        pends(&system, Property::L2, false, Control { phase, ..normal() }, None);
    }
    for phase in [
        Phase::PreCopy { pass: 1 },
        Phase::Freeze,
        Phase::Offered,
        Phase::Running,
        Phase::Departing,
        Phase::Exiting,
        Phase::Forgotten,
        Phase::Doomed,
    ] {
        pends(&system, Property::L2, true, Control { phase, ..normal() }, None);
    }
}

#[test]
fn l3_whoever_is_asked_and_by_the_answer_to_the_request() {
    let system = disturbed(algorithms::LAZY_COPY);
    let running = resumed(Phase::Running);
    for plan in [Plan::FromSource, Plan::FromThird, Plan::FromStore, Plan::Undecided] {
        let waiting = Page { waiting: true, ..planned(plan) };
        pends(&system, Property::L3, true, running, Some(waiting));
        pends(&system, Property::L3, false, running, Some(planned(plan)));
        let lost = Control { phase: Phase::Lost, ..running };
        pends(&system, Property::L3, false, lost, Some(waiting));
    }
    for neglect in [Neglect::Unsent, Neglect::Pushed] {
        let by_chance = Page { neglect, ..planned(Plan::Settled) };
        pends(&system, Property::L3, true, running, Some(by_chance));
    }
}

#[test]
fn l4_l5_and_l8_wait_for_the_control_alone() {
    let system = disturbed(algorithms::PRE_COPY);
    pends(&system, Property::L4, true, frozen(Phase::Offered), None);
    pends(&system, Property::L4, false, normal(), None);
    pends(&system, Property::L4, false, resumed(Phase::Running), None);
    let copying = Control { phase: Phase::PreCopy { pass: 2 }, ..Control::at_rest(Process::PreMigration) };
    pends(&system, Property::L5, true, copying, None);
    pends(&system, Property::L5, false, frozen(Phase::Freeze), None);

    pends(&system, Property::L8, false, normal(), None);
    for connection in [Connection::Broken, Connection::Resyncing] {
        let paused = |control| after(control, |left| left.connection = connection);
        pends(&system, Property::L8, true, paused(resumed(Phase::Running)), None);
        pends(&system, Property::L8, true, paused(frozen(Phase::Committed)), None);
        pends(&system, Property::L8, false, paused(frozen(Phase::Freeze)), None);
    }
    pends(&system, Property::L8, true, Control { phase: Phase::Doomed, ..Control::GONE }, None);
    let left = |leftover| after(normal(), |left| left.leftover = leftover);
    pends(&system, Property::L8, true, left(Leftover::InDoubt), None);
    pends(&system, Property::L8, false, left(Leftover::Rebuilding), None);
}

#[test]
fn l6_a_write_is_pending_until_it_is_stored_or_overwritten() {
    let system = disturbed(algorithms::GENERIC);
    let rest = Control::at_rest(Process::PreMigration);
    let unseen = Page::loaded(Kind::FileMapped).stale_store();
    pends(&system, Property::L6, true, rest, Some(unseen));
    pends(&system, Property::L6, false, rest, Some(Page { store: Currency::Current, ..unseen }));
    pends(&system, Property::L6, false, rest, Some(Page { kind: Kind::Private, ..unseen }));
    pends(&system, Property::L6, false, Control { phase: Phase::Lost, ..rest }, Some(unseen));
    for step in PageStep::ALL {
        assert_eq!(system.discharges(Property::L6, step), step == PageStep::Write, "{step}");
        assert!(!system.discharges(Property::L3, step), "{step}");
    }
}

#[test]
fn l7_a_goal_is_a_state_in_which_a_migration_can_start() {
    for (strategy, from_running) in [(algorithms::POST_COPY, false), (algorithms::LAZY_COPY, true)] {
        let system = disturbed(strategy);
        pends(&system, Property::L7, false, normal(), None);
        pends(&system, Property::L7, !from_running, resumed(Phase::Running), None);
        pends(&system, Property::L7, true, frozen(Phase::Freeze), None);
        pends(&system, Property::L7, true, resumed(Phase::Completing), None);
        for connection in [Connection::Broken, Connection::Resyncing] {
            let cut_off = after(normal(), |left| left.connection = connection);
            pends(&system, Property::L7, true, cut_off, None);
        }
        assert_eq!(system.goal_conditions(Property::L7), Condition::Quiet);
        assert!(system.goal_conditions(Property::L1).is_empty());

        let excused = |control: Control| system.excused(Property::L7, &control);
        assert!(!excused(normal()) && !excused(resumed(Phase::Running)));
        assert!(excused(Control::GONE));
        assert!(excused(Control { process: Process::Lost, ..normal() }));
        assert!(excused(after(normal(), |left| left.source_down = true)));
        assert!(excused(after(normal(), |left| left.destination_down = true)));
        assert!(!system.excused(Property::L1, &Control::GONE));
    }
}
