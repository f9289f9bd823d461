//! The engines on a system that is no migration, with conditions and properties of its own.

use engine::example::{CacheStep, Coherence, Directory, HomeStep};
use engine::explore::{ExploreOptions, ExploreOutcome, explore};
use engine::liveness;
use engine::views::{self, ProofBounds, prove, ranking, recheck};
use population::concrete::Concrete;

const SOUND: Directory = Directory { hasty: false, partial: false };
const HASTY: Directory = Directory { hasty: true, partial: false };
const PARTIAL: Directory = Directory { hasty: false, partial: true };

#[test]
fn any_number_of_caches_is_coherent_and_every_request_is_answered() {
    let proof = prove(&SOUND, ProofBounds::default());
    for (property, outcome) in &proof.verdicts {
        assert!(matches!(outcome, views::ProofOutcome::HoldsForAny { .. }), "{property}: {outcome:?}");
    }
    let again = recheck(&SOUND, &proof.invariant).expect("accepted");
    assert_eq!((again.configurations, again.steps), (1425, 5341));
    for property in [Coherence::HomeFinishes, Coherence::Answered] {
        let judged = ranking::judge(&SOUND, property, &proof.invariant.pairs());
        assert!(
            matches!(judged, Some(ranking::RankingOutcome::HoldsForAny { .. })),
            "{property}: {judged:?}"
        );
    }
}

#[test]
fn a_proof_of_one_protocol_is_none_of_another() {
    let proof = prove(&SOUND, ProofBounds::default()).invariant;
    assert!(recheck(&HASTY, &proof).is_err());
}

/// Giving up stands for what views cannot know: in no population is it ever taken, and all else is.
#[test]
fn explorations_agree_with_the_proof_and_home_never_gives_up() {
    let mut states = Vec::new();
    for caches in 1..=4 {
        let explored =
            explore(&Concrete { system: SOUND, pages: caches }, ExploreOptions::default()).expect("small");
        assert_eq!(explored.outcome, ExploreOutcome::Complete);
        assert!(explored.violations.is_empty(), "{caches} caches");
        states.push(explored.states_unreduced);
        assert_eq!(explored.control_steps, [(HomeStep::GiveUp, 0)], "{caches} caches");
        let untaken: Vec<_> = explored.page_steps.iter().filter(|(_, taken)| *taken == 0).collect();
        assert!(untaken.is_empty(), "{caches} caches: {untaken:?}");
    }
    assert_eq!(states, [13, 166, 1992, 24644]);
}

#[test]
fn a_hasty_home_makes_two_writers_by_a_shortest_run() {
    let explored = explore(&Concrete { system: HASTY, pages: 2 }, ExploreOptions::default()).expect("small");
    let trace = &explored.violations[&Coherence::OneWriter];
    let steps: Vec<_> = trace.steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps.len(), 9, "{steps:?}");
    let one = explore(&Concrete { system: HASTY, pages: 1 }, ExploreOptions::default()).expect("small");
    assert!(!one.violations.contains_key(&Coherence::OneWriter), "one cache does not conflict with itself");
    // The last step delivers a copy while the other cache has not yet dropped its own.
    let population::concrete::Move::Page(last, _) = steps[8] else { panic!("{steps:?}") };
    assert_eq!(last, CacheStep::Obey);
}

#[test]
fn a_partial_home_leaves_the_third_cache_waiting() {
    let judged = |caches| {
        let wanted = Coherence::HomeFinishes | Coherence::Answered;
        let verdicts =
            liveness::check(&Concrete { system: PARTIAL, pages: caches }, wanted).expect("replays");
        verdicts.into_iter().map(|verdict| (verdict.property, verdict.outcome.holds())).collect::<Vec<_>>()
    };
    assert_eq!(judged(2), [(Coherence::HomeFinishes, true), (Coherence::Answered, true)]);
    assert_eq!(judged(3), [(Coherence::HomeFinishes, true), (Coherence::Answered, false)]);
}
