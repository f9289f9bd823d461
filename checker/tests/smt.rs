//! The verification conditions: what there is of them, and what a solver says where one is installed.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use checker::smt::manifest::{Required, required};
use checker::smt::{SolverAnswer, VerificationCondition, emit};
use engine::testing::toy::Toy;
use engine::testing::{RandomSystem, Shape};
use engine::views::{ProofBounds, prove};
use model::system::Judged;
use model::{Hosts, Link, Migration, algorithms};

fn conditions<S: Judged + Clone>(system: &S) -> Vec<VerificationCondition> {
    emit(system, &prove(system, ProofBounds::default()).invariant)
}

#[test]
fn every_condition_is_one_well_formed_script() {
    let conditions = conditions(&Toy::default());
    let names: BTreeSet<_> = conditions.iter().map(VerificationCondition::file_name).collect();
    assert_eq!(names.len(), conditions.len(), "two conditions have the same file name");
    for VerificationCondition { name, text, expected } in &conditions {
        let code: String = text.lines().filter(|line| !line.starts_with(';')).collect();
        let depth = code.chars().try_fold(0usize, |depth, letter| match letter {
            '(' => Some(depth + 1),
            ')' => depth.checked_sub(1),
            _ => Some(depth),
        });
        assert_eq!(depth, Some(0), "unbalanced parentheses in {name}");
        assert_eq!(code.matches("(check-sat)").count(), 1);
        let status = if *expected == SolverAnswer::Sat {
            "(set-info :status sat)"
        } else {
            "(set-info :status unsat)"
        };
        assert!(code.contains(status));
        assert_eq!(*expected == SolverAnswer::Sat, name.starts_with("mutant/"), "{name}");
    }
}

#[test]
fn there_is_a_condition_for_every_step_and_property_and_a_mutant_for_every_step() {
    let conditions = conditions(&Toy::default());
    let names: Vec<_> = conditions.iter().map(|condition| condition.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "initiation",
            "consecution/control/depart",
            "consecution/control/finish",
            "consecution/page/fault",
            "consecution/page/serve",
            "consecution/page/push",
            "consecution/page/arrive",
            "safety/S5/states",
            "safety/S7/states",
            "safety/S7/page/push",
            "safety/S10/states",
            "mutant/possible/initiation",
            "mutant/possible/safety/S5/states",
            "mutant/possible/safety/S7/states",
            "mutant/possible/safety/S10/states",
            "mutant/possible/consecution/control/depart",
            "mutant/view-left-out/consecution/control/depart",
            "mutant/possible/consecution/control/finish",
            "mutant/view-left-out/consecution/control/finish",
            "mutant/guard-left-out/consecution/control/finish",
            "mutant/possible/consecution/page/fault",
            "mutant/view-left-out/consecution/page/fault",
            "mutant/possible/consecution/page/serve",
            "mutant/view-left-out/consecution/page/serve",
            "mutant/possible/consecution/page/push",
            "mutant/view-left-out/consecution/page/push",
            "mutant/guard-left-out/safety/S7/page/push",
            "mutant/possible/consecution/page/arrive",
            "mutant/view-left-out/consecution/page/arrive",
        ]
    );
}

/// What must be there, counted without the emitter, is there, and its scripts have a term for each taker.
#[test]
fn what_is_required_is_emitted_and_nothing_of_it_is_left_out() {
    let migration = Migration::new(algorithms::GENERIC, Hosts::Three, Link::Fifo);
    let invariant = prove(&migration, ProofBounds::default()).invariant;
    let conditions = emit(&migration, &invariant);
    let required = required(&migration, &invariant);
    for Required { file, takers } in &required {
        let condition = conditions.iter().find(|condition| condition.file_name() == *file);
        let condition = condition.unwrap_or_else(|| panic!("{file} is missing"));
        if let Some(takers) = takers {
            let term = if file.contains("consecution.page") {
                "(= (record stepper) r"
            } else {
                "(= control-after c"
            };
            assert_eq!(condition.text.matches(term).count(), *takers, "{file}");
        }
    }
    let consecution = conditions.iter().filter(|condition| condition.name.starts_with("consecution/"));
    let known = |condition: &&VerificationCondition| {
        required.iter().any(|required| required.file == condition.file_name())
    };
    assert_eq!(consecution.filter(|condition| !known(condition)).count(), 0, "steps that nobody takes");
    assert_eq!(required.len(), 63);
}

#[test]
fn z3_agrees_on_the_toy_and_refutes_it_with_mistakes() {
    if !z3_is_installed() {
        return;
    }
    for condition in conditions(&Toy::default()) {
        assert_eq!(z3(&condition), condition.expected.to_string(), "{}", condition.name);
    }
    let right = prove(&Toy::default(), ProofBounds::default()).invariant;
    let refuted = |toy: Toy, name: &str| {
        let conditions = emit(&toy, &right);
        let condition = conditions.into_iter().find(|condition| condition.name == name).unwrap();
        assert_eq!(z3(&condition), "sat", "{name}");
    };
    refuted(Toy { hasty: true, ..Toy::default() }, "consecution/control/finish");
    refuted(Toy { rude: true, ..Toy::default() }, "safety/S7/page/push");
    refuted(Toy { stalled: true, ..Toy::default() }, "safety/S10/states");
}

#[test]
fn z3_agrees_on_views_of_two_pages() {
    if !z3_is_installed() {
        return;
    }
    let shape = Shape { controls: 2, pages: 4, guarded: 60, moves: 60, violating: 2, ..Shape::default() };
    let systems = (0..).map(|seed| RandomSystem::new(seed, shape));
    let proofs = systems.map(|system| (prove(&system, ProofBounds::default()).invariant, system));
    for (invariant, system) in proofs.filter(|(invariant, _)| invariant.view_pages == 2).take(4) {
        for condition in emit(&system, &invariant) {
            assert_eq!(
                z3(&condition),
                condition.expected.to_string(),
                "seed {}: {}",
                system.seed,
                condition.name
            );
        }
    }
}

#[test]
fn z3_agrees_on_post_copy() {
    if !z3_is_installed() {
        return;
    }
    for condition in conditions(&Migration::new(algorithms::POST_COPY, Hosts::Three, Link::Fifo)) {
        assert_eq!(z3(&condition), condition.expected.to_string(), "{}", condition.name);
    }
}

fn z3_is_installed() -> bool {
    let installed = Command::new("z3").arg("--version").output().is_ok();
    if !installed {
        eprintln!("SKIPPED: z3 is not installed, no verification condition was solved");
    }
    installed
}

fn z3(condition: &VerificationCondition) -> String {
    let mut solver = Command::new("z3")
        .args(["-in", "-T:60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    solver.stdin.take().unwrap().write_all(condition.text.as_bytes()).unwrap();
    let output = solver.wait_with_output().unwrap();
    // After an answer that is not the `:status`, z3 goes on to complain about it.
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
