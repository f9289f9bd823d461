//! Pages left behind along a chain of hosts, one of which dies.

mod pair;

use pair::{B, Pair, exchange, fetch, hop, offer};
use reference::fate::{Cause, Fate, Loss};
use reference::host::{Host, Role, Work};
use reference::memory::PageStore;
use reference::place::{Epoch, HostId};
use reference::policy::Policy;
use reference::source::Source;

const C: HostId = HostId(2);

fn vacant(id: HostId) -> Host<PageStore> {
    Host::without_process(id, Policy::LAZY_COPY, Pair::image()).unwrap()
}

fn is_shadow(host: &Host<PageStore>) -> bool {
    matches!(host.role(), Role::Source(Source::Shadow(_)))
}

/// Its source called the return off and died, after the process had gone elsewhere: what is kept for it is still needed.
#[test]
fn a_host_in_doubt_keeps_what_the_process_left_there() {
    let [mut a, mut b] = Pair::new(Policy::LAZY_COPY).hosts;
    let mut c = vacant(C);
    hop(&mut a, &mut b, 1);
    fetch(0, &mut b, &mut a);
    offer(&mut b, &mut a, 2);
    b.cancel().unwrap();
    while b.poll_message().is_some() {}
    hop(&mut b, &mut c, 3);
    fetch(0, &mut c, &mut b);
    let mut b = vacant(B);
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
        let [mut a, mut b] = Pair::new(Policy::LAZY_COPY).hosts;
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
