//! The operator of the hosts, who follows the route of the scenario.

use protocol::destination::Destination;
use protocol::host::{Host, Role, Work};
use protocol::policy::{Passes, Pre, Stop};
use protocol::source::Source;
use steplog::place::HostId;

use super::schedule::Occurrence;
use super::{Ending, World, WorldError};

impl World {
    /// The operator: tells the hosts to migrate and suspends the process as soon as that makes sense.
    pub(super) fn operate(&mut self) -> Result<bool, WorldError> {
        let at = self.process.at;
        let Some(host) = self.ensemble.host(at).filter(|host| host.is_running()) else { return Ok(false) };
        let last_stop = self.hops.is_empty();
        if self.underway.is_some() {
            let exits = last_stop && self.scenario.ending == Ending::ExitLeaving;
            return if exits { self.exit(at) } else { self.suspend(at) };
        }
        if self.process.count < self.process.count_max {
            return Ok(false);
        }
        if last_stop {
            return if self.scenario.ending == Ending::Exit { self.exit(at) } else { Ok(false) };
        }
        let may_start = match host.role() {
            Role::Source(Source::Resting(_)) => true,
            Role::Destination(Destination::Post(post)) => {
                self.scenario.policy.leaves_pages_behind() && !post.resident.falls_back()
            }
            _ => false,
        };
        if may_start && !self.process.has_unheard() { self.start(at) } else { Ok(false) }
    }

    fn start(&mut self, at: HostId) -> Result<bool, WorldError> {
        let Some(&to) = self.hops.front().filter(|to| self.is_possible(at, **to)) else { return Ok(false) };
        self.hops.pop_front();
        self.ensemble.start(at, to)?;
        self.underway = Some(to);
        self.process.count_max += self.scenario.accesses_per_stay;
        self.schedule.after(0, Occurrence::Access);
        Ok(true)
    }

    /// Whether both are there, with a connection, and the destination is free.
    fn is_possible(&self, at: HostId, to: HostId) -> bool {
        let (Some(source), Some(destination)) = (self.ensemble.host(at), self.ensemble.host(to)) else {
            return false;
        };
        let connected = source.is_connected(to) && destination.is_connected(at);
        let free = match destination.role() {
            Role::Vacant => true,
            Role::Source(Source::Shadow(_)) => self.scenario.policy.leaves_pages_behind(),
            _ => false,
        };
        connected && free
    }

    fn exit(&mut self, at: HostId) -> Result<bool, WorldError> {
        self.ensemble.tell(at, Host::exit)?;
        self.exited = true;
        Ok(true)
    }

    /// Suspends when the source allows it and another pass would not follow.
    fn suspend(&mut self, at: HostId) -> Result<bool, WorldError> {
        let Some(host) = self.ensemble.host(at) else { return Ok(false) };
        let passes_left = match (self.scenario.policy.pre, host.role()) {
            (Pre::Copy(Passes::AtMost(passes)), Role::Source(Source::PreMigration(pre))) => {
                pre.pass.as_ref().is_some_and(|pass| pass.number < passes) && host.is_due(Work::BeginPass)
            }
            _ => false,
        };
        // The first pass at least: then what is left is less than all.
        let stopped = self.scenario.policy.stop != Stop::Passes;
        let first = matches!(host.role(), Role::Source(Source::PreMigration(pre)) if pre.pass.as_ref().is_some_and(|pass| pass.number == 1 && !pass.due.is_empty()));
        // Every fault is to be heard before that.
        let unheard = self.process.has_unheard();
        if passes_left || (stopped && first) || unheard || host.check_suspension().is_err() {
            return Ok(false);
        }
        let suspension = self.process.suspension(self.scenario.policy.stop == Stop::Switch);
        self.ensemble.tell(at, |host| host.suspend(suspension))?;
        Ok(true)
    }
}
