//! The process that is moved: a workload, and what it needs to go on from where it was.
//!
//! The accesses of the workload are done by whichever thread is free. There is one, or, where whoever waits for a page is woken
//! in a step of its own, there are several.

use std::collections::VecDeque;

use protocol::host::Suspension;
use protocol::page::{Image, PageKind};
use steplog::page::PageNumber;
use steplog::place::HostId;

use crate::workload::{Access, AccessSequence};

/// A process in the middle of its work.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Where it runs, or last ran.
    pub at: HostId,
    /// What it is about to do.
    pub next: Option<Access>,
    /// Its threads that wait for a page.
    pub sleepers: Vec<Sleeper>,
    /// The accesses of those that waited: they are tried again.
    woken: VecDeque<Access>,
    /// How many threads it has.
    threads: usize,
    /// Accesses done.
    pub count: u64,
    /// Accesses that it may have done before something else happens.
    pub count_max: u64,
    initial: std::vec::IntoIter<Access>,
    accesses: AccessSequence,
    code_page: Option<PageNumber>,
    stack_page: Option<PageNumber>,
    registers_len: usize,
}

/// A thread that waits for a page.
#[derive(Clone, Debug)]
pub(super) struct Sleeper {
    pub page: PageNumber,
    /// What it tries again when it is woken.
    access: Access,
    /// Whether its host has heard of it. If not, it sleeps on when others are woken.
    heard: bool,
}

impl Process {
    pub fn new(
        at: HostId,
        threads: usize,
        initial: Vec<Access>,
        accesses: AccessSequence,
        registers_len: usize,
    ) -> Self {
        let (next, code_page, stack_page) = (None, None, None);
        let (sleepers, woken) = (Vec::new(), VecDeque::new());
        let initial = initial.into_iter();
        Self {
            at,
            next,
            sleepers,
            woken,
            threads,
            count: 0,
            count_max: 0,
            initial,
            accesses,
            code_page,
            stack_page,
            registers_len,
        }
    }

    /// Accesses that come before the workload.
    pub fn initial_len(&self) -> u64 {
        self.initial.len() as u64
    }

    /// What it does next, unless it is idle, or all its threads wait.
    pub fn access(&mut self) -> Option<Access> {
        if self.count >= self.count_max || self.sleepers.len() >= self.threads {
            return None;
        }
        if self.next.is_none() {
            self.next = self.woken.pop_front();
        }
        // Each of those who wait has an access still to do.
        if self.next.is_none() && self.count + (self.sleepers.len() as u64) < self.count_max {
            self.next = self.initial.next().or_else(|| self.accesses.next());
        }
        self.next.clone()
    }

    /// The thread that was about to do the next access waits for a page.
    pub fn sleep(&mut self, page: PageNumber, heard: bool) {
        let access = self.next.take();
        self.sleepers.extend(access.map(|access| Sleeper { page, access, heard }));
    }

    /// The page that a thread waits for.
    pub fn waits_for(&self) -> Option<PageNumber> {
        self.sleepers.first().map(|sleeper| sleeper.page)
    }

    /// Whether a thread waits of which its host has not heard.
    pub fn has_unheard(&self) -> bool {
        self.sleepers.iter().any(|sleeper| !sleeper.heard)
    }

    /// The threads that wait for a page go on, as far as their host has heard of them; whether there are any.
    pub fn wake(&mut self, page: PageNumber) -> bool {
        let sleepers = std::mem::take(&mut self.sleepers);
        let (woken, asleep) =
            sleepers.into_iter().partition::<Vec<_>, _>(|sleeper| sleeper.page == page && sleeper.heard);
        self.sleepers = asleep;
        let any = !woken.is_empty();
        self.woken.extend(woken.into_iter().map(|sleeper| sleeper.access));
        any
    }

    /// The host hears of one of the threads that wait for a page; whether there is one.
    pub fn hear(&mut self, page: PageNumber) -> bool {
        let mut unheard = self.sleepers.iter_mut().filter(|sleeper| sleeper.page == page && !sleeper.heard);
        unheard.next().map(|sleeper| sleeper.heard = true).is_some()
    }

    /// The access is done.
    pub fn done(&mut self, page: PageNumber, image: &Image) {
        self.next = None;
        self.count += 1;
        match image.kind(page) {
            PageKind::FileMapped => self.code_page = Some(page),
            PageKind::Private => self.stack_page = Some(page),
        }
    }

    /// What it is in the middle of. The registers hold the number of accesses done, over and over.
    pub fn suspension(&self, switched: bool) -> Suspension {
        let registers = self.registers();
        Suspension { registers, code_page: self.code_page, stack_page: self.stack_page, switched }
    }

    /// Whether these are its registers.
    pub fn can_resume_with(&self, registers: &[u8]) -> bool {
        registers == self.registers()
    }

    fn registers(&self) -> Vec<u8> {
        self.count.to_le_bytes().into_iter().cycle().take(self.registers_len).collect()
    }
}
