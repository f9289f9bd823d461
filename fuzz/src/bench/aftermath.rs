//! What an event means for the process: where it is, whether it may be lost, and who has to be told.

use steplog::event::Event;
use steplog::fate::{Fate, Loss};
use steplog::place::{Epoch, HostId, Place};

use super::Bench;
use super::trouble::Troubles;
use crate::FuzzFinding;

impl Bench {
    /// A host has taken a step. What is wrong with it is kept for [`check_process`](Self::check_process).
    pub(super) fn notice(&mut self, id: HostId, epoch: Epoch, event: Event) -> Result<(), FuzzFinding> {
        match event {
            Event::PageCopied { page, .. }
            | Event::PageTransferred { page, .. }
            | Event::PageServed { page, .. }
            | Event::PagePushed { page, .. } => *self.crossings.entry((epoch, id, page)).or_default() += 1,
            Event::PeerConnected { peer: Place::Host(from), resync: Some(_) } => {
                self.recoveries.push((epoch, from));
            }
            Event::ProcessSuspended { registers, .. } => self.registers = Some(registers.0),
            Event::ProcessHandedOver { to } => self.troubles.hand_over(id, to),
            Event::ProcessResumed { .. } => return self.resume(id),
            Event::ProcessExited => self.troubles.exited = true,
            Event::ProcessReleased { .. } => self.troubles.released = true,
            Event::MigrationCancelled { .. } | Event::RefusalLearned { .. } => self.call_off(epoch),
            Event::PeerTimedOut { peer, fate } => {
                self.part(id.into(), peer);
                self.judge(epoch, fate);
            }
            Event::PeerDisconnected { fate, .. } | Event::PeerFenced { fate, .. } => self.judge(epoch, fate),
            _ => {}
        }
        Ok(())
    }

    /// The process runs here from now on. The host is told once more of the dead: it may not have needed them before.
    fn resume(&mut self, id: HostId) -> Result<(), FuzzFinding> {
        let Self { ensemble, troubles, .. } = self;
        if troubles.lost {
            self.suspect("a process that was lost resumes");
            return Ok(());
        }
        troubles.holders = vec![id];
        let Some(resident) = ensemble.host(id).and_then(|host| host.role().resident()) else { return Ok(()) };
        let other_registers = self.registers.as_ref() != Some(&resident.registers);
        let is_gone = |former: HostId, epoch| {
            troubles.is_alive(former) && troubles.died.get(&former).is_some_and(|latest| epoch <= *latest)
        };
        let former_hosts = resident.former_hosts.iter();
        let gone: Vec<_> = former_hosts
            .filter(|former| is_gone(former.host, former.epoch))
            .map(|former| former.host)
            .collect();
        for former in gone {
            ensemble.fence(id, former).map_err(|error| super::finding("fence", &error))?;
        }
        if other_registers {
            self.suspect("the process has other registers than when it was suspended");
        }
        Ok(())
    }

    /// The process runs on where it was: no state that was sent is its own any more.
    fn call_off(&mut self, epoch: Epoch) {
        self.troubles.called_off.insert(epoch);
        self.registers = None;
    }

    fn judge(&mut self, epoch: Epoch, fate: Option<Fate>) {
        match fate {
            Some(Fate::CarriedOn(_)) => self.call_off(epoch),
            Some(Fate::Lost(loss)) => self.give_up(epoch, loss),
            _ => {}
        }
    }

    /// A host says that the process is lost.
    fn give_up(&mut self, epoch: Epoch, loss: Loss) {
        let troubles = &mut self.troubles;
        let mistaken = match loss {
            // It cannot know that the attempt was called off if its source dies before it says so.
            Loss::InDoubt => troubles.called_off.contains(&epoch),
            // Nor that the process had exited before the machine died that it was on.
            Loss::Runner => troubles.exited,
            Loss::Pages(_) => false,
        };
        if mistaken {
            return;
        }
        if troubles.doomed || troubles.lost {
            troubles.lost = true;
        } else {
            self.suspect("the process is given up for lost although nothing was lost");
        }
    }

    fn suspect(&mut self, what: &str) {
        self.wrong.get_or_insert(FuzzFinding(what.to_owned()));
    }
}

impl Troubles {
    /// What is handed over to a machine that is dead is lost.
    fn hand_over(&mut self, from: HostId, to: HostId) {
        self.holders = vec![from, to];
        if let Some(had_process) = self.dead.get_mut(&to) {
            *had_process = true;
            self.lost = true;
        }
    }
}
