//! Runs by numbers: each number picks one of the actions that are possible, so that any list of numbers is a run.
//!
//! Random tests and fuzzing share this; a failing run is shortened by leaving numbers out.

use model::{ControlStep, Move};
use reference::host::Work;

use super::refine::{Violation, refine};
use super::rig::{Action, Rig, RigError};

/// Choices from here on let the process exit, if it can; a run that never exits hops on.
const EXIT: u16 = u16::MAX - 400;

/// Steps after which everything that goes on by itself must be over.
const SETTLING_STEPS_MAX: usize = 2000;

/// What was checked in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Actions taken, each a step of the model or none.
    pub steps: u64,
    /// Times that the process resumed on another host.
    pub hops: u64,
}

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The reference did something that the model does not have.
    #[error("{0}")]
    Violation(Box<Violation>),
    /// Something goes on by itself for ever.
    #[error("does not settle: {0:?} is still possible")]
    Unsettled(Action),
    /// In the end, something is not as it would be if the process had never moved.
    #[error("in the end: {0}")]
    End(#[from] RigError),
}

/// Takes an action for each choice, then lets everything settle, and checks what is left. Every step is checked
/// against the model on the way.
///
/// # Errors
/// A step that the model does not have, or an end that is none.
pub fn run(rig: &mut Rig, choices: impl IntoIterator<Item = u16>) -> Result<Tally, ScheduleError> {
    let mut tally = Tally::default();
    for choice in choices {
        let Some(action) = choose(rig, choice) else { break };
        tally.check(rig, action)?;
    }
    for _ in 0..SETTLING_STEPS_MAX {
        let Some(action) = rig.actions().into_iter().rfind(goes_on) else { break };
        tally.check(rig, action)?;
    }
    match rig.actions().into_iter().find(goes_on) {
        Some(action) => return Err(ScheduleError::Unsettled(action)),
        None => rig.check_end()?,
    }
    Ok(tally)
}

/// The next action: one of those that there are, by number.
fn choose(rig: &Rig, choice: u16) -> Option<Action> {
    let mut actions = rig.actions();
    if choice >= EXIT && actions.contains(&Action::Exit) {
        return Some(Action::Exit);
    }
    actions.retain(|action| *action != Action::Exit);
    let count = actions.len().max(1);
    actions.into_iter().nth(usize::from(choice) % count)
}

/// What goes on by itself: messages arrive, hosts do what is due, a migration under way goes on.
fn goes_on(action: &Action) -> bool {
    match action {
        Action::Deliver { kept, .. } => !kept,
        Action::Work(_, work) => *work != Work::BeginPass,
        Action::Resend(_) | Action::Suspend { .. } => true,
        _ => false,
    }
}

impl Tally {
    fn check(&mut self, rig: &mut Rig, action: Action) -> Result<(), ScheduleError> {
        let explained = refine(rig, action).map_err(ScheduleError::Violation)?;
        self.steps += 1;
        self.hops += u64::from(explained.steps.contains(&Move::Control(ControlStep::Resume)));
        Ok(())
    }
}
