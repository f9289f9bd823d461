//! Every choice that the nine algorithms leave out is proved for any number of pages: alone and with each other one over every
//! kind of link, and while something goes wrong; and every combination of them where nothing does.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use engine::views::{ProofBounds, ProofOutcome, prove};
use enumset::EnumSet;
use model::paging::{Channels, Mappings, Waking};
use model::strategy::{Fallback, HandOver, LogReading, Push, Real, Start, Stop, Strategy};
use model::system::Properties;
use model::{Disruptions, Hosts, Link, Migration, Property, algorithms};

/// A choice: its field, its value, and an algorithm that makes it.
struct Choice {
    field: &'static str,
    value: &'static str,
    make: fn(&mut Strategy),
}

const fn choice(field: &'static str, value: &'static str, make: fn(&mut Strategy)) -> Choice {
    Choice { field, value, make }
}

const CHOICES: [Choice; 13] = [
    choice("hand-over", "one-shot", |of| of.real.hand_over = HandOver::OneShot),
    choice("hand-over", "acknowledged", |of| of.real.hand_over = HandOver::Acknowledged),
    choice("hand-over", "none", |of| of.real.hand_over = HandOver::None),
    choice("log", "pass", |of| of.real.log = LogReading::Pass),
    choice("stop", "target", |of| of.real.stop = Stop::Target),
    choice("stop", "switch", |of| of.real.stop = Stop::Switch),
    choice("start", "announced", |of| of.real.start = Start::Announced),
    choice("fallback", "store", |of| of.real.fallback = Fallback::Store),
    choice("wake", "apart", |of| of.paging.wake = Waking::Apart),
    choice("pages", "come-and-go", |of| of.paging.pages = Mappings::ComeAndGo),
    choice("channels", "demand-apart", |of| of.paging.channels = Channels::DemandApart),
    choice("channels", "striped", |of| of.paging.channels = Channels::Striped),
    choice("push", "pull", |of| of.push = Push::Pull),
];

/// How many of the algorithms below go with a choice (the last of a row) and with two; the columns are in the order of rows.
const TABLE: &str = "\
hand-over = one-shot       11
hand-over = acknowledged    –  11
hand-over = none            –   –  11
log = pass                  5   5   5   5
stop = target               4   4   4   4   4
stop = switch               1   1   1   1   –   1
start = announced          10  10  10   5   4   1  10
fallback = store            4   4   4   1   1   1   3   4
wake = apart                7   7   7   3   2   1   6   4   7
pages = come-and-go         9   9   9   5   4   1   9   3   5   9
channels = demand-apart     6   6   6   3   2   1   5   4   6   5   6
channels = striped         10  10  10   5   4   1   9   4   6   9   –  10
push = pull                 6   6   6   3   2   1   6   4   6   6   6   6   6
";

/// What the choices are made in: the nine, one that can switch, and one that leaves the rest to source and store.
fn bases() -> impl Iterator<Item = Strategy> {
    let hybrid = Strategy { real: Real { stop: Stop::Switch, ..Real::NONE }, ..algorithms::QEMU_HYBRID };
    algorithms::BUILT_IN.into_iter().chain([hybrid, algorithms::ASSISTED_SPLIT])
}

/// The algorithms with one choice, or two, where they go together.
fn with(choices: &[&Choice]) -> Vec<Strategy> {
    let made = |mut strategy: Strategy| {
        choices.iter().for_each(|choice| (choice.make)(&mut strategy));
        strategy.check().ok()
    };
    bases().filter_map(made).collect()
}

/// What the hand-over costs when something goes wrong, whatever it goes with (`model/tests/real_systems.rs`).
fn cost(hand_over: HandOver) -> Properties {
    match hand_over {
        HandOver::ReadyGo => Properties::empty(),
        HandOver::OneShot => Property::S12.into(),
        HandOver::Acknowledged | HandOver::None => Property::S3 | Property::S11,
    }
}

#[test]
fn each_choice_is_proved_alone_and_with_each_other_one() {
    let (mut proofs, mut slowest) = (0, Duration::ZERO);
    let mut is_proved = |strategy: &Strategy, link: Link, disruptions: Disruptions, at_most: Properties| {
        let system = Migration::new(strategy.clone(), Hosts::Two, link).with_disruptions(disruptions);
        let start = Instant::now();
        let proof = prove(&system, ProofBounds::default());
        let took = start.elapsed();
        if took > slowest {
            eprintln!("{took:?} {strategy:?} {link:?}");
        }
        slowest = slowest.max(took);
        proofs += 1;
        let fails = |outcome: &ProofOutcome<_>| !matches!(outcome, ProofOutcome::HoldsForAny { .. });
        let failing = proof.verdicts.iter().filter(|(_, outcome)| fails(outcome));
        let violated: Properties = failing.map(|(property, _)| *property).collect();
        assert!(violated.is_subset(at_most), "{strategy:?} over {link:?}: {violated:?}");
        if at_most.is_empty() {
            assert!(proof.view_pages <= 2, "{strategy:?} over {link:?}: views of {}", proof.view_pages);
        }
    };
    let mut table = String::new();
    for (row, one) in CHOICES.iter().enumerate() {
        write!(table, "{:25}", format!("{} = {}", one.field, one.value)).expect("a string takes it");
        for (column, other) in CHOICES.iter().enumerate().take(row + 1) {
            let pair: &[&Choice] = if column == row { &[one] } else { &[one, other] };
            let strategies = if column != row && one.field == other.field { vec![] } else { with(pair) };
            for strategy in &strategies {
                for link in Link::ALL {
                    is_proved(strategy, link, Disruptions::NONE, Properties::empty());
                }
                let any = Disruptions::up_to(1, EnumSet::all());
                is_proved(strategy, Link::Fifo, any, cost(strategy.real.hand_over));
            }
            let count = strategies.len();
            let cell = if count == 0 { "–".to_owned() } else { count.to_string() };
            write!(table, "{cell:>4}").expect("a string takes it");
        }
        table += "\n";
    }
    println!("{proofs} proofs, the slowest took {slowest:?}");
    assert_eq!(table, TABLE, "\n{table}");
}

/// Every legal combination of all choices, over connections. None explodes: views of one page are enough.
#[test]
fn every_combination_is_proved() {
    let mut all: Vec<Strategy> = bases().collect();
    for choice in &CHOICES {
        let made = |strategy: &Strategy| {
            let mut made = strategy.clone();
            (choice.make)(&mut made);
            made
        };
        all.extend(all.iter().map(made).collect::<Vec<_>>());
    }
    let legal: HashSet<Strategy> = all.into_iter().filter_map(|strategy| strategy.check().ok()).collect();
    let slowest = Duration::from_millis(0);
    let prove = |strategy: &Strategy| {
        let system = Migration::new(strategy.clone(), Hosts::Two, Link::Fifo);
        let start = Instant::now();
        let proof = prove(&system, ProofBounds::default());
        for (property, outcome) in &proof.verdicts {
            let holds = matches!(outcome, ProofOutcome::HoldsForAny { .. });
            assert!(holds, "{property} of {strategy:?}: {outcome:?}");
        }
        (start.elapsed(), proof.view_pages)
    };
    let (slowest, pages) = legal
        .iter()
        .map(prove)
        .fold((slowest, 0), |(slowest, pages), (took, views)| (slowest.max(took), pages.max(views)));
    println!("{} proofs, the slowest took {slowest:?}", legal.len());
    assert_eq!((legal.len(), pages), (4032, 1));
}
