//! Errors seeded into real endpoints: the tie notices each of them.

use model::disruption::{Disruption, Disruptions};
use model::{Hosts, Migration, algorithms};
use tie::drive::{DriveError, drive};
use tie::flaws::Flaw;
use tie::network::RigOrder;
use tie::refine::ViolationReason;
use tie::rig::RigError;

/// What noticed an error first.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    /// A step that the model does not have.
    Step,
    /// A situation that the model does not have.
    Situation,
    /// An endpoint, which refused what it was told or asked to do.
    Peer,
    /// The process saw wrong content, or ran where it must not.
    Oracle,
    /// Transitions of the model that could not be driven any more.
    Coverage,
    /// Nothing.
    Nothing,
}

fn notice(flaw: Flaw, name: &str, order: RigOrder, pages: usize, disruptions: Disruptions) -> Notice {
    let strategy = algorithms::built_in(name).expect("a built-in algorithm");
    let migration = Migration::new(strategy, Hosts::Two, order.link()).with_disruptions(disruptions);
    let sound = drive(&migration, order, pages, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    match drive(&migration, order, pages, Some(flaw)) {
        Ok(coverage) if coverage.driven < sound.driven => Notice::Coverage,
        Ok(_) => Notice::Nothing,
        Err(DriveError::Unsupported(error)) => panic!("{name}: {error}"),
        Err(DriveError::Violation(violation)) => match violation.reason {
            ViolationReason::NoStep { .. } => Notice::Step,
            ViolationReason::Unmapped(_) => Notice::Situation,
            ViolationReason::Rig(RigError::Endpoint(_)) => Notice::Peer,
            ViolationReason::Rig(_) => Notice::Oracle,
        },
    }
}

/// A flaw, where it is looked for, and what notices it.
type Case = (Flaw, &'static str, RigOrder, Notice);
/// The same, with what has to go wrong first.
type DisruptedCase = (Flaw, Disruption, &'static str, RigOrder, Notice);

#[rustfmt::skip]
const CASES: [Case; 14] = {
    use Flaw::*;
    use RigOrder::{FifoByPage, Unordered};
    [
        (RunsOn, "total-copy", FifoByPage, Notice::Step),
        (WritesUnnoticed, "pre-copy", FifoByPage, Notice::Step),
        (WrittenBitStuck, "pre-copy", FifoByPage, Notice::Step),
        (StaleKept, "assisted-post-copy", FifoByPage, Notice::Oracle),
        (ZeroesInstalled, "post-copy", FifoByPage, Notice::Oracle),
        (CopyTorn, "lazy-copy", FifoByPage, Notice::Step),
        (DirtyMapDropped, "total-copy-dirty", FifoByPage, Notice::Step),
        (DutyForgotten, "generic", FifoByPage, Notice::Step),
        (SequenceUnset, "pre-copy", Unordered, Notice::Step),
        (StoredNothing, "flushing", FifoByPage, Notice::Step),
        (ReadyUnasked, "post-copy", Unordered, Notice::Step),
        (SourceForgotten, "post-copy", FifoByPage, Notice::Step),
        (DemandsDropped, "lazy-copy", FifoByPage, Notice::Step),
        (CompletionUnheard, "post-copy", FifoByPage, Notice::Coverage),
    ]
};

#[rustfmt::skip]
const DISRUPTED: [DisruptedCase; 6] = {
    use Flaw::*;
    use RigOrder::{FifoByPage, Unordered};
    [
        (ResumesOnSilence, Disruption::Cut, "post-copy", FifoByPage, Notice::Step),
        (CancelsTooLate, Disruption::Cancel, "total-copy", FifoByPage, Notice::Step),
        (DirtyBitsConsumed, Disruption::Cancel, "total-copy-dirty", FifoByPage, Notice::Step),
        (EpochUnchecked, Disruption::Cancel, "pre-copy", Unordered, Notice::Step),
        (LacksUnsaid, Disruption::Cut, "assisted-post-copy", FifoByPage, Notice::Step),
        (StoredVolatile, Disruption::Outage, "flushing", FifoByPage, Notice::Step),
    ]
};

#[test]
fn no_flaw_is_left_out() {
    let tried = CASES.iter().map(|case| case.0).chain(DISRUPTED.iter().map(|case| case.0));
    let tried: Vec<Flaw> = tried.collect();
    assert_eq!(tried, Flaw::ALL);
}

#[test]
fn each_is_noticed() {
    for (flaw, name, order, expected) in CASES {
        assert_eq!(notice(flaw, name, order, 2, Disruptions::NONE), expected, "{flaw:?} in {name}");
    }
}

/// What is wrong only where something goes wrong.
#[test]
fn each_is_noticed_after_a_disruption() {
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    for (flaw, disruption, name, order, expected) in DISRUPTED {
        let once = Disruptions::up_to(1, disruption.into());
        let noticed = notice(flaw, name, order, 1, once);
        let without = notice(flaw, name, order, 1, Disruptions::NONE);
        found.push((flaw, noticed, without));
        wanted.push((flaw, expected, Notice::Nothing));
    }
    assert_eq!(found, wanted);
}
