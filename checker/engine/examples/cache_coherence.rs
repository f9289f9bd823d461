//! A cache-coherence protocol for any number of caches: proved, proved live, and refuted where it has a mistake.
//!
//! ```sh
//! cargo run -p engine --example cache_coherence
//! ```

use std::error::Error;

use engine::example::{Coherence, Directory};
use engine::explore::{ExploreOptions, explore};
use engine::liveness::{self, Tail};
use engine::views::{ProofBounds, ProofOutcome, prove, ranking, recheck};
use population::concrete::Concrete;

fn main() -> Result<(), Box<dyn Error>> {
    let sound = Directory::default();

    println!("any number of caches");
    let proof = prove(&sound, ProofBounds::default());
    for (property, outcome) in &proof.verdicts {
        match outcome {
            ProofOutcome::HoldsForAny { view_pages } => {
                println!("  {property} holds, by views of {view_pages} of them")
            }
            ProofOutcome::Fails { pages, .. } => println!("  {property} fails with {pages}"),
            ProofOutcome::Inconclusive(why) => println!("  {property} is open: {why}"),
        }
    }
    let again = recheck(&sound, &proof.invariant)?;
    println!("  checked again by other code: {} configurations, {} steps", again.configurations, again.steps);
    for property in [Coherence::HomeFinishes, Coherence::Answered] {
        match ranking::judge(&sound, property, &proof.invariant.pairs()) {
            Some(ranking::RankingOutcome::HoldsForAny { ranking }) => {
                println!("  {property} holds, by a ranking of {} levels", ranking.levels.len());
            }
            Some(ranking::RankingOutcome::Inconclusive(why)) => println!("  {property} is open: {why}"),
            None => println!("  {property} is no response property"),
        }
    }

    println!("three caches, one by one");
    let explored = explore(&Concrete { system: sound, pages: 3 }, ExploreOptions::default())?;
    println!(
        "  {} states up to the order of caches, {} as they are, {} violations",
        explored.states,
        explored.states_unreduced,
        explored.violations.len()
    );

    println!("a home that does not wait for acknowledgements");
    let hasty = Directory { hasty: true, ..sound };
    match prove(&hasty, ProofBounds::default()).verdicts.remove(&Coherence::OneWriter) {
        Some(ProofOutcome::Fails { pages, trace }) => {
            println!("  {} fails with {pages} caches", Coherence::OneWriter);
            for (number, (step, _)) in trace.steps.iter().enumerate() {
                println!("  {:>2}  {step:?}", number + 1);
            }
        }
        other => println!("  unexpected: {other:?}"),
    }

    println!("a home that may prefer others for ever, three caches");
    let partial = Directory { partial: true, ..sound };
    for verdict in liveness::check(
        &Concrete { system: partial, pages: 3 },
        Coherence::HomeFinishes | Coherence::Answered,
    )? {
        match verdict.outcome.counterexample() {
            None => println!("  {} holds", verdict.property),
            Some(lasso) => {
                println!("  {} fails: after {} steps, for ever", verdict.property, lasso.stem.len());
                if let Tail::Cycle(cycle) = &lasso.tail {
                    cycle.iter().for_each(|(step, _)| println!("      {step:?}"));
                }
            }
        }
    }
    Ok(())
}
