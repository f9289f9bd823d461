//! The pages of what moves: of which kind each is, and where content that was never modified can be found.

use std::sync::Arc;

use protocol::page::{Image, PAGE_COUNT_MAX, PAGE_SIZE, PageBytes, PageKind};
use serde::{Deserialize, Serialize};
use steplog::page::PageNumber;

/// Most runs of a layout: more than any process has mappings.
const RUNS_MAX: usize = 1 << 18;

/// The pages of an address space, as runs of equal ones in page order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressSpaceLayout {
    /// The runs.
    pub runs: Vec<LayoutRun>,
}

/// Pages one after the other that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutRun {
    /// How many.
    pub pages: u64,
    /// Of which kind.
    pub kind: PageKind,
    /// Where their unmodified content is.
    pub origin: ContentOrigin,
}

/// Where content that was never modified can be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ContentOrigin {
    /// It is zero.
    Zero,
    /// In a file that hosts may have a copy of: the name, and the offset of the first page in it.
    File {
        /// Absolute path.
        path: String,
        /// In bytes.
        offset: u64,
    },
    /// In a file of the file server: a path relative to its root, the offset of the first page, and how many bytes of
    /// the run are within the file.
    Stored {
        /// Relative path.
        path: String,
        /// In bytes.
        offset: u64,
        /// In bytes, from `offset`.
        len: u64,
    },
}

/// Why a layout cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Too many pages, or none.
    #[error("{0} pages; there can be 1 to {PAGE_COUNT_MAX}")]
    PageCount(u64),
    /// Too many runs.
    #[error("{0} runs of pages; there can be {RUNS_MAX}")]
    RunCount(usize),
    /// A run of no page, or one that does not fit its file.
    #[error("run {0} cannot be")]
    Run(usize),
    /// A path that leads out of the root of the file server.
    #[error("not a path below the root of the file server: '{0}'")]
    Path(String),
}

impl AddressSpaceLayout {
    /// A layout of so many pages of zeroes, the first `file_mapped` of them in a file of the file server.
    pub fn plain(pages: u64, file_mapped: u64, path: &str) -> Self {
        let len = file_mapped * PAGE_SIZE as u64;
        let stored = ContentOrigin::Stored { path: path.to_owned(), offset: 0, len };
        let runs = [
            LayoutRun { pages: file_mapped, kind: PageKind::FileMapped, origin: stored },
            LayoutRun { pages: pages - file_mapped, kind: PageKind::Private, origin: ContentOrigin::Zero },
        ];
        Self { runs: runs.into_iter().filter(|run| run.pages > 0).collect() }
    }

    /// Number of pages.
    pub fn page_count(&self) -> u64 {
        self.runs.iter().fold(0, |total, run| total.saturating_add(run.pages))
    }

    /// The runs with the number of their first page.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &LayoutRun)> {
        self.runs.iter().scan(0u64, |next, run| {
            let first = *next;
            *next = next.saturating_add(run.pages);
            Some((first, run))
        })
    }

    /// Whether an address space can look like this.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), LayoutError> {
        if self.runs.len() > RUNS_MAX {
            return Err(LayoutError::RunCount(self.runs.len()));
        }
        let count = self.page_count();
        if count == 0 || count > PAGE_COUNT_MAX {
            return Err(LayoutError::PageCount(count));
        }
        for (at, run) in self.runs.iter().enumerate() {
            let bytes = run.pages * PAGE_SIZE as u64;
            let possible = run.pages > 0
                && match &run.origin {
                    ContentOrigin::Zero => true,
                    ContentOrigin::File { offset, .. } => offset.checked_add(bytes).is_some(),
                    ContentOrigin::Stored { path, offset, len } => {
                        check_path(path)?;
                        *len <= bytes && offset.checked_add(bytes).is_some()
                    }
                };
            if !possible {
                return Err(LayoutError::Run(at));
            }
        }
        Ok(())
    }

    /// Whether any page belongs to the file server.
    pub fn has_stored_pages(&self) -> bool {
        self.runs.iter().any(|run| run.kind == PageKind::FileMapped)
    }

    /// The image with this layout whose contents are what `content` says, page by page; zero where it says nothing.
    pub fn image(
        &self,
        mut content: impl FnMut(PageNumber, &LayoutRun, u64) -> Option<PageBytes>,
    ) -> Arc<Image> {
        let zero = PageBytes::zeroed();
        let pages = self.numbered().flat_map(|(first, run)| (0..run.pages).map(move |at| (first, run, at)));
        let pages = pages.map(|(first, run, at)| {
            let page = PageNumber(first + at);
            (run.kind, content(page, run, at).unwrap_or_else(|| zero.clone()))
        });
        Arc::new(Image::new(pages.collect::<Vec<_>>()))
    }

    /// The image of a place that never looks at the contents.
    pub fn blank_image(&self) -> Arc<Image> {
        self.image(|_, _, _| None)
    }
}

/// Whether a path stays below the root of the file server.
fn check_path(path: &str) -> Result<(), LayoutError> {
    use std::path::Component;
    let mut components = std::path::Path::new(path).components().peekable();
    let plain = components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && !path.contains('\0');
    if plain { Ok(()) } else { Err(LayoutError::Path(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(AddressSpaceLayout::default().check(), Err(LayoutError::PageCount(0)));
        assert_eq!(AddressSpaceLayout::plain(7, 3, "a/b").check(), Ok(()));
        let run = |pages, origin| LayoutRun { pages, kind: PageKind::Private, origin };
        let one = |run| AddressSpaceLayout { runs: vec![run] }.check();
        assert_eq!(one(run(u64::MAX, ContentOrigin::Zero)), Err(LayoutError::PageCount(u64::MAX)));
        assert_eq!(
            AddressSpaceLayout { runs: vec![run(0, ContentOrigin::Zero), run(1, ContentOrigin::Zero)] }
                .check(),
            Err(LayoutError::Run(0))
        );
        let stored =
            |path: &str, len| run(1, ContentOrigin::Stored { path: path.to_owned(), offset: 0, len });
        for path in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert_eq!(one(stored(path, 1)), Err(LayoutError::Path(path.to_owned())), "{path}");
        }
        assert_eq!(one(stored("x", 4097)), Err(LayoutError::Run(0)));
        let beyond = ContentOrigin::File { path: "x".to_owned(), offset: u64::MAX };
        assert_eq!(one(run(1, beyond)), Err(LayoutError::Run(0)));
    }
}
