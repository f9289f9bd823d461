//! What is asked of every choice: driven, random and simulated runs.

use std::sync::Arc;

use enumset::EnumSet;
use model::disruption::Disruptions;
use model::{Hosts, Migration, Strategy};
use protocol::page::PageKind;
use protocol::replay::Replay;
use steplog::place::HostId;
use tie::drive::{DriveCoverage, drive};
use tie::network::RigOrder;
use tie::policy::policy;
use tie::rig::Rig;
use tie::schedule::{self, ScheduleTally};
use tie::trace::conform_steps;
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

const ORDERS: [RigOrder; 4] = [RigOrder::Fifo, RigOrder::FifoByPage, RigOrder::Unordered, RigOrder::Lossy];

/// Every transition of the model with one page, where nothing goes wrong.
pub fn drive_all(strategies: &[Strategy]) {
    for strategy in strategies {
        for coverage in drive_disrupted(strategy, |_| Disruptions::NONE) {
            let most = 2 * coverage.driven > coverage.transitions;
            assert!(most, "{}: most of them are driven", strategy.name);
        }
    }
}

/// The same with what may go wrong over each order of links. What is not driven has an excuse.
pub fn drive_disrupted(
    strategy: &Strategy,
    disruptions: impl Fn(RigOrder) -> Disruptions,
) -> Vec<DriveCoverage> {
    let name = &strategy.name;
    let each = [RigOrder::FifoByPage, RigOrder::Unordered, RigOrder::Lossy].map(|order| {
        let migration = Migration::new(strategy.clone(), Hosts::Two, order.link());
        let migration = migration.with_disruptions(disruptions(order));
        let coverage =
            drive(&migration, order, 1, None).unwrap_or_else(|error| panic!("{name}, {order:?}: {error}"));
        let unexcused: Vec<_> = coverage.unexcused().collect();
        let few: Vec<_> = unexcused.iter().take(4).collect();
        assert!(unexcused.is_empty(), "{name}, {order:?}: {} not driven: {few:?}", unexcused.len());
        assert!(coverage.refuted.is_empty(), "{name}, {order:?}: {:#?}", coverage.refuted);
        coverage
    });
    each.into()
}

/// Random runs, each step of which is one of the model or none.
pub fn run_all(strategies: &[Strategy], hosts: Hosts, disruptions: usize, runs: u64) -> ScheduleTally {
    let mut total = ScheduleTally::default();
    let mut numbers = Numbers(7 + disruptions as u64);
    for strategy in strategies {
        for order in ORDERS {
            for _ in 0..runs {
                let kinds: Vec<_> = (0..1 + numbers.next() % 4)
                    .map(|_| [PageKind::Private, PageKind::FileMapped][numbers.next() as usize % 2])
                    .collect();
                let migration = Migration::new(strategy.clone(), hosts, order.link());
                let disruptions = Disruptions::up_to(disruptions, EnumSet::all());
                let migration = Arc::new(migration.with_disruptions(disruptions));
                let mut rig = Rig::new(migration, order, &kinds, None).unwrap();
                let length = numbers.next() % 300;
                let choices: Vec<u16> = (0..length).map(|_| numbers.next() as u16).collect();
                let tally = schedule::run(&mut rig, choices.iter().copied())
                    .unwrap_or_else(|error| panic!("{}, {order:?}: {error}\n{kinds:?}", strategy.name));
                total.steps += tally.steps;
                total.hops += tally.hops;
                total.disruptions += tally.disruptions;
            }
        }
    }
    total
}

/// Numbers that look random: an xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }
}

pub fn scenario(strategy: &Strategy, order: FrameOrder, ending: Ending) -> Scenario {
    Scenario {
        policy: policy(strategy).unwrap(),
        layout: PageLayout {
            pages: 32,
            file_mapped_percent: 40,
            initially_dirty_percent: 50,
            noise_percent: 0,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 50_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: [0, 1, 0, 1].map(HostId).into(),
        accesses_per_stay: 100,
        registers_len: 8,
        ending,
        seed: 1,
    }
}

/// What simulated runs log is a run of the model.
pub fn judge_all(strategies: &[Strategy]) {
    let lossy = FrameOrder::Lossy {
        jitter_ns: 2_000_000,
        loss_percent: 20,
        duplicate_percent: 20,
        retransmit_after_ns: 1_000_000,
    };
    let orders = [FrameOrder::Fifo, FrameOrder::Unordered { jitter_ns: 2_000_000 }, lossy];
    for strategy in strategies {
        for (order, ending) in orders
            .into_iter()
            .flat_map(|order| [Ending::Idle, Ending::Exit, Ending::ExitLeaving].map(|ending| (order, ending)))
        {
            let scenario = scenario(strategy, order, ending);
            let name = &strategy.name;
            let report = World::run(&scenario).unwrap_or_else(|error| panic!("{name}, {order:?}: {error}"));
            conform_steps(scenario.header(false), strategy.clone(), &report.log)
                .unwrap_or_else(|error| panic!("{name}, {order:?}, {ending:?}: {error}"));
            let mut replay = Replay::new(
                &scenario.policy,
                &Arc::new(scenario.layout.image(scenario.seed)),
                &[HostId(0), HostId(1)],
            )
            .unwrap();
            for step in &report.log {
                replay.step(step).unwrap_or_else(|error| panic!("{name}: {step:?}: {error}"));
            }
        }
    }
}
