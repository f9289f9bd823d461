//! What the algorithms are expected to do, they do for any number of pages.

use checker::proof::{ProofRefusal, Proved, document, judge};
use checker::setting::Setting;
use engine::views::{Invariant, InvariantOf, ProofBounds, ProofOutcome, prove, ranking, recheck};
use enumset::EnumSet;
use model::defects::DEFECTS;
use model::{Defect, Disruptions, Expectation, Hosts, Link, Migration, Property, algorithms};

fn settings() -> impl Iterator<Item = Migration> {
    let links = [Link::Fifo, Link::Unordered, Link::Lossy];
    let settings =
        [Hosts::Two, Hosts::Three].into_iter().flat_map(move |hosts| links.map(|link| (hosts, link)));
    let algorithms = || algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS);
    settings.flat_map(move |(hosts, link)| algorithms().map(move |of| Migration::new(of, hosts, link)))
}

#[test]
fn every_algorithm_is_safe_with_any_number_of_pages() {
    for system in settings() {
        let proof = prove(&system, ProofBounds::default());
        for (property, outcome) in &proof.verdicts {
            let Migration { strategy, hosts, link, .. } = &system;
            let holds = matches!(outcome, ProofOutcome::HoldsForAny { .. });
            let expected = strategy.expectation(*property) != Expectation::Fails;
            assert_eq!(holds, expected, "{property} of {}, {hosts:?}, {link:?}: {outcome:?}", strategy.name);
        }
    }
}

#[test]
fn the_size_of_every_proof() {
    let size = |strategy: model::Strategy| {
        let proof =
            prove(&Migration::new(strategy.clone(), Hosts::Three, Link::Fifo), ProofBounds::default());
        assert_eq!(proof.view_pages, 1);
        (strategy.name, proof.controls, proof.records, proof.views, proof.rounds)
    };
    let sizes = [
        ("total-copy".into(), 11, 8, 14, 10),
        ("total-copy-dirty".into(), 11, 13, 35, 15),
        ("pre-copy".into(), 13, 34, 61, 16),
        ("pre-copy-unbounded".into(), 12, 25, 35, 12),
        ("lazy-copy".into(), 17, 20, 56, 21),
        ("flushing".into(), 11, 13, 35, 15),
        ("post-copy".into(), 11, 10, 20, 10),
        ("assisted-post-copy".into(), 12, 21, 37, 12),
        ("generic".into(), 26, 91, 402, 17),
    ];
    assert_eq!(algorithms::BUILT_IN.map(size), sizes);
}

#[test]
fn every_invariant_survives_its_document_and_the_recheck() {
    for system in settings().filter(|system| system.link != Link::Lossy) {
        let invariant = prove(&system, ProofBounds::default()).invariant;
        let json = invariant.to_json().unwrap();
        let read = Invariant::from_json(&json).unwrap();
        assert_eq!(read, invariant);
        let objection = recheck(&system, &read).err();
        assert_eq!(objection, None, "{}", system.strategy.name);
    }
}

#[test]
fn liveness_has_a_ranking_exactly_where_it_is_expected_to_hold() {
    for system in settings() {
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        for property in [Property::L1, Property::L2, Property::L3, Property::L4, Property::L5, Property::L6] {
            let Migration { strategy, hosts, link, .. } = &system;
            let expected = strategy.expectation(property) != Expectation::Fails;
            match ranking::find(&system, property, &pairs) {
                Ok(found) => {
                    assert!(expected, "{property} of {}, {hosts:?}, {link:?}", strategy.name);
                    assert_eq!(ranking::check(&system, &pairs, &found), Ok(()));
                }
                Err(left) => {
                    assert!(!expected, "{property} of {}, {hosts:?}, {link:?}: {left:?}", strategy.name)
                }
            }
        }
    }
}

#[test]
fn defects_of_safety_fail_with_a_run() {
    for entry in DEFECTS.into_iter().filter(|entry| entry.caught_by.is_safety()) {
        let strategy = algorithms::built_in(entry.algorithm).unwrap();
        let system = Migration::new(strategy, entry.hosts, entry.link).with_defect(entry.defect);
        let system = system.with_disruptions(entry.disruptions());
        let outcome = &prove(&system, ProofBounds::default()).verdicts[&entry.caught_by];
        assert!(matches!(outcome, ProofOutcome::Fails { .. }), "{:?}: {outcome:?}", entry.defect);
    }
}

#[test]
fn defects_of_liveness_have_no_ranking() {
    for entry in DEFECTS.into_iter().filter(|entry| !entry.caught_by.is_safety()) {
        let strategy = algorithms::built_in(entry.algorithm).unwrap();
        let system = Migration::new(strategy, entry.hosts, entry.link).with_defect(entry.defect);
        let system = system.with_disruptions(entry.disruptions());
        let pairs = prove(&system, ProofBounds::default()).invariant.pairs();
        let outcome = ranking::judge(&system, entry.caught_by, &pairs);
        let inconclusive = matches!(outcome, None | Some(ranking::RankingOutcome::Inconclusive(_)));
        assert!(inconclusive, "{:?}: {outcome:?}", entry.defect);
    }
}

fn setting(strategy: model::Strategy, defect: Option<Defect>) -> Setting {
    Setting { strategy, hosts: Hosts::Three, link: Link::Fifo, defect, disruptions: Disruptions::NONE }
}

fn judged(document: &InvariantOf<Migration>) -> Result<Proved, ProofRefusal> {
    judge(&document.to_json().expect("it is JSON"), &|_| true)
}

/// Whoever writes a document claims what its judge finds, all of it, and nothing else.
#[test]
fn a_document_claims_what_its_judge_proves() {
    let defects = [None, Some(Defect::DropDirtyMap)];
    let of = |defect| algorithms::BUILT_IN.map(|strategy| setting(strategy, defect));
    for setting in defects.into_iter().flat_map(of) {
        let document = document(&setting);
        let proved = judged(&document).unwrap_or_else(|why| panic!("{}: {why}", setting.strategy.name));
        assert_eq!(proved.safety | proved.liveness, document.claims);
        assert_eq!(proved.setting, setting);
        let is_ranked = proved.to_string().contains("a ranking found and checked");
        assert_eq!(is_ranked, !proved.liveness.is_empty(), "{proved}");
        let mut other = document.clone();
        other.claims = proved.safety;
        let proved = judged(&other).expect("fewer claims");
        assert!(!proved.to_string().contains("ranking"), "{proved}");
        for property in EnumSet::all() - document.claims {
            other.claims = document.claims | property;
            assert!(judged(&other).is_err(), "{property} of {}", setting.strategy.name);
        }
    }
}

/// Without a dirty map no page is ever owed: that the dependency ends is no promise.
#[test]
fn a_document_claims_nothing_of_which_nothing_is_asked() {
    let mut document = document(&setting(
        algorithms::built_in("post-copy").expect("it is built in"),
        Some(Defect::DropDirtyMap),
    ));
    assert!(!document.claims.contains(Property::L1));
    document.claims = Property::L1.into();
    let refused = judged(&document).map_err(|why| why.to_string());
    assert_eq!(refused, Err("L1 is claimed, and not proved: it is vacuous".to_owned()));
}

/// The largest number that is read is one; what is larger is not read, wherever in a record it is.
#[test]
fn numbers_of_records_have_a_bound() {
    let document = document(&setting(algorithms::built_in("post-copy").expect("it is built in"), None));
    let with = |crossings: u8| {
        let mut document = document.clone();
        let record =
            document.records.iter_mut().find(|record| record.crossings > 0).expect("a page that crosses");
        record.crossings = crossings;
        judged(&document)
    };
    assert!(matches!(with(100), Err(ProofRefusal::Objection(_))), "{:?}", with(100));
    assert!(matches!(with(101), Err(ProofRefusal::Count { number: 101, .. })), "{:?}", with(101));
}
