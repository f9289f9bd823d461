//! Independent of the model: the process sees what a process that never moved would see.

use protocol::host::{Host, Location, Resident, Role};
use protocol::memory::{Accesses, Fault, Memory};
use protocol::page::{PAGE_SIZE, PageBytes, PageKind};
use steplog::page::PageNumber;

use super::{Rig, RigError};
use crate::flaws::FlawedMemory;

impl Rig {
    /// Everything that goes on by itself is over: is every page where the protocol would look for it, with the
    /// content that it would have if the process had never moved?
    ///
    /// # Errors
    /// A page that is not.
    pub fn check_end(&self) -> Result<(), RigError> {
        if self.trouble.lost {
            let kept = self.hosts().any(|host| *host.role() != Role::Vacant);
            return if kept { Err(RigError::LeftBehind) } else { Ok(()) };
        }
        let resident = self.running().and_then(|host| Some((host, host.role().resident()?)));
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            let found = match resident {
                Some((host, resident)) => self.find(host, resident, page),
                // The process has exited; what is shared must be on the file server.
                None if self.is_written_back(page) => self.stored(page),
                None => continue,
            };
            if found.as_ref() != Some(newest) {
                return Err(RigError::Content(page));
            }
        }
        let vacant = |host: &Host<FlawedMemory>| *host.role() == Role::Vacant;
        if resident.is_none() && !self.hosts().all(vacant) { Err(RigError::LeftBehind) } else { Ok(()) }
    }

    fn find(&self, host: &Host<FlawedMemory>, resident: &Resident, page: PageNumber) -> Option<PageBytes> {
        match resident.pages.get(page.index())?.location {
            Location::Here => host.memory().copy_out(page).ok(),
            Location::FileServer => self.stored(page),
            Location::LocalStore => self.image.content(page).cloned(),
            Location::At(former, _) => self.host(former.host)?.memory().copy_out(page).ok(),
        }
    }

    fn stored(&self, page: PageNumber) -> Option<PageBytes> {
        self.file_server().stored(page).map(|stored| stored.content.clone())
    }

    pub(super) fn is_written_back(&self, page: PageNumber) -> bool {
        let writes_back = self.migration.strategy.pre == model::strategy::Pre::WriteBack;
        writes_back && self.image.kind(page) == PageKind::FileMapped
    }

    /// At every moment: every page that the process can read is as it should be.
    pub(super) fn check_content(&self) -> Result<(), RigError> {
        let Some(host) = self.running().filter(|_| !self.is_over() && !self.runs_twice()) else {
            return Ok(());
        };
        let mut read = [0; PAGE_SIZE];
        for (page, newest) in self.image.page_numbers().zip(&self.newest) {
            match host.memory().read(page, 0, &mut read) {
                Ok(()) if read[..] != *newest.as_slice() => return Err(RigError::Content(page)),
                Ok(()) | Err(Fault::Missing(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }
}
