//! What the source text claims, row by row, each held to the model and to the simulation.
//!
//! A row is a claim in our words, a check that computes the answer, and the answer that is expected. A claim
//! *fails* when it is not true as it stands; its check then also computes a corrected statement, which must be
//! true. So a row is as expected only if the claim and its correction are both as the table says, and a check
//! that cannot fail would be noticed: `tests/tests/claims.rs` runs checks against deliberate defects.
//!
//! `proofs-notes/claims.md` answers every row in words; a test holds it to this table.

mod copies;
mod evaluation;
mod generic;
mod kinds;
mod lab;
mod numbers;
mod residual;
mod states;

use std::fmt;

use serde::{Serialize, Serializer};

pub use lab::{Lab, LabError};

use crate::narrative::Story;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Claim {
    /// `C1` to `C30`, and `N1` to `N8` for the rows of the published table.
    pub id: &'static str,
    /// The section of the source text.
    pub section: &'static str,
    /// What it says, in our words.
    pub says: &'static str,
    /// What is known of it.
    pub expected: Answer,
    check: fn(&Lab) -> Result<ClaimFinding, LabError>,
}

/// What is said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// True as it stands.
    Holds,
    /// Not true as it stands.
    Fails,
    /// Nothing here could decide it.
    NotCheckable,
}

/// A statement that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What it says, with the figures found.
    pub says: String,
    /// Is it true?
    pub holds: bool,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimFinding {
    /// What the claim comes down to; the claim holds if all of this does. Empty where nothing can be checked.
    pub claimed: Vec<Statement>,
    /// What is true instead of a claim that fails.
    pub corrected: Vec<Statement>,
    /// The command that shows it.
    pub command: String,
    /// A run that refutes the claim.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lines")]
    pub witness: Option<Story>,
}

fn lines<S: Serializer>(story: &Option<Story>, serializer: S) -> Result<S::Ok, S::Error> {
    story.as_ref().map(Story::lines).serialize(serializer)
}

impl ClaimFinding {
    fn new(command: impl Into<String>) -> Self {
        ClaimFinding { claimed: Vec::new(), corrected: Vec::new(), command: command.into(), witness: None }
    }

    fn claims(mut self, says: impl Into<String>, holds: bool) -> Self {
        self.claimed.push(Statement { says: says.into(), holds });
        self
    }

    fn corrects(mut self, says: impl Into<String>, holds: bool) -> Self {
        self.corrected.push(Statement { says: says.into(), holds });
        self
    }

    /// The answer.
    pub fn answer(&self) -> Answer {
        match self.claimed.iter().all(|statement| statement.holds) {
            _ if self.claimed.is_empty() => Answer::NotCheckable,
            true => Answer::Holds,
            false => Answer::Fails,
        }
    }

    /// Is the answer this one, and what is said instead of the claim true?
    pub fn is(&self, expected: Answer) -> bool {
        self.answer() == expected && self.corrected.iter().all(|statement| statement.holds)
    }

    /// Why, in a line: the statement that decides.
    pub fn reason(&self) -> &str {
        let wrong = |statements: &'_ [Statement]| statements.iter().position(|statement| !statement.holds);
        let decisive = match (wrong(&self.claimed), wrong(&self.corrected)) {
            (_, Some(wrong)) => self.corrected.get(wrong),
            (Some(wrong), None) => self.claimed.get(wrong),
            (None, None) => self.claimed.first().or(self.corrected.first()),
        };
        decisive.map_or("", |statement| statement.says.as_str())
    }
}

impl Claim {
    /// Computes the answer.
    ///
    /// # Errors
    /// Something could not be computed within bounds, or an engine failed.
    pub fn check(&self, lab: &Lab) -> Result<ClaimFinding, LabError> {
        (self.check)(lab)
    }

    /// The claim with this id, in upper or lower case.
    pub fn find(id: &str) -> Option<Claim> {
        all().find(|claim| claim.id.eq_ignore_ascii_case(id))
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Answer::Holds => "holds",
            Answer::Fails => "fails",
            Answer::NotCheckable => "not checkable",
        })
    }
}

/// All claims, in the order of the source text.
pub fn all() -> impl Iterator<Item = Claim> {
    CLAIMS.into_iter().chain(numbers::NUMBERS)
}

#[rustfmt::skip]
const CLAIMS: [Claim; 30] = {
    use Answer::{Fails, Holds, NotCheckable};
    const fn row(
        id: &'static str,
        section: &'static str,
        expected: Answer,
        check: fn(&Lab) -> Result<ClaimFinding, LabError>,
        says: &'static str,
    ) -> Claim {
        Claim { id, section, says, expected, check }
    }
    [
        row("C1", "1", Fails, states::five_steps,
            "Every algorithm suspends, transmits, reconstructs, resumes, and removes at the source."),
        row("C2", "2", Holds, states::state_before_resume,
            "The state without pages is compulsory at the moment of resuming."),
        row("C3", "2", Holds, states::sub_cycles,
            "The full cycle is Normal, Pre-migration, Migration, Post-migration; every algorithm's is part of it."),
        row("C4", "2.1", Holds, copies::total_copy,
            "Total copy moves everything before it resumes: Normal, Migration, Normal."),
        row("C5", "2.1", Holds, copies::dirty_only,
            "The dirty-only variant moves dirty pages alone; the others come from an exact replica."),
        row("C6", "2.2", Holds, copies::pre_copy,
            "Pre-copy moves pages while the process runs, and the rest while it is suspended."),
        row("C7", "2.2", Fails, copies::shorter_freeze,
            "Pre-copy shortens the freeze compared with total copy."),
        row("C8", "2.2", Holds, copies::several_times,
            "Pre-copy can send a page several times, depending on the accesses."),
        row("C9", "2.3", Holds, residual::state_alone,
            "Lazy copy moves the state alone; a page follows when it is touched."),
        row("C10", "2.3", Holds, residual::less_traffic,
            "Lazy copy may reduce the traffic: what is not touched does not travel."),
        row("C11", "2.3", Holds, residual::lasting_dependency,
            "Lazy copy leaves a dependency until the process ends or returns."),
        row("C12", "2.4", Holds, residual::flushing,
            "Flushing sends dirty pages to a store that both hosts reach, and fetches all from there."),
        row("C13", "2.4", Holds, residual::source_not_needed,
            "Flushing needs the source no more once the process has resumed."),
        row("C14", "3", Holds, residual::post_copy,
            "Post-copy ends the dependency by moving pages while the process runs at the destination."),
        row("C15", "3", Holds, residual::demand_first,
            "A requested page takes precedence over normal transfers."),
        row("C16", "3", Holds, states::pre_and_post,
            "Beside the proposed one, only assisted post-copy uses both Pre- and Post-migration."),
        row("C17", "4", Holds, generic::write_back,
            "Generic writes file-mapped dirty pages to the file server, where every reader sees them."),
        row("C18", "4", Holds, generic::state_alone,
            "In Migration, generic moves the state without pages, and the two pages of section 6."),
        row("C19", "4", Holds, generic::two_processes,
            "Two processes stand for the migrating one meanwhile; one is destroyed at the end."),
        row("C20", "4", Fails, generic::origins,
            "After migration, private dirty pages come from the source, all others from the backing store."),
        row("C21", "4", Holds, generic::migrates_on,
            "When all private pages have moved, Post turns into Pre; then it can migrate on, or back."),
        row("C22", "4", Holds, states::generic_cycle,
            "Generic's cycle is Pre-migration, Migration, Post-migration, Pre-migration."),
        row("C23", "5", Fails, evaluation::migration_delay,
            "Generic's migration delay is as short as lazy copy's; all others' are longer."),
        row("C24", "5", Fails, evaluation::run_time,
            "Generic runs slightly longer than pre-copy with few re-sends, less long than total copy and flushing."),
        row("C25", "5", Holds, evaluation::no_lasting_dependency,
            "Generic, total copy, pre-copy and flushing leave no lasting dependency on the source."),
        row("C26", "5", Fails, evaluation::traffic,
            "Generic's traffic is higher than the others'; without write-backs it is almost theirs."),
        row("C27", "6", Holds, evaluation::working_set,
            "Sending the pages under the two pointers with the state avoids the faults right after resume."),
        row("C28", "6", Fails, evaluation::prefetch,
            "Pushing the pages after the last one requested reduces requests."),
        row("C29", "7, 9", Fails, kinds::like_the_others,
            "Depending on the kinds of page, generic behaves like the other algorithms."),
        row("C30", "8", NotCheckable, evaluation::virtual_machines,
            "Pre-copy and post-copy, and so generic, apply to virtual machines."),
    ]
};
