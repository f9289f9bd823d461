//! States and steps as a graph in DOT, for Graphviz.

use std::collections::BTreeMap;

use engine::state_graph::StateGraph;
use model::concrete::State;
use model::{Migration, Move};
use petgraph::dot::Dot;
use petgraph::graph::{DiGraph, NodeIndex};

use super::changes::record;
use super::{Step, Story};

/// All states of a migration, each with what it is, and the steps between them; initial states have a line of their own
/// that says so.
pub fn state_graph_to_dot(graph: &StateGraph<'_, Migration>) -> String {
    let mut dot = DiGraph::new();
    let initial = graph.initial_states();
    let nodes = 0..graph.states() as u32;
    let nodes: Vec<NodeIndex> =
        nodes.map(|node| dot.add_node(label(&graph.state(node), initial.contains(&node)))).collect();
    // Steps between the same two states are one line.
    let mut lines: BTreeMap<(u32, u32), Vec<String>> = BTreeMap::new();
    for (from, edge) in graph.all_edges() {
        lines.entry((from, graph.target(edge))).or_default().push(name(graph.step(edge)));
    }
    for ((from, to), mut steps) in lines {
        steps.sort();
        steps.dedup();
        dot.add_edge(nodes[from as usize], nodes[to as usize], steps.join("\n"));
    }
    Dot::new(&dot).to_string()
}

/// The states of a run in their order; what repeats for ever leads back.
pub(super) fn story_to_dot(story: &Story) -> String {
    let mut dot = DiGraph::new();
    let mut at = dot.add_node(label(&story.start, true));
    let first = at;
    let mut nodes = vec![at];
    for (number, (step, after)) in (1..).zip(&story.steps) {
        let back = story.loop_from.filter(|_| number == story.steps.len());
        let to = match back {
            Some(from) if from < story.steps.len() => nodes.get(from).copied().unwrap_or(first),
            _ => dot.add_node(label(after, false)),
        };
        dot.add_edge(at, to, format!("{number} {}", name(*step)));
        nodes.push(to);
        at = to;
    }
    if story.loop_from == Some(story.steps.len()) {
        dot.add_edge(at, at, "nothing more, for ever".to_owned());
    }
    Dot::new(&dot).to_string()
}

fn name(step: Step<Migration>) -> String {
    match step {
        Move::Control(step) => step.to_string(),
        Move::Page(step, page) => format!("{step} of page {page}"),
    }
}

/// What a state is: the control record, then each page.
fn label(state: &State<Migration>, is_initial: bool) -> String {
    let initial = is_initial.then(|| "initial".to_owned());
    let pages = state.pages.iter().enumerate();
    let pages = pages.map(|(index, page)| format!("page {index}: {}", record(page)));
    initial.into_iter().chain([record(&state.control)]).chain(pages).collect::<Vec<_>>().join("\n")
}
