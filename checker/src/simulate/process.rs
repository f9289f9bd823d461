//! The process that is moved: what it touches next, and how long it has waited.

use steplog::page::PageNumber;
use steplog::place::HostId;
use world::random::Random;
use world::workload::{self, Accesses};

use super::{SOURCE, Setup, Share, Workload};

/// A process in the middle of its work.
#[derive(Debug)]
pub(super) struct Process {
    /// Where it runs, or last ran.
    pub at: HostId,
    /// Accesses done.
    pub count: u64,
    /// The page that it waits for, and since when.
    pub waits_for: Option<(PageNumber, u64)>,
    next: Option<Access>,
    touches: Touches,
    write_share: Share,
    random: Random,
}

/// An access to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Which page.
    pub page: PageNumber,
    /// Whether it writes.
    pub writes: bool,
}

/// Which pages it touches.
#[derive(Debug)]
enum Touches {
    None,
    /// For ever.
    Pattern(Box<Accesses>),
    /// After the resume, the pages from this one on.
    All(std::ops::Range<u64>),
}

impl Process {
    pub fn new(setup: &Setup, pages: u64) -> Self {
        let touches = match (setup.workload, setup.workload.pattern(pages)) {
            (Workload::All, _) => Touches::All(0..pages),
            (_, Some(pattern)) => {
                let workload = workload::Workload { pattern, write_percent: 0, interval_ns: 0 };
                Touches::Pattern(Box::new(workload.accesses(pages, setup.seed)))
            }
            (_, None) => Touches::None,
        };
        let mut random = Random::new(setup.seed);
        let random = random.split();
        Self {
            at: SOURCE,
            count: 0,
            waits_for: None,
            next: None,
            touches,
            write_share: setup.write_share,
            random,
        }
    }

    /// The access that it does next: an access that faulted is tried again. `None` if it is through, for now or for
    /// good.
    pub fn access(&mut self) -> Option<Access> {
        if self.next.is_none() {
            self.next = match &mut self.touches {
                Touches::None => None,
                Touches::Pattern(accesses) => accesses.next().map(|access| Access {
                    page: access.page,
                    writes: self.write_share.falls(&mut self.random),
                }),
                Touches::All(_) if self.at == SOURCE => None,
                Touches::All(pages) => {
                    pages.next().map(|page| Access { page: PageNumber(page), writes: true })
                }
            };
        }
        self.next
    }

    /// The access is done.
    pub fn done(&mut self) {
        self.next = None;
        self.count += 1;
    }

    /// Whether it has done all that it was to do, if that is at least so much.
    pub fn is_through(&self, accesses_min: u64) -> bool {
        match &self.touches {
            Touches::None => true,
            Touches::Pattern(_) => self.count >= accesses_min,
            Touches::All(pages) => pages.is_empty() && self.next.is_none(),
        }
    }
}
