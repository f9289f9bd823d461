//! Strongly connected components of a part of a graph, in reverse topological order.
//!
//! Tarjan (SIAM J. Comput. 1972) with explicit stacks and one number a state, as in Pearce ("A
//! space-efficient algorithm for finding strongly connected components", IPL 2016). That number doubles as
//! the membership test of the part, so that a part can be decomposed again after states were taken out.

use super::graph::{Graph, Label, Node};

/// Not in the part, or in a component that was visited.
const OUTSIDE: u32 = u32::MAX;
/// In the component that is being visited.
const CURRENT: u32 = u32::MAX - 1;
/// In the part, not reached yet.
const FRESH: u32 = 0;

/// The transitions that runs of interest may take.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// By label: is the transition barred? `None` bars none and spares reading the labels.
    pub barred: Option<&'a [bool]>,
}

impl Allowed<'_> {
    /// May a transition with this label be taken?
    pub fn permits(&self, label: Label) -> bool {
        self.barred.is_none_or(|barred| !barred[usize::from(label)])
    }
}

/// Finds the components of parts of a graph.
#[derive(Debug)]
pub struct Components<'g> {
    graph: &'g Graph,
    /// The lowest visit number reached from the state, or one of the markers above.
    low: Vec<u32>,
    stack: Vec<Node>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    state: Node,
    visit: u32,
    /// The next transition to look at.
    next: u32,
}

/// One component, while it is visited.
#[derive(Debug)]
pub struct Component<'a> {
    /// Its states, in no particular order.
    pub states: &'a [Node],
    low: &'a [u32],
}

impl Component<'_> {
    /// Is the state in this component?
    pub fn contains(&self, state: Node) -> bool {
        self.low[state as usize] == CURRENT
    }
}

impl<'g> Components<'g> {
    /// No state is in the part yet.
    pub fn new(graph: &'g Graph) -> Self {
        let low = vec![OUTSIDE; graph.states() as usize];
        Components { graph, low, stack: Vec::new(), calls: Vec::new() }
    }

    /// Takes a state into the part.
    pub fn admit(&mut self, state: Node) {
        self.low[state as usize] = FRESH;
    }

    /// Visits the components of the part, each after all components that it leads to. Afterwards the part
    /// is empty. `roots` must name every state of the part; names of other states do no harm.
    pub fn visit(
        &mut self,
        roots: impl IntoIterator<Item = Node>,
        allowed: Allowed<'_>,
        mut visit: impl FnMut(Component<'_>),
    ) {
        let mut visits = FRESH;
        for root in roots {
            if self.low[root as usize] == FRESH {
                self.enter(root, &mut visits);
                self.search(allowed, &mut visits, &mut visit);
            }
        }
    }

    #[inline]
    fn enter(&mut self, state: Node, visits: &mut u32) {
        *visits += 1;
        self.low[state as usize] = *visits;
        self.stack.push(state);
        self.calls.push(Call { state, visit: *visits, next: self.graph.row(state).start as u32 });
    }

    fn search(&mut self, allowed: Allowed<'_>, visits: &mut u32, visit: &mut impl FnMut(Component<'_>)) {
        while let Some(call) = self.calls.last_mut() {
            let state = call.state as usize;
            let mut deeper = None;
            let end = self.graph.row(call.state).end;
            let mut low = self.low[state];
            while (call.next as usize) < end {
                let transition = call.next as usize;
                let target = self.graph.target(transition);
                let reached = self.low[target as usize];
                if reached == FRESH && allowed.permits(self.graph.label(transition)) {
                    // The transition is looked at again after the return, for what the target reached.
                    deeper = Some(target);
                    break;
                }
                if reached < low && reached != FRESH && allowed.permits(self.graph.label(transition)) {
                    low = reached;
                }
                call.next += 1;
            }
            self.low[state] = low;
            if let Some(target) = deeper {
                self.enter(target, visits);
                continue;
            }
            let root = low == call.visit;
            let root_state = call.state;
            self.calls.pop();
            if root {
                self.emit(root_state, visit);
            }
        }
    }

    fn emit(&mut self, root: Node, visit: &mut impl FnMut(Component<'_>)) {
        let mut first = self.stack.len();
        while first > 0 {
            first -= 1;
            self.low[self.stack[first] as usize] = CURRENT;
            if self.stack[first] == root {
                break;
            }
        }
        visit(Component { states: &self.stack[first..], low: &self.low });
        for state in self.stack.drain(first..) {
            self.low[state as usize] = OUTSIDE;
        }
    }
}
