//! A peer that breaks the protocol, in every phase, with every kind of message: it gets a typed error or is ignored,
//! and nothing has changed.

mod pair;

use protocol::destination::Destination;
use protocol::error::{Error, Misbehaviour};
use protocol::file_server::FileServer;
use protocol::host::{Host, HostLimits, MessageOutcome, Role, Suspension, Timeouts, Work};
use protocol::memory::PageStore;
use protocol::page::{PAGE_SIZE, PageBytes};
use protocol::policy::{Fallback, Policy};
use protocol::source::Source;
use protocol::wire::FormerHost;
use protocol::wire::{Message, PageRuns, Plan, PlanEntry, Resync, State, Whereabouts};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence, Version};

use pair::{A, B, PAGES, Pair, quiet};

const STRANGER: HostId = HostId(9);

/// The host in each phase, by name; the peer is the other one of A and B.
fn phases() -> Vec<(&'static str, Host<PageStore>, HostId)> {
    let assisted = || Pair::started(Policy::ASSISTED_POST_COPY);
    let generic = || Pair::started(Policy::GENERIC);
    let source = |pair: Pair| pair.apart().into_iter().next().unwrap();
    let destination = |pair: Pair| pair.apart().into_iter().nth(1).unwrap();
    let is_source = |wanted: fn(&Source) -> bool| move |pair: &Pair| matches!(pair[A].role(), Role::Source(source) if wanted(source));
    let is_destination = |wanted: fn(&Destination) -> bool| move |pair: &Pair| matches!(pair[B].role(), Role::Destination(role) if wanted(role));
    let dirtied = |mut pair: Pair| {
        // Written after it was copied: owed after the migration.
        pair = pair.until(|pair| pair[A].check_suspension().is_ok());
        pair[A].write(PageNumber(0), 0, b"again").unwrap();
        pair
    };
    let mut phases = vec![
        ("vacant", destination(Pair::new(Policy::POST_COPY)), A),
        ("resting", source(Pair::new(Policy::POST_COPY)), B),
        ("pre-migration", source(assisted()), B),
        ("frozen", source(generic().until(is_source(|s| matches!(s, Source::Frozen(_))))), B),
        ("offered", source(assisted().until(is_source(|s| matches!(s, Source::Offered(_))))), B),
        ("shadow", source(dirtied(assisted()).until(is_source(|s| matches!(s, Source::Shadow(_))))), B),
        ("draining", source(assisted().until(is_source(|s| matches!(s, Source::Draining(_))))), B),
        ("receiving", destination(assisted()), A),
        (
            "assembling",
            destination(
                dirtied(assisted()).until(is_destination(|d| matches!(d, Destination::Assembling(_)))),
            ),
            A,
        ),
        (
            "awaiting go",
            destination(
                dirtied(assisted()).until(is_destination(|d| matches!(d, Destination::AwaitingGo(_)))),
            ),
            A,
        ),
        (
            "post",
            destination(dirtied(assisted()).until(is_destination(|d| matches!(d, Destination::Post(_))))),
            A,
        ),
        (
            "completing",
            destination(assisted().until(is_destination(|d| matches!(d, Destination::Completing(_))))),
            A,
        ),
        (
            "resting after arrival",
            destination(assisted().until(|pair| matches!(pair[B].role(), Role::Source(Source::Resting(_))))),
            A,
        ),
    ];
    phases.extend(disrupted_phases());
    for (_, host, _) in &mut phases {
        host.configure(
            HostLimits::default(),
            Timeouts { hand_over_ns: Some(9), arrival_ns: Some(9), answer_ns: Some(9) },
        );
        host.tick(1).unwrap();
        quiet(host);
    }
    phases
}

/// The host in phases that only disruptions and chains of migrations lead to.
fn disrupted_phases() -> Vec<(&'static str, Host<PageStore>, HostId)> {
    let source = |pair: Pair| pair.apart().into_iter().next().unwrap();
    let destination = |pair: Pair| pair.apart().into_iter().nth(1).unwrap();
    let reconnected = |mut pair: Pair| {
        pair.cut(&[A, B]);
        pair.reconnect();
        pair
    };
    let pushed = || {
        let mut pair = Pair::moved(Policy::POST_COPY);
        pair.perform(A, Work::Push(PageNumber(0)));
        pair.perform(A, Work::Push(PageNumber(1)));
        pair
    };
    let coming_back = || {
        let mut pair = Pair::moved(Policy::LAZY_COPY);
        pair[B].fault(PageNumber(1)).unwrap();
        pair.deliver(MessageKind::Request);
        pair.perform(A, Work::Serve(PageNumber(1)));
        pair.deliver(MessageKind::Page);
        pair[A].expect_migration(B, Epoch(2)).unwrap();
        pair[B].start_migration(A).unwrap();
        pair
    };
    let awaiting_its_return = || {
        let mut pair = coming_back();
        pair[B].suspend(Suspension::default()).unwrap();
        pair.until(|pair| matches!(pair[A].role(), Role::Destination(Destination::AwaitingGo(_))))
    };
    let called_off = |mut pair: Pair| {
        pair[A].cancel().unwrap();
        pair
    };
    let lost = || {
        let mut pair = Pair::moved(Policy::POST_COPY);
        pair[B].fenced(A).unwrap();
        pair
    };
    let falling_back = || {
        let mut pair = Pair::moved(Policy { fallback: Fallback::Store, ..Policy::POST_COPY });
        for page in [1, 3] {
            pair.perform(A, Work::Push(PageNumber(page)));
            pair.deliver(MessageKind::Page);
        }
        pair[B].fenced(A).unwrap();
        pair
    };
    vec![
        ("shadow, reconnected", source(reconnected(pushed())), B),
        ("shadow, none pushed", source(reconnected(Pair::moved(Policy::POST_COPY))), B),
        ("ready, reconnected", destination(reconnected(Pair::handed_over(Policy::POST_COPY))), A),
        ("post, reconnected", destination(reconnected(pushed())), A),
        ("resting, called off", source(called_off(Pair::offered(Policy::POST_COPY))), B),
        ("lazy shadow", source(Pair::moved(Policy::LAZY_COPY)), B),
        ("lazy, receiving", source(coming_back()), B),
        ("lazy, returning", source(awaiting_its_return()), B),
        ("lazy, moving on", destination(coming_back()), A),
        ("lost", destination(lost()), A),
        ("falling back", destination(falling_back()), A),
    ]
}

fn plan(whereabouts: Whereabouts) -> Plan {
    (0..PAGES).map(|_| PlanEntry { whereabouts, dirty: false, version: Version(0) }).collect()
}

fn state(plan: Plan) -> Message {
    Message::State(State { registers: vec![], former_hosts: vec![], plan })
}

/// A message of every kind about this page, with this sequence number or version.
fn messages(page: u64, number: u64) -> [Message; 17] {
    let (page, content) = (PageNumber(page), PageBytes::from([0xee; PAGE_SIZE]));
    let (sequence, version) = (Sequence(number), Version(number));
    [
        Message::Page { page, sequence, content: content.clone() },
        state(plan(Whereabouts::At(FormerHost { host: A, epoch: Epoch(1) }, Sequence(1)))),
        Message::Ready,
        Message::Go,
        Message::Request { page },
        Message::Complete,
        Message::Destroyed,
        Message::Exit,
        Message::WriteBack { page, version, content: content.clone() },
        Message::WriteBackDone { page, version },
        Message::Fetch { page },
        Message::Fetched { page, version, content },
        Message::AskVersion { page },
        Message::VersionTold { page, version },
        Message::Cancel,
        Message::Refuse,
        Message::Resync(Resync {
            progress: Progress::Running,
            lacks: [page].into_iter().collect(),
            waits: PageRuns::default(),
        }),
    ]
}

/// Hands a message to a copy of the host. Unless it was applied, nothing may have changed.
fn probe(
    host: &Host<PageStore>,
    from: impl Into<Place>,
    epoch: Epoch,
    message: &Message,
) -> (Host<PageStore>, Result<MessageOutcome, Error>) {
    let mut after = host.clone();
    let result = after.handle_message(from.into(), epoch, message);
    match &result {
        Ok(MessageOutcome::Applied) => {}
        Ok(MessageOutcome::Ignored | MessageOutcome::Answered) => {
            let step = after.poll_event();
            assert_eq!(after.poll_event(), None, "{message:?}: {step:?}");
            let answered = after.poll_message().is_some();
            assert_eq!(answered, result == Ok(MessageOutcome::Answered), "{message:?}: {step:?}");
            assert_eq!(&after, host, "{message:?}: {result:?}");
        }
        // Not even a step.
        Err(error) => {
            assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error}");
            assert_eq!(&after, host, "{message:?}: {error}");
        }
    }
    (after, result)
}

/// Each phase and each kind of message of the current migration, from the peer: what comes of it.
#[test]
fn every_message_in_every_phase() {
    let mut table = String::new();
    for (phase, host, peer) in phases() {
        for message in messages(0, 2) {
            let file_server = matches!(
                message,
                Message::WriteBackDone { .. } | Message::Fetched { .. } | Message::VersionTold { .. }
            );
            let from = if file_server { Place::FileServer } else { peer.into() };
            let outcome = match probe(&host, from, host.epoch(), &message).1 {
                Ok(outcome) => format!("{outcome:?}").to_lowercase(),
                Err(error) => error.to_string(),
            };
            table += &format!("{phase:22} {:14} {outcome}\n", format!("{:?}", message.kind()));
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_message_of_a_later_migration_is_refused() {
    for (phase, host, peer) in phases() {
        let later = host.epoch().next().unwrap();
        for message in messages(0, 1) {
            for from in [Place::Host(peer), Place::FileServer] {
                let (_, result) = probe(&host, from, later, &message);
                assert!(result.is_err(), "{phase}: {message:?}");
            }
        }
    }
}

#[test]
fn a_message_of_an_earlier_migration_is_never_applied() {
    for (phase, host, peer) in phases().into_iter().filter(|(_, host, _)| host.epoch() > Epoch(0)) {
        for message in messages(0, 1) {
            for from in [Place::Host(peer), Place::FileServer] {
                let (_, result) = probe(&host, from, Epoch(0), &message);
                assert_ne!(result, Ok(MessageOutcome::Applied), "{phase}: {message:?}");
            }
        }
    }
}

#[test]
fn a_page_out_of_range_is_refused() {
    for (phase, host, peer) in phases() {
        for page in [PAGES, u64::MAX] {
            for message in messages(page, 1).into_iter().filter(|message| message.page().is_some()) {
                for from in [Place::Host(peer), Place::FileServer] {
                    let (_, result) = probe(&host, from, host.epoch(), &message);
                    assert!(result.is_err(), "{phase}: {message:?}");
                }
            }
        }
    }
}

#[test]
fn a_stranger_changes_nothing() {
    for (phase, host, _) in phases() {
        for message in messages(0, 1).into_iter().chain(messages(0, 2)) {
            for from in [STRANGER, host.id()] {
                let (_, result) = probe(&host, from, host.epoch(), &message);
                assert_ne!(result, Ok(MessageOutcome::Applied), "{phase}: {message:?}");
            }
        }
    }
}

#[test]
fn what_was_applied_is_not_applied_again() {
    let mut applied = 0;
    for (phase, host, peer) in phases() {
        for message in messages(0, 1).into_iter().chain(messages(0, 2)) {
            let (mut after, result) = probe(&host, peer, host.epoch(), &message);
            quiet(&mut after);
            if result == Ok(MessageOutcome::Applied) {
                applied += 1;
                let (_, again) = probe(&after, peer, host.epoch(), &message);
                assert_ne!(again, Ok(MessageOutcome::Applied), "{phase}: {message:?}");
            }
        }
    }
    assert!(applied >= 8, "only {applied} messages were applied in any phase");
}

#[test]
fn numbers_beyond_any_count_are_refused() {
    for (phase, host, peer) in phases() {
        for message in messages(0, u64::MAX).into_iter().filter(|message| message.number().is_some()) {
            for from in [Place::Host(peer), Place::FileServer] {
                let (_, result) = probe(&host, from, host.epoch(), &message);
                assert_ne!(result, Ok(MessageOutcome::Applied), "{phase}: {message:?}");
            }
        }
    }
}

#[test]
fn a_plan_that_cannot_be_is_refused() {
    let host = phases().into_iter().find(|(phase, ..)| *phase == "receiving").unwrap().1;
    let (mut host, first) = probe(&host, A, Epoch(1), &messages(0, 2)[0]);
    assert_eq!(first, Ok(MessageOutcome::Applied));
    quiet(&mut host);
    let at = |host, epoch| Whereabouts::At(FormerHost { host, epoch: Epoch(epoch) }, Sequence(2));
    let impossible = [
        ("never sent", Whereabouts::Travelled(Sequence(0))),
        ("sent less often than it arrived", Whereabouts::Travelled(Sequence(1))),
        ("sent more often than can be", Whereabouts::Travelled(Sequence(u64::MAX))),
        ("here already", at(B, 1)),
        ("at a stranger", at(STRANGER, 1)),
        ("at the source in another migration", at(A, 0)),
        (
            "what arrived is not even outdated",
            Whereabouts::At(FormerHost { host: A, epoch: Epoch(1) }, Sequence(1)),
        ),
    ];
    for (why, whereabouts) in impossible {
        let (_, result) = probe(&host, A, Epoch(1), &state(plan(whereabouts)));
        let expected = Misbehaviour::PlanContradiction { page: PageNumber(0) };
        assert_eq!(result, Err(Error::PeerMisbehaved { peer: A.into(), what: expected }), "{why}");
    }
    for whereabouts in [Whereabouts::FileServer, Whereabouts::LocalStore] {
        let dirty: Plan =
            (0..PAGES).map(|_| PlanEntry { whereabouts, dirty: true, version: Version(0) }).collect();
        assert!(probe(&host, A, Epoch(1), &state(dirty)).1.is_err(), "modified and yet in {whereabouts:?}");
    }
    for size in [0, PAGES - 1, PAGES + 1] {
        let entry = PlanEntry { whereabouts: Whereabouts::FileServer, dirty: false, version: Version(0) };
        let wrong_size = state((0..size).map(|_| entry).collect());
        let what = Misbehaviour::PlanSize { planned: size, page_count: PAGES };
        let expected = Err(Error::PeerMisbehaved { peer: A.into(), what });
        assert_eq!(probe(&host, A, Epoch(1), &wrong_size).1, expected);
    }
    for former in [A, B] {
        let former_hosts = vec![FormerHost { host: former, epoch: Epoch(0) }];
        let plan = plan(Whereabouts::LocalStore);
        let circular = Message::State(State { registers: vec![], former_hosts, plan });
        assert!(probe(&host, A, Epoch(1), &circular).1.is_err(), "{former} is no former host");
    }
}

#[test]
fn completion_is_refused_while_pages_are_owed() {
    let shadow = phases().into_iter().find(|(phase, ..)| *phase == "shadow").unwrap().1;
    let what = Misbehaviour::StillOwed { owed: 1 };
    let expected = Err(Error::PeerMisbehaved { peer: B.into(), what });
    assert_eq!(probe(&shadow, B, Epoch(1), &Message::Complete).1, expected);
}

/// A file server that serves something else than it acknowledged.
#[test]
fn a_file_server_that_went_back_is_caught() {
    let at_b = |pair: &Pair| pair[B].is_running();
    let [_, mut host] = Pair::started(Policy::FLUSHING).until(at_b).apart();
    quiet(&mut host);
    let page = PageNumber(1);
    let fetched =
        |version| Message::Fetched { page, version: Version(version), content: PageBytes::zeroed() };
    assert!(probe(&host, Place::FileServer, Epoch(1), &fetched(1)).1.is_err(), "nobody asked");
    host.fault(page).unwrap();
    quiet(&mut host);
    let what = Misbehaviour::StoreWentBack { page, served: 0, acknowledged: 1 };
    let expected = Err(Error::PeerMisbehaved { peer: Place::FileServer, what });
    assert_eq!(probe(&host, Place::FileServer, Epoch(1), &fetched(0)).1, expected);
    assert!(probe(&host, Place::FileServer, Epoch(1), &fetched(2)).1.is_err(), "from the future");
    assert_eq!(probe(&host, Place::FileServer, Epoch(1), &fetched(1)).1, Ok(MessageOutcome::Applied));
}

#[test]
fn the_file_server_goes_forward_only() {
    let mut server = FileServer::new(&Pair::image());
    let page = PageNumber(2);
    let mut write_back = |version, byte| {
        let content = PageBytes::from([byte; PAGE_SIZE]);
        let message = Message::WriteBack { page, version: Version(version), content };
        server.handle_message(A.into(), Epoch(0), &message).unwrap();
        let answer = server.poll_message().map(|envelope| envelope.message);
        assert_eq!(answer, Some(Message::WriteBackDone { page, version: Version(version) }));
        server.stored(page).unwrap().clone()
    };
    assert_eq!(write_back(2, 20).version, Version(2));
    let kept = write_back(1, 10);
    assert_eq!((kept.version, kept.content), (Version(2), PageBytes::from([20; PAGE_SIZE])));
    assert_eq!(write_back(2, 99).content, PageBytes::from([20; PAGE_SIZE]));
}

#[test]
fn the_file_server_refuses_what_is_not_for_it() {
    let mut server = FileServer::new(&Pair::image());
    let before = format!("{server:?}");
    for message in messages(0, 1).into_iter().chain(messages(PAGES, 1)) {
        let for_it =
            matches!(message, Message::WriteBack { .. } | Message::Fetch { .. } | Message::AskVersion { .. });
        if !for_it || message.page() == Some(PageNumber(PAGES)) {
            assert!(server.handle_message(A.into(), Epoch(0), &message).is_err(), "{message:?}");
        }
        assert!(server.handle_message(Place::FileServer, Epoch(0), &message).is_err(), "{message:?}");
    }
    assert_eq!(format!("{server:?}"), before);
}

#[test]
fn work_that_is_not_due_is_refused() {
    for (phase, mut host, _) in phases() {
        let pages = [PageNumber(0), PageNumber(3), PageNumber(PAGES), PageNumber(u64::MAX)];
        let with_pages =
            [Work::Copy, Work::Transfer, Work::Flush, Work::Serve, Work::Push, Work::WriteBack, Work::Repeat];
        let work = with_pages.into_iter().flat_map(|work| pages.map(work)).chain([
            Work::BeginPass,
            Work::SendState,
            Work::HandOver,
            Work::DeclareReady,
            Work::Refuse,
            Work::DeclareComplete,
            Work::Destroy,
            Work::Release,
        ]);
        for work in work {
            assert_eq!(host.is_due(work), host.tasks().any(|task| task.work == work), "{phase}: {work:?}");
            if !host.is_due(work) {
                let before = host.role().clone();
                assert!(host.perform(work).is_err(), "{phase}: {work:?}");
                assert_eq!(host.poll_message(), None, "{phase}: {work:?}");
                assert_eq!(host.role(), &before, "{phase}: {work:?}");
            }
        }
    }
}
