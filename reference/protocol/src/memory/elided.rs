//! Memory without contents: for address spaces larger than the machine, where only decisions matter.

use steplog::page::PageNumber;

use super::{Accesses, Fault, Memory, MemoryError};
use crate::page::{PAGE_SIZE, PageBytes};
use crate::page_set::PageSet;

/// Pages that are present or not, written or not, and all hold the same bytes. Writes are noticed and forgotten.
///
/// Endpoints never look into a page, so over this memory they decide as they would over any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elided {
    page_count: u64,
    present: PageSet,
    written: PageSet,
    frozen: bool,
    content: PageBytes,
}

impl Elided {
    /// Room for `page_count` pages, none present, frozen: no process runs here yet.
    pub fn vacant(page_count: u64) -> Self {
        let (present, written) = (PageSet::empty(page_count), PageSet::empty(page_count));
        Self { page_count, present, written, frozen: true, content: PageBytes::zeroed() }
    }

    /// Every page present, unmodified, accessible.
    pub fn loaded(page_count: u64) -> Self {
        Self { present: PageSet::filled(page_count, |_| true), frozen: false, ..Self::vacant(page_count) }
    }

    fn check(&self, page: PageNumber) -> Result<(), MemoryError> {
        if page.0 < self.page_count { Ok(()) } else { Err(MemoryError::OutOfRange(page)) }
    }

    fn access(&self, page: PageNumber, offset: usize, len: usize) -> Result<(), Fault> {
        if self.frozen {
            return Err(Fault::Frozen);
        }
        if page.0 >= self.page_count || offset.checked_add(len).is_none_or(|end| end > PAGE_SIZE) {
            return Err(Fault::OutOfRange(page));
        }
        if self.present.contains(page) { Ok(()) } else { Err(Fault::Missing(page)) }
    }
}

impl Memory for Elided {
    fn page_count(&self) -> u64 {
        self.page_count
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.present.contains(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.written.contains(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.written.first_from(from)
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        self.check(page)?;
        Ok(self.written.remove(page))
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        if self.present.contains(page) { Ok(self.content.clone()) } else { Err(MemoryError::Absent(page)) }
    }

    fn install(&mut self, page: PageNumber, _: &PageBytes) -> Result<(), MemoryError> {
        self.check(page)?;
        self.present.insert(page);
        self.written.remove(page);
        Ok(())
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.check(page)?;
        self.present.remove(page);
        self.written.remove(page);
        Ok(())
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        Ok(self.written.clone())
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        Ok(std::mem::replace(&mut self.written, PageSet::empty(self.page_count)))
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        *self = Self { frozen: self.frozen, ..Self::vacant(self.page_count) };
        Ok(())
    }

    fn freeze(&mut self) -> Result<(), MemoryError> {
        self.frozen = true;
        Ok(())
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.frozen = false;
        Ok(())
    }
}

impl Accesses for Elided {
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.access(page, offset, into.len())?;
        into.fill(0);
        Ok(())
    }

    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.access(page, offset, bytes.len())?;
        self.written.insert(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen, quickcheck};

    use super::*;
    use crate::memory::PageStore;

    const PAGES: u64 = 3;

    #[derive(Clone, Debug)]
    struct Step {
        kind: u8,
        page: PageNumber,
        offset: usize,
    }

    impl Arbitrary for Step {
        fn arbitrary(g: &mut Gen) -> Self {
            let offset = *g.choose(&[0, PAGE_SIZE - 1, PAGE_SIZE, usize::MAX]).unwrap_or(&0);
            Self { kind: u8::arbitrary(g) % 10, page: PageNumber(u64::arbitrary(g) % (PAGES + 1)), offset }
        }
    }

    /// What a memory answers to a step, contents aside.
    fn answer(memory: &mut (impl Memory + Accesses), Step { kind, page, offset }: &Step) -> String {
        match kind {
            0 => format!("{:?}", memory.take_written(*page)),
            1 => format!("{:?}", memory.copy_out(*page).map(drop)),
            2 => format!("{:?}", memory.install(*page, &PageBytes::zeroed())),
            3 => format!("{:?}", memory.discard(*page)),
            4 => format!("{:?}", memory.write(*page, *offset, b"x")),
            5 => format!("{:?}", memory.read(*page, *offset, &mut [0])),
            6 => format!("{:?}", memory.take_written_pages()),
            7 if *offset == 0 => format!("{:?}", memory.discard_all()),
            8 => format!("{:?}", if *offset == 0 { memory.freeze() } else { memory.thaw() }),
            _ => {
                let written = (memory.is_written(*page), memory.first_written(*page), memory.written_pages());
                format!("{} {written:?}", memory.is_present(*page))
            }
        }
    }

    quickcheck! {
        fn answers_as_memory_with_contents_does(steps: Vec<Step>) -> bool {
            let (mut elided, mut store) = (Elided::vacant(PAGES), PageStore::vacant(PAGES));
            steps.iter().all(|step| answer(&mut elided, step) == answer(&mut store, step))
        }
    }
}
