//! Errors seeded into a world, to see that each is named: a judge that says yes to everything would let them pass.

use std::sync::Arc;

use protocol::ensemble::PlaceError;
use protocol::error::Error;
use protocol::memory::{Memory, PageStore};
use protocol::page::{Image, PAGE_SIZE, PageBytes};
use protocol::policy::Policy;
use protocol::wire::{Channel, Envelope, Message, encode};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Version};

use super::schedule::Occurrence;
use super::{Discrepancy, Ending, Scenario, World, WorldError};
use crate::net::LinkConfig;
use crate::workload::{PageLayout, Pattern, Workload};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const C: HostId = HostId(2);

/// Most steps until something is as a test wants it.
const STEPS_MAX: usize = 10_000;

/// From A to B, with C on the way if it is to be there. Half of the accesses write; some pages are never touched.
fn scenario(policy: Policy, ending: Ending) -> Scenario {
    Scenario {
        policy,
        layout: PageLayout {
            pages: 12,
            file_mapped_percent: 50,
            initially_dirty_percent: 30,
            noise_percent: 50,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 10_000 },
        link: LinkConfig::FAST_ETHERNET,
        route: vec![A, B],
        accesses_per_stay: 6,
        registers_len: 16,
        ending,
        seed: 7,
    }
}

fn world(policy: Policy, ending: Ending) -> World {
    World::new(&scenario(policy, ending)).unwrap()
}

/// Lets things happen until this is the case.
fn until(mut world: World, reached: impl Fn(&World) -> bool) -> World {
    for _ in 0..STEPS_MAX {
        if reached(&world) {
            return world;
        }
        assert!(world.step().unwrap(), "nothing happens any more");
    }
    panic!("not reached");
}

/// Lets everything happen, without the judgement of the end.
fn ended(mut world: World) -> World {
    while world.step().unwrap() {}
    assert_eq!(world.check_end(), Ok(()), "nothing is seeded yet");
    world
}

fn runs_at_b(world: &World) -> bool {
    world.host(B).is_some_and(|host| host.is_running())
}

/// The same with one bit of the last byte flipped.
fn falsified(content: &PageBytes) -> PageBytes {
    let mut content = content.clone();
    content.as_mut_slice()[PAGE_SIZE - 1] ^= 1;
    content
}

/// Changes the memory of a host behind its back.
fn tamper(world: &mut World, at: HostId, what: impl FnOnce(&mut PageStore)) {
    let done: Result<_, Error> = world.ensemble.act(at, |host| {
        what(host.memory_mut());
        Ok(())
    });
    assert_eq!(done, Ok(Some(())));
}

fn discrepancy(result: Result<impl std::fmt::Debug, WorldError>) -> Discrepancy {
    match result {
        Err(WorldError::Discrepancy(discrepancy)) => discrepancy,
        other => panic!("{other:?}"),
    }
}

/// Each page that is in the memory of a host, one after the other, falsified and put back.
fn assert_each_page_judged(world: &mut World, at: HostId) -> usize {
    let pages: Vec<_> = world.image.page_numbers().collect();
    let mut judged = 0;
    for page in pages {
        let Ok(content) = world.host(at).unwrap().memory().copy_out(page) else { continue };
        tamper(world, at, |memory| memory.install(page, &falsified(&content)).unwrap());
        assert_eq!(discrepancy(world.check_end()), Discrepancy::Content(page));
        tamper(world, at, |memory| memory.discard(page).unwrap());
        assert_eq!(discrepancy(world.check_end()), Discrepancy::Lost(page));
        tamper(world, at, |memory| memory.install(page, &content).unwrap());
        assert_eq!(world.check_end(), Ok(()));
        judged += 1;
    }
    judged
}

#[test]
fn a_wrong_byte_of_any_page_is_named_in_the_end() {
    let mut world = ended(world(Policy::TOTAL_COPY, Ending::Idle));
    assert_eq!(assert_each_page_judged(&mut world, B), 12, "also those that were never touched");
}

#[test]
fn a_wrong_byte_at_a_former_host_is_named_in_the_end() {
    let mut world = ended(world(Policy::LAZY_COPY, Ending::Idle));
    let resident = world.host(B).unwrap().role().resident().unwrap();
    let owed: Vec<_> = resident.owed.iter().collect();
    assert!(!owed.is_empty());
    for page in owed {
        let content = world.host(A).unwrap().memory().copy_out(page).unwrap();
        tamper(&mut world, A, |memory| memory.install(page, &falsified(&content)).unwrap());
        assert_eq!(discrepancy(world.check_end()), Discrepancy::Content(page));
        tamper(&mut world, A, |memory| memory.install(page, &content).unwrap());
    }
    assert_eq!(world.check_end(), Ok(()));
}

/// Has the file server hold something else of a page than it was sent.
fn store(world: &mut World, page: PageNumber, content: PageBytes) {
    let version = Version(world.ensemble.file_server().stored(page).unwrap().version.0 + 1);
    let message = Message::WriteBack { page, version, content };
    let forged =
        Envelope { from: B.into(), to: Place::FileServer, channel: Channel::Main, epoch: Epoch(1), message };
    world.ensemble.deliver(&forged).unwrap();
}

#[test]
fn a_wrong_byte_at_the_file_server_is_named_in_the_end() {
    let world = ended(world(Policy::FLUSHING, Ending::Idle));
    let resident = world.host(B).unwrap().role().resident().unwrap();
    let elsewhere = |page: &PageNumber| !world.host(B).unwrap().memory().is_present(*page);
    let page = world.image.page_numbers().find(elsewhere).expect("a page that was never fetched");
    assert_eq!(resident.pages[page.index()].location, protocol::host::Location::FileServer);
    let mut world = world;
    let stored = falsified(&world.ensemble.file_server().stored(page).unwrap().content);
    store(&mut world, page, stored);
    assert_eq!(discrepancy(world.check_end()), Discrepancy::Content(page));
}

#[test]
fn a_wrong_byte_in_the_local_store_is_named_in_the_end() {
    let mut world = ended(world(Policy::TOTAL_COPY_DIRTY, Ending::Idle));
    let elsewhere = |page: &PageNumber| !world.host(B).unwrap().memory().is_present(*page);
    let page = world.image.page_numbers().find(elsewhere).expect("a page that was never loaded");
    let image = Arc::clone(&world.image);
    let content = |other: PageNumber| {
        let content = image.content(other).unwrap();
        if other == page { falsified(content) } else { content.clone() }
    };
    world.image = Arc::new(Image::new(image.page_numbers().map(|page| (image.kind(page), content(page)))));
    assert_eq!(discrepancy(world.check_end()), Discrepancy::Content(page));
}

/// What has to be safe when the process has exited.
#[test]
fn a_write_that_the_file_server_does_not_have_is_named_after_the_exit() {
    let mut world = ended(world(Policy::GENERIC, Ending::Exit));
    let mut mapped = 0;
    for page in world.image.file_mapped().clone().iter() {
        let right = world.ensemble.file_server().stored(page).unwrap().content.clone();
        store(&mut world, page, falsified(&right));
        assert_eq!(discrepancy(world.check_end()), Discrepancy::Content(page));
        store(&mut world, page, right);
        assert_eq!(world.check_end(), Ok(()));
        mapped += 1;
    }
    assert!(mapped > 0);
}

#[test]
fn a_wrong_byte_that_the_process_reads_is_named_at_once() {
    let mut scenario = scenario(Policy::TOTAL_COPY, Ending::Idle);
    scenario.workload.write_percent = 0;
    scenario.accesses_per_stay = 40;
    let mut world = until(World::new(&scenario).unwrap(), runs_at_b);
    let pages: Vec<_> = world.image.page_numbers().collect();
    tamper(&mut world, B, |memory| {
        for page in pages {
            let mut content = memory.copy_out(page).unwrap();
            content.as_mut_slice().iter_mut().for_each(|byte| *byte ^= 1);
            memory.install(page, &content).unwrap();
        }
    });
    let found = discrepancy(world.finish());
    assert!(matches!(found, Discrepancy::Read { read, expected, .. } if read != expected), "{found}");
}

#[test]
fn a_second_runner_is_named() {
    let mut world = until(world(Policy::POST_COPY, Ending::Idle), runs_at_b);
    let memory = PageStore::loaded(&world.image);
    world.ensemble.add_occupied(C, memory).unwrap();
    assert_eq!(discrepancy(world.step()), Discrepancy::RunsTwice);
}

#[test]
fn other_registers_are_named() {
    let frozen = |world: &World| world.host(A).is_some_and(|host| !host.is_running());
    let mut world = until(world(Policy::TOTAL_COPY, Ending::Idle), frozen);
    world.process.count += 1;
    assert_eq!(discrepancy(world.finish()), Discrepancy::Registers);
}

#[test]
fn what_is_left_on_a_host_after_the_exit_is_named() {
    for policy in [Policy::TOTAL_COPY, Policy::GENERIC] {
        let mut world = ended(world(policy, Ending::Exit));
        for host in [A, B] {
            tamper(&mut world, host, |memory| memory.install(PageNumber(3), &PageBytes::zeroed()).unwrap());
            assert_eq!(world.check_end(), Err(WorldError::NotCleanedUp(host)));
            tamper(&mut world, host, |memory| memory.discard(PageNumber(3)).unwrap());
            assert_eq!(world.check_end(), Ok(()));
        }
        // A host that waits for a process that will not come is not vacant, though it has no page.
        world.ensemble.tell(B, |host| host.expect_migration(A, Epoch(9))).unwrap();
        assert_eq!(world.check_end(), Err(WorldError::NotCleanedUp(B)));
    }
}

#[test]
fn a_process_that_does_not_arrive_is_stuck() {
    let frozen = |world: &World| world.host(A).is_some_and(|host| !host.is_running());
    let mut world = until(world(Policy::TOTAL_COPY, Ending::Idle), frozen);
    world.network.cut(A.into(), B.into());
    assert_eq!(world.finish(), Err(WorldError::Stuck { hops_left: 1, waits_for: None }));
}

#[test]
fn a_process_that_waits_for_a_page_is_stuck() {
    let mut scenario = scenario(Policy::LAZY_COPY, Ending::Idle);
    scenario.accesses_per_stay = 40;
    let mut world = until(World::new(&scenario).unwrap(), runs_at_b);
    world.network.cut(A.into(), B.into());
    let stuck = world.finish();
    assert!(matches!(stuck, Err(WorldError::Stuck { hops_left: 0, waits_for: Some(_) })), "{stuck:?}");
}

#[test]
fn a_process_that_is_given_up_without_need_is_named() {
    let mut world = until(world(Policy::LAZY_COPY, Ending::Idle), runs_at_b);
    world.ensemble.fence(B, A).unwrap();
    assert_eq!(discrepancy(world.finish()), Discrepancy::LostWithoutNeed);
}

/// What an endpoint refuses ends the run: nothing in an honest world is refused.
#[test]
fn a_refused_message_is_not_swallowed() {
    let mut world = world(Policy::TOTAL_COPY, Ending::Idle);
    let frame = encode(Epoch(9), &Message::Go).unwrap();
    world.schedule.after(0, Occurrence::Arrival { from: B.into(), to: A.into(), connection: 0, frame });
    let found = world.finish();
    assert!(
        matches!(&found, Err(WorldError::Endpoint(PlaceError { place, .. })) if *place == A.into()),
        "{found:?}"
    );
}
