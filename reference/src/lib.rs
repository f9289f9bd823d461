//! Process migration with real pages.

pub mod memory;
pub mod page;
pub mod page_set;
pub mod place;
pub mod policy;
pub mod wire;
