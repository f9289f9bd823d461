//! What the process is stopped in the middle of.

use steplog::page::PageNumber;

/// What the process is in the middle of when it is suspended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// Registers and whatever else the process is made of; opaque.
    pub registers: Vec<u8>,
    /// The page under the instruction pointer. Part of the working set if it is file-mapped.
    pub code_page: Option<PageNumber>,
    /// The page under the stack pointer. Part of the working set if it is private.
    pub stack_page: Option<PageNumber>,
    /// Whether what pre-copy has not brought into step stays where it is, rather than travel while the process stands still. It
    /// makes no difference where there is nothing of that.
    pub switched: bool,
}
