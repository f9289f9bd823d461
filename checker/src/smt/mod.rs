//! A second opinion on the proof for any number of pages: verification conditions in SMT-LIB 2.
//!
//! An [`Invariant`](engine::views::Invariant) says which views occur; a state of more pages than a view has
//! satisfies it when all its views do. Here a state is a control record and a function from an
//! uninterpreted sort of pages, of which nothing is known but that it has more elements than a view, to
//! page records:
//!
//! ```text
//! Inv(control, record)  :=  ∀ p. permitted(control, record(p))                    views of one page
//!                           ∀ p ≠ q. permitted(control, record(p), record(q))     views of two
//!
//! initiation            :   Init ⇒ Inv
//! consecution of step s :   Inv ∧ s(control, record, control', record') ⇒ Inv'
//! safety of property S  :   Inv ⇒ S,   Inv ∧ s(…) ⇒ S
//! ```
//!
//! Each condition is a script of its own that asserts the hypotheses and the negated conclusion, so a
//! solver proves it with `unsat`. All quantifiers range over pages, and no function leads back to pages, so
//! the conditions are in a decidable fragment. Beside each stand *mutants* that a solver must refute with
//! `sat`: the conclusion asserted instead of negated (the hypotheses are not contradictory), a view left
//! out, a guard left out. How to run them is in `proofs-notes/smt.md`.

use std::fmt;

use engine::views::InvariantOf;
use population::system::Judged;

mod consecution;
pub mod manifest;
mod mutants;
mod safety;
mod script;
mod vocabulary;

use consecution::Variant;
use vocabulary::Vocabulary;

/// A script for an SMT solver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationCondition {
    /// What it is about, such as `consecution/push`; unique among those of an invariant.
    pub name: String,
    /// The script, in SMT-LIB 2.6.
    pub text: String,
    /// The answer to its one `check-sat` if the invariant is right; `:status` in the script says so too.
    pub expected: SolverAnswer,
}

impl VerificationCondition {
    /// A name for a file with the script.
    pub fn file_name(&self) -> String {
        format!("{}.smt2", self.name.replace('/', "."))
    }
}

/// What a solver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SolverAnswer {
    /// The condition holds.
    Unsat,
    /// It does not, as is right for a mutant.
    Sat,
}

impl fmt::Display for SolverAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SolverAnswer::Unsat => "unsat",
            SolverAnswer::Sat => "sat",
        })
    }
}

/// The verification conditions of an invariant: every condition, then every mutant.
///
/// They are about populations larger than a view; the smaller ones are finitely many states, which
/// [`recheck`](engine::views::recheck()) goes through.
pub fn emit<S: Judged + Clone>(system: &S, invariant: &InvariantOf<S>) -> Vec<VerificationCondition> {
    let vocabulary = Vocabulary::new(system, invariant);
    let mut conditions = vec![consecution::initiation(&vocabulary, Variant::PROOF)];
    conditions.extend(consecution::all(&vocabulary, Variant::PROOF));
    conditions.extend(safety::all(&vocabulary));
    conditions.extend(mutants::all(&vocabulary, invariant));
    conditions
}
