//! Random small graphs: the verdict is that of brute force, and every counterexample is one.

use engine::liveness::lasso::Lasso;
use engine::liveness::{Tail, possibility};
use population::system::Fairness;

use crate::brute_force;
use crate::small_graph::SmallGraph;

const GRAPHS: u64 = 20_000;
const STATES_MAX: u64 = 6;
const TRANSITIONS_MAX: u64 = 12;
const LABELS: u64 = 4;

#[test]
fn agrees_with_brute_force() {
    let mut violated = 0;
    for seed in 0..GRAPHS {
        let small = random(seed);
        let numbered = small.number(usize::MAX);
        let found = small.search(&numbered);
        assert_eq!(!found.none(), brute_force::violated(&small, &numbered), "seed {seed}: {small:?}");
        let lasso = small.lasso(&numbered, &found);
        assert_eq!(lasso.is_some(), !found.none(), "seed {seed}: {small:?}");
        if let Some(lasso) = lasso {
            assert!(brute_force::is_counterexample(&small, &numbered, &lasso), "seed {seed}: {lasso:?}");
            assert_eq!(numbered.graph.depth(*lasso.knot()), lasso.stem.len(), "seed {seed}");
            violated += 1;
        }
    }
    assert!(violated > GRAPHS / 5 && violated < GRAPHS / 5 * 4, "{violated} of {GRAPHS}: no good mixture");
}

/// On graphs this small, no lasso is shorter than the one shown.
#[test]
fn shows_a_shortest_lasso() {
    for seed in 0..GRAPHS / 20 {
        let small = random(seed);
        let numbered = small.number(usize::MAX);
        let lasso = small.lasso(&numbered, &small.search(&numbered));
        let shown = lasso.map(|lasso| lasso.len());
        assert_eq!(shown, brute_force::shortest(&small, &numbered), "seed {seed}: {small:?}");
    }
}

/// Strong fairness is reported as needed exactly where the property fails with weak fairness instead.
#[test]
fn tells_when_strong_fairness_is_needed() {
    let (mut needed, mut spared) = (0, 0);
    for seed in 0..GRAPHS {
        let mut small = random(seed);
        let numbered = small.number(usize::MAX);
        let found = small.search(&numbered);
        if found.none() && small.fairness.contains(&Fairness::Strong) {
            for fairness in &mut small.fairness {
                *fairness = (*fairness).min(Fairness::Weak);
            }
            let weaker = brute_force::violated(&small, &numbered);
            assert_eq!(!found.strong.is_empty(), weaker, "seed {seed}: {small:?}");
            if weaker { needed += 1 } else { spared += 1 }
        }
    }
    assert!(needed > 100 && spared > 100, "{needed} and {spared}: no good mixture");
}

/// A truncated graph refutes nothing that the whole graph does not refute.
#[test]
fn truncation_invents_no_counterexample() {
    for seed in 0..GRAPHS {
        let small = random(seed);
        let whole = small.number(usize::MAX);
        let truncated = small.number((seed % STATES_MAX) as usize);
        if let Some(lasso) = small.lasso(&truncated, &small.search(&truncated)) {
            assert!(brute_force::is_counterexample(&small, &whole, &lasso), "seed {seed}: {lasso:?}");
        }
        let pending = |state: u32| small.pending.contains(&truncated.names[state as usize]);
        if possibility::search(&truncated.graph, pending, |_| false).nearest.is_some() {
            assert!(!brute_force::always_possible(&small, &whole), "seed {seed}: {small:?}");
        }
    }
}

#[test]
fn possibility_agrees_with_brute_force() {
    let mut doomed = 0;
    for seed in 0..GRAPHS {
        let small = random(seed);
        let numbered = small.number(usize::MAX);
        let pending = |state: u32| small.pending.contains(&numbered.names[state as usize]);
        let doom = possibility::search(&numbered.graph, pending, |_| false);
        assert_eq!(doom.nearest.is_none(), brute_force::always_possible(&small, &numbered), "seed {seed}");
        if let Some(state) = doom.nearest {
            let lasso: Lasso<_, _> = engine::liveness::lasso::with_stem(&numbered.graph, state, Tail::Doomed);
            assert_eq!(lasso.knot(), &state, "seed {seed}");
            doomed += 1;
        }
    }
    assert!(doomed > GRAPHS / 10, "{doomed} of {GRAPHS}: no good mixture");
}

fn random(seed: u64) -> SmallGraph {
    let mut random = Random(seed);
    let states = 1 + random.below(STATES_MAX);
    let transitions = random.below(TRANSITIONS_MAX + 1);
    let state = |random: &mut Random| random.below(states) as u32;
    SmallGraph {
        initial: if random.below(4) == 0 && states > 1 { vec![0, 1] } else { vec![0] },
        transitions: (0..transitions)
            .map(|_| (state(&mut random), random.below(LABELS) as u16, state(&mut random)))
            .collect(),
        pending: (0..states as u32).filter(|_| random.below(4) > 0).collect(),
        discharging: (0..LABELS).map(|_| random.below(8) == 0).collect(),
        fairness: (0..LABELS)
            .map(|_| {
                [Fairness::None, Fairness::Weak, Fairness::Weak, Fairness::Strong][random.below(4) as usize]
            })
            .collect(),
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) % bound
    }
}
