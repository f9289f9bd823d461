//! Random runs in which things go wrong. `STORM_RUNS` and `STORM_SEED` in the environment take precedence.

use protocol::transcript::transcript;
use world::storm::{self, StormTally};
use world::{DisruptionKind, World};

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn storms_are_weathered() {
    let runs = from_environment("STORM_RUNS").unwrap_or(3000);
    let seed = from_environment("STORM_SEED").unwrap_or(1);
    let mut tally = StormTally::default();
    for at in 0..runs {
        let run = storm::run(storm::number(seed, at));
        match storm::weather(&run) {
            Ok(came) => tally.add(&came),
            Err(error) => {
                let smallest = storm::shrink(&run, |run| storm::weather(run).is_err());
                let mut world = World::disrupted(&smallest).unwrap();
                let outcome = world.finish_within(2000);
                let json = serde_json::to_string(&smallest).unwrap();
                panic!("run {at}: {error}\n{json}\n{}{outcome:?}", transcript(world.log()));
            }
        }
    }
    println!("{tally:#?}");
    for kind in DisruptionKind::ALL {
        assert!(tally.injected(kind) > 0 || runs < 1000, "{kind} never had an effect");
    }
}

/// Runs that failed once, as small as they got.
#[test]
fn storms_that_failed_once() {
    for line in include_str!("storms-that-failed.ndjson").lines() {
        let run = serde_json::from_str(line).unwrap();
        assert_eq!(storm::weather(&run).map(|tally| tally.runs), Ok(1), "{line}");
    }
}
