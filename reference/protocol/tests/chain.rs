//! Pages left behind along a chain of hosts: what is left when one of them dies, who is told, and what a return is.

mod pair;

use protocol::error::Misbehaviour;
use protocol::host::{Host, MessageOutcome, Role, Work};
use protocol::memory::PageStore;
use protocol::policy::Policy;
use protocol::source::Source;
use protocol::wire::Message;
use steplog::fate::{Cause, Fate, Loss};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};

use pair::{
    A, B, C, PAGES, Pair, another, exchange, fetch, hop, kinds, misbehaviour, moving_on, offer, quiet, resync,
};

const D: HostId = HostId(3);

fn is_shadow(host: &Host<PageStore>) -> bool {
    matches!(host.role(), Role::Source(Source::Shadow(_)))
}

/// Its source called the return off and died, after the process had gone elsewhere: what is kept for it is still needed.
#[test]
fn a_host_in_doubt_keeps_what_the_process_left_there() {
    let [mut a, mut b] = Pair::new(Policy::LAZY_COPY).apart();
    let mut c = another(C, Policy::LAZY_COPY);
    hop(&mut a, &mut b, 1);
    fetch(0, &mut b, &mut a);
    offer(&mut b, &mut a, 2);
    b.cancel().unwrap();
    while b.poll_message().is_some() {}
    hop(&mut b, &mut c, 3);
    a.process_moves_on(C, Epoch(3));
    fetch(0, &mut c, &mut b);
    let mut b = another(B, Policy::LAZY_COPY);
    c.fenced(B).unwrap();
    assert_eq!(c.fate(), None, "nothing is needed of it");
    // The process was not there: a host that keeps something of it only sees a new connection.
    a.connected(B).unwrap();
    exchange(&mut a, &mut b);
    exchange(&mut b, &mut a);
    assert_eq!(a.fate(), Some(Fate::Forgotten(Cause::Cancelled)));
    assert!(is_shadow(&a));
    fetch(1, &mut c, &mut a);
    assert!(!c.role().resident().unwrap().pages[1].requested);
}

/// The process was to come back, went elsewhere, and is lost there.
#[test]
fn nothing_is_kept_for_a_process_that_was_lost_elsewhere() {
    for ready in [false, true] {
        let [mut a, mut b] = Pair::new(Policy::LAZY_COPY).apart();
        hop(&mut a, &mut b, 1);
        match ready {
            true => offer(&mut b, &mut a, 2),
            false => a.expect_migration(B, Epoch(2)).unwrap(),
        }
        a.fenced(C).unwrap();
        assert_eq!(a.fate(), Some(Fate::Lost(Loss::Runner)));
        assert!(a.is_due(Work::Destroy));
    }
}

/// The process was to go back to a machine that dies with pages of it: that ends more than the attempt.
#[test]
fn a_loss_is_a_loss_though_an_attempt_ends_with_it() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    pair[B].start_migration(A).unwrap();
    pair[B].fenced(A).unwrap();
    assert!(matches!(pair[B].fate(), Some(Fate::Lost(Loss::Pages(owed))) if owed > 0));
}

/// The host that it was about to go to is told that it does not come.
#[test]
fn a_process_that_is_lost_on_its_way_does_not_come() {
    let (mut pair, _) = moving_on(false);
    quiet(&mut pair[B]);
    pair[B].fenced(A).unwrap();
    assert!(kinds(&mut pair[B]).contains(&(C.into(), MessageKind::Cancel)));
}

#[test]
fn a_dead_host_that_owed_nothing_is_no_former_host_any_more() {
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    let [a, b] = pair.both();
    (0..PAGES).for_each(|page| fetch(page, b, a));
    let mut c = another(C, Policy::LAZY_COPY);
    hop(b, &mut c, 2);
    c.fenced(A).unwrap();
    let former: Vec<_> = c.role().resident().unwrap().former_hosts.iter().map(|former| former.host).collect();
    assert_eq!(former, [B]);
}

/// Before it has said that it misses nothing, a host may find that nobody is left to say it to.
#[test]
fn a_process_that_needs_nothing_of_the_dead_is_at_rest() {
    let runs = |pair: &Pair| pair[B].is_running();
    let mut pair = Pair::started(Policy::TOTAL_COPY).until(runs);
    pair[B].fenced(A).unwrap();
    assert!(matches!(pair[B].role(), Role::Source(Source::Resting(_))), "{:?}", pair[B].role());
    assert_eq!(pair[B].fate(), Some(Fate::Migrated));
}

/// Only the way straight back is a return; at rest it is forgotten.
#[test]
fn the_way_straight_back_is_a_return() {
    let returned = |host: &Host<PageStore>| host.role().resident().unwrap().returned;
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    let [a, b] = pair.both();
    offer(b, a, 2);
    assert!(returned(a));
    b.perform(Work::HandOver).unwrap();
    exchange(b, a);
    a.perform(Work::DeclareComplete).unwrap();
    exchange(a, b);
    b.perform(Work::Destroy).unwrap();
    exchange(b, a);
    let Role::Source(Source::Resting(resident)) = a.role() else { panic!("{:?}", a.role()) };
    assert!(!resident.returned && resident.former_hosts.is_empty());

    let mut pair = Pair::moved(Policy::LAZY_COPY);
    let mut c = another(C, Policy::LAZY_COPY);
    hop(&mut pair[B], &mut c, 2);
    offer(&mut c, &mut pair[A], 3);
    assert!(!returned(&pair[A]));

    // However many hosts were left before that one.
    let mut pair = Pair::moved(Policy::LAZY_COPY);
    let mut c = another(C, Policy::LAZY_COPY);
    hop(&mut pair[B], &mut c, 2);
    offer(&mut c, &mut pair[B], 3);
    assert!(returned(&pair[B]));
}

/// What was on its way to the host that asked is doubted when the connection to that host is a new one.
#[test]
fn a_page_that_was_lost_on_its_way_to_a_later_host_is_served_again() {
    let (page, mut pair) = (PageNumber(1), Pair::moved(Policy::LAZY_COPY));
    let mut c = another(C, Policy::LAZY_COPY);
    hop(&mut pair[B], &mut c, 2);
    let a = &mut pair[A];
    a.process_moves_on(C, Epoch(2));
    c.fault(page).unwrap();
    exchange(&mut c, a);
    a.perform(Work::Serve(page)).unwrap();
    quiet(a);
    a.disconnected(C).unwrap();
    c.disconnected(A).unwrap();
    a.connected(C).unwrap();
    c.connected(A).unwrap();
    assert!(!a.is_due(Work::Serve(page)));
    exchange(&mut c, a);
    assert!(a.is_due(Work::Serve(page)));
}

/// A host that has exited tells those that it told before, over a new connection to each.
#[test]
fn the_word_of_an_exit_is_said_again_to_whom_it_was_said() {
    let (mut pair, mut c) = (Pair::moved(Policy::LAZY_COPY), another(C, Policy::LAZY_COPY));
    hop(&mut pair[B], &mut c, 2);
    c.exit().unwrap();
    c.perform(Work::Release).unwrap();
    quiet(&mut c);
    for peer in [A, B] {
        c.disconnected(peer).unwrap();
        c.connected(peer).unwrap();
        assert_eq!(kinds(&mut c), [(peer.into(), MessageKind::Exit)]);
    }
    c.disconnected(D).unwrap();
    c.connected(D).unwrap();
    assert_eq!(kinds(&mut c), []);
}

/// A host that keeps pages hears the hosts that the chain of migrations names, and no other: neither about its pages nor
/// about the end of the process.
#[test]
fn only_the_hosts_of_the_chain_are_heard() {
    let (page, strangers) = (PageNumber(1), [C, D]);
    let words = [
        Message::Request { page },
        Message::Exit,
        Message::Complete,
        resync(Progress::Running, &[1], &[1]),
        resync(Progress::Complete, &[], &[]),
    ];
    let mut left = Pair::moved(Policy::LAZY_COPY);
    let mut returning = Pair::moved(Policy::LAZY_COPY);
    returning[A].expect_migration(B, Epoch(2)).unwrap();
    for host in [&mut left[A], &mut returning[A]] {
        quiet(host);
        for (stranger, word) in strangers.iter().flat_map(|id| words.iter().map(move |word| (*id, word))) {
            let before = host.clone();
            assert_ne!(host.handle_message(stranger.into(), Epoch(1), word), Ok(MessageOutcome::Applied));
            quiet(host);
            assert_eq!(*host, before, "{stranger}: {word:?}");
        }
        // The name counts for the migrations that follow, not for those that are over.
        host.process_moves_on(C, Epoch(1));
        assert!(host.clone().handle_message(C.into(), Epoch(1), &words[0]).is_err());
        host.process_moves_on(C, Epoch(2));
        let stranger = host.handle_message(D.into(), Epoch(1), &words[0]);
        assert_eq!(misbehaviour(stranger), Misbehaviour::NotThePeer { kind: MessageKind::Request });
        assert_eq!(host.handle_message(C.into(), Epoch(1), &words[0]), Ok(MessageOutcome::Applied));
        assert_eq!(host.handle_message(C.into(), Epoch(1), &words[1]), Ok(MessageOutcome::Applied));
    }
}
