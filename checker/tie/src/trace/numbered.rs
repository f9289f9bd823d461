//! A small number for each page, cheap to copy: copies share what they do not change.

use std::sync::Arc;

/// Pages that are copied at once when one of them changes and another copy is around.
const CHUNK_PAGES: usize = 4096;

/// One number a page.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    chunks: Vec<Arc<Vec<u16>>>,
    len: usize,
}

impl Numbered {
    pub(super) fn from_fn(len: usize, number: impl Fn(usize) -> u16) -> Self {
        let chunk = |first: usize| Arc::new((first..len.min(first + CHUNK_PAGES)).map(&number).collect());
        Self { chunks: (0..len).step_by(CHUNK_PAGES).map(chunk).collect(), len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, page: usize) -> Option<u16> {
        self.chunks.get(page / CHUNK_PAGES)?.get(page % CHUNK_PAGES).copied()
    }

    pub(super) fn set(&mut self, page: usize, number: u16) {
        if let Some(chunk) = self.chunks.get_mut(page / CHUNK_PAGES)
            && let Some(at) = Arc::make_mut(chunk).get_mut(page % CHUNK_PAGES)
        {
            *at = number;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut numbers = Numbered::from_fn(2 * CHUNK_PAGES + 1, |page| (page % 7) as u16);
        let before = numbers.clone();
        for page in [0, CHUNK_PAGES - 1, CHUNK_PAGES, 2 * CHUNK_PAGES] {
            numbers.set(page, 100);
            assert_eq!((numbers.get(page), before.get(page)), (Some(100), Some((page % 7) as u16)));
        }
        assert_eq!(numbers.get(2 * CHUNK_PAGES + 1), None);
        assert_eq!(numbers.iter().filter(|number| *number == 100).count(), 4);
        assert_eq!(before.iter().count(), before.len());
    }
}
