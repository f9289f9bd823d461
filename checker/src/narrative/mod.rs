//! Runs of the model, told to a person: who does what, what travels where, what changes.
//!
//! The model speaks of roles; a story needs names. The process starts on host **A**, migrates to **B**, and
//! from there back to A or onward to **C**.

mod changes;
mod disruption;
mod event;
mod facts;
mod graph;
mod hosts;
mod mermaid;
mod paging;
mod real;
mod text;

use model::concrete::{State, Step};
use model::{Migration, Move};
use serde::Serialize;

pub use event::{Manner, StoryEvent};
pub use graph::state_graph_to_dot;
pub use hosts::StoryPlace;

/// A run to be told: its first state, then each step with the state it leads to.
#[derive(Clone, Debug)]
pub struct Story {
    /// What the run shows.
    pub title: String,
    /// The state in which it starts.
    pub start: State<Migration>,
    /// The steps, each with the state afterwards.
    pub steps: Vec<(Step<Migration>, State<Migration>)>,
    /// For a lasso: the number of steps before the part that is repeated for ever.
    pub loop_from: Option<usize>,
}

/// One step of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryLine {
    /// Counted from 1.
    pub number: usize,
    /// The name of the model's step.
    pub step: String,
    /// The page it is about, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// What happens, and between whom.
    #[serde(flatten)]
    pub event: StoryEvent,
    /// Every variable that changes, with its old and new value.
    pub changes: Vec<String>,
}

impl Story {
    /// The steps with host names and changes.
    pub fn lines(&self) -> Vec<StoryLine> {
        let mut hosts = hosts::Hosts::at_start();
        let mut before = &self.start;
        let mut lines = Vec::with_capacity(self.steps.len());
        for (index, (step, after)) in self.steps.iter().enumerate() {
            hosts.before(*step, &before.control);
            let (name, page) = match step {
                Move::Control(step) => (step.to_string(), None),
                Move::Page(step, page) => (step.to_string(), Some(*page)),
            };
            let event = event::tell(&hosts, before, *step, after);
            let changes = changes::between(before, after);
            lines.push(StoryLine { number: index + 1, step: name, page, event, changes });
            hosts.after(*step, &before.control, &after.control);
            before = after;
        }
        lines
    }

    /// A sequence diagram for a terminal, `style` deciding about colour.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// The states in their order as a graph in DOT.
    pub fn to_dot(&self) -> String {
        graph::story_to_dot(self)
    }

    /// A Mermaid sequence diagram.
    pub fn to_mermaid(&self) -> String {
        mermaid::render(self)
    }
}
