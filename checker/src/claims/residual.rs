//! Lazy copy, flushing and post-copy, and what they leave behind: C9 to C15.

use engine::liveness::Assumptions;
use model::concrete::{Move, State, Step};
use model::page::Plan;
use model::system::{Fairness, Properties};
use model::{ControlStep, Disruption, Migration, PageStep, Phase, Process, Property};

use super::lab::range;
use super::{ClaimFinding, Lab, LabError};
use crate::bounds::{Bounds, Cost};
use crate::observed::{ObservedMigration, Past};
use crate::setting::Pages;

const NONE: Bounds = Bounds { minimum: 0, maximum: Some(0) };

fn migrates(step: Step<ObservedMigration>) -> bool {
    matches!(step, Move::Control(ControlStep::MigrateBack | ControlStep::MigrateOnward))
}

/// C9.
pub(super) fn state_alone(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let frozen = lab.bound("lazy-copy", Cost::Frozen)?;
    let unasked = |before: &State<ObservedMigration>, step: Step<ObservedMigration>, _: &_| match step {
        Move::Page(step, index) if step.sends_content() => {
            !before.control.control.returning && !before.pages[index].touched
        }
        _ => false,
    };
    let finding = ClaimFinding::new("checker trace lazy-copy L3")
        .claims(format!("pages sent while frozen: {}", range(frozen)), frozen == NONE)
        .claims(
            "on the way forth no page travels that was not touched",
            lab.never("lazy-copy", Past::Touched, unasked)?,
        );
    lab.claims_kept(finding, &["lazy-copy"], Property::S4 | Property::L3)
}

/// C10.
pub(super) fn less_traffic(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let sent = (lab.bound("lazy-copy", Cost::Sent)?, lab.bound("total-copy", Cost::Sent)?);
    // At every point where a migration forth may end.
    let differs = |before: &State<ObservedMigration>, step, _: &_| {
        let control = before.control.control;
        let ends = migrates(step) && control.phase == Phase::Running && !control.returning;
        ends && before.pages.iter().any(|page| page.sent != page.touched)
    };
    Ok(ClaimFinding::new("checker bounds lazy-copy total-copy")
        .claims(
            format!("of {} pages lazy copy sends {}, total copy {}", lab.n(), range(sent.0), range(sent.1)),
            sent.0.minimum == 0 && sent.0.maximum == sent.1.maximum && sent.1.minimum == lab.n(),
        )
        .claims(
            "when a migration is over, the pages sent are those that were touched",
            lab.never("lazy-copy", Past::Sent | Past::Touched, differs)?,
        ))
}

/// C11.
pub(super) fn lasting_dependency(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let name = "lazy-copy";
    let assume = Assumptions::<Migration>::default;
    let ends = |property, assumptions: Assumptions<Migration>| lab.live(name, property, &assumptions);
    let without_return = |before: &State<ObservedMigration>, _, after: &State<ObservedMigration>| {
        let (before, after) = (before.control.control, after.control.control);
        before.process != Process::Normal && after.process == Process::Normal && !before.returning
    };
    Ok(ClaimFinding::new("checker trace lazy-copy L1 --pages 1")
        .claims(
            "L1 fails: a page that nobody touches keeps the source needed",
            !ends(Property::L1, assume())?,
        )
        .claims("L2 fails: it need never be back at rest", !ends(Property::L2, assume())?)
        .claims("it is Normal again only after a return", lab.never(name, Past::Sent, without_return)?)
        .claims(
            "the dependency ends if the process exits, or returns",
            ends(Property::L1, assume().control(ControlStep::Exit, Fairness::Weak))?
                && ends(Property::L1, assume().control(ControlStep::MigrateBack, Fairness::Weak))?,
        ))
}

/// C12.
pub(super) fn flushing(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let name = "flushing";
    let sent = lab.bound(name, Cost::Sent)?;
    let down = Assumptions::<Migration>::default()
        .page(PageStep::Store, Fairness::None)
        .page(PageStep::ServeFromStore, Fairness::None);
    let up = Assumptions::default();
    let finding = ClaimFinding::new("checker check flushing")
        .claims(format!("page contents from host to host: {}", range(sent)), sent == NONE)
        .claims("while the store answers, faults are served (L3)", lab.live(name, Property::L3, &up)?)
        .claims(
            "while it does not, they wait (L3 fails), and so does a process that is being flushed (L4 fails)",
            !lab.live(name, Property::L3, &down)? && !lab.live(name, Property::L4, &down)?,
        );
    let lossless = lab.keeps_through(
        name,
        Disruption::Outage,
        Property::S1 | Property::S2 | Property::L3 | Property::L4,
    )?;
    let finding = finding.claims("through outages that end, nothing is lost and every wait ends", lossless);
    lab.claims_kept(finding, &[name], Property::S1 | Property::S2)
}

/// C13.
pub(super) fn source_not_needed(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let owed = |_: &State<ObservedMigration>, step, after: &State<ObservedMigration>| {
        let owes = |plan| matches!(plan, Plan::FromSource | Plan::FromThird);
        step == Move::Control(ControlStep::Resume)
            && after.pages.iter().any(|page| owes(page.page.plan) || page.page.source.is_held())
    };
    let finding = ClaimFinding::new("checker check flushing --property S5").claims(
        "from the resume on the source owes no page and holds none",
        lab.never("flushing", Past::Sent, owed)?,
    );
    lab.claims_kept(finding, &["flushing"], Property::S5)
}

/// C14.
pub(super) fn post_copy(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let sent = lab.bound("post-copy", Cost::Sent)?;
    let all = Bounds { minimum: lab.n(), maximum: Some(lab.n()) };
    let frozen = lab.bound("post-copy", Cost::Frozen)?;
    let finding = ClaimFinding::new("checker check post-copy --property L1").claims(
        format!("of {} pages it sends {}, {} of them while frozen", lab.n(), range(sent), range(frozen)),
        sent == all && frozen == NONE,
    );
    lab.claims_kept(finding, &["post-copy"], Property::L1 | Property::L2)
}

/// C15.
pub(super) fn demand_first(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let finding = ClaimFinding::new("checker check --property S7");
    let names = ["post-copy", "assisted-post-copy", "generic"];
    let mut finding = lab.claims_kept(finding, &names, Properties::only(Property::S7))?;
    if !lab.keeps("post-copy", Pages::Exactly(lab.pages), Property::S7)? {
        finding = finding.claims("S7 fails for post-copy", false);
    }
    Ok(finding)
}
