//! What becomes of the process: algorithm × disruption × phase, over every step at which it can come.

use std::collections::BTreeMap;
use std::fmt::Write;

use protocol::policy::{Policy, Pre};
use steplog::event::{Event, Step};
use steplog::fate::Fate;
use steplog::place::Epoch;
use world::Disruption;

use super::{B, at, disruptions, run, with};

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
        (Self::PreMigration, "pre-migration"),
        (Self::Migration, "freeze"),
        (Self::HandOver, "hand-over"),
        (Self::PostMigration, "post-migration"),
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

/// What the process had to go through. A destination that waits for word of an attempt that has been called off keeps
/// nobody waiting.
fn outcome(log: &[Step]) -> Outcome {
    let carried_on = log.iter().filter(|step| of_event(&step.event) == Outcome::CarriesOn);
    let called_off: Vec<Epoch> = carried_on.map(|step| step.epoch).collect();
    let matters =
        |step: &&Step| of_event(&step.event) != Outcome::Recovers || !called_off.contains(&step.epoch);
    log.iter().filter(matters).map(|step| of_event(&step.event)).max().unwrap_or(Outcome::Unaffected)
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

/// The outcome; where the process dies with the host that had it, nobody is left to say so.
fn judge(policy: &Policy, step: usize, disruption: Disruption, undisturbed: &[Step]) -> Outcome {
    let log = run(&with(policy, vec![at(step, disruption)]));
    let resumed = undisturbed[..step].iter().any(|step| matches!(step.event, Event::ProcessResumed { .. }));
    match disruption {
        Disruption::Crash { host, .. } if resumed == (host == B) => Outcome::Lost,
        _ => outcome(&log),
    }
}

#[test]
fn what_survives_what() {
    let headings: String = Phase::ALL.iter().map(|(_, name)| format!("{name:24}")).collect();
    let mut table = format!("{:20}{:19}{}\n", "algorithm", "disruption", headings.trim_end());
    for policy in &Policy::ALL {
        let undisturbed = run(&with(policy, vec![]));
        let mut name: &str = &policy.name;
        for (disruption, ways) in disruptions() {
            let mut cells = BTreeMap::<Phase, Vec<Outcome>>::new();
            for step in 0..=undisturbed.len() {
                let outcomes = ways.iter().map(|way| judge(policy, step, *way, &undisturbed));
                match phase(policy, &undisturbed[..step]) {
                    Some(phase) => cells.entry(phase).or_default().extend(outcomes),
                    // At rest as well it must come to its end.
                    None => drop(outcomes.collect::<Vec<_>>()),
                }
            }
            let row: String =
                Phase::ALL.iter().map(|(phase, _)| format!("{:24}", cell(cells.get(phase)))).collect();
            writeln!(table, "{name:20}{disruption:19}{}", row.trim_end()).unwrap();
            name = "";
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
        Some((worst, best)) => format!("{} ({})", name(worst), name(best)),
    }
}
