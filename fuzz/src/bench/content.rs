//! What holds among honest hosts: one process, which sees what it would have seen without moving.

use checker::conform::flaws::FlawedMemory;
use reference::host::{Host, Location, Resident, Role};
use reference::memory::{Fault, Memory};
use reference::page::{PAGE_SIZE, PageBytes, PageKind, PageNumber};
use reference::source::Source;

use super::Bench;
use crate::Finding;

impl Bench {
    /// At every moment.
    pub fn check_process(&self) -> Result<(), Finding> {
        let mut running = self.hosts.iter().filter(|host| host.is_running());
        let Some(host) = running.next() else { return Ok(()) };
        if let Some(other) = running.next() {
            return Err(Finding(format!("the process runs on {} and on {}", host.id(), other.id())));
        }
        if let Role::Destination(_) = host.role()
            && host.role().resident().is_some_and(|resident| resident.registers != self.registers)
        {
            return Err(Finding("the process has other registers than when it was suspended".to_owned()));
        }
        let mut read = [0; PAGE_SIZE];
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            match host.memory().read(page, 0, &mut read) {
                Ok(()) if read[..] != *newest.as_slice() => return Err(wrong(page)),
                Ok(()) | Err(Fault::Missing(_)) => {}
                Err(fault) => return Err(Finding(format!("the process runs, and yet: {fault}"))),
            }
        }
        Ok(())
    }

    /// When nothing goes on any more.
    pub fn check_end(&self) -> Result<(), Finding> {
        if let Some(max) = self.policy.crossings_per_page_max()
            && let Some((crossed, count)) = self.crossings.iter().find(|(_, count)| **count > max)
        {
            return Err(Finding(format!("{crossed:?} crossed {count} times, and at most {max} are allowed")));
        }
        let runs = |host: &&Host<FlawedMemory>| host.is_running();
        match self.hosts.iter().find(runs).and_then(|host| Some((host, host.role().resident()?))) {
            Some((host, resident)) => self.check_running(host, resident),
            None => self.check_exited(),
        }
    }

    fn check_running(&self, host: &Host<FlawedMemory>, resident: &Resident) -> Result<(), Finding> {
        for ((page, newest), record) in self.image.page_numbers().zip(&self.newest).zip(&resident.pages) {
            if record.requested {
                return Err(Finding(format!("the process waits for {page} for ever")));
            }
            let found = match record.location {
                Location::Here => host.memory().copy_out(page).ok(),
                Location::FileServer => self.stored(page),
                Location::LocalStore => self.image.content(page).cloned(),
                Location::At(former, _) => self
                    .hosts
                    .get(usize::from(former.host.0))
                    .and_then(|host| host.memory().copy_out(page).ok()),
            };
            if found.as_ref() != Some(newest) {
                return Err(wrong(page));
            }
        }
        let at_rest = matches!(host.role(), Role::Source(Source::Resting(_)));
        let alone = self.hosts.iter().all(|other| other.id() == host.id() || *other.role() == Role::Vacant);
        match at_rest && alone || self.policy.leaves_pages_behind() {
            true => Ok(()),
            false => Err(Finding("the migration never ends".to_owned())),
        }
    }

    fn check_exited(&self) -> Result<(), Finding> {
        for host in &self.hosts {
            let left = self.image.page_numbers().any(|page| host.memory().is_present(page));
            if left || *host.role() != Role::Vacant {
                return Err(Finding(format!(
                    "the process has exited, and something of it is left on {}",
                    host.id()
                )));
            }
        }
        let mapped = |page: &PageNumber| self.image.kind(*page) == PageKind::FileMapped;
        for page in self.image.page_numbers().filter(mapped).filter(|_| self.policy.writes_back()) {
            if self.stored(page).as_ref() != self.newest.get(page.index()) {
                return Err(wrong(page));
            }
        }
        Ok(())
    }

    fn stored(&self, page: PageNumber) -> Option<PageBytes> {
        self.file_server.stored(page).map(|stored| stored.content.clone())
    }
}

fn wrong(page: PageNumber) -> Finding {
    Finding(format!("{page} has other content than if the process had never moved"))
}
