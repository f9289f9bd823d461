//! What holds among honest hosts: one process, which sees what it would have seen without moving.

use protocol::destination::Destination;
use protocol::host::{Host, Location, Resident, Role};
use protocol::memory::{Accesses, Fault, Memory};
use protocol::page::{PAGE_SIZE, PageBytes, PageKind};
use protocol::source::Source;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};
use tie::flaws::FlawedMemory;

use super::Bench;
use crate::FuzzFinding;

impl Bench {
    /// At every moment.
    pub fn check_process(&self) -> Result<(), FuzzFinding> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        self.check_vacant(|host| *host.role() == Role::Vacant)?;
        let mut running = self.hosts().filter(|host| host.is_running());
        let Some(host) = running.next() else { return Ok(()) };
        if let Some(other) = running.next() {
            return Err(FuzzFinding(format!("the process runs on {} and on {}", host.id(), other.id())));
        }
        let mut read = [0; PAGE_SIZE];
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            match host.memory().read(page, 0, &mut read) {
                Ok(()) if read[..] != *newest.as_slice() => return Err(wrong(page)),
                Ok(()) | Err(Fault::Missing(_)) => {}
                Err(fault) => return Err(FuzzFinding(format!("the process runs, and yet: {fault}"))),
            }
        }
        Ok(())
    }

    /// When nothing goes on any more.
    pub fn check_end(&self) -> Result<(), FuzzFinding> {
        if let Some(max) = self.policy.crossings_per_page_max()
            && let Some((crossed, count)) = self
                .crossings
                .iter()
                .find(|((epoch, from, _), count)| **count > max + self.recoveries_of(*epoch, *from))
        {
            return Err(FuzzFinding(format!(
                "{crossed:?} crossed {count} times, and at most {max} are allowed, and one for each recovery"
            )));
        }
        let runs = |host: &&Host<FlawedMemory>| host.is_running();
        match self.hosts().find(runs).and_then(|host| Some((host, host.role().resident()?))) {
            Some(_) if self.troubles.lost => Err(FuzzFinding("a process that was lost runs".to_owned())),
            Some((host, resident)) => self.check_running(host, resident),
            None if self.troubles.lost => self.check_vacant(|_| true),
            None if self.troubles.exited => self.check_exited(),
            None => Err(FuzzFinding("the process runs nowhere, and is neither over nor lost".to_owned())),
        }
    }

    /// New connections to the host that a migration left, over which it was said what is lacking.
    fn recoveries_of(&self, epoch: Epoch, from: HostId) -> u64 {
        self.recoveries.iter().filter(|(of, to)| *of >= epoch && *to == from).count() as u64
    }

    fn check_running(&self, host: &Host<FlawedMemory>, resident: &Resident) -> Result<(), FuzzFinding> {
        for ((page, newest), record) in self.image.page_numbers().zip(&self.newest).zip(&resident.pages) {
            if record.requested {
                return Err(FuzzFinding(format!("the process waits for {page} for ever")));
            }
            let found = match record.location {
                Location::Here => host.memory().copy_out(page).ok(),
                Location::FileServer => self.stored(page),
                Location::LocalStore => self.image.content(page).cloned(),
                Location::At(former, _) => {
                    self.host(former.host).and_then(|host| host.memory().copy_out(page).ok())
                }
            };
            if found.as_ref() != Some(newest) {
                return Err(wrong(page));
            }
        }
        let lazy = self.policy.leaves_pages_behind();
        let is_done = |other: &Host<FlawedMemory>| match other.role() {
            Role::Vacant => true,
            Role::Source(Source::Shadow(_)) => lazy,
            _ => false,
        };
        let alone = self.hosts().all(|other| other.id() == host.id() || is_done(other));
        let is_over = match host.role() {
            Role::Source(Source::Resting(_)) => true,
            Role::Destination(Destination::Post(_)) => lazy,
            _ => false,
        };
        match alone && is_over {
            true => Ok(()),
            false => Err(FuzzFinding("the migration never ends".to_owned())),
        }
    }

    fn check_exited(&self) -> Result<(), FuzzFinding> {
        self.check_vacant(|_| true)?;
        let mapped = |page: &PageNumber| self.image.kind(*page) == PageKind::FileMapped;
        for page in self.image.page_numbers().filter(mapped).filter(|_| self.policy.writes_back()) {
            if self.stored(page).as_ref() != self.newest.get(page.index()) {
                return Err(wrong(page));
            }
        }
        Ok(())
    }

    /// Nothing of the process is left on these hosts.
    fn check_vacant(&self, of: impl Fn(&Host<FlawedMemory>) -> bool) -> Result<(), FuzzFinding> {
        for host in self.hosts().filter(|host| of(host)) {
            let left = self.image.page_numbers().any(|page| host.memory().is_present(page));
            if left || *host.role() != Role::Vacant {
                return Err(FuzzFinding(format!("something of the process is left on {}", host.id())));
            }
        }
        Ok(())
    }

    fn stored(&self, page: PageNumber) -> Option<PageBytes> {
        self.ensemble.file_server().stored(page).map(|stored| stored.content.clone())
    }
}

fn wrong(page: PageNumber) -> FuzzFinding {
    FuzzFinding(format!("{page} has other content than if the process had never moved"))
}
