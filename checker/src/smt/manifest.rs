//! What must be among the verification conditions, from a source that the emitter does not share: the system's own
//! functions, asked pair by pair. A condition that is missing, or that leaves out somebody who takes the step, shows.

use engine::views::InvariantOf;
use population::system::{Judged, Verdict};
use serde::Serialize;

use super::script::symbol;
use super::{SolverAnswer, VerificationCondition};

/// The name of the file in a directory of scripts.
pub const FILE_NAME: &str = "manifest.json";

/// What a directory of scripts holds, and what it must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub version: u32,
    /// Which system, as the invariant says.
    pub subject: String,
    /// Every script that was written.
    pub files: Vec<Script>,
    /// Every condition that must be among them.
    pub required: Vec<Required>,
}

/// A script.
#[derive(Clone, Debug, Serialize)]
pub struct Script {
    file: String,
    expected: String,
}

/// A condition that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Required {
    /// Its file.
    pub file: String,
    /// For a step: under how many records it is taken, each of which has a term of its own in the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takers: Option<usize>,
}

impl Manifest {
    /// Of these conditions of an invariant.
    pub fn new<S: Judged>(
        system: &S,
        invariant: &InvariantOf<S>,
        conditions: &[VerificationCondition],
    ) -> Self {
        let script = |condition: &VerificationCondition| Script {
            file: condition.file_name(),
            expected: condition.expected.to_string(),
        };
        Manifest {
            version: 1,
            subject: invariant.subject.clone(),
            files: conditions.iter().map(script).collect(),
            required: required(system, invariant),
        }
    }
}

/// The conditions that an invariant must have.
pub fn required<S: Judged>(system: &S, invariant: &InvariantOf<S>) -> Vec<Required> {
    let mut required = Required::with_possible("initiation", None);
    required.extend(consecution(system, invariant));
    for property in invariant.claims {
        let name = format!("safety/{property}");
        required.push(Required::named(&format!("{name}/states"), None));
        required.extend(
            violating(system, invariant, property)
                .map(|step| Required::named(&format!("{name}/{step}"), None)),
        );
    }
    required
}

impl Required {
    fn named(name: &str, takers: Option<usize>) -> Self {
        let condition = VerificationCondition {
            name: name.to_owned(),
            text: String::new(),
            expected: SolverAnswer::Unsat,
        };
        Required { file: condition.file_name(), takers }
    }

    /// The condition, and the mutant that shows that its hypotheses are not contradictory.
    fn with_possible(name: &str, takers: Option<usize>) -> Vec<Self> {
        vec![Self::named(name, takers), Self::named(&format!("mutant/possible/{name}"), takers)]
    }
}

/// A condition for each step that is taken under the records of some view.
fn consecution<S: Judged>(system: &S, invariant: &InvariantOf<S>) -> Vec<Required> {
    let mut pairs = Vec::new();
    let mut controls = Vec::new();
    for of in &invariant.views {
        controls.push(invariant.controls[of.control]);
        let mut records: Vec<usize> = of.pages.iter().flatten().copied().collect();
        records.sort_unstable();
        records.dedup();
        pairs.extend(
            records.into_iter().map(|record| (invariant.controls[of.control], invariant.records[record])),
        );
    }
    let mut required = Vec::new();
    for step in system.control_steps() {
        let takers = controls.iter().filter(|control| system.control_move(*step, control).is_some()).count();
        if takers > 0 {
            let name = format!("consecution/control/{}", symbol(step));
            required.extend(Required::with_possible(&name, Some(takers)));
        }
    }
    for step in system.page_steps() {
        let taken =
            |(control, page): &&(S::Control, S::Page)| system.page_move(*step, control, page).is_some();
        let takers = pairs.iter().filter(taken).count();
        if takers > 0 {
            let name = format!("consecution/page/{}", symbol(step));
            required.extend(Required::with_possible(&name, Some(takers)));
        }
    }
    required
}

/// The steps that violate a property under some records of the invariant, permitted together or not.
fn violating<S: Judged>(
    system: &S,
    invariant: &InvariantOf<S>,
    property: S::Property,
) -> impl Iterator<Item = String> {
    let mut names = Vec::new();
    for step in system.control_steps() {
        let violates = |control: &S::Control| {
            let taken = system.control_move(*step, control);
            taken.is_some_and(|taken| system.judge_control_move(*step, control, &taken).contains(property))
        };
        if invariant.controls.iter().any(violates) {
            names.push(format!("control/{}", symbol(step)));
        }
    }
    for step in system.page_steps() {
        let violates = |control: &S::Control, page: &S::Page| {
            let Some(taken) = system.page_move(*step, control, page) else { return false };
            let Verdict { violated, violated_unless, .. } =
                system.judge_page_move(*step, control, page, &taken);
            (violated | violated_unless).contains(property)
        };
        if invariant
            .controls
            .iter()
            .any(|control| invariant.records.iter().any(|page| violates(control, page)))
        {
            names.push(format!("page/{}", symbol(step)));
        }
    }
    names.into_iter()
}
