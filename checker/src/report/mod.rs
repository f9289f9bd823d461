//! What a check found, as one document: JSON for programs, a table for people.

mod basis;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use model::{Defect, Disruptions, Expectation, Hosts, Link, Property, Strategy};
use serde::{Serialize, Serializer};

use crate::narrative::{Story, StoryLine};
use crate::setting::{Pages, Setting};

pub use basis::Basis;
pub use table::{table, verdicts};

/// All runs of one call.
#[derive(Debug, Serialize)]
pub struct CheckDocument {
    /// The version of this format: 1.
    pub version: u32,
    /// One for each algorithm and number of pages.
    pub runs: Vec<CheckRun>,
}

/// One algorithm with one number of pages, or with any.
#[derive(Debug, Serialize)]
pub struct CheckRun {
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
    /// Why the exploration was no longer saved, if it was to be and at some point could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<String>,
    /// One for each property that applies and was asked for.
    pub verdicts: Vec<PropertyVerdict>,
}

/// What is said about one property.
#[derive(Debug, Serialize)]
pub struct PropertyVerdict {
    /// The property.
    pub property: Property,
    /// What the specification says.
    pub expected: Expected,
    /// What was found.
    pub actual: Actual,
    /// What it rests on beside the bounds, or why there is none.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// For a property that fails, a shortest run that shows it.
    pub witness: Vec<StoryLine>,
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
    /// It says nothing, because nothing that it is about ever happens.
    Vacuous,
    /// Neither was shown.
    Inconclusive,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Holds => "holds",
            Expected::Fails => "fails",
        })
    }
}

impl fmt::Display for Actual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Actual::Holds => "holds",
            Actual::Fails => "fails",
            Actual::Vacuous => "vacuous",
            Actual::Inconclusive => "inconclusive",
        })
    }
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

impl PropertyVerdict {
    /// The verdict on a property of an algorithm to which it applies.
    pub fn new(setting: &Setting, property: Property, actual: Actual) -> Self {
        let expected = match setting.strategy.expectation(property) {
            Expectation::Fails => Expected::Fails,
            Expectation::Holds | Expectation::NotApplicable => Expected::Holds,
        };
        PropertyVerdict {
            property,
            expected,
            actual,
            basis: None,
            witness: vec![],
            loop_from: None,
            story: None,
        }
    }

    /// With what it rests on.
    pub fn resting_on(self, basis: Basis) -> Self {
        PropertyVerdict { basis: Some(basis), ..self }
    }

    /// With the run that shows it.
    pub fn showing(self, story: Story) -> Self {
        PropertyVerdict { witness: story.lines(), loop_from: story.loop_from, story: Some(story), ..self }
    }

    /// Is it the expected one, for so many pages?
    ///
    /// A promise of which nothing is ever asked is not kept: with more pages there may be something to ask, so for a
    /// given number of them nothing is known, and for any number the algorithm does not do what the promise is about.
    /// Of disruptions alone there need be none.
    pub fn conclusion(&self, pages: Pages) -> Conclusion {
        match (self.expected, self.actual) {
            (_, Actual::Inconclusive) => Conclusion::Inconclusive,
            (Expected::Holds, Actual::Holds) | (Expected::Fails, Actual::Fails) => Conclusion::AsExpected,
            (Expected::Holds, Actual::Vacuous) if self.property.is_about_disruptions() => {
                Conclusion::AsExpected
            }
            (Expected::Holds, Actual::Vacuous) if pages != Pages::Any => Conclusion::Inconclusive,
            _ => Conclusion::Surprise,
        }
    }
}

impl CheckRun {
    /// Is there an action that no state takes, though all were explored and nothing was broken on purpose?
    pub fn is_idle(&self) -> bool {
        self.defect.is_none() && self.inconclusive.is_none() && !self.untaken.is_empty()
    }

    /// The conclusion from one of its verdicts.
    pub fn conclusion_of(&self, verdict: &PropertyVerdict) -> Conclusion {
        verdict.conclusion(self.pages)
    }

    /// The worst of its verdicts, and of what kept it from any. What a proof has settled, no exploration needs to.
    pub fn conclusion(&self) -> Conclusion {
        let settled = |verdict: &PropertyVerdict| verdict.basis == Some(Basis::Proof);
        let open = self.inconclusive.is_some() && !self.verdicts.iter().any(settled);
        let cut = if open { Conclusion::Inconclusive } else { Conclusion::AsExpected };
        let own = if self.is_idle() { Conclusion::Surprise } else { cut };
        self.verdicts.iter().map(|verdict| self.conclusion_of(verdict)).fold(own, Conclusion::max)
    }
}

/// So many of something.
pub fn counted<N: Display + From<u8> + PartialEq>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

impl CheckDocument {
    /// A document of the current version. What is proved for any number of pages is known for each number of them, also
    /// where an exploration was cut short.
    pub fn new(mut runs: Vec<CheckRun>) -> Self {
        let proofs = runs.iter().filter(|run| run.pages == Pages::Any);
        let held = proofs.flat_map(|run| {
            let holds = run.verdicts.iter().filter(|verdict| verdict.actual == Actual::Holds);
            holds.map(|verdict| (run.algorithm.clone(), verdict.property))
        });
        let held: BTreeSet<(String, Property)> = held.collect();
        for run in runs.iter_mut().filter(|run| run.pages != Pages::Any) {
            let open = run.verdicts.iter_mut().filter(|verdict| verdict.actual == Actual::Inconclusive);
            for verdict in open.filter(|verdict| held.contains(&(run.algorithm.clone(), verdict.property))) {
                (verdict.actual, verdict.basis) = (Actual::Holds, Some(Basis::Proof));
            }
        }
        CheckDocument { version: 1, runs }
    }

    /// The worst of its runs.
    pub fn conclusion(&self) -> Conclusion {
        self.runs.iter().map(CheckRun::conclusion).fold(Conclusion::AsExpected, Conclusion::max)
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::algorithms::POST_COPY;

    fn verdict(property: Property, expected: Expected, actual: Actual) -> PropertyVerdict {
        PropertyVerdict {
            property,
            expected,
            actual,
            basis: None,
            witness: vec![],
            loop_from: None,
            story: None,
        }
    }

    /// Every pair of what is expected and what is found, judged.
    #[test]
    fn what_was_not_judged_is_no_pass_and_what_was_not_expected_is_none_either() {
        use Actual::{Fails, Holds, Inconclusive, Vacuous};
        let (any, one) = (Pages::Any, Pages::Exactly(std::num::NonZeroUsize::MIN));
        let of = |property, expected, actual, pages| verdict(property, expected, actual).conclusion(pages);
        for pages in [any, one] {
            for (expected, actual) in
                [(Expected::Holds, Fails), (Expected::Fails, Holds), (Expected::Fails, Vacuous)]
            {
                assert_eq!(
                    of(Property::L1, expected, actual, pages),
                    Conclusion::Surprise,
                    "{expected:?} {actual:?}"
                );
            }
            for (expected, actual) in [(Expected::Holds, Holds), (Expected::Fails, Fails)] {
                assert_eq!(of(Property::L1, expected, actual, pages), Conclusion::AsExpected);
            }
            for expected in [Expected::Holds, Expected::Fails] {
                assert_eq!(of(Property::L1, expected, Inconclusive, pages), Conclusion::Inconclusive);
            }
        }
        assert_eq!(of(Property::L1, Expected::Holds, Vacuous, any), Conclusion::Surprise);
        assert_eq!(of(Property::L1, Expected::Holds, Vacuous, one), Conclusion::Inconclusive);
        assert_eq!(of(Property::L8, Expected::Holds, Vacuous, any), Conclusion::AsExpected);
    }

    fn run(pages: Pages, inconclusive: Option<&str>, verdicts: Vec<PropertyVerdict>) -> CheckRun {
        CheckRun {
            algorithm: "post-copy".into(),
            strategy: POST_COPY,
            pages,
            hosts: Hosts::Two,
            link: Link::Fifo,
            defect: None,
            disruptions: Disruptions::NONE,
            engine: "native",
            states: 1,
            orbits: None,
            transitions: None,
            depth: 0,
            seconds: 0.0,
            actions: BTreeMap::new(),
            untaken: vec![],
            inconclusive: inconclusive.map(str::to_owned),
            unsaved: None,
            verdicts,
        }
    }

    #[test]
    fn a_proof_settles_what_an_exploration_left_open_and_nothing_else() {
        let one = Pages::Exactly(std::num::NonZeroUsize::MIN);
        let open = |property| verdict(property, Expected::Holds, Actual::Inconclusive);
        let proved = || run(Pages::Any, None, vec![verdict(Property::S1, Expected::Holds, Actual::Holds)]);
        let cut = |properties: &[Property]| {
            run(one, Some("time is up"), properties.iter().copied().map(open).collect())
        };
        let conclusion = |runs| CheckDocument::new(runs).conclusion();
        assert_eq!(conclusion(vec![cut(&[Property::S1])]), Conclusion::Inconclusive);
        assert_eq!(conclusion(vec![cut(&[Property::S1]), proved()]), Conclusion::AsExpected);
        assert_eq!(conclusion(vec![cut(&[Property::S1, Property::S2]), proved()]), Conclusion::Inconclusive);
        assert_eq!(conclusion(vec![cut(&[Property::S2]), proved()]), Conclusion::Inconclusive);
        // Another algorithm's proof says nothing.
        let other = CheckRun { algorithm: "lazy-copy".into(), ..proved() };
        assert_eq!(conclusion(vec![cut(&[Property::S1]), other]), Conclusion::Inconclusive);
        // What fails is not settled.
        let fails = run(one, None, vec![verdict(Property::S1, Expected::Holds, Actual::Fails)]);
        assert_eq!(conclusion(vec![fails, proved()]), Conclusion::Surprise);
        // A run of which nothing was judged is open.
        assert_eq!(
            conclusion(vec![run(one, Some("time is up"), vec![]), proved()]),
            Conclusion::Inconclusive
        );
    }
}
