//! The claims of the source text: each check can fail, and the notes say what the command says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use checker::claims::{self, Answer, Claim, Lab};
use checker::simulate::{CostModel, SimulationSetup};
use model::Defect;
use protocol::policy::{Missing, Policy, Push};

/// For each claim that a defect of the model can make false, such a defect.
const DEFECTS: [(&str, Defect); 26] = [
    ("C1", Defect::ResumeBeforeState),
    ("C2", Defect::ResumeBeforeState),
    ("C3", Defect::SkipPostMigration),
    ("C4", Defect::ResumeBeforeState),
    ("C5", Defect::FreezeSendsAll),
    ("C6", Defect::ForgetRedirtied),
    ("C7", Defect::FreezeSendsAll),
    ("C8", Defect::ForgetRedirtied),
    ("C9", Defect::FreezeSendsAll),
    ("C10", Defect::FreezeSendsAll),
    ("C11", Defect::SkipPostMigration),
    ("C12", Defect::FlushUnacknowledged),
    ("C13", Defect::FlushUnacknowledged),
    ("C14", Defect::NeverPush),
    ("C15", Defect::DemandBehindPushes),
    ("C16", Defect::SkipPostMigration),
    ("C17", Defect::NeverWriteBack),
    ("C18", Defect::SwollenWorkingSet),
    ("C19", Defect::DestroyWhileOwed),
    ("C20", Defect::DropDirtyMap),
    ("C21", Defect::DestroyWhileOwed),
    ("C22", Defect::SkipPostMigration),
    ("C23", Defect::PushWhileFrozen),
    ("C25", Defect::NeverPush),
    ("C26", Defect::NeverWriteBack),
    ("C29", Defect::ClearDirtyOnArrival),
];

#[test]
fn a_defect_changes_the_answer() {
    for (id, defect) in DEFECTS {
        let claim = Claim::find(id).expect("a claim");
        let lab = Lab { defect: Some(defect), ..Lab::default() };
        let finding = claim.check(&lab).unwrap_or_else(|error| panic!("{id} with {defect}: {error}"));
        assert!(!finding.is(claim.expected), "{id} with {defect}: {finding:?}");
    }
}

type Alteration = fn(SimulationSetup) -> SimulationSetup;

/// For each claim that rests on the simulation, an error in what is simulated that must change its answer.
const ERRORS: [(&str, Alteration); 12] = [
    ("C24", |setup| match setup.policy.missing {
        Missing::ByKind => SimulationSetup { policy: Policy::LAZY_COPY, ..setup },
        _ => setup,
    }),
    ("C27", |setup| {
        let working_set = setup.policy.missing == Missing::ByKind && !setup.policy.working_set;
        SimulationSetup { policy: Policy { working_set, ..setup.policy }, ..setup }
    }),
    ("C28", |setup| SimulationSetup { policy: Policy { push: Push::None, ..setup.policy }, ..setup }),
    ("N1", slow_link),
    ("N2", |setup| SimulationSetup { policy: Policy::PRE_COPY, ..setup }),
    ("N3", slow_link),
    ("N4", |setup| costs(setup, |costs| costs.send_buffer_bytes /= 2)),
    ("N5", |setup| costs(setup, |costs| costs.state_bytes *= 2)),
    ("N6", |setup| SimulationSetup { policy: Policy::POST_COPY, ..setup }),
    ("N7", |setup| costs(setup, |costs| costs.request_pause_ns *= 2)),
    ("N8", |setup| SimulationSetup { policy: Policy::POST_COPY, ..setup }),
    ("N9", slow_link),
];

fn slow_link(setup: SimulationSetup) -> SimulationSetup {
    costs(setup, |costs| costs.bandwidth_bits_per_s = 90_000_000)
}

fn costs(mut setup: SimulationSetup, alter: fn(&mut CostModel)) -> SimulationSetup {
    alter(&mut setup.costs);
    setup
}

#[test]
fn an_error_in_what_is_simulated_changes_the_answer() {
    for (id, altered) in ERRORS {
        let claim = Claim::find(id).expect("a claim");
        let lab = Lab { altered, ..Lab::default() };
        let finding = claim.check(&lab).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(!finding.is(claim.expected), "{id}: {finding:?}");
    }
}

/// No claim is left out, but the one about virtual machines, which nothing here can decide.
/// Within a claim, not only between two: what is computed is given up, and never taken for an answer.
#[test]
fn a_check_ends_when_somebody_has_had_enough() {
    let interrupted = Lab { interrupted: Arc::new(true.into()), ..Lab::default() };
    let late = Lab { until: Some(Instant::now()), ..Lab::default() };
    // The rows of the published table are simulated in no time.
    let computed = |claim: &Claim| claim.expected != Answer::NotCheckable && claim.id.starts_with('C');
    for claim in claims::all().filter(computed) {
        for lab in [&interrupted, &late] {
            match claim.check(lab) {
                Err(error) => assert!(error.is_an_end() && error.is_a_bound(), "{}: {error}", claim.id),
                Ok(finding) => panic!("{}: {finding:?}", claim.id),
            }
        }
    }
}

#[test]
fn every_claim_is_seen_to_fail() {
    let seen: BTreeSet<&str> =
        DEFECTS.iter().map(|(id, _)| *id).chain(ERRORS.iter().map(|(id, _)| *id)).collect();
    let unseen: Vec<&str> = claims::all().map(|claim| claim.id).filter(|id| !seen.contains(id)).collect();
    assert_eq!(unseen, ["C30"]);
}

#[test]
fn every_answer_is_the_expected_one() {
    for claim in claims::all() {
        let finding = claim.check(&Lab::default()).unwrap_or_else(|error| panic!("{}: {error}", claim.id));
        assert!(finding.is(claim.expected), "{}: {finding:?}", claim.id);
        let refuted = claim.expected == Answer::Fails;
        assert!(!refuted || !finding.corrected.is_empty(), "{} fails, and nothing is said instead", claim.id);
    }
}

/// The notes have a row for each claim, in order, with its answer and its command.
#[test]
fn the_notes_agree_with_the_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proofs-notes/claims.md");
    let notes = fs::read_to_string(path).expect("the notes");
    let rows: Vec<Vec<&str>> = notes
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.split(" | ").map(str::trim).collect())
        .filter(|row: &Vec<&str>| Claim::find(row[0]).is_some())
        .collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(ids, claims::all().map(|claim| claim.id).collect::<Vec<_>>());
    for row in rows {
        let claim = Claim::find(row[0]).expect("a claim");
        assert_eq!(row[1], claim.expected.to_string(), "{}", claim.id);
        let command = claim.check(&Lab::default()).expect("a finding").command;
        assert!(notes.contains(&format!("`{command}`")), "{}: the notes lack {command}", claim.id);
        if claim.expected == Answer::Fails {
            assert!(notes.contains(&format!("## {}", claim.id)), "{} fails without a section", claim.id);
        }
    }
}
