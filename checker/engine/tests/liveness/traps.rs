//! What checkers of liveness are known to get wrong, each as a graph that a person can draw.

use engine::liveness::Tail;
use engine::liveness::graph::{Label, Node};
use population::system::Fairness::{self, None as Unfair, Strong, Weak};

use crate::brute_force;
use crate::small_graph::SmallGraph;

/// All states but `goals` are pending; state 0 is initial.
fn graph(transitions: &[(Node, Label, Node)], goals: &[Node], fairness: &[Fairness]) -> SmallGraph {
    let states = transitions.iter().flat_map(|(from, _, to)| [*from, *to]).max().unwrap_or(0);
    SmallGraph {
        initial: vec![0],
        transitions: transitions.to_vec(),
        pending: (0..=states).filter(|state| !goals.contains(state)).collect(),
        discharging: vec![false; fairness.len()],
        fairness: fairness.to_vec(),
    }
}

fn holds(small: &SmallGraph) -> bool {
    small.check().0.none()
}

/// A run may stop where nothing is obliged to happen, although steps are enabled there.
#[test]
fn stuttering_is_a_run() {
    let small = graph(&[(0, 0, 1)], &[1], &[Unfair]);
    let (found, lasso) = small.check();
    assert!(found.components.is_empty(), "nothing goes round");
    assert!(lasso.as_ref().is_some_and(|lasso| lasso.is_empty()));
    assert_eq!(lasso.map(|lasso| (lasso.stem.len(), lasso.tail)), Some((0, Tail::Stutter)));
    assert!(holds(&graph(&[(0, 0, 1)], &[1], &[Weak])));
}

/// A state without successors stutters.
#[test]
fn a_dead_end_waits_for_ever() {
    let (_, lasso) = graph(&[(0, 0, 1), (1, 0, 2)], &[], &[Weak]).check();
    assert!(lasso.as_ref().is_some_and(|lasso| !lasso.is_empty()));
    assert_eq!(lasso.map(|lasso| (lasso.stem.len(), lasso.tail)), Some((2, Tail::Stutter)));
}

/// Two paths that meet are no cycle.
#[test]
fn a_join_is_no_cycle() {
    assert!(holds(&graph(&[(0, 0, 1), (0, 1, 2), (1, 0, 3), (2, 1, 3), (3, 0, 4)], &[4], &[Weak, Weak])));
}

/// A cycle is found although its last transition leads to a state that was reached on another path.
#[test]
fn a_cycle_through_a_join_is_found() {
    let small = graph(&[(0, 0, 1), (0, 1, 2), (1, 0, 2), (2, 0, 3), (3, 1, 1)], &[], &[Weak, Weak]);
    let (_, lasso) = small.check();
    assert!(matches!(lasso.map(|lasso| lasso.tail), Some(Tail::Cycle(cycle)) if cycle.len() == 3));
}

/// A step that leads out of the component counts as enabled in it: the waiting part hides it.
#[test]
fn enabledness_is_that_of_the_whole_graph() {
    // 0 ⇄ 1 by label 0, and label 1 leads to the goal from both.
    assert!(holds(&graph(&[(0, 0, 1), (1, 0, 0), (0, 1, 2), (1, 1, 2)], &[2], &[Weak, Weak])));
    // Label 1 is interrupted in state 1.
    assert!(!holds(&graph(&[(0, 0, 1), (1, 0, 0), (0, 1, 2)], &[2], &[Weak, Weak])));
}

/// A discharging step is barred from the cycle, and still enabled.
#[test]
fn a_discharging_step_is_enabled() {
    let mut small = graph(&[(0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 1)], &[], &[Weak, Weak]);
    assert!(!holds(&small));
    small.discharging[1] = true;
    assert!(holds(&small));
    small.fairness[1] = Unfair;
    assert!(!holds(&small));
}

/// Taking a step in another component, or on the way between two, does not make a component fair.
#[test]
fn fairness_is_judged_on_the_component_itself() {
    // 0 ⇄ 1 ──1──► 2 ⇄ 3; label 1 is enabled everywhere, taken on the way and in the second component.
    let first = [(0, 0, 1), (1, 0, 0), (0, 1, 2), (1, 1, 2)];
    let second = [(2, 0, 3), (3, 0, 2), (2, 1, 4), (3, 1, 4)];
    let both = [&first[..], &second].concat();
    assert!(holds(&graph(&both, &[4], &[Weak, Weak])));
    let closed = [&both[..], &[(2, 1, 3)]].concat();
    let (found, lasso) = graph(&closed, &[4], &[Weak, Weak]).check();
    assert_eq!(found.components, [vec![2, 3]]);
    assert!(lasso.is_some_and(|lasso| [2, 3].contains(lasso.knot())));
}

/// The loop shown takes every fair step that it would otherwise ignore, not just any way round.
#[test]
fn the_cycle_shown_is_fair() {
    // Two ways round; labels 1 and 2 are enabled everywhere, so the cycle needs both.
    let small = graph(&[(0, 1, 1), (1, 1, 0), (0, 2, 0), (1, 2, 1)], &[], &[Unfair, Weak, Weak]);
    let (_, lasso) = small.check();
    assert!(matches!(lasso.map(|lasso| lasso.tail), Some(Tail::Cycle(cycle))
        if cycle.iter().any(|(label, _)| *label == 1) && cycle.iter().any(|(label, _)| *label == 2)));
}

/// A fair step that leads back to where it started is taken by going round it.
#[test]
fn a_self_loop_is_a_cycle() {
    let (_, lasso) = graph(&[(0, 0, 0)], &[], &[Weak]).check();
    assert_eq!(lasso.map(|lasso| lasso.tail), Some(Tail::Cycle(vec![(0, 0)])));
    assert!(holds(&graph(&[(0, 0, 0), (0, 1, 1)], &[1], &[Weak, Weak])));
}

/// Weak fairness does not help against interruption; strong fairness does.
#[test]
fn strong_fairness_outlasts_interruption() {
    let transitions = [(0, 0, 1), (1, 0, 0), (0, 1, 2)];
    assert!(!holds(&graph(&transitions, &[2], &[Weak, Weak])));
    let (found, _) = graph(&transitions, &[2], &[Weak, Strong]).check();
    assert!(found.none());
    assert_eq!(found.strong, [1]);
}

/// A part of an unfair component may be fair: it is decomposed again.
#[test]
fn an_unfair_component_may_contain_a_fair_one() {
    // 0 ⇄ 1 ⇄ 3, label 1 (strong) leads to the goal from 0: going round 1 and 3 avoids it.
    let small =
        graph(&[(0, 0, 1), (1, 0, 3), (3, 0, 1), (1, 2, 0), (0, 1, 2)], &[2], &[Weak, Strong, Unfair]);
    let (found, lasso) = small.check();
    assert_eq!(found.components, [vec![1, 3]]);
    assert!(matches!(lasso.map(|lasso| lasso.tail), Some(Tail::Cycle(cycle)) if cycle.len() == 2));
    // Or it may rest there, where nothing is obliged to happen.
    let small = graph(&[(0, 0, 1), (1, 2, 0), (0, 1, 2)], &[2], &[Weak, Strong, Unfair]);
    assert_eq!(small.check().0.stutter, Some(1));
}

/// States that were seen and not expanded have no successors in the graph, and do not stutter for it.
#[test]
fn a_truncated_state_is_no_dead_end() {
    let small = graph(&[(0, 0, 1), (1, 0, 2)], &[2], &[Weak]);
    let truncated = small.number(1);
    assert!(!truncated.graph.complete() && small.number(3).graph.complete());
    assert!(small.search(&truncated).none());
}

/// Of many components the nearest are kept, although the farthest are found first.
#[test]
fn the_nearest_components_are_kept() {
    let chain: Vec<_> = (0..20).flat_map(|state| [(state, 0, state), (state, 1, state + 1)]).collect();
    let (found, lasso) = graph(&chain, &[20], &[Weak, Unfair]).check();
    assert_eq!(found.components, (0..8).map(|state| vec![state]).collect::<Vec<_>>());
    assert_eq!(lasso.map(|lasso| lasso.len()), Some(1));
}

/// Where there are too many ways to try them all, a cycle is fair all the same.
#[test]
fn a_cycle_with_very_many_duties_is_fair() {
    // Fifteen ways from 0 and back, each by a label of its own that is strongly fair. Label 17 leads to the goal from
    // everywhere but 41, which is on another way, and back from there is by label 18.
    const WAYS: u16 = 15;
    let goal = 50;
    let way = |label: u16| {
        let [out, back] = [u32::from(label), u32::from(label) + 20];
        [(0, label, out), (out, 0, back), (back, 0, 0), (out, 17, goal), (back, 17, goal)]
    };
    let rest = [(0, 17, goal), (0, 16, 40), (40, 0, 41), (40, 17, goal), (41, 18, 0)];
    let transitions: Vec<_> = (1..=WAYS).flat_map(way).chain(rest).collect();
    let fairness = [&[Unfair][..], &[Strong; WAYS as usize], &[Unfair, Weak, Weak]].concat();
    let small = graph(&transitions, &[goal], &fairness);
    let numbered = small.number(usize::MAX);
    let lasso = small.lasso(&numbered, &small.search(&numbered)).expect("it goes round for ever");
    assert!(brute_force::is_counterexample(&small, &numbered, &lasso), "{lasso:?}");
    assert_eq!(lasso.len(), usize::from(WAYS + 1) * 3, "{lasso:?}");
}
