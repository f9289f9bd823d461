//! Which host plays which role.

use std::fmt;
use std::mem::swap;

use model::concrete::Step;
use model::{Control, ControlStep, Migration, Move, Phase};
use serde::Serialize;

/// A place that messages go between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum StoryPlace {
    /// The host on which the process was started.
    A,
    /// The host of its first migration.
    B,
    /// The third host.
    C,
    /// The file server.
    #[serde(rename = "file server")]
    FileServer,
}

impl fmt::Display for StoryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoryPlace::A => "A",
            StoryPlace::B => "B",
            StoryPlace::C => "C",
            StoryPlace::FileServer => "file server",
        })
    }
}

/// The hosts by their roles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosts {
    pub(super) source: StoryPlace,
    pub(super) destination: StoryPlace,
    pub(super) third: StoryPlace,
}

impl Hosts {
    pub(super) fn at_start() -> Self {
        Hosts { source: StoryPlace::A, destination: StoryPlace::B, third: StoryPlace::C }
    }

    /// A migration gives out the roles before its first step is told.
    pub(super) fn before(&mut self, step: Step<Migration>, control: &Control) {
        let Move::Control(step @ (ControlStep::MigrateBack | ControlStep::MigrateOnward)) = step else {
            return;
        };
        if control.phase == Phase::Running {
            swap(&mut self.source, &mut self.destination);
        }
        if step == ControlStep::MigrateOnward {
            swap(&mut self.destination, &mut self.third);
        }
    }

    /// At rest the process's host is called the source. Where a return is aborted, the roles are those of before.
    pub(super) fn after(&mut self, step: Step<Migration>, before: &Control, after: &Control) {
        let alone = step == Move::Control(ControlStep::Fence) && before.phase.committed();
        let resumed = step == Move::Control(ControlStep::Resume);
        let aborted = before.phase.can_abort() && after.phase == Phase::Running && !resumed;
        if step == Move::Control(ControlStep::Finish) || alone || aborted {
            swap(&mut self.source, &mut self.destination);
        }
    }
}
