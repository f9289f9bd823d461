//! The choices of real systems on real endpoints: what the endpoints do is what the model allows, and where nothing goes
//! wrong they do all of it.

mod channels;
mod common;
mod fallback;
mod waking;

use common::{drive_all, judge_all, run_all, scenario};
use model::strategy::{Freeze, HandOver, LogReading, Passes, Pre, Push, Real, Start, Stop};
use model::{Hosts, Strategy, algorithms};
use steplog::event::{Event, Step};
use steplog::fate::{Cause, Fate};
use steplog::place::{Epoch, HostId};
use tie::campaign::{CampaignCoverage, weather};
use tie::policy::policy;
use tie::trace::conform_steps;
use world::net::FrameOrder;
use world::{Ending, World, storm};

/// The algorithms that differ most in what travels when, with another hand-over.
fn hand_overs() -> Vec<Strategy> {
    let all = [
        algorithms::TOTAL_COPY,
        algorithms::PRE_COPY,
        algorithms::LAZY_COPY,
        algorithms::FLUSHING,
        algorithms::POST_COPY,
        algorithms::POST_COPY_PULL,
        algorithms::GENERIC,
    ];
    let hand_overs = [HandOver::OneShot, HandOver::Acknowledged, HandOver::None];
    let with = |hand_over| {
        let fits = move |strategy: &Strategy| hand_over != HandOver::None || !pushes(strategy);
        all.clone().into_iter().filter(fits).map(move |strategy| {
            let name = format!("{} {hand_over:?}", strategy.name).into();
            Strategy { name, real: Real { hand_over, ..strategy.real }, ..strategy }
        })
    };
    hand_overs.into_iter().flat_map(with).collect()
}

/// Pre-copy that the operator stops at any moment, or switches to post-copy.
fn stops() -> Vec<Strategy> {
    let unbounded = Pre::Copy(Passes::Unbounded);
    let target = Strategy { real: Real { stop: Stop::Target, ..Real::NONE }, ..algorithms::PRE_COPY };
    let hybrid = Strategy {
        name: "hybrid".into(),
        freeze: Freeze::NotInStep,
        real: Real { stop: Stop::Switch, ..Real::NONE },
        ..algorithms::ASSISTED_POST_COPY
    };
    let one_shot = Real { hand_over: HandOver::OneShot, ..hybrid.real };
    let acknowledged = Real { hand_over: HandOver::Acknowledged, ..hybrid.real };
    let endless = Strategy { name: "hybrid endless".into(), pre: unbounded, ..hybrid.clone() };
    let one_shot = Strategy { name: "hybrid one-shot".into(), real: one_shot, ..endless.clone() };
    let acknowledged = Strategy { name: "hybrid acknowledged".into(), real: acknowledged, ..hybrid.clone() };
    vec![target, hybrid, endless, one_shot, acknowledged]
}

/// Pre-copy that reads the dirty log as a whole.
fn logs() -> Vec<Strategy> {
    let by_pass = |strategy: &Strategy| Strategy {
        name: format!("{} by pass", strategy.name).into(),
        real: Real { log: LogReading::Pass, ..strategy.real },
        ..strategy.clone()
    };
    let bounded = [algorithms::PRE_COPY, algorithms::PRE_COPY_UNBOUNDED, algorithms::ASSISTED_POST_COPY];
    let profiles = algorithms::PROFILES.into_iter().filter(|profile| profile.real.log == LogReading::Pass);
    bounded.iter().map(by_pass).chain(profiles).collect()
}

/// What is announced before it begins; where pages stay at former hosts, nothing can be.
fn announced() -> Vec<Strategy> {
    let built_in = algorithms::BUILT_IN.into_iter().filter(|strategy| !strategy.is_lazy());
    let announced = built_in.map(|strategy| Strategy {
        name: format!("{} announced", strategy.name).into(),
        real: Real { start: Start::Announced, ..strategy.real },
        ..strategy
    });
    let one_shot = Real { hand_over: HandOver::OneShot, start: Start::Announced, ..Real::NONE };
    let one_shot = Strategy { name: "announced one-shot".into(), real: one_shot, ..algorithms::POST_COPY };
    announced.chain([one_shot]).collect()
}

fn pushes(strategy: &Strategy) -> bool {
    matches!(strategy.push, Push::Next | Push::Pivot)
}

#[test]
fn every_hand_over_is_driven() {
    drive_all(&hand_overs());
}

#[test]
fn every_hand_over_refines_the_model() {
    for hosts in [Hosts::Two, Hosts::Three] {
        let tally = run_all(&hand_overs(), hosts, 0, 20);
        assert!(tally.hops > 500, "{tally:?}");
    }
}

#[test]
fn every_hand_over_refines_the_model_while_something_goes_wrong() {
    // An operator who sends the process back tells its former host that it has been elsewhere. Without a hand-over the model
    // has nothing that he could tell it.
    let told = |strategy: &Strategy| !(strategy.is_lazy() && strategy.real.hand_over == HandOver::None);
    let strategies: Vec<_> = hand_overs().into_iter().filter(told).collect();
    for disruptions in [1, 2] {
        let tally = run_all(&strategies, Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 500, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_hand_over_is_a_run_of_the_model() {
    judge_all(&hand_overs());
}

#[test]
fn every_stop_is_driven() {
    drive_all(&stops());
}

#[test]
fn every_stop_refines_the_model() {
    let tally = run_all(&stops(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&stops(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 200, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_stop_is_a_run_of_the_model() {
    judge_all(&stops());
}

#[test]
fn every_log_is_driven() {
    drive_all(&logs());
}

#[test]
fn every_log_refines_the_model() {
    let tally = run_all(&logs(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&logs(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 200, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_log_is_a_run_of_the_model() {
    judge_all(&logs());
}

#[test]
fn every_announcement_is_driven() {
    drive_all(&announced());
}

#[test]
fn every_announcement_refines_the_model() {
    let tally = run_all(&announced(), Hosts::Three, 0, 20);
    assert!(tally.hops > 100, "{tally:?}");
    for disruptions in [1, 2] {
        let tally = run_all(&announced(), Hosts::Two, disruptions, 20);
        assert!(tally.disruptions > 200, "{tally:?}");
    }
}

#[test]
fn what_is_logged_of_every_announcement_is_a_run_of_the_model() {
    judge_all(&announced());
}

/// Storms lose a process that is handed over by one message, and nothing else goes wrong.
#[test]
fn storms_of_one_shot_hand_overs_are_runs_of_the_model() {
    let one_shot = |strategy: &Strategy| strategy.real.hand_over == HandOver::OneShot;
    let strategies: Vec<_> = hand_overs().into_iter().chain(stops()).chain(logs()).filter(one_shot).collect();
    let policies: Vec<_> = strategies.iter().map(|strategy| policy(strategy).unwrap()).collect();
    let mut coverage = CampaignCoverage::of(strategies);
    let mut lost = 0;
    for (at, policy) in (0..300).zip(policies.iter().cycle()) {
        let mut run = storm::run(storm::number(3, at));
        run.scenario.policy = policy.clone();
        let tally = weather(&run, &mut coverage).unwrap_or_else(|error| {
            panic!("{}: {error}\n{}", policy.name, serde_json::to_string(&run).unwrap())
        });
        lost += tally.ends.get(&storm::End::Lost).copied().unwrap_or_default();
    }
    assert!(coverage.runs > 100 && lost > 20, "{} runs, {lost} lost", coverage.runs);
}

/// Of a migration that is announced and does not begin, and of the next one, which does.
#[test]
fn what_is_announced_and_called_off_is_a_run_of_the_model() {
    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    let forgotten = Some(Fate::Forgotten(Cause::ConnectionLost));
    let cancelled = [(A, Event::MigrationCancelled { to: B }), (B, Event::CancellationLearned { from: A })];
    let refused = [(B, Event::MigrationRefused { to: A }), (A, Event::RefusalLearned { from: B })];
    let cut = [
        (B, Event::PeerDisconnected { peer: A.into(), fate: forgotten }),
        (A, Event::PeerDisconnected { peer: B.into(), fate: None }),
        (A, Event::PeerConnected { peer: B.into(), resync: None }),
        (B, Event::PeerConnected { peer: A.into(), resync: None }),
    ];
    let crashed = [(B, Event::HostCrashed), (A, Event::PeerFenced { peer: B, fate: None })];
    let called_off = [&cancelled[..], &refused[..], &cut[..], &crashed[..]];
    for plain in [algorithms::TOTAL_COPY, algorithms::PRE_COPY, algorithms::POST_COPY] {
        let scenario = scenario(&plain, FrameOrder::Fifo, Ending::Idle);
        let log = World::run(&scenario).unwrap().log;
        let announced = Strategy { real: Real { start: Start::Announced, ..plain.real }, ..plain.clone() };
        for (at, lines) in called_off.into_iter().enumerate() {
            let of = |place: HostId, epoch, event: &Event| Step {
                at_ns: 0,
                place: place.into(),
                epoch: Epoch(epoch),
                event: event.clone(),
            };
            let first = of(B, 1, &Event::MigrationExpected { from: A });
            // A host that has heard of the attempt says so in its lines.
            let own = |place: HostId, event: &Event| match event {
                Event::PeerDisconnected { .. } | Event::PeerConnected { .. } | Event::PeerFenced { .. } => {
                    u64::from(place == B)
                }
                _ => 1,
            };
            let lines = lines.iter().map(|(place, event)| of(*place, own(*place, event), event));
            // An attempt that its destination remembers has used its number up.
            let shift = u64::from(at <= 2);
            let renumbered = log.iter().map(|step| {
                let epoch = if step.epoch.0 > 0 { Epoch(step.epoch.0 + shift) } else { step.epoch };
                Step { epoch, ..step.clone() }
            });
            let steps: Vec<_> = [first].into_iter().chain(lines).chain(renumbered).collect();
            let header = scenario.header(true);
            let judged = conform_steps(header.clone(), announced.clone(), &steps);
            judged.unwrap_or_else(|error| panic!("{}, {at}: {error}", plain.name));
            // What is not announced is not called off.
            assert!(conform_steps(header.clone(), announced.clone(), &steps[1..]).is_err());
            assert!(conform_steps(header, plain.clone(), &steps).is_err() || at > 1, "{}, {at}", plain.name);
        }
    }
}
