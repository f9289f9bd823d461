//! Fault, install and wake as three steps, and several threads that wait for one page.

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::paging::{Channels, Paging, Waking};
use model::strategy::{HandOver, Real, Start, Stop, Strategy};
use model::{Hosts, algorithms};
use steplog::event::{Event, Step};
use steplog::header::Header;
use steplog::place::HostId;
use tie::campaign::{CampaignCoverage, weather};
use tie::policy::policy;
use tie::trace::{TraceError, conform_steps};
use world::net::FrameOrder;
use world::{Disrupted, Ending, Scenario, World, storm};

use super::common::{drive_all, drive_disrupted, judge_all, run_all, scenario};

fn threads() -> Vec<Strategy> {
    let paging = Paging { wake: Waking::Apart, ..Paging::PLAIN };
    let apart = |strategy: Strategy| Strategy {
        name: format!("{} threads", strategy.name).into(),
        paging: Paging { channels: strategy.paging.channels, ..paging },
        ..strategy
    };
    let acknowledged = Real { hand_over: HandOver::Acknowledged, ..Real::NONE };
    let hybrid = Real { stop: Stop::Switch, ..Real::NONE };
    let announced = Real { start: Start::Announced, ..Real::NONE };
    let demand = Paging { channels: Channels::DemandApart, ..Paging::PLAIN };
    let others = [
        algorithms::LAZY_COPY,
        algorithms::FLUSHING,
        algorithms::ASSISTED_POST_COPY,
        algorithms::ASSISTED_SPLIT,
        algorithms::POST_COPY_PULL,
        algorithms::GENERIC,
        algorithms::POST_COPY_FALLBACK,
        Strategy { name: "acknowledged".into(), real: acknowledged, ..algorithms::POST_COPY },
        Strategy { name: "hybrid".into(), real: hybrid, ..algorithms::QEMU_HYBRID },
        Strategy { name: "announced".into(), real: announced, ..algorithms::POST_COPY },
        Strategy { name: "announced and copied".into(), real: announced, ..algorithms::ASSISTED_POST_COPY },
        Strategy { name: "demand apart".into(), paging: demand, ..algorithms::POST_COPY },
    ];
    [algorithms::POST_COPY_THREADS].into_iter().chain(others.map(apart)).collect()
}

#[test]
fn every_wake_is_driven() {
    drive_all(&threads());
}

#[test]
fn every_wake_refines_the_model() {
    let tally = run_all(&threads(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&threads(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 400, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_wake_is_a_run_of_the_model() {
    judge_all(&threads());
}

/// Real endpoints take every transition of the model with one page and one disruption.
#[test]
fn every_wake_is_driven_while_something_goes_wrong() {
    drive_disrupted(&algorithms::POST_COPY_THREADS, |_| Disruptions::up_to(1, EnumSet::all()));
}

#[test]
fn storms_of_threads_are_runs_of_the_model() {
    // Where the source may take the process back, two hosts may run it.
    let ready = |strategy: &Strategy| strategy.real.hand_over == HandOver::ReadyGo;
    let strategies: Vec<_> = threads().into_iter().filter(ready).collect();
    let policies: Vec<_> = strategies.iter().map(|strategy| policy(strategy).unwrap()).collect();
    let mut coverage = CampaignCoverage::of(strategies);
    for (at, policy) in (0..400).zip(policies.iter().cycle()) {
        let mut run = storm::run(storm::number(11, at));
        run.scenario.policy = policy.clone();
        weather(&run, &mut coverage)
            .unwrap_or_else(|error| panic!("{error}\n{}", serde_json::to_string(&run).unwrap()));
    }
    assert!(coverage.runs > 100);
}

/// A log with faults of further threads that are heard before others are woken, and after.
fn log_of_threads() -> (Header, Vec<Step>) {
    let heard = |log: &[Step], as_woken| {
        log.iter().any(|step| matches!(step.event, Event::FaultHeard { woken, .. } if woken == as_woken))
    };
    for seed in 0..200 {
        let plain = scenario(&algorithms::POST_COPY_THREADS, FrameOrder::Fifo, Ending::Idle);
        let scenario = Scenario { seed, accesses_per_stay: 400, ..plain };
        let log = World::run(&scenario).unwrap().log;
        if heard(&log, false) && heard(&log, true) {
            return (scenario.header(false), log);
        }
    }
    panic!("no fault is heard late");
}

/// The defects that the model has of this, in the log of an endpoint that would have them.
#[test]
fn what_is_wrong_with_a_wake_is_no_run_of_the_model() {
    let (header, log) = log_of_threads();
    let judged = |log: &[Step]| conform_steps(header.clone(), algorithms::POST_COPY_THREADS, log);
    judged(&log).unwrap();
    let at = |is_such: &dyn Fn(&Event) -> bool| log.iter().position(|step| is_such(&step.event)).unwrap();
    let changed = |at: usize, change: &dyn Fn(&mut Event)| {
        let mut log = log.clone();
        change(&mut log[at].event);
        judged(&log)
    };
    let rejected_at = |judged: Result<_, TraceError>, at: usize| match judged {
        Err(TraceError::Rejected(rejection)) => assert_eq!(rejection.line, at + 2, "{rejection}"),
        other => panic!("{other:?}"),
    };
    // Nobody is woken: whoever waits does so for ever.
    let last = log.iter().rposition(|step| matches!(step.event, Event::ThreadsWoken { .. })).unwrap();
    let mut forgotten = log.clone();
    forgotten.remove(last);
    let end = match judged(&forgotten) {
        Err(TraceError::Unfinished(end)) => end.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(end.contains("has not been woken"), "{end}");
    // A late fault is heard of a page that is there, and its thread sleeps on; or it is woken with others still to be.
    let late = at(&|event| matches!(event, Event::FaultHeard { woken: true, .. }));
    rejected_at(changed(late, &|event| *event = with_woken(event, false)), late);
    let early = at(&|event| matches!(event, Event::FaultHeard { woken: false, .. }));
    rejected_at(changed(early, &|event| *event = with_woken(event, true)), early);
    // A page that is there is asked for.
    let asked = &|event: &mut Event| {
        let Event::FaultHeard { page, .. } = *event else { panic!("{event:?}") };
        *event = Event::PageFaulted { page, asked: HostId(0).into() };
    };
    rejected_at(changed(late, asked), late);
    // Threads are woken before the page is there.
    let woken = at(&|event| matches!(event, Event::ThreadsWoken { .. }));
    let Event::ThreadsWoken { page } = log[woken].event else { panic!() };
    let installed = at(&|event| matches!(event, Event::PageInstalled { page: of, .. } if *of == page));
    let mut swapped = log.clone();
    let step = swapped.remove(woken);
    swapped.insert(installed, step);
    rejected_at(judged(&swapped), installed);
    // Without the choice nobody is woken in a step of his own.
    assert!(conform_steps(header.clone(), algorithms::POST_COPY, &log).is_err());
}

fn with_woken(event: &Event, woken: bool) -> Event {
    let Event::FaultHeard { page, .. } = *event else { panic!("{event:?}") };
    Event::FaultHeard { page, woken }
}

/// Storms that were no runs of the model once. A connection breaks after *complete* with a request on it for a page that has come
/// since, and for which somebody has yet to be woken: nobody asks for it again, and *complete* does not wait for it. And a request
/// overtakes the resync, which says of other pages that they are waited for as well: until then the source pushes.
#[test]
fn storms_of_threads_that_failed_once_are_runs_of_the_model() {
    for run in include_str!("threads-that-failed.ndjson").lines() {
        let run: Disrupted = serde_json::from_str(run).unwrap();
        let mut coverage = CampaignCoverage::of(vec![algorithms::POST_COPY_THREADS]);
        weather(&run, &mut coverage).unwrap();
    }
}
