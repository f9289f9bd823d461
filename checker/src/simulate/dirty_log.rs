//! What notices the writes of the process while pages are copied ahead.
//!
//! A log by page takes a page's mark when the page is sent: what was written before is in it. The reference has one on
//! Linux, where it looks for new marks every few milliseconds: what was written since the last look and then sent is found marked
//! in the next one, and goes again. Hypervisors have a log by pass: it is read and cleared when
//! a pass begins, and what is written afterwards is due in the next one, also if the page had not been sent yet.

use std::collections::BTreeSet;

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
    marks: Marks,
}

/// What is known of writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// By page, and known at once.
    AtOnce,
    /// By pass: besides what is known at once, the pages written since the last pass began.
    SincePass(PageSet),
    /// By page, and looked for from time to time: the marks that have been seen, and the pages written since they were looked
    /// for last. One of those that is sent meanwhile goes again, since its mark is seen only afterwards.
    Looked { seen: PageSet, since: BTreeSet<PageNumber> },
}

impl<M: Memory> Logged<M> {
    /// With marks that are known at once.
    pub fn at_once(inner: M) -> Self {
        Self { inner, marks: Marks::AtOnce }
    }

    /// With a log by pass.
    pub fn by_pass(inner: M) -> Self {
        let marks = Marks::SincePass(PageSet::empty(inner.page_count()));
        Self { inner, marks }
    }

    /// With marks that have to be [looked for](Self::look).
    pub fn looked_for(inner: M) -> Self {
        let marks = Marks::Looked { seen: PageSet::empty(inner.page_count()), since: BTreeSet::new() };
        Self { inner, marks }
    }

    /// A pass begins.
    pub fn begin_pass(&mut self) {
        if let Marks::SincePass(since) = &mut self.marks
            && !since.is_empty()
        {
            *since = PageSet::empty(self.inner.page_count());
        }
    }

    /// Marks are looked for, where they have to be.
    pub fn look(&mut self) {
        if let Marks::Looked { seen, since } = &mut self.marks {
            for page in std::mem::take(since) {
                seen.insert(page);
            }
        }
    }

    /// What has come, or is gone, has no mark.
    fn forget(&mut self, page: PageNumber) {
        if let Marks::Looked { seen, since } = &mut self.marks {
            seen.remove(page);
            since.remove(&page);
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
        match &self.marks {
            Marks::Looked { seen, .. } => seen.contains(page),
            _ => self.inner.is_written(page),
        }
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        match &self.marks {
            Marks::Looked { seen, .. } => seen.first_from(from),
            _ => self.inner.first_written(from),
        }
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        match &self.marks {
            Marks::Looked { seen, .. } => Ok(seen.clone()),
            _ => self.inner.written_pages(),
        }
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        match &mut self.marks {
            Marks::SincePass(since) if since.contains(page) => Ok(true),
            Marks::Looked { seen, .. } => Ok(seen.remove(page)),
            _ => self.inner.take_written(page),
        }
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        self.begin_pass();
        self.look();
        let (pages, written) = (self.page_count(), self.inner.take_written_pages()?);
        Ok(match &mut self.marks {
            Marks::Looked { seen, .. } => std::mem::replace(seen, PageSet::empty(pages)),
            _ => written,
        })
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.inner.copy_out(page)
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.forget(page);
        self.inner.install(page, content)
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.forget(page);
        self.inner.discard(page)
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        if let Marks::Looked { .. } = self.marks {
            self.take_written_pages()?;
        }
        self.inner.discard_all()
    }

    fn discard_all_but(&mut self, kept: &PageSet) -> Result<(), MemoryError> {
        if let Marks::Looked { seen, since } = &mut self.marks {
            since.retain(|page| kept.contains(*page));
            let gone: Vec<_> = seen.iter().filter(|page| !kept.contains(*page)).collect();
            gone.into_iter().for_each(|page| {
                seen.remove(page);
            });
        }
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
        match &mut self.marks {
            Marks::AtOnce => {}
            Marks::SincePass(since) => {
                since.insert(page);
            }
            Marks::Looked { since, .. } => {
                since.insert(page);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::memory::Elided;

    use super::*;

    const PAGE: PageNumber = PageNumber(1);

    fn loaded() -> Elided {
        Elided::loaded(3)
    }

    fn written(memory: Logged<Elided>) -> Logged<Elided> {
        let mut memory = memory;
        memory.write(PAGE, 0, &[1]).expect("a write");
        memory
    }

    #[test]
    fn a_page_written_in_a_pass_stays_marked_only_with_a_log_by_pass() {
        for (memory, marked) in [(Logged::by_pass(loaded()), true), (Logged::at_once(loaded()), false)] {
            let mut memory = written(memory);
            assert_eq!(memory.take_written(PAGE), Ok(true));
            assert_eq!(memory.is_written(PAGE), marked);
        }
    }

    #[test]
    fn a_page_written_before_the_pass_is_taken_when_it_is_sent() {
        let mut memory = written(Logged::by_pass(loaded()));
        memory.begin_pass();
        assert_eq!(memory.take_written(PAGE), Ok(true));
        assert!(!memory.is_written(PAGE));
        assert_eq!(memory.take_written(PAGE), Ok(false));
    }

    #[test]
    fn at_the_suspension_every_mark_is_taken() {
        for memory in [Logged::by_pass(loaded()), Logged::at_once(loaded()), Logged::looked_for(loaded())] {
            let mut memory = written(memory);
            assert_eq!(memory.take_written_pages().map(|pages| pages.len()), Ok(1));
            assert!(!memory.is_written(PAGE) && memory.take_written(PAGE) == Ok(false));
            memory.look();
            assert!(!memory.is_written(PAGE));
        }
    }

    #[test]
    fn a_mark_that_is_looked_for_is_seen_late_also_if_the_page_was_sent_meanwhile() {
        let mut memory = written(Logged::looked_for(loaded()));
        assert!(!memory.is_written(PAGE) && memory.first_written(PageNumber(0)).is_none());
        assert_eq!(memory.take_written(PAGE), Ok(false));
        memory.look();
        assert!(memory.is_written(PAGE) && memory.first_written(PageNumber(0)) == Some(PAGE));
        assert_eq!(memory.take_written(PAGE), Ok(true));
        memory.look();
        assert!(!memory.is_written(PAGE));
    }

    #[test]
    fn what_comes_and_what_goes_has_no_mark() {
        type Change = fn(&mut Logged<Elided>) -> Result<(), MemoryError>;
        let changes: [Change; 4] = [
            |memory| memory.install(PAGE, &PageBytes::zeroed()),
            |memory| memory.discard(PAGE),
            Memory::discard_all,
            |memory| memory.discard_all_but(&PageSet::empty(3)),
        ];
        for change in changes {
            for looks in [false, true] {
                let mut memory = written(Logged::looked_for(loaded()));
                if looks {
                    memory.look();
                }
                change(&mut memory).expect("it is possible");
                memory.look();
                assert!(!memory.is_written(PAGE));
            }
        }
    }
}
