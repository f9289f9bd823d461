//! The proposed algorithm: C17 to C21.

use model::concrete::{Move, State, Step};
use model::page::{Kind, Plan, WriteBack};
use model::{ControlStep, Defect, PageStep, Property};

use super::lab::range;
use super::{ClaimFinding, Lab, LabError};
use crate::bounds::{Bounds, Cost};
use crate::observed::{ObservedMigration, Past, SharedStage};
use crate::setting::Pages;

const GENERIC: &str = "generic";

/// C17.
pub(super) fn write_back(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let private = |before: &State<ObservedMigration>, step: Step<ObservedMigration>, _: &_| matches!(step, Move::Page(PageStep::WriteBack, index) if before.pages[index].page.kind == Kind::Private);
    let finding = ClaimFinding::new("checker trace generic L6")
        .claims("no private page is written back", lab.never(GENERIC, Past::Sent, private)?);
    lab.claims_kept(finding, &[GENERIC], Property::S6 | Property::L6)
}

/// C18.
pub(super) fn state_alone(lab: &Lab) -> Result<ClaimFinding, LabError> {
    // Three pages, so that more than the two of the working set could go.
    let lab = &Lab { pages: lab.pages.max(std::num::NonZeroUsize::MIN.saturating_add(2)), ..lab.clone() };
    let without = lab.bound("generic-without-working-set", Cost::Frozen)?;
    let with = lab.bound(GENERIC, Cost::Frozen)?;
    let finding = ClaimFinding::new("checker bounds generic --show frozen").claims(
        format!("pages sent while frozen: {}, with the working set {}", range(without), range(with)),
        without == Bounds { minimum: 0, maximum: Some(0) } && with == Bounds { minimum: 0, maximum: Some(2) },
    );
    lab.claims_kept(finding, &[GENERIC, "generic-without-working-set"], Property::S4)
}

/// C19.
pub(super) fn two_processes(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let ends_early = |before: &State<ObservedMigration>, step, _: &_| match step {
        Move::Control(ControlStep::Finish) => before.control.stage != Some(SharedStage::Remove),
        Move::Control(ControlStep::Destroy) => before.control.stage != Some(SharedStage::Resume),
        _ => false,
    };
    let finding = ClaimFinding::new("checker trace generic S5").claims(
        "from reconstruction to removal there are two; no migration ends before the source's is removed, after the resume",
        lab.never(GENERIC, Past::Sent, ends_early)?,
    );
    lab.claims_kept(finding, &[GENERIC], Property::S3 | Property::S5)
}

/// C20.
pub(super) fn origins(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let planned = |wrong: fn(Kind, bool, Plan) -> bool| {
        move |before: &State<ObservedMigration>, step, after: &State<ObservedMigration>| {
            step == Move::Control(ControlStep::SendState)
                && before.pages.iter().zip(&after.pages).any(|(before, after)| {
                    let due = before.page.dirty || before.page.write_back != WriteBack::Idle;
                    after.page.plan != Plan::Travelled && wrong(before.page.kind, due, after.page.plan)
                })
        }
    };
    let literal = planned(|kind, due, plan| {
        let from_source = due && kind == Kind::Private;
        plan != if from_source { Plan::FromSource } else { Plan::FromStore }
    });
    let corrected = planned(|_, due, plan| plan != if due { Plan::FromSource } else { Plan::FromStore });
    let foreign = |before: &State<ObservedMigration>, step, _: &_| match step {
        Move::Page(PageStep::LoadLocal, index) => before.pages[index].page.kind != Kind::Private,
        Move::Page(PageStep::ServeFromStore, index) => before.pages[index].page.kind != Kind::FileMapped,
        _ => false,
    };
    let as_claimed = lab.never(GENERIC, Past::Sent, literal)?;
    let read_literally =
        lab.keeps_with(GENERIC, Pages::Exactly(lab.pages), Property::S1, Some(Defect::LiteralGeneric))?;
    Ok(ClaimFinding::new("checker trace generic S1 --defect literal-generic --pages 1")
        .claims(
            match as_claimed {
                true => "private dirty pages alone come from the source",
                false => "private dirty pages alone come from the source; but so does a file-mapped page whose write-back is due",
            },
            as_claimed,
        )
        .corrects(
            "dirty pages, and file-mapped ones whose write-back is not acknowledged, come from the source; all others do not",
            lab.never(GENERIC, Past::Sent, corrected)?,
        )
        .corrects(
            "of the others, file-mapped ones come from the file server and private ones from the local backing store",
            lab.never(GENERIC, Past::Sent, foreign)?,
        )
        .corrects("read literally, a page is lost: S1 fails with the defect literal-generic", !read_literally))
}

/// C21.
pub(super) fn migrates_on(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let owed = |before: &State<ObservedMigration>, step, _: &_| {
        step == Move::Control(ControlStep::Finish)
            && before.pages.iter().any(|page| page.page.plan == Plan::FromSource)
    };
    let goes = |wanted| {
        let found = lab.never(GENERIC, Past::Sent, move |before: &State<ObservedMigration>, step, _: &_| {
            before.control.stage == Some(SharedStage::Remove) && step == Move::Control(wanted)
        });
        found.map(|never| !never)
    };
    let finding = ClaimFinding::new("checker trace generic S9 --pages 1 --hosts 3")
        .claims(
            "it is back in Pre-migration only when the source owes no page",
            lab.never(GENERIC, Past::Sent, owed)?,
        )
        .claims("from there it goes back, A → B → A", goes(ControlStep::MigrateBack)?)
        .claims("and onward, A → B → C", goes(ControlStep::MigrateOnward)?)
        .claims("and always can again (L7)", lab.keeps(GENERIC, Pages::Exactly(lab.pages), Property::L7)?);
    lab.claims_kept(finding, &[GENERIC], Property::L2)
}
