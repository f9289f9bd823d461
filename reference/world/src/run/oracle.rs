//! What a process that never moved would see.

use protocol::page::{Image, PageBytes};
use steplog::page::PageNumber;

use crate::workload::{ACCESS_LEN, Access};

/// The memory of the process as if it had stayed where it was started. Knows nothing of migration.
#[derive(Clone, Debug)]
pub struct Oracle {
    pages: Vec<PageBytes>,
}

/// The process saw something else than if it had stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discrepancy {
    /// It read other bytes.
    #[error("read {read:02x?} from {page} at {offset}, expected {expected:02x?}")]
    Read {
        /// Which page.
        page: PageNumber,
        /// Where in the page.
        offset: u16,
        /// What was read.
        read: [u8; ACCESS_LEN],
        /// What should have been read.
        expected: [u8; ACCESS_LEN],
    },
    /// The content that a page has in the end differs.
    #[error("{0} has other content than if the process had stayed")]
    Content(PageNumber),
    /// The content of a page is nowhere where the protocol would look for it.
    #[error("{0} is lost")]
    Lost(PageNumber),
    /// Two hosts run the process.
    #[error("two hosts run the process")]
    RunsTwice,
    /// A host gave the process up for lost although nothing was lost.
    #[error("the process was given up for lost although nothing was lost")]
    LostWithoutNeed,
    /// The process was resumed with other registers than it was suspended with.
    #[error("the process resumed with other registers")]
    Registers,
}

impl Oracle {
    /// The memory at the start.
    pub fn new(image: &Image) -> Self {
        Self { pages: image.page_numbers().filter_map(|page| image.content(page).cloned()).collect() }
    }

    /// The process wrote.
    pub fn write(&mut self, page: PageNumber, offset: u16, bytes: [u8; ACCESS_LEN]) {
        if let Some(content) = self.pages.get_mut(page.index()) {
            let offset = usize::from(offset);
            content.as_mut_slice()[offset..offset + ACCESS_LEN].copy_from_slice(&bytes);
        }
    }

    /// The process read these bytes: are they right?
    pub fn check_read(&self, access: &Access, read: [u8; ACCESS_LEN]) -> Result<(), Discrepancy> {
        let Access { page, offset, .. } = *access;
        let content = self.pages.get(page.index()).ok_or(Discrepancy::Lost(page))?;
        let at = usize::from(offset);
        let mut expected = [0; ACCESS_LEN];
        expected.copy_from_slice(&content.as_slice()[at..at + ACCESS_LEN]);
        if read == expected { Ok(()) } else { Err(Discrepancy::Read { page, offset, read, expected }) }
    }

    /// This is the content of a page now: is it right?
    pub fn check_content(&self, page: PageNumber, content: &PageBytes) -> Result<(), Discrepancy> {
        if self.pages.get(page.index()) == Some(content) { Ok(()) } else { Err(Discrepancy::Content(page)) }
    }
}
