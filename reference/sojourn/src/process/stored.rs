//! Shared mappings of files of the file server.
//!
//! Their pages are those of the file, whatever the process does with the mapping: content is read from the file itself (at a
//! destination, from the memory that stands for it), also once the process has unmapped it or ended.
//!
//! The kernel notes what is written while a mapping is watched. There are moments when it is not: before a process is first looked
//! at, between its arrival and the next look, after an unmapping, at its end. So it is remembered what the file server has of
//! each page, as a hash, and what differs from that counts as written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use linux::{AddressRange, PAGE_SIZE};
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes};
use serde::{Deserialize, Serialize};
use steplog::page::PageNumber;

/// A mapping of a file of the file server, as both ends know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredRun {
    /// The number of its first page.
    pub first: u64,
    /// Where it is.
    pub range: AddressRange,
    /// The file, as the process knows it.
    pub path: PathBuf,
    /// The file's number where the process came from first.
    pub inode: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// How much of it is in the file, in bytes.
    pub len: u64,
}

/// All of them, and what the file server has.
#[derive(Default)]
pub struct StoredFiles {
    runs: Vec<(StoredRun, File)>,
    /// By file and offset: the hash of what the file server has, or was sent.
    held: HashMap<(PathBuf, u64), u64>,
    /// Of pages that came and may have come from the file server.
    arrived: BTreeMap<PageNumber, u64>,
    hasher: RandomState,
}

impl StoredFiles {
    /// Other mappings, with the files that they are of. What is known of the file server stays.
    pub fn replace(&mut self, runs: Vec<(StoredRun, File)>) {
        self.arrived.clear();
        self.runs = runs;
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn contains(&self, page: PageNumber) -> bool {
        self.find(page).is_some()
    }

    /// Where they are, or were when the process was looked at.
    pub fn runs(&self) -> impl Iterator<Item = &StoredRun> {
        self.runs.iter().map(|(run, _)| run)
    }

    /// The content of a page; zeroes behind the end of the file.
    pub fn content(&self, page: PageNumber) -> Option<PageBytes> {
        let (_, file, offset) = self.find(page)?;
        read(file, offset).ok().map(PageBytes::from)
    }

    /// Puts a page into the file where the process has no place for it any more.
    pub fn put(&self, page: PageNumber, content: &PageBytes) -> io::Result<()> {
        match self.find(page) {
            Some((run, file, offset)) if offset < run.offset + run.len => {
                file.write_all_at(content.as_slice(), offset)
            }
            // Behind the end of the file there is nothing.
            _ => Ok(()),
        }
    }

    /// The page as it is now is about to be sent to the file server.
    pub fn note_sent(&mut self, page: PageNumber) {
        let Some((run, file, offset)) = self.find(page) else { return };
        let (key, hash) = ((run.path.clone(), offset), read(file, offset).map(|bytes| self.hash(&bytes)));
        match hash {
            Ok(hash) => self.held.insert(key, hash),
            Err(_) => self.held.remove(&key),
        };
    }

    /// A page has come, from wherever.
    pub fn note_arrived(&mut self, page: PageNumber, content: &PageBytes) {
        if self.contains(page) {
            let hash = self.hash(content.as_slice());
            self.arrived.insert(page, hash);
        }
    }

    /// It came from the file server.
    pub fn note_fetched(&mut self, page: PageNumber) {
        let key = self.find(page).map(|(run, _, offset)| (run.path.clone(), offset));
        if let (Some(key), Some(hash)) = (key, self.arrived.remove(&page)) {
            self.held.insert(key, hash);
        }
    }

    /// The pages in `range` that are not as the file server has them.
    pub fn differing(&self, range: AddressRange) -> Vec<PageNumber> {
        let mut differing = Vec::new();
        for (run, file) in &self.runs {
            let Some(part) = run.range.intersection(range) else { continue };
            for place in part.pages() {
                let at = place - run.range.start / PAGE_SIZE;
                let offset = run.offset + at * PAGE_SIZE;
                let held = self.held.get(&(run.path.clone(), offset));
                let same = read(file, offset).is_ok_and(|bytes| held == Some(&self.hash(&bytes)));
                if !same {
                    differing.push(PageNumber(run.first + at));
                }
            }
        }
        differing
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }

    fn find(&self, page: PageNumber) -> Option<(&StoredRun, &File, u64)> {
        self.runs.iter().find_map(|(run, file)| {
            let at = page.0.checked_sub(run.first).filter(|at| at * PAGE_SIZE < run.range.len())?;
            Some((run, file, run.offset + at * PAGE_SIZE))
        })
    }
}

fn read(file: &File, offset: u64) -> io::Result<[u8; PAGE_LEN]> {
    let mut bytes = [0; PAGE_LEN];
    let mut done = 0;
    while done < PAGE_LEN {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_server_lacks_counts_as_written() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 3 * PAGE_LEN], 0).unwrap();
        let range = AddressRange::new(10 * PAGE_SIZE, 13 * PAGE_SIZE);
        let run =
            |first| StoredRun { first, range, path: "/data".into(), inode: 1, offset: 0, len: range.len() };
        let mut stored = StoredFiles::default();
        stored.replace(vec![(run(5), file.try_clone().unwrap())]);
        assert_eq!(stored.differing(range), [5, 6, 7].map(PageNumber), "nothing is known of it");
        [5, 6, 7].into_iter().for_each(|page| stored.note_sent(PageNumber(page)));
        assert_eq!(stored.differing(range), []);
        file.write_all_at(&[2], PAGE_SIZE + 9).unwrap();
        assert_eq!(stored.differing(range), [PageNumber(6)]);
        // Known by another number, the file is the same one.
        stored.replace(vec![(run(0), file.try_clone().unwrap())]);
        assert_eq!(stored.differing(range), [PageNumber(1)]);
        let content = stored.content(PageNumber(1)).unwrap();
        stored.note_arrived(PageNumber(1), &content);
        assert_eq!(stored.differing(range), [PageNumber(1)], "it may have come from elsewhere");
        stored.note_fetched(PageNumber(1));
        assert_eq!(stored.differing(range), []);
        assert_eq!(stored.differing(AddressRange::new(0, 10 * PAGE_SIZE)), []);
    }
}
