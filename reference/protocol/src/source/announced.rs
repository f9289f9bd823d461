//! The destination has been asked whether it expects the process, which runs on as if it had not been.

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::place::HostId;

use super::{Route, Source};
use crate::error::{Misbehaviour, Refusal};
use crate::running::Resident;
use crate::running::context::{Context, Handled, Stepped, View, misbehaved};
use crate::wire::FormerHost;
use crate::work::Work;

/// A destination is chosen, and asked; the process runs here as if it were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The process.
    pub resident: Resident,
    /// Where it is to go.
    pub route: Route,
}

impl Announced {
    pub(super) fn is_due(&self, work: Work, view: View<'_>) -> bool {
        match work {
            Work::WriteBack(page) => self.resident.write_back_due(page, view),
            Work::Release => self.resident.release_due(view),
            _ => false,
        }
    }

    pub(super) fn perform(&mut self, work: Work, cx: &mut Context<'_>) -> Stepped {
        let Route { to: host, epoch } = self.route;
        match work {
            Work::WriteBack(page) => self.resident.write_back(page, cx),
            Work::Release => self.resident.release(Some(FormerHost { host, epoch }), cx),
            _ => Err(Refusal::NotDue(work).into()),
        }
    }
}

impl Source {
    /// The destination expects the process: the migration begins, unless the process waits for a page: then the driver hands this in
    /// again when it does not. One that has called *exit* meanwhile goes no further.
    pub(super) fn begin(&mut self, from: HostId, view: View<'_>) -> Handled {
        let Self::Announced(Announced { resident, route }) = self else { return Ok(None) };
        if route.to != from {
            return Err(misbehaved(from, Misbehaviour::NotThePeer { kind: MessageKind::Expected }));
        }
        resident.check_start(view.policy)?;
        let route = *route;
        *self = Self::start(std::mem::take(resident), route, view);
        Ok(Some((route.epoch, Event::MigrationStarted { to: from })))
    }
}
