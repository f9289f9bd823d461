//! Shortest runs that show a property at work, for those that hold: what it is about really occurs.
//!
//! A property that holds only because nothing ever happens would have no witness.

use engine::explore::{Found, find_while};
use model::concrete::{Concrete, State, Step};
use model::page::Plan;
use model::strategy::Pre;
use model::{ControlStep, Hosts, Migration, Move, PageStep, Phase, Process, Property, Strategy};

use crate::narrative::Story;

/// The most states visited on the way to one goal.
const STATES_MAX: usize = 2_000_000;

/// A search for a run came to no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no run was found among {STATES_MAX} states, or in the time given, and there are more")]
pub struct WitnessUnfinished;

/// A run that shows the property at work, leg by leg the shortest one, looked for as long as it `goes_on`. `None` if
/// there is none.
///
/// # Errors
/// The search was not finished.
pub fn witness(
    concrete: &Concrete<Migration>,
    property: Property,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Story>, WitnessUnfinished> {
    let migration = &concrete.system;
    let (what, goals) = show(&migration.strategy, migration.hosts, property);
    let mut from = concrete.initial();
    let mut start = None;
    let mut steps = Vec::new();
    for goal in goals {
        let met = |step: &Step<Migration>, before: &State<Migration>, after: &State<Migration>| {
            goal.is_met(&migration.strategy, step, before, after)
        };
        let leg = match find_while(concrete, &from, STATES_MAX, goes_on, met) {
            Found::Trace(leg) => leg,
            Found::None => return Ok(None),
            Found::Inconclusive => return Err(WitnessUnfinished),
        };
        start.get_or_insert(leg.initial);
        steps.extend(leg.steps);
        from = steps.last().map(|(_, state): &(_, State<Migration>)| state.clone()).into_iter().collect();
    }
    let title = format!("{} · {property} {} · {what}", migration.strategy.name, property.title());
    Ok(start.map(|start| Story { title, start, steps, loop_from: None }))
}

/// Something to be reached.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Suspended,
    Resumed,
    AtRestAgain,
    MigratesBack,
    MigratesOnward,
    Exited,
    Written,
    Copied,
    SentAsOftenAsDeclared,
    PageArrives,
    OwedPageArrives,
    RequestArrives,
    RequestAnswered,
    WriteBackStored,
}

/// What there is to see of a property, and the goals of a run that shows it.
fn show(strategy: &Strategy, hosts: Hosts, property: Property) -> (&'static str, Vec<Goal>) {
    use Goal::*;
    let owes = strategy.owes_pages();
    match property {
        Property::S1 | Property::S2 | Property::L1 if owes => {
            ("an owed page reaches the process", vec![Resumed, OwedPageArrives])
        }
        Property::S1 | Property::S2 => ("a page and the process move", vec![PageArrives, Resumed]),
        Property::S4 => ("the whole freeze", vec![Suspended, Resumed]),
        Property::S5 | Property::L2 => ("back at rest", back_at_rest(strategy)),
        Property::S6 | Property::L6 => ("a write-back is stored", vec![WriteBackStored]),
        Property::S7 | Property::L3 if owes => {
            ("a page on demand", vec![RequestArrives, RequestAnswered, OwedPageArrives])
        }
        Property::S8 if strategy.crossings_max() != Some(0) => {
            ("a page is sent as often as declared", vec![SentAsOftenAsDeclared])
        }
        Property::S9 | Property::L7 => {
            let (what, migrates) = match hosts {
                Hosts::Two => ("A → B → A", MigratesBack),
                Hosts::Three => ("A → B → C", MigratesOnward),
            };
            let mut goals = vec![Resumed];
            if strategy.tracks_dirty() {
                goals.insert(0, Written);
            }
            if owes {
                goals.push(OwedPageArrives);
            }
            if !strategy.is_lazy() {
                goals.push(AtRestAgain);
            }
            goals.extend([migrates, Resumed]);
            if !strategy.is_lazy() {
                goals.push(AtRestAgain);
            }
            (what, goals)
        }
        Property::S10 => ("the one state without a successor", vec![Exited]),
        Property::L5 if matches!(strategy.pre, Pre::Copy(_)) => ("pre-copy ends", vec![Copied, Suspended]),
        _ => ("a migration", vec![Resumed]),
    }
}

/// Lazy copy has to return for that.
fn back_at_rest(strategy: &Strategy) -> Vec<Goal> {
    match strategy.is_lazy() {
        true => vec![Goal::Resumed, Goal::OwedPageArrives, Goal::MigratesBack, Goal::AtRestAgain],
        false if strategy.tracks_dirty() => vec![Goal::Written, Goal::Resumed, Goal::AtRestAgain],
        false => vec![Goal::Resumed, Goal::AtRestAgain],
    }
}

impl Goal {
    fn is_met(
        self,
        strategy: &Strategy,
        step: &Step<Migration>,
        before: &State<Migration>,
        after: &State<Migration>,
    ) -> bool {
        let takes_control = |wanted| *step == Move::Control(wanted);
        let takes = |wanted| matches!(step, Move::Page(step, _) if *step == wanted);
        match self {
            Goal::Suspended => before.control.runs() && after.control.process == Process::Migration,
            Goal::Resumed => takes_control(ControlStep::Resume),
            Goal::AtRestAgain => takes_control(ControlStep::Finish),
            Goal::MigratesBack => takes_control(ControlStep::MigrateBack),
            Goal::MigratesOnward => takes_control(ControlStep::MigrateOnward),
            Goal::Exited => after.control.phase == Phase::Exited,
            Goal::Written => takes(PageStep::Write),
            Goal::Copied => takes(PageStep::Copy),
            Goal::SentAsOftenAsDeclared => {
                after.pages.iter().any(|page| Some(page.crossings) == strategy.crossings_max())
            }
            Goal::PageArrives => takes(PageStep::DeliverPage) || takes(PageStep::LoadLocal),
            Goal::OwedPageArrives => match step {
                Move::Page(PageStep::DeliverPage, page) => {
                    matches!(before.pages[*page].plan, Plan::FromSource | Plan::FromThird)
                }
                _ => false,
            },
            Goal::RequestArrives => takes(PageStep::DeliverRequest),
            Goal::RequestAnswered => takes(PageStep::Serve),
            Goal::WriteBackStored => takes(PageStep::Store),
        }
    }
}
