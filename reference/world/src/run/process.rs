//! The process that is moved: a workload, and what it needs to go on from where it was.

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
    /// What it is about to do: an access that faulted is tried again.
    pub next: Option<Access>,
    /// The page that it waits for.
    pub waits_for: Option<PageNumber>,
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

impl Process {
    pub fn new(at: HostId, initial: Vec<Access>, accesses: AccessSequence, registers_len: usize) -> Self {
        let (next, waits_for, code_page, stack_page) = (None, None, None, None);
        let initial = initial.into_iter();
        Self {
            at,
            next,
            waits_for,
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

    /// What it does next, unless it is idle.
    pub fn access(&mut self) -> Option<Access> {
        if self.count >= self.count_max {
            return None;
        }
        if self.next.is_none() {
            self.next = self.initial.next().or_else(|| self.accesses.next());
        }
        self.next.clone()
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
