//! x
pub mod build;
pub mod error;
pub mod inventory;
pub mod obstacle;
pub mod pagemap;
pub mod plan;
pub mod range;
pub mod source;
pub mod state;
mod tracing;
pub mod userfault;
pub use error::{LinuxError, Result};
pub use range::{AddressRange, PAGE_SIZE};
