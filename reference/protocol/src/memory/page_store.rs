//! Memory inside this process.

use steplog::page::PageNumber;

use super::{Accesses, Fault, Memory, MemoryError};
use crate::page::{Image, PAGE_SIZE, PageBytes};
use crate::page_set::PageSet;

/// Pages on the heap, the set of those that were written, and one switch that freezes them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageStore {
    contents: Vec<Option<PageBytes>>,
    written: PageSet,
    frozen: bool,
}

impl PageStore {
    /// Room for `page_count` pages, none present, frozen: no process runs here yet.
    pub fn vacant(page_count: u64) -> Self {
        let contents = vec![None; PageNumber(page_count).index()];
        Self { contents, written: PageSet::empty(page_count), frozen: true }
    }

    /// Every page of the image, unmodified, accessible.
    pub fn loaded(image: &Image) -> Self {
        let contents = image.page_numbers().map(|page| image.content(page).cloned()).collect();
        Self { contents, written: PageSet::empty(image.page_count()), frozen: false }
    }

    fn slot(&mut self, page: PageNumber) -> Result<&mut Option<PageBytes>, MemoryError> {
        self.contents.get_mut(page.index()).ok_or(MemoryError::OutOfRange(page))
    }

    fn content(&self, page: PageNumber) -> Option<&PageBytes> {
        self.contents.get(page.index()).and_then(Option::as_ref)
    }

    fn access(&self, page: PageNumber, offset: usize, len: usize) -> Result<std::ops::Range<usize>, Fault> {
        if self.frozen {
            return Err(Fault::Frozen);
        }
        match offset.checked_add(len) {
            Some(end) if end <= PAGE_SIZE && page.0 < self.page_count() => Ok(offset..end),
            _ => Err(Fault::OutOfRange(page)),
        }
    }
}

impl Memory for PageStore {
    fn page_count(&self) -> u64 {
        self.contents.len() as u64
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.content(page).is_some()
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.written.contains(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.written.first_from(from)
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        self.slot(page)?;
        Ok(self.written.remove(page))
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.content(page).cloned().ok_or(MemoryError::Absent(page))
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        *self.slot(page)? = Some(content.clone());
        self.written.remove(page);
        Ok(())
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        *self.slot(page)? = None;
        self.written.remove(page);
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

impl Accesses for PageStore {
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let range = self.access(page, offset, into.len())?;
        let content = self.content(page).ok_or(Fault::Missing(page))?;
        into.copy_from_slice(&content.as_slice()[range]);
        Ok(())
    }

    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        let range = self.access(page, offset, bytes.len())?;
        let content =
            self.contents.get_mut(page.index()).and_then(Option::as_mut).ok_or(Fault::Missing(page))?;
        content.as_mut_slice()[range].copy_from_slice(bytes);
        self.written.insert(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageKind;

    const PAGE: PageNumber = PageNumber(1);

    fn store() -> PageStore {
        PageStore::loaded(&Image::new([
            (PageKind::Private, PageBytes::zeroed()),
            (PageKind::Private, PageBytes::zeroed()),
        ]))
    }

    #[test]
    fn a_write_is_noticed_once_and_again_after_being_asked() {
        let mut store = store();
        assert_eq!(store.take_written(PAGE), Ok(false));
        store.write(PAGE, 0, b"x").unwrap();
        assert!(store.is_written(PAGE));
        assert_eq!((store.take_written(PAGE), store.take_written(PAGE)), (Ok(true), Ok(false)));
        store.write(PAGE, 0, b"x").unwrap();
        assert_eq!(store.take_written(PAGE), Ok(true));
    }

    #[test]
    fn accesses_fault_where_they_must() {
        let mut store = store();
        let mut byte = [0];
        assert_eq!(store.read(PAGE, PAGE_SIZE, &mut byte), Err(Fault::OutOfRange(PAGE)));
        assert_eq!(store.read(PAGE, usize::MAX, &mut byte), Err(Fault::OutOfRange(PAGE)));
        assert_eq!(store.read(PageNumber(2), 0, &mut byte), Err(Fault::OutOfRange(PageNumber(2))));
        store.discard(PAGE).unwrap();
        assert_eq!(store.write(PAGE, 0, b"x"), Err(Fault::Missing(PAGE)));
        store.freeze().unwrap();
        assert_eq!(store.write(PageNumber(0), 0, b"x"), Err(Fault::Frozen));
        store.thaw().unwrap();
        assert_eq!(store.write(PageNumber(0), PAGE_SIZE - 1, b"x"), Ok(()));
    }

    #[test]
    fn an_installed_page_is_present_and_not_written() {
        let mut store = PageStore::vacant(2);
        assert!(!store.is_present(PAGE));
        assert_eq!(store.copy_out(PAGE), Err(MemoryError::Absent(PAGE)));
        store.install(PAGE, &PageBytes::from([7; PAGE_SIZE])).unwrap();
        assert!(store.is_present(PAGE) && !store.is_written(PAGE));
        assert_eq!(store.copy_out(PAGE), Ok(PageBytes::from([7; PAGE_SIZE])));
        assert_eq!(
            store.install(PageNumber(2), &PageBytes::zeroed()),
            Err(MemoryError::OutOfRange(PageNumber(2)))
        );
    }
}
