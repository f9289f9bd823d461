//! The obvious way to explore: the plain semantics, a hash map of states, a queue.

use std::collections::{BTreeMap, HashMap, VecDeque};

use enumset::EnumSet;
use population::concrete::{Concrete, Move, State};
use population::system::{Judged, PropertyName};

use crate::explore::Trace;

/// What a naive exploration counts.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Naive<C, P, R> {
    pub states: u64,
    pub transitions: u64,
    pub depth: usize,
    pub control_steps: Vec<(C, u64)>,
    pub page_steps: Vec<(P, u64)>,
    /// The length of the shortest trace to each violation, in steps.
    pub violations: BTreeMap<R, usize>,
}

impl<C: Copy + PartialEq, P: Copy + PartialEq, R: PropertyName> Naive<C, P, R> {
    /// Explores; with symmetry, one state for each orbit, and pages with equal records move as one.
    pub fn explore<S: Judged<ControlStep = C, PageStep = P, Property = R>>(
        concrete: &Concrete<S>,
        symmetry: bool,
    ) -> Self {
        let mut naive = Naive {
            states: 0,
            transitions: 0,
            depth: 0,
            control_steps: concrete.system.control_steps().iter().map(|step| (*step, 0)).collect(),
            page_steps: concrete.system.page_steps().iter().map(|step| (*step, 0)).collect(),
            violations: BTreeMap::new(),
        };
        let represent = |state: State<S>| if symmetry { state.sorted() } else { state };
        let mut depths: HashMap<State<S>, usize> =
            concrete.initial().into_iter().map(|state| (represent(state), 0)).collect();
        let mut queue: VecDeque<State<S>> = depths.keys().cloned().collect();
        while let Some(state) = queue.pop_front() {
            let depth = depths[&state];
            naive.states += 1;
            naive.depth = depth;
            naive.violate(concrete.judge(&state), depth);
            for (step, next) in concrete.successors(&state) {
                naive.violate(concrete.judge_step(&state, step), depth + 1);
                match step {
                    Move::Control(step) => count(&mut naive.control_steps, step),
                    Move::Page(step, index) => {
                        count(&mut naive.page_steps, step);
                        if symmetry && index > 0 && state.pages[index - 1] == state.pages[index] {
                            continue;
                        }
                    }
                }
                naive.transitions += 1;
                let next = represent(next);
                if !depths.contains_key(&next) {
                    depths.insert(next.clone(), depth + 1);
                    queue.push_back(next);
                }
            }
        }
        naive
    }

    /// The number of initial states.
    pub fn initial<S: Judged<ControlStep = C, PageStep = P, Property = R>>(
        concrete: &Concrete<S>,
        symmetry: bool,
    ) -> u64 {
        let initial = concrete.initial().into_iter();
        let initial: std::collections::HashSet<_> =
            initial.map(|state| if symmetry { state.sorted() } else { state }).collect();
        initial.len() as u64
    }

    fn violate(&mut self, violated: EnumSet<R>, length: usize) {
        for property in violated {
            let shortest = self.violations.entry(property).or_insert(length);
            *shortest = length.min(*shortest);
        }
    }
}

fn count<T: PartialEq>(counts: &mut [(T, u64)], step: T) {
    if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == step) {
        *count += 1;
    }
}

/// The trace is a run of the system from an initial state, and violates the property where it ends.
pub fn assert_replays<S: Judged>(concrete: &Concrete<S>, property: S::Property, trace: &Trace<S>) {
    assert!(concrete.initial().contains(&trace.initial));
    let mut state = &trace.initial;
    let mut violated = EnumSet::empty();
    for (step, next) in &trace.steps {
        assert_eq!(concrete.apply(state, *step).as_ref(), Some(next));
        violated = concrete.judge_step(state, *step);
        state = next;
    }
    assert!((violated | concrete.judge(state)).contains(property));
}
