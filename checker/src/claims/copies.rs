//! Total copy and pre-copy: C4 to C8.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use model::concrete::{Move, State, Step};
use model::{Defect, PageStep, Process, Property};

use super::lab::range;
use super::{ClaimFinding, Lab, LabError};
use crate::bounds::{Bounds, Cost};
use crate::observed::{ObservedMigration, Past, Population, Writes};
use crate::setting::Pages;

/// C4.
pub(super) fn total_copy(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let name = "total-copy";
    let (sent, frozen, faults) =
        (lab.bound(name, Cost::Sent)?, lab.bound(name, Cost::Frozen)?, lab.bound(name, Cost::Faults)?);
    let all = Bounds { minimum: lab.n(), maximum: Some(lab.n()) };
    let cycle =
        BTreeSet::from([(Process::Normal, Process::Migration), (Process::Migration, Process::Normal)]);
    let finding = ClaimFinding::new("checker bounds total-copy")
        .claims(
            format!("of {} pages it sends {} while frozen, in every run", lab.n(), range(frozen)),
            sent == all && frozen == all && faults.maximum == Some(0),
        )
        .claims("its only states are Normal and Migration", lab.changes(name)? == cycle);
    lab.claims_kept(finding, &[name], Property::S4 | Property::S9)
}

/// C5.
pub(super) fn dirty_only(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let name = "total-copy-dirty";
    let clean_sent = |before: &State<ObservedMigration>, step, _: &_| sends_clean(before, step);
    let replica =
        lab.keeps_with(name, Pages::Exactly(lab.pages), Property::S2, Some(Defect::DivergingReplica))?;
    let finding = ClaimFinding::new("checker trace total-copy-dirty S2 --defect diverging-replica")
        .claims("it never sends a clean page", lab.never(name, Past::Sent, clean_sent)?)
        .claims("with a replica that is not exact, S2 fails", !replica);
    lab.claims_kept(finding, &[name], Property::S1 | Property::S2)
}

fn sends_clean(before: &State<ObservedMigration>, step: Step<ObservedMigration>) -> bool {
    matches!(step, Move::Page(step, index) if step.sends_content() && !before.pages[index].page.dirty)
}

/// C6.
pub(super) fn pre_copy(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let name = "pre-copy";
    let forgets =
        lab.keeps_with(name, Pages::Exactly(lab.pages), Property::S2, Some(Defect::ForgetRedirtied))?;
    let runs_on = |before: &State<ObservedMigration>, step, _: &_| {
        matches!(step, Move::Page(PageStep::Copy, _)) && !before.control.control.source_runs
    };
    let finding = ClaimFinding::new("checker check pre-copy")
        .claims("whenever a pass sends a page, the process runs", lab.never(name, Past::Sent, runs_on)?)
        .claims("without what was modified since, S2 fails", !forgets);
    lab.claims_kept(finding, &[name], Property::S1 | Property::S2 | Property::S4 | Property::S9)
}

/// C7.
pub(super) fn shorter_freeze(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let awaited = (lab.bound("pre-copy", Cost::Awaited)?, lab.bound("total-copy", Cost::Awaited)?);
    let frozen = (lab.bound("pre-copy", Cost::Frozen)?, lab.bound("total-copy", Cost::Frozen)?);
    let unmodified = |before: &State<ObservedMigration>, step, _: &_| matches!(step, Move::Page(PageStep::SendFrozen, index) if !before.pages[index].written);
    Ok(ClaimFinding::new("checker bounds pre-copy --show awaited")
        .claims(
            format!(
                "of {} pages, contents that arrive during the freeze: pre-copy {}, total copy {}",
                lab.n(),
                range(awaited.0),
                range(awaited.1)
            ),
            awaited.0.maximum <= Some(awaited.1.minimum),
        )
        .corrects(
            format!(
                "contents *sent* during the freeze: pre-copy {}, never more than total copy's {}",
                range(frozen.0),
                range(frozen.1)
            ),
            frozen.0.maximum.is_some() && frozen.0.maximum <= Some(frozen.1.minimum),
        )
        .corrects(
            "each of them is of a page that was modified in Pre-migration; the rest was queued before",
            lab.never("pre-copy", Past::Written, unmodified)?,
        ))
}

/// C8.
pub(super) fn several_times(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let one = Lab { pages: NonZeroUsize::MIN, ..lab.clone() };
    let (sent, untouched) = (
        one.bound("pre-copy", Cost::Sent)?,
        one.bounds("pre-copy", Population { kind: None, writes: Writes::None }, Cost::Sent)?,
    );
    let finding = ClaimFinding::new("checker bounds pre-copy --pages 1 --show resent")
        .claims(
            format!("with two passes a page is sent {} times", range(sent)),
            sent == Bounds { minimum: 1, maximum: Some(3) },
        )
        .claims(
            format!("a page that is not modified is sent {} time", range(untouched)),
            untouched == Bounds { minimum: 1, maximum: Some(1) },
        );
    lab.claims_kept(finding, &["pre-copy"], Property::S8)
}
