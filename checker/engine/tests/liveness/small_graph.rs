//! Small explicit graphs with what a response property says about them.

use engine::liveness::components::Allowed;
use engine::liveness::graph::{Graph, GraphBuilder, Label, Node};
use engine::liveness::lasso::{self, Lasso};
use engine::liveness::response::{self, FairWaits, ResponseProperty};
use population::system::Fairness;

/// A graph as a list of transitions. States are numbered as the author of a test likes.
#[derive(Clone, Debug)]
pub struct SmallGraph {
    pub initial: Vec<Node>,
    /// From, label, to.
    pub transitions: Vec<(Node, Label, Node)>,
    pub pending: Vec<Node>,
    pub discharging: Vec<bool>,
    pub fairness: Vec<Fairness>,
}

/// The reachable part, in the form that the checker takes.
pub struct Numbered {
    pub graph: Graph,
    /// By number: the name in the small graph.
    pub names: Vec<Node>,
}

impl SmallGraph {
    /// The reachable part; at most `rows` states are expanded.
    pub fn number(&self, rows: usize) -> Numbered {
        let mut names = self.initial.clone();
        let mut builder = GraphBuilder::new(names.len() as u32);
        while (builder.next() as usize) < names.len().min(rows) {
            let from = names[builder.next() as usize];
            for (_, label, to) in self.transitions.iter().filter(|(source, ..)| *source == from) {
                let known = names.iter().position(|name| name == to);
                let number = known.unwrap_or_else(|| {
                    names.push(*to);
                    names.len() - 1
                });
                builder.transition(*label, number as Node);
            }
            builder.end_row();
        }
        Numbered { graph: builder.finish(), names }
    }

    pub fn search(&self, numbered: &Numbered) -> FairWaits {
        let response = ResponseProperty {
            pending: |state: Node| self.pending.contains(&numbered.names[state as usize]),
            discharging: Some(&self.discharging),
            fairness: &self.fairness,
        };
        response::search(&numbered.graph, &response)
    }

    /// The counterexample that is shown, in terms of the names.
    pub fn lasso(&self, numbered: &Numbered, found: &FairWaits) -> Option<Lasso<Node, Label>> {
        let allowed = Allowed { barred: Some(&self.discharging) };
        lasso::shortest(&numbered.graph, found, allowed, &self.fairness)
    }

    /// Searches the whole graph and shows the counterexample.
    pub fn check(&self) -> (FairWaits, Option<Lasso<Node, Label>>) {
        let numbered = self.number(usize::MAX);
        let found = self.search(&numbered);
        let lasso = self.lasso(&numbered, &found);
        (found, lasso)
    }
}
