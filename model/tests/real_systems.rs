//! What real systems do otherwise: where nothing goes wrong every choice keeps every safety property, alone and with each
//! other one; and what each way to hand over loses when something does.

mod common;

use std::collections::BTreeMap;

use common::explore;

use model::strategy::{HandOver, Real, Strategy};
use model::system::Properties;
use model::{Concrete, Disruption, Disruptions, Hosts, Link, Migration, Property, algorithms};

/// Every choice with each other one, for every algorithm that they go with.
fn choices() -> Vec<Strategy> {
    let algorithms = algorithms::BUILT_IN.into_iter().chain([algorithms::QEMU_HYBRID]);
    let with = |strategy: Strategy| Real::all().map(move |real| Strategy { real, ..strategy.clone() });
    algorithms.flat_map(with).filter_map(|strategy| strategy.check().ok()).collect()
}

#[test]
fn every_choice_is_safe_where_nothing_goes_wrong() {
    let all = choices();
    let mut states = 0;
    for strategy in &all {
        for (link, pages) in [(Link::Fifo, 2), (Link::Unordered, 2), (Link::Lossy, 1)] {
            let (seen, violated) =
                explore(&Concrete { system: Migration::new(strategy.clone(), Hosts::Two, link), pages });
            assert!(violated.is_empty(), "{strategy:?} over {link:?} violates {violated:?}");
            states += seen.len();
        }
    }
    assert_eq!((all.len(), states), (80, 138_702));
}

/// Ready-go loses nothing that it need not; a one-shot loses the process, the other two lose that it is one.
#[test]
fn each_hand_over_loses_what_its_table_says() {
    let mut lost: BTreeMap<(String, String), Properties> = BTreeMap::new();
    for strategy in choices() {
        for kind in Disruption::ALL {
            for link in Link::ALL {
                let system = Migration::new(strategy.clone(), Hosts::Two, link);
                let (_, violated) = explore(&Concrete {
                    system: system.with_disruptions(Disruptions::up_to(1, kind.into())),
                    pages: 1,
                });
                let of = (format!("{:?}", strategy.real.hand_over), kind.to_string());
                *lost.entry(of).or_default() |= violated;
            }
        }
    }
    lost.retain(|_, violated| !violated.is_empty());
    let twice = Property::S3 | Property::S11;
    let of = |hand_over: HandOver, kind: Disruption, what: Properties| {
        ((format!("{hand_over:?}"), kind.to_string()), what)
    };
    let expected = [
        of(HandOver::OneShot, Disruption::Cut, Property::S12.into()),
        of(HandOver::OneShot, Disruption::Suspect, Property::S12.into()),
        of(HandOver::OneShot, Disruption::Refuse, Property::S12.into()),
        of(HandOver::Acknowledged, Disruption::Cut, twice),
        of(HandOver::Acknowledged, Disruption::Suspect, twice),
        of(HandOver::None, Disruption::Cut, twice),
        of(HandOver::None, Disruption::Suspect, twice),
        of(HandOver::None, Disruption::Cancel, twice),
    ];
    assert_eq!(lost, BTreeMap::from(expected));
}
