//! Requests and their answers over a connection of their own.

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::paging::{Channels, Paging};
use model::strategy::{HandOver, Real, Stop, Strategy};
use model::{Hosts, algorithms};
use steplog::event::{Event, Step};
use steplog::place::HostId;
use tie::campaign::{CampaignCoverage, weather};
use tie::policy::policy;
use tie::trace::conform_steps;
use world::net::FrameOrder;
use world::storm;
use world::{Ending, World};

use super::common::{drive_all, drive_disrupted, judge_all, run_all, scenario};

fn apart() -> Vec<Strategy> {
    let paging = Paging { channels: Channels::DemandApart, ..Paging::PLAIN };
    let apart =
        |strategy: Strategy| Strategy { name: format!("{} apart", strategy.name).into(), paging, ..strategy };
    let acknowledged = Real { hand_over: HandOver::Acknowledged, ..Real::NONE };
    let hybrid = Real { stop: Stop::Switch, ..Real::NONE };
    let others = [
        algorithms::LAZY_COPY,
        algorithms::ASSISTED_POST_COPY,
        algorithms::ASSISTED_SPLIT,
        algorithms::POST_COPY_PULL,
        algorithms::GENERIC,
        algorithms::POST_COPY_FALLBACK,
        Strategy { real: acknowledged, ..algorithms::POST_COPY },
        Strategy { real: hybrid, ..algorithms::QEMU_HYBRID },
    ];
    [algorithms::POST_COPY_DEMAND_APART].into_iter().chain(others.map(apart)).collect()
}

#[test]
fn every_request_apart_is_driven() {
    drive_all(&apart());
}

#[test]
fn every_request_apart_refines_the_model() {
    let tally = run_all(&apart(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&apart(), Hosts::Two, disruptions, 30);
        assert!(tally.disruptions > 400, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_request_apart_is_a_run_of_the_model() {
    judge_all(&apart());
}

/// Real endpoints take every transition of the model with one page and one disruption.
#[test]
fn every_request_apart_is_driven_while_something_goes_wrong() {
    drive_disrupted(&algorithms::POST_COPY_DEMAND_APART, |_| Disruptions::up_to(1, EnumSet::all()));
}

#[test]
fn storms_of_requests_apart_are_runs_of_the_model() {
    let strategies = vec![algorithms::POST_COPY_DEMAND_APART];
    let mut coverage = CampaignCoverage::of(strategies.clone());
    for at in 0..300 {
        let mut run = storm::run(storm::number(8, at));
        run.scenario.policy = policy(&strategies[0]).unwrap();
        weather(&run, &mut coverage)
            .unwrap_or_else(|error| panic!("{error}\n{}", serde_json::to_string(&run).unwrap()));
    }
    assert!(coverage.runs > 100);
}

/// Over links that keep order answers overtake what is pushed, which one connection does not let them; answers do not overtake each
/// other.
#[test]
fn what_overtakes_on_another_connection_is_no_run_on_one() {
    let strategy = algorithms::POST_COPY_DEMAND_APART;
    let mut told_apart = 0;
    for seed in 0..20 {
        let scenario = world::Scenario { seed, ..scenario(&strategy, FrameOrder::Fifo, Ending::Idle) };
        let log = World::run(&scenario).unwrap().log;
        conform_steps(scenario.header(false), strategy.clone(), &log).unwrap();
        told_apart += u32::from(conform_steps(scenario.header(false), algorithms::POST_COPY, &log).is_err());
        let answers = log.iter().filter_map(|step| match step.event {
            Event::PageServed { page, .. } => Some((page, step.epoch)),
            _ => None,
        });
        let answers: Vec<_> = answers.collect();
        let installed = |&(page, epoch)| {
            let installs =
                |step: &Step| matches!(step.event, Event::PageInstalled { page: of, .. } if of == page);
            log.iter().position(|step| step.epoch == epoch && installs(step)).unwrap()
        };
        let arrived: Vec<_> = answers.iter().filter(|(_, epoch)| epoch.0 == 1).map(installed).collect();
        assert!(arrived.is_sorted(), "{arrived:?}");
    }
    assert!(told_apart > 0);
    // One that is pushed after another one has no way around it.
    let scenario = scenario(&strategy, FrameOrder::Fifo, Ending::Idle);
    let mut log = World::run(&scenario).unwrap().log;
    let mut pushed = log.iter().filter_map(|step| match step.event {
        Event::PagePushed { page, to: HostId(1), .. } if step.epoch.0 == 1 => Some(page),
        _ => None,
    });
    let (first, second) = (pushed.next().unwrap(), pushed.next().unwrap());
    let at = |which| {
        let installs = |step: &Step| matches!(step.event, Event::PageInstalled { page, .. } if page == which);
        log.iter().position(|step| step.epoch.0 == 1 && installs(step)).unwrap()
    };
    let (first, second) = (at(first), at(second));
    log.swap(first, second);
    assert!(conform_steps(scenario.header(false), strategy, &log).is_err());
}
