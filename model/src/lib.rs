//! Every process-migration algorithm as a pure state machine: **what may happen**.
//!
//! Process migration moves a running process to another host. Its address space is the expensive part, and
//! algorithms differ in when each page travels. This crate says, for each of them, which steps are
//! possible in which state; it holds no bytes, reads no clock, draws no random number and does no I/O.
//!
//! Reading order:
//!
//! 1. [`strategy`]: an algorithm is a value, made of a few choices; [`algorithms`] has the nine of the
//!    literature, each with its story and a diagram.
//! 2. [`control`] and [`page`]: a state is one control record and a population of page records.
//! 3. `moves/`: every step, guard first, effect below, in the order of a migration; [`disruption`]: what may go
//!    wrong, and what it leaves behind.
//! 4. [`properties`]: what must be true, one file each; [`defects`]: deliberate errors that show that
//!    each property can fail.
//! 5. [`system`]: the shape behind it all, and why it is kept; [`concrete`]: the same with a given number
//!    of pages, also a [`::stateright::Model`].
//!
//! ```
//! use model::{Concrete, Hosts, Link, Migration, algorithms};
//! use stateright::{Checker, Model};
//!
//! let system = Migration::new(algorithms::TOTAL_COPY, Hosts::Two, Link::Fifo);
//! let checker = Concrete { system, pages: 2 }.checker().spawn_bfs().join();
//! checker.assert_properties();
//! ```

pub mod algorithms;
pub mod condition;
pub mod control;
pub mod defects;
pub mod disruption;
mod migration;
mod moves;
pub mod page;
pub mod properties;
pub mod property;
mod stateright;
pub mod step;
pub mod strategy;
mod strategy_file;
pub mod system;

pub use condition::Condition;
pub use control::{Control, Phase, Process};
pub use defects::Defect;
pub use disruption::{Disruption, Disruptions, Stage};
pub use migration::{Hosts, Link, Migration};
pub use page::Page;
pub use population::concrete;
pub use population::concrete::{Concrete, Configuration, Move};
pub use properties::Expectation;
pub use property::Property;
pub use stateright::Stateright;
pub use step::{ControlStep, PageStep};
pub use strategy::{Contradiction, Strategy};
pub use strategy_file::StrategyFileError;
