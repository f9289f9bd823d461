//! Runs by numbers: each number picks one of the actions that are possible, so that any list of numbers is a run.
//!
//! Random tests and fuzzing share this; a failing run is shortened by leaving numbers out.

use model::{ControlStep, Move};
use protocol::host::Work;

use super::abstraction::Unmapped;
use super::refine::{Violation, possible, refine};
use super::rig::{Action, Rig, RigError};

/// Choices from here on let the process exit, if it can; a run that never exits hops on.
const EXIT: u16 = u16::MAX - 400;

/// Of the steps at which something could go wrong, one in so many.
const CALM: u16 = 24;

/// Steps after which everything that goes on by itself must be over.
const SETTLING_STEPS_MAX: usize = 2000;

/// What was checked in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleTally {
    /// Actions taken, each a step of the model or none.
    pub steps: u64,
    /// Times that the process resumed on another host.
    pub hops: u64,
    /// Things that went wrong.
    pub disruptions: u64,
}

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The reference did something that the model does not have.
    #[error("{0}")]
    Violation(Box<Violation>),
    /// The situation at the start is no state of the model.
    #[error(transparent)]
    Unmapped(#[from] Unmapped),
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
pub fn run(rig: &mut Rig, choices: impl IntoIterator<Item = u16>) -> Result<ScheduleTally, ScheduleError> {
    let mut tally = ScheduleTally::default();
    for choice in choices {
        let Some(action) = choose(rig, choice)? else { break };
        tally.check(rig, action)?;
    }
    for _ in 0..SETTLING_STEPS_MAX {
        let Some(action) = possible(rig)?.into_iter().rfind(goes_on) else { break };
        tally.check(rig, action)?;
    }
    match possible(rig)?.into_iter().find(goes_on) {
        Some(action) => return Err(ScheduleError::Unsettled(action)),
        None if rig.runs_twice() || rig.may_come_back() => {}
        None => rig.check_end()?,
    }
    Ok(tally)
}

/// The next action: one of those that there are, by number. Disruptions are rare.
fn choose(rig: &Rig, choice: u16) -> Result<Option<Action>, Unmapped> {
    let mut actions = possible(rig)?;
    if choice >= EXIT && actions.contains(&Action::Exit) {
        return Ok(Some(Action::Exit));
    }
    actions.retain(|action| *action != Action::Exit);
    if !rig.is_disrupted() {
        let count = actions.len().max(1);
        return Ok(actions.into_iter().nth(usize::from(choice) % count));
    }
    let (bad, good): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_disruption);
    let strikes = choice.is_multiple_of(CALM) && !bad.is_empty();
    let among = if strikes || good.is_empty() { bad } else { good };
    let count = among.len().max(1);
    Ok(among.into_iter().nth(usize::from(choice / CALM) % count))
}

fn is_disruption(action: &Action) -> bool {
    use Action::{Cancel, Crash, Cut, Outage, Refuse, Suspect};
    matches!(action, Cut | Crash(_) | Outage | Cancel | Refuse(_) | Suspect(_))
}

/// What goes on by itself: messages arrive, hosts do what is due, a migration under way goes on, and what is out of
/// order is noticed and mended.
fn goes_on(action: &Action) -> bool {
    match action {
        Action::Deliver { kept, .. } => !kept,
        Action::Work(_, work) => *work != Work::BeginPass,
        Action::Resend(_) | Action::Suspend { .. } => true,
        Action::Notice(_) | Action::Reconnect | Action::Fence | Action::StoreReturns => true,
        _ => false,
    }
}

impl ScheduleTally {
    fn check(&mut self, rig: &mut Rig, action: Action) -> Result<(), ScheduleError> {
        let explained = refine(rig, action).map_err(ScheduleError::Violation)?;
        self.steps += 1;
        self.disruptions += u64::from(is_disruption(&action));
        self.hops += u64::from(explained.steps.contains(&Move::Control(ControlStep::Resume)));
        Ok(())
    }
}
