//! What must be the case when nothing happens any more.

use protocol::host::{Location, Role};
use protocol::memory::Memory;
use protocol::page::{PageBytes, PageKind};
use protocol::source::Source;
use steplog::page::PageNumber;

use super::{Discrepancy, World, WorldError};

impl World {
    /// Nothing happens any more. Is everything where and what it should be?
    pub(super) fn check_end(&self) -> Result<(), WorldError> {
        if self.trouble.lost {
            return self.check_vacant();
        }
        if self.exited {
            return self.check_clean();
        }
        let underway = usize::from(self.underway.is_some());
        let (hops_left, waits_for) = (self.hops.len() + underway, self.process.waits_for());
        if hops_left > 0 || waits_for.is_some() {
            return Err(WorldError::Stuck { hops_left, waits_for });
        }
        self.check_content()
    }

    /// After exit: no host holds anything, and the file server has every write to a file-mapped page, if it is to.
    fn check_clean(&self) -> Result<(), WorldError> {
        self.check_vacant()?;
        let mapped = |page: &PageNumber| self.image.kind(*page) == PageKind::FileMapped;
        for page in self.image.page_numbers().filter(mapped).filter(|_| self.scenario.policy.writes_back()) {
            let stored = self.ensemble.file_server().stored(page).ok_or(Discrepancy::Lost(page))?;
            self.oracle.check_content(page, &stored.content)?;
        }
        Ok(())
    }

    /// Nothing is left of the process on any host.
    fn check_vacant(&self) -> Result<(), WorldError> {
        for host in self.ensemble.hosts() {
            let page_left = self.image.page_numbers().any(|page| host.memory().is_present(page));
            if page_left || *host.role() != Role::Vacant {
                return Err(WorldError::NotCleanedUp(host.id()));
            }
        }
        Ok(())
    }

    /// Without exit: every page has, where the protocol would look for it, the content it should have.
    fn check_content(&self) -> Result<(), WorldError> {
        for page in self.image.page_numbers() {
            let content = self.content(page).ok_or(Discrepancy::Lost(page))?;
            self.oracle.check_content(page, &content)?;
        }
        Ok(())
    }

    fn content(&self, page: PageNumber) -> Option<PageBytes> {
        let host = self.ensemble.host(self.process.at)?;
        match host.role().resident()?.pages.get(page.index())?.location {
            Location::Here => host.memory().copy_out(page).ok(),
            Location::FileServer => {
                self.ensemble.file_server().stored(page).map(|stored| stored.content.clone())
            }
            Location::LocalStore => self.image.content(page).cloned(),
            Location::At(former, _) => {
                let keeper = self.ensemble.host(former.host)?;
                let Role::Source(Source::Shadow(shadow)) = keeper.role() else { return None };
                shadow.owed.contains(page).then(|| keeper.memory().copy_out(page).ok())?
            }
        }
    }
}
