//! Shortest paths to a step of one's choice, by the plain semantics.

use population::concrete::{Concrete, State, Step};
use population::system::System;
use rustc_hash::FxHashSet;

use super::{StateRun, Trace};

/// Where a search for a step ended.
pub enum Found<S: System> {
    /// A shortest run that ends in such a step.
    Trace(Trace<S>),
    /// There is none.
    None,
    /// None was found among so many states, or as long as it went on, and there are more.
    Inconclusive,
}

/// States expanded between two looks at whether to go on.
const STATES_PER_LOOK: usize = 1 << 10;

/// Finds a shortest run from one of the given states to a step that satisfies a predicate over the step
/// and the states before and after it. At most `states_max` states are visited.
///
/// Meant for witnesses and small graphs: states are kept as they are, and one thread does it.
pub fn find<S: System>(
    concrete: &Concrete<S>,
    from: &[State<S>],
    states_max: usize,
    wanted: impl FnMut(&Step<S>, &State<S>, &State<S>) -> bool,
) -> Found<S> {
    find_while(concrete, from, states_max, &|| true, wanted)
}

/// The same, as long as it `goes_on`.
pub fn find_while<S: System>(
    concrete: &Concrete<S>,
    from: &[State<S>],
    states_max: usize,
    goes_on: &dyn Fn() -> bool,
    mut wanted: impl FnMut(&Step<S>, &State<S>, &State<S>) -> bool,
) -> Found<S> {
    // In the order in which they were found; with the position of the parent and the step from there.
    let mut states: Vec<Visited<S>> = Vec::new();
    let mut known = FxHashSet::default();
    for state in from {
        if known.insert(state.clone()) {
            states.push((state.clone(), None));
        }
    }
    let mut position = 0;
    while position < states.len() {
        if position.is_multiple_of(STATES_PER_LOOK) && !goes_on() {
            return Found::Inconclusive;
        }
        let state = states[position].0.clone();
        for (step, next) in concrete.successors(&state) {
            if wanted(&step, &state, &next) {
                let mut trace = trace_to::<S>(&states, position);
                trace.steps.push((step, next));
                return Found::Trace(trace);
            }
            if !known.insert(next.clone()) {
                continue;
            }
            if states.len() >= states_max {
                return Found::Inconclusive;
            }
            states.push((next, Some((position, step))));
        }
        position += 1;
    }
    Found::None
}

type Visited<S> = (State<S>, Option<(usize, Step<S>)>);

fn trace_to<S: System>(states: &[Visited<S>], mut position: usize) -> Trace<S> {
    let mut steps = Vec::new();
    while let (state, Some((parent, step))) = &states[position] {
        steps.push((*step, state.clone()));
        position = *parent;
    }
    steps.reverse();
    StateRun { initial: states[position].0.clone(), steps }
}
