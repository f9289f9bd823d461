//! Pages of a process that stands still, many at once, which costs little more than one: read before they are asked for, and put in
//! when others have come.

use linux::PAGE_SIZE;
use protocol::memory::Memory as _;
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes};
use steplog::page::PageNumber;

use super::{Body, LiveProcess};

/// Pages that are read or put in at once.
const PAGES: u64 = 32;

/// Pages that follow each other, as they were when they were read. Only of a process that does not run again before this is dropped.
#[derive(Default)]
pub struct ReadAhead {
    first: u64,
    bytes: Vec<u8>,
    /// The page after the last one that was asked for.
    next: u64,
}

impl ReadAhead {
    fn get(&self, page: PageNumber) -> Option<PageBytes> {
        let at = usize::try_from(page.0.checked_sub(self.first)?).ok()?;
        let (pages, _) = self.bytes.as_chunks::<PAGE_LEN>();
        pages.get(at).copied().map(PageBytes::from)
    }
}

/// Pages that follow each other and have come for a process that does not run yet.
#[derive(Default)]
pub struct ArrivedPages {
    first: u64,
    place: u64,
    bytes: Vec<u8>,
}

impl ArrivedPages {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether this page is the next one.
    pub fn takes(&self, page: PageNumber, place: u64) -> bool {
        let count = self.count();
        count == 0 || count < PAGES && (page.0, place) == (self.first + count, self.place + count)
    }

    pub fn push(&mut self, page: PageNumber, place: u64, content: &PageBytes) {
        if self.is_empty() {
            (self.first, self.place) = (page.0, place);
        }
        self.bytes.extend_from_slice(content.as_slice());
    }

    /// Where the first is: its address divided by the size of a page.
    pub fn place(&self) -> u64 {
        self.place
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn pages(&self) -> impl Iterator<Item = (PageNumber, PageBytes)> {
        let (pages, _) = self.bytes.as_chunks::<PAGE_LEN>();
        (self.first..).map(PageNumber).zip(pages.iter().copied().map(PageBytes::from))
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    fn count(&self) -> u64 {
        (self.bytes.len() / PAGE_LEN) as u64
    }
}

impl LiveProcess {
    /// The content of a page from what was read ahead, which is more of it if pages are asked for one after the other. `None` while it
    /// runs, or when this page is to be read by itself.
    pub(super) fn read_ahead(&self, page: PageNumber, place: u64) -> Option<PageBytes> {
        let source = match &self.body {
            Body::Frozen(frozen) => &**frozen,
            Body::Departed(departed) => &**departed,
            _ => return None,
        };
        let mut ahead = self.ahead.borrow_mut();
        let in_order = std::mem::replace(&mut ahead.next, page.0 + 1) == page.0;
        let known = ahead.get(page);
        if known.is_some() || !in_order {
            return known;
        }
        // What is not there may be what another host still has: to read it would be to wait for it.
        let there = |at: &u64| {
            let other = PageNumber(page.0 + at);
            self.is_present(other) && self.table.place_of(other) == Some(place + at)
        };
        let pages = (0..PAGES).take_while(there).count();
        ahead.first = page.0;
        ahead.bytes.resize(pages * PAGE_LEN, 0);
        let read = source.read_much(place * PAGE_SIZE, &mut ahead.bytes).unwrap_or(0);
        ahead.bytes.truncate(read);
        ahead.get(page)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;
    use std::process::{Child, Command};
    use std::time::Duration;

    use protocol::policy::Policy;

    use super::*;
    use crate::subject::Subject as _;

    fn content(of: u8) -> PageBytes {
        PageBytes::from([of; PAGE_LEN])
    }

    #[test]
    fn pages_that_follow_each_other_are_put_in_together() {
        let mut arrived = ArrivedPages::default();
        assert!(arrived.takes(PageNumber(7), 100));
        arrived.push(PageNumber(7), 100, &content(1));
        assert!(arrived.takes(PageNumber(8), 101));
        for other in [(7, 100), (8, 102), (9, 101), (9, 102)] {
            assert!(!arrived.takes(PageNumber(other.0), other.1), "{other:?}");
        }
        for at in 1..PAGES {
            arrived.push(PageNumber(7 + at), 100 + at, &content(at as u8 + 1));
        }
        assert!(!arrived.takes(PageNumber(7 + PAGES), 100 + PAGES), "it is full");
        let pages: Vec<_> = arrived.pages().collect();
        assert_eq!((pages.len() as u64, arrived.place()), (PAGES, 100));
        assert_eq!(pages[3], (PageNumber(10), content(4)));
        arrived.clear();
        assert!(arrived.is_empty() && arrived.takes(PageNumber(3), 3));
    }

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What it wrote between two stops is not what was read ahead at the first.
    #[test]
    fn what_stands_still_is_read_as_it_is() {
        let child = Killed(Command::new("sleep").arg("1000").spawn().unwrap());
        let pid = child.0.id();
        // Before it has been linked there is no way in.
        let opened = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            LiveProcess::open(pid).ok()
        });
        let mut process = opened.unwrap();
        if let Err(error) = process.inventory(&Policy::TOTAL_COPY) {
            println!("SKIPPED: NO PROCESS IS STOPPED AND READ: {error}");
            return;
        }
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let range = stack.split(' ').next().unwrap().split('-');
        let stack: Vec<_> = range.map(|end| u64::from_str_radix(end, 16).unwrap()).collect();
        for turn in 1..=2u8 {
            process.stop().unwrap();
            let mut read = 0;
            // First what was read last the turn before.
            let pages = 0..process.page_count();
            for page in pages.clone().rev().chain(pages).map(PageNumber) {
                let Some(place) = process.table.place_of(page) else { continue };
                let mut bytes = [0; PAGE_LEN];
                if memory.read_exact_at(&mut bytes, place * PAGE_SIZE).is_ok() {
                    assert!(process.copy_out(page).unwrap() == PageBytes::from(bytes), "{page}, turn {turn}");
                    read += 1;
                }
            }
            assert!(read > 2 * PAGES, "{read}");
            assert!(!process.ahead.borrow().bytes.is_empty(), "nothing was read ahead");
            process.thaw().unwrap();
            for place in (stack[0]..stack[1]).step_by(PAGE_LEN) {
                memory.write_all_at(&[turn], place).unwrap();
            }
        }
    }
}
