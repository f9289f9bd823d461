//! What notices the writes of the process while pages are copied ahead.
//!
//! A log by page takes a page's mark when the page is sent: what was written before is in it. The reference has one on
//! Linux, where it looks for new marks every few milliseconds. Hypervisors have a log by pass: it is read and cleared when
//! a pass begins, and what is written afterwards is due in the next one, also if the page had not been sent yet.

use cost::Preset;
use protocol::memory::{Accesses, Fault, Memory, MemoryError};
use protocol::page::PageBytes;
use protocol::page_set::PageSet;
use serde::Serialize;
use steplog::page::PageNumber;

/// When a page's mark is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirtyMarks {
    /// When the page is sent.
    Page,
    /// When a pass begins, of all pages.
    #[default]
    Pass,
}

impl DirtyMarks {
    /// As such a system takes them. That of the published tables is the ideal one.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Paper | Preset::Sojourn => Self::Page,
            Preset::Qemu | Preset::Criu => Self::Pass,
        }
    }
}

/// Memory whose marks are taken by page or by pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logged<M> {
    inner: M,
    /// By pass: the pages written since the last one began.
    since: Option<PageSet>,
}

impl<M: Memory> Logged<M> {
    /// With a log by pass, or else by page.
    pub fn new(inner: M, by_pass: bool) -> Self {
        let since = by_pass.then(|| PageSet::empty(inner.page_count()));
        Self { inner, since }
    }

    /// A pass begins.
    pub fn begin_pass(&mut self) {
        if let Some(since) = self.since.as_mut().filter(|since| !since.is_empty()) {
            *since = PageSet::empty(self.inner.page_count());
        }
    }
}

impl<M: Memory> Memory for Logged<M> {
    fn page_count(&self) -> u64 {
        self.inner.page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.inner.is_present(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.inner.is_written(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.inner.first_written(from)
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        self.inner.written_pages()
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        match self.since.as_ref().is_some_and(|since| since.contains(page)) {
            true => Ok(true),
            false => self.inner.take_written(page),
        }
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        self.begin_pass();
        self.inner.take_written_pages()
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.inner.copy_out(page)
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.inner.install(page, content)
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.inner.discard(page)
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        self.inner.discard_all()
    }

    fn discard_all_but(&mut self, kept: &PageSet) -> Result<(), MemoryError> {
        self.inner.discard_all_but(kept)
    }

    fn freeze(&mut self) -> Result<(), MemoryError> {
        self.inner.freeze()
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.inner.thaw()
    }
}

impl<M: Accesses> Accesses for Logged<M> {
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.inner.read(page, offset, into)
    }

    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.inner.write(page, offset, bytes)?;
        if let Some(since) = &mut self.since {
            since.insert(page);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::memory::Elided;

    use super::*;

    const PAGE: PageNumber = PageNumber(1);

    fn written(by_pass: bool) -> Logged<Elided> {
        let mut memory = Logged::new(Elided::loaded(3), by_pass);
        memory.write(PAGE, 0, &[1]).expect("a write");
        memory
    }

    #[test]
    fn a_page_written_in_a_pass_stays_marked_only_with_a_log_by_pass() {
        for (by_pass, marked) in [(true, true), (false, false)] {
            let mut memory = written(by_pass);
            assert_eq!(memory.take_written(PAGE), Ok(true));
            assert_eq!(memory.is_written(PAGE), marked);
        }
    }

    #[test]
    fn a_page_written_before_the_pass_is_taken_when_it_is_sent() {
        let mut memory = written(true);
        memory.begin_pass();
        assert_eq!(memory.take_written(PAGE), Ok(true));
        assert!(!memory.is_written(PAGE));
        assert_eq!(memory.take_written(PAGE), Ok(false));
    }

    #[test]
    fn at_the_suspension_every_mark_is_taken() {
        let mut memory = written(true);
        assert_eq!(memory.take_written_pages().map(|pages| pages.len()), Ok(1));
        assert!(!memory.is_written(PAGE) && memory.take_written(PAGE) == Ok(false));
    }
}
