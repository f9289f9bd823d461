//! What becomes of the process: algorithm × disruption × phase, over every step at which it can come.

use std::collections::BTreeMap;
use std::fmt::Write;

use reference::event::{Event, Step};
use reference::fate::Fate;
use reference::policy::{Policy, Pre};

use super::{at, disruptions, run, with};

/// Where a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    PreMigration,
    Migration,
    HandOver,
    PostMigration,
    CleanUp,
}

impl Phase {
    const ALL: [(Self, &'static str); 5] = [
        (Self::PreMigration, "pre"),
        (Self::Migration, "migration"),
        (Self::HandOver, "hand-over"),
        (Self::PostMigration, "post"),
        (Self::CleanUp, "clean-up"),
    ];
}

/// What became of the process, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Unaffected,
    CarriesOn,
    Recovers,
    Lost,
}

/// The phase after these steps; `None` before the migration and when all is over.
fn phase(policy: &Policy, log: &[Step]) -> Option<Phase> {
    let mut phase = None;
    for Step { event, .. } in log {
        match event {
            Event::MigrationStarted { .. } if policy.pre != Pre::None => phase = Some(Phase::PreMigration),
            Event::ProcessSuspended { .. } => phase = Some(Phase::Migration),
            Event::ProcessHandedOver { .. } => phase = Some(Phase::HandOver),
            Event::ProcessResumed { .. } if policy.has_post_migration() => phase = Some(Phase::PostMigration),
            Event::ProcessResumed { .. } | Event::CompletionDeclared { .. } => phase = Some(Phase::CleanUp),
            Event::DestructionLearned { at_rest: true, .. } => phase = None,
            _ => {}
        }
    }
    phase
}

fn outcome(log: &[Step]) -> Outcome {
    log.iter().map(|step| of_event(&step.event)).max().unwrap_or(Outcome::Unaffected)
}

fn of_event(event: &Event) -> Outcome {
    match event {
        Event::MigrationCancelled { .. } | Event::RefusalLearned { .. } => Outcome::CarriesOn,
        Event::WriteBackRepeated { .. } | Event::FetchRepeated { .. } => Outcome::Recovers,
        Event::PeerDisconnected { fate, .. } | Event::PeerFenced { fate, .. } => match fate {
            Some(Fate::CarriedOn(_)) => Outcome::CarriesOn,
            Some(Fate::Paused(_) | Fate::Migrated) => Outcome::Recovers,
            Some(Fate::Lost(_)) => Outcome::Lost,
            Some(Fate::Forgotten(_)) | None => Outcome::Unaffected,
        },
        _ => Outcome::Unaffected,
    }
}

/// The outcome, where the process is lost with the host that had it: nobody is left to say so.
fn judge(disruption: &str, undisturbed: &[Step], log: &[Step], step: usize) -> Outcome {
    let crashed = log.iter().any(|step| step.event == Event::HostCrashed);
    let resumed = undisturbed[..step].iter().any(|step| matches!(step.event, Event::ProcessResumed { .. }));
    let had_process = match disruption {
        "crash of source" => !resumed,
        "crash of destination" => resumed,
        _ => false,
    };
    if crashed && had_process { Outcome::Lost } else { outcome(log) }
}

#[test]
fn what_survives_what() {
    let mut table = String::new();
    for policy in &Policy::ALL {
        let undisturbed = run(&with(policy, vec![]));
        writeln!(table, "{}", policy.name).unwrap();
        for (name, ways) in disruptions() {
            let mut cells = BTreeMap::<Phase, Vec<Outcome>>::new();
            for step in 0..=undisturbed.len() {
                for &disruption in &ways {
                    let log = run(&with(policy, vec![at(step, disruption)]));
                    let outcome = judge(name, &undisturbed, &log, step);
                    if let Some(phase) = phase(policy, &undisturbed[..step]) {
                        cells.entry(phase).or_default().push(outcome);
                    }
                }
            }
            write!(table, "  {name:21}").unwrap();
            for (phase, phase_name) in Phase::ALL {
                write!(table, " {phase_name}: {:26}", cell(cells.get(&phase))).unwrap();
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
    }
    insta::assert_snapshot!(table);
}

/// The worst, and the best where that differs.
fn cell(outcomes: Option<&Vec<Outcome>>) -> String {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Unaffected => "unaffected",
        Outcome::CarriesOn => "carries on",
        Outcome::Recovers => "recovers",
        Outcome::Lost => "lost",
    };
    let bounds = outcomes.and_then(|outcomes| Some((outcomes.iter().max()?, outcomes.iter().min()?)));
    match bounds {
        None => "–".to_owned(),
        Some((worst, best)) if worst == best => name(worst).to_owned(),
        Some((worst, best)) => format!("{} [{}]", name(worst), name(best)),
    }
}
