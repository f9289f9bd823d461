//! What a check found, as one document: JSON for programs, a table for people.

mod table;

use std::collections::BTreeMap;
use std::fmt::Display;

use model::{Defect, Disruptions, Expectation, Hosts, Link, Property, Strategy};
use serde::{Serialize, Serializer};

use crate::narrative::{Line, Story};
use crate::setting::{Pages, Setting};

pub use table::{Paint, table};

/// All runs of one call.
#[derive(Debug, Serialize)]
pub struct Document {
    /// The version of this format: 1.
    pub version: u32,
    /// One for each algorithm and number of pages.
    pub runs: Vec<Run>,
}

/// One algorithm with one number of pages, or with any.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The algorithm's name.
    pub algorithm: String,
    /// Its choices, as in a strategy file.
    pub strategy: Strategy,
    /// How many pages the process has: a number, or `"any"`.
    #[serde(serialize_with = "pages")]
    pub pages: Pages,
    /// How many hosts there are.
    #[serde(serialize_with = "hosts")]
    pub hosts: Hosts,
    /// What links do to messages.
    pub link: Link,
    /// The deliberate defect, if any.
    pub defect: Option<Defect>,
    /// What may go wrong.
    #[serde(skip_serializing_if = "Disruptions::is_none")]
    pub disruptions: Disruptions,
    /// What judged it: `native`, `stateright`, `both` or `views`.
    pub engine: &'static str,
    /// Distinct states, all orders of pages counted; for any number of pages, the views.
    pub states: u64,
    /// Distinct states up to the order of pages, where the engine made use of it.
    pub orbits: Option<u64>,
    /// Transitions, all orders of pages counted; `null` for any number of pages.
    pub transitions: Option<u64>,
    /// The distance of the farthest state from an initial one, in steps; for any number of pages, the
    /// rounds until nothing was new.
    pub depth: u64,
    /// The time it took.
    pub seconds: f64,
    /// How often each action is taken.
    pub actions: BTreeMap<String, u64>,
    /// The actions of the algorithm that no explored state takes. Without a defect that is an error.
    pub untaken: Vec<String>,
    /// Why not everything was explored, if it was not.
    pub inconclusive: Option<String>,
    /// One for each property that applies and was asked for.
    pub verdicts: Vec<Verdict>,
}

/// What is said about one property.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The property.
    pub property: Property,
    /// What the specification says.
    pub expected: Expected,
    /// What was found.
    pub actual: Actual,
    /// What a verdict rests on beside the bounds: the fairness assumed, the method, or why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// For a property that fails, a shortest run that shows it.
    pub witness: Vec<Line>,
    /// The number of the witness's lines before the part that repeats for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_from: Option<usize>,
    /// The same run, to be told.
    #[serde(skip)]
    pub story: Option<Story>,
}

/// What the specification says of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// It holds.
    Holds,
    /// It fails.
    Fails,
}

/// What was found of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Actual {
    /// It holds within the bounds.
    Holds,
    /// It fails.
    Fails,
    /// Neither was shown.
    Inconclusive,
}

/// The conclusion from a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conclusion {
    /// Every verdict is the expected one.
    AsExpected,
    /// Some verdict is missing, and no other is a surprise.
    Inconclusive,
    /// Some verdict is not the expected one, or an action is never taken.
    Surprise,
}

impl Verdict {
    /// The verdict on a property of an algorithm to which it applies.
    pub fn new(setting: &Setting, property: Property, actual: Actual) -> Self {
        let expected = match setting.strategy.expectation(property) {
            Expectation::Fails => Expected::Fails,
            Expectation::Holds | Expectation::NotApplicable => Expected::Holds,
        };
        Verdict { property, expected, actual, note: None, witness: vec![], loop_from: None, story: None }
    }

    /// With a remark on what it rests on.
    pub fn noting(self, note: impl Into<String>) -> Self {
        Verdict { note: Some(note.into()), ..self }
    }

    /// With the run that shows it.
    pub fn showing(self, story: Story) -> Self {
        Verdict { witness: story.lines(), loop_from: story.loop_from, story: Some(story), ..self }
    }

    /// Is it the expected one?
    pub fn conclusion(&self) -> Conclusion {
        match (self.expected, self.actual) {
            (_, Actual::Inconclusive) => Conclusion::Inconclusive,
            (Expected::Holds, Actual::Holds) | (Expected::Fails, Actual::Fails) => Conclusion::AsExpected,
            _ => Conclusion::Surprise,
        }
    }
}

impl Run {
    /// Is there an action that no state takes, though all were explored and nothing was broken on purpose?
    pub fn is_idle(&self) -> bool {
        self.defect.is_none() && self.inconclusive.is_none() && !self.untaken.is_empty()
    }

    /// The worst of its verdicts, and of what kept it from any.
    pub fn conclusion(&self) -> Conclusion {
        let cut = if self.inconclusive.is_some() { Conclusion::Inconclusive } else { Conclusion::AsExpected };
        let own = if self.is_idle() { Conclusion::Surprise } else { cut };
        self.verdicts.iter().map(Verdict::conclusion).fold(own, Conclusion::max)
    }
}

/// So many of something.
pub fn counted<N: Display + From<u8> + PartialEq>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

impl Document {
    /// A document of the current version.
    pub fn new(runs: Vec<Run>) -> Self {
        Document { version: 1, runs }
    }

    /// The worst of its runs.
    pub fn conclusion(&self) -> Conclusion {
        self.runs.iter().map(Run::conclusion).fold(Conclusion::AsExpected, Conclusion::max)
    }
}

fn pages<S: Serializer>(pages: &Pages, serializer: S) -> Result<S::Ok, S::Error> {
    match pages {
        Pages::Exactly(pages) => pages.serialize(serializer),
        Pages::Any => "any".serialize(serializer),
    }
}

fn hosts<S: Serializer>(hosts: &Hosts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(hosts.count())
}
