//! The five steps and the states of the process: C1, C2, C3, C16, C22.

use std::collections::{BTreeMap, BTreeSet};

use enumset::EnumSet;
use model::concrete::{Move, State, Step};
use model::system::Properties;
use model::{ControlStep, Link, Process, Property};

use super::lab::{listed, names};
use super::{ClaimFinding, Lab, LabError};
use crate::observed::{ObservedMigration, SharedStage, story};

/// The step, if it is one of the five and does not follow the one before it.
fn out_of_order(
    before: &State<ObservedMigration>,
    step: Step<ObservedMigration>,
    after: &State<ObservedMigration>,
) -> Option<SharedStage> {
    let Move::Control(step) = step else { return None };
    let stage = SharedStage::of(step, &before.control.control, &after.control.control)?;
    let first = before.control.stage.is_none() && stage == SharedStage::Suspend;
    (!first && before.control.stage != Some(stage.previous())).then_some(stage)
}

/// C1.
pub(super) fn five_steps(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let mut finding = ClaimFinding::new("checker trace lazy-copy L2 --pages 1");
    let (mut not_all, mut wrong_order) = (Vec::new(), Vec::new());
    for name in names() {
        let found = lab.first(name, Link::Fifo, EnumSet::empty(), |before, step, after| {
            out_of_order(before, step, after).is_some()
        })?;
        let Some(trace) = found else { continue };
        not_all.push(name);
        let forgets_removal = |before: &State<ObservedMigration>, step, after: &State<ObservedMigration>| {
            out_of_order(before, step, after) == Some(SharedStage::Suspend)
                && before.control.stage == Some(SharedStage::Resume)
        };
        let other = lab.first(name, Link::Fifo, EnumSet::empty(), |before, step, after| {
            out_of_order(before, step, after).is_some() && !forgets_removal(before, step, after)
        })?;
        if let Some(other) = &other {
            wrong_order.push(name);
            finding.witness =
                Some(story(format!("{name} · the five steps out of order"), other.clone(), None));
        }
        finding.witness.get_or_insert(story(
            format!("{name} · suspended again before the source has removed its process"),
            trace,
            None,
        ));
    }
    let says = match not_all.as_slice() {
        [] => "all algorithms take the five steps in order and leave none out".to_owned(),
        some => format!(
            "all take the five steps in order; but {} may be suspended again without having been removed at the source",
            listed(some.iter().copied())
        ),
    };
    let lazy_alone = not_all.iter().all(|name| *name == "lazy-copy");
    Ok(finding.claims(says, not_all.is_empty()).corrects(
        match (wrong_order.as_slice(), lazy_alone) {
            ([], true) => {
                "no algorithm takes them out of order, and lazy copy alone can leave out the last".to_owned()
            }
            (some, _) => format!("{} takes them out of order", listed(some.iter().copied())),
        },
        wrong_order.is_empty() && lazy_alone,
    ))
}

/// C2.
pub(super) fn state_before_resume(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let mut hasty = BTreeSet::new();
    let mut finding = ClaimFinding::new("checker trace total-copy S9 --defect resume-before-state");
    for name in names() {
        for link in Link::ALL {
            let found = lab.first(name, link, EnumSet::empty(), |before, step, _| {
                step == Move::Control(ControlStep::Resume)
                    && before.control.stage != Some(SharedStage::Reconstruct)
            })?;
            if let Some(trace) = found {
                hasty.insert(name);
                finding.witness.get_or_insert(story(
                    format!("{name} · resumes without its state"),
                    trace,
                    None,
                ));
            }
        }
    }
    let says = match hasty.is_empty() {
        true => "no algorithm, over any kind of link, resumes before the state has arrived and the process is reconstructed".to_owned(),
        false => format!("{} resumes before its state is there", listed(hasty.iter().copied())),
    };
    Ok(finding.claims(says, hasty.is_empty()))
}

/// The place of a state in the full cycle.
fn place(process: Process) -> Option<usize> {
    [Process::Normal, Process::PreMigration, Process::Migration, Process::PostMigration]
        .into_iter()
        .position(|state| state == process)
}

/// Does every way round through the changes go round the full cycle exactly once?
fn goes_round_once(changes: &BTreeSet<(Process, Process)>) -> bool {
    let distance = |from, to| Some((place(to)? + 4 - place(from)?) % 4);
    fn walk(
        at: Process,
        seen: &mut Vec<Process>,
        length: usize,
        changes: &BTreeMap<(Process, Process), usize>,
    ) -> bool {
        changes.iter().filter(|((from, _), _)| *from == at).all(|((_, to), step)| {
            if *to == seen[0] {
                return length + step == 4;
            }
            if seen.contains(to) {
                return true;
            }
            seen.push(*to);
            let fine = walk(*to, seen, length + step, changes);
            seen.pop();
            fine
        })
    }
    let steps: Option<BTreeMap<_, _>> =
        changes.iter().map(|(from, to)| Some(((*from, *to), distance(*from, *to)?))).collect();
    steps.is_some_and(|steps| steps.keys().all(|(from, _)| walk(*from, &mut vec![*from], 0, &steps)))
}

/// C3.
pub(super) fn sub_cycles(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let mut strays = Vec::new();
    for name in names() {
        if !goes_round_once(&lab.changes(name)?) {
            strays.push(name);
        }
    }
    let says = match strays.is_empty() {
        true => {
            "each algorithm's changes of state go forward in the full cycle, once round at a time".to_owned()
        }
        false => format!("{} leaves the order of the full cycle", listed(strays.iter().copied())),
    };
    let finding = ClaimFinding::new("checker check --property S9").claims(says, strays.is_empty());
    lab.claims_kept(finding, &names(), Property::S9)
}

/// C16.
pub(super) fn pre_and_post(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let mut both = Vec::new();
    for name in names() {
        let changes = lab.changes(name)?;
        let enters = |state| changes.iter().any(|(_, to)| *to == state);
        if enters(Process::PreMigration) && enters(Process::PostMigration) {
            both.push(name);
        }
    }
    let says = format!("{} pass through both", listed(both.iter().copied()));
    Ok(ClaimFinding::new("checker trace assisted-post-copy S9")
        .claims(says, both == ["assisted-post-copy", "generic"]))
}

/// C22.
pub(super) fn generic_cycle(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let changes = lab.changes("generic")?;
    let cycle = BTreeSet::from([
        (Process::PreMigration, Process::Migration),
        (Process::Migration, Process::PostMigration),
        (Process::PostMigration, Process::PreMigration),
    ]);
    let says = match changes == cycle {
        true => "these are generic's only changes of state".to_owned(),
        false => format!("generic's changes of state are {changes:?}"),
    };
    let finding =
        ClaimFinding::new("checker trace generic S9 --pages 1 --hosts 2").claims(says, changes == cycle);
    lab.claims_kept(finding, &["generic"], Properties::only(Property::S9))
}
