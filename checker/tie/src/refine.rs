//! The check itself: a step of the reference is a step of the model, or none.

use std::fmt;

use model::concrete::{Concrete, State, Step};
use model::disruption::Aftermath;
use model::{ControlStep, Migration, Move};
use steplog::place::HostId;

use super::abstraction::{Unmapped, abstraction, canonical, source};
use super::explain::{Explanation, explanations};
use super::rig::{Action, Happening, History, Rig, RigError};

/// What the model says about an action that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The state of the model before.
    pub before: State<Migration>,
    /// The steps of the model that it stands for; none for a stutter.
    pub steps: Explanation,
    /// The state of the model after.
    pub after: State<Migration>,
}

/// An action that the model does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was done.
    pub action: Action,
    /// The state of the model before, where there is one.
    pub before: Option<State<Migration>>,
    /// What the endpoints did.
    pub happenings: Vec<Happening>,
    /// What is wrong.
    pub reason: ViolationReason,
}

/// Why an action is not one of the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViolationReason {
    /// An endpoint refused it, or the process saw something wrong.
    Rig(RigError),
    /// The situation before or after it is no state of the model.
    Unmapped(Unmapped),
    /// No step of the model leads from the state before to the state after.
    NoStep {
        /// The state after.
        after: Box<State<Migration>>,
        /// What could have happened instead.
        possible: Vec<(Step<Migration>, State<Migration>)>,
    },
}

/// Takes an action, and finds the steps of the model that it stands for.
///
/// # Errors
/// There are none: the report says what was done, what came of it, and what would have been possible.
pub fn refine(rig: &mut Rig, action: Action) -> Result<Explained, Box<Violation>> {
    let fails = |before: Option<State<Migration>>, happenings: &[Happening], reason| {
        Box::new(Violation { action, before, happenings: happenings.to_vec(), reason })
    };
    let before = abstraction(rig).map_err(|error| fails(None, &[], ViolationReason::Unmapped(error)))?;
    let source = source(rig).map_err(|error| fails(None, &[], ViolationReason::Unmapped(error)))?;
    let happenings =
        rig.take(action).map_err(|error| fails(Some(before.clone()), &[], ViolationReason::Rig(error)))?;
    let model = Concrete { system: rig.migration.as_ref().clone(), pages: before.pages.len() };
    if rig.runs_twice() {
        let twice = explain_until(&model, &before, &happenings, &|state: &State<Migration>| {
            state.control.source_runs && state.control.destination_runs
        });
        let unmapped = || Unmapped("two hosts run the process".to_owned());
        let steps = twice
            .ok_or_else(|| fails(Some(before.clone()), &happenings, ViolationReason::Unmapped(unmapped())))?;
        let after = steps
            .iter()
            .try_fold(before.clone(), |state, step| {
                model.apply(&state, *step).map(|next| canonical(&model.system, next))
            })
            .unwrap_or_else(|| before.clone());
        return Ok(Explained { before, steps, after });
    }
    let after = abstraction(rig)
        .map_err(|error| fails(Some(before.clone()), &happenings, ViolationReason::Unmapped(error)))?;
    match explain(&model, &before, &happenings, &after) {
        Some(mut steps) => {
            if let ([step], [exact]) = (&mut steps[..], disruptions(action, source)) {
                // After the commit it is all one to the model whose machine dies, or who gives the connection up.
                let exact = Move::Control(*exact);
                let same = model.apply(&before, exact) == model.apply(&before, *step);
                *step = if same { exact } else { *step };
            }
            let reached = steps.iter().try_fold(before.clone(), |state, step| {
                model.apply(&state, *step).map(|next| canonical(&model.system, next))
            });
            let after = remembering(&after, reached.as_ref().unwrap_or(&after));
            rig.trouble.history = history(&after);
            Ok(Explained { before, steps, after })
        }
        None => {
            let possible = model.successors(&before).collect();
            Err(fails(
                Some(before),
                &happenings,
                ViolationReason::NoStep { after: Box::new(after), possible },
            ))
        }
    }
}

/// What can happen next: disruptions strike where the model lets them.
///
/// # Errors
/// The situation is no state of the model.
pub fn possible(rig: &Rig) -> Result<Vec<Action>, Unmapped> {
    // What two processes do is nobody's to judge.
    if rig.runs_twice() || rig.may_come_back() {
        return Ok(vec![]);
    }
    let mut actions = rig.actions();
    if rig.is_disrupted() {
        let state = abstraction(rig)?;
        let source = source(rig)?;
        let model = Concrete { system: rig.migration.as_ref().clone(), pages: state.pages.len() };
        actions.retain(|action| {
            let steps = disruptions(*action, source);
            steps.is_empty() || steps.iter().any(|step| model.apply(&state, Move::Control(*step)).is_some())
        });
    }
    Ok(actions)
}

/// The disruption that the action is, if it is one.
fn disruptions(action: Action, source: Option<HostId>) -> &'static [ControlStep] {
    use ControlStep::*;
    match action {
        Action::Cut => &[Cut],
        Action::Outage => &[Outage],
        Action::Cancel => &[Cancel],
        Action::Refuse(_) => &[Refuse],
        Action::Crash(host) if Some(host) == source => &[CrashSource],
        Action::Crash(_) => &[CrashDestination],
        Action::Suspect(host) if Some(host) == source => &[SuspectDestination],
        Action::Suspect(_) => &[SuspectSource],
        _ => &[],
    }
}

/// The state as the endpoints have it, with what the model alone remembers from the state that the model is in.
fn remembering(state: &State<Migration>, model: &State<Migration>) -> State<Migration> {
    let mut state = state.clone();
    let Aftermath { struck, recoveries, began_returned, .. } = model.control.aftermath;
    let aftermath = Aftermath { struck, recoveries, began_returned, ..state.control.aftermath };
    state.control.aftermath = aftermath;
    state
}

fn history(state: &State<Migration>) -> History {
    let Aftermath { struck, recoveries, began_returned, .. } = state.control.aftermath;
    History { struck, recoveries, began_returned }
}

/// The steps by which the model gets from one state to the other while these things happen.
fn explain(
    model: &Concrete<Migration>,
    before: &State<Migration>,
    happenings: &[Happening],
    after: &State<Migration>,
) -> Option<Explanation> {
    explain_until(model, before, happenings, &|reached| *reached == remembering(after, reached))
}

/// The steps by which the model gets from a state to one that will do while these things happen.
fn explain_until(
    model: &Concrete<Migration>,
    before: &State<Migration>,
    happenings: &[Happening],
    will_do: &dyn Fn(&State<Migration>) -> bool,
) -> Option<Explanation> {
    let Some((first, rest)) = happenings.split_first() else {
        return will_do(before).then(Vec::new);
    };
    let pages: Vec<_> = (0..before.pages.len()).collect();
    explanations(&model.system, &before.control, &pages, first).into_iter().find_map(|steps| {
        let reached = steps.iter().try_fold(before.clone(), |state, step| model.apply(&state, *step))?;
        let then = explain_until(model, &canonical(&model.system, reached), rest, will_do)?;
        Some(steps.into_iter().chain(then).collect())
    })
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} is no step of the model", self.action)?;
        for happening in &self.happenings {
            writeln!(f, "  happened: {happening:?}")?;
        }
        if let Some(before) = &self.before {
            writeln!(f, "  before: {}", tell(before))?;
        }
        match &self.reason {
            ViolationReason::Rig(error) => writeln!(f, "  error:  {error}"),
            ViolationReason::Unmapped(error) => writeln!(f, "  after:  {error}"),
            ViolationReason::NoStep { after, possible } => {
                writeln!(f, "  after:  {}", tell(after))?;
                let names = possible.iter().map(|(step, _)| name(*step));
                writeln!(f, "  possible: {}", names.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A step as people write it: `serve(1)` for a step of page 1.
pub fn name(step: Step<Migration>) -> String {
    match step {
        Move::Control(step) => step.to_string(),
        Move::Page(step, page) => format!("{step}({page})"),
    }
}

fn tell(state: &State<Migration>) -> String {
    let pages = state.pages.iter().map(|page| format!("\n          {page:?}"));
    format!("{:?}{}", state.control, pages.collect::<String>())
}
