//! Every process-migration algorithm as a pure state machine: **what may happen**.
//!
//! Process migration moves a running process to another host. Its address space is the expensive part, and
//! algorithms differ in when each page travels. This crate says, for each of them, which steps are
//! possible in which state; it holds no bytes, reads no clock, draws no random number and does no I/O.
//!
//! # An hour's reading
//!
//! | minutes | read | and you know |
//! |---|---|---|
//! | 10 | [`algorithms`], then [`strategy`] | what the nine algorithms are, and the few choices in which they differ |
//! | 10 | [`control`], [`page`], [`condition`] | what a state is: one control record, and a record a page |
//! | 5 | [`system`] | why nothing counts or names pages, and what that buys |
//! | 20 | [`step`], and `moves/` in the order that its `mod.rs` gives, without `hindrance` | every step of every algorithm where nothing goes wrong: when it may be taken, and what it does |
//! | 15 | [`properties`] | what must be true, and what is meant by it |
//!
//! After the hour: [`defects`] has the errors that show that each property can fail, and what they make of the steps.
//! [`disruption`] says what may go wrong and has the picture; `moves/hindrance.rs` is all that it adds to the steps that
//! you have read, and `cut`, `outage`, `abort` and `recovery` are the steps of its own. `population` has the plain
//! semantics for a given number of pages, which [`Stateright`] makes a [`::stateright::Model`]:
//!
//! ```
//! use model::{Concrete, Hosts, Link, Migration, Stateright, algorithms};
//! use stateright::{Checker, Model};
//!
//! let system = Migration::new(algorithms::TOTAL_COPY, Hosts::Two, Link::Fifo);
//! let checker = Stateright(Concrete { system, pages: 2 }).checker().spawn_bfs().join();
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
pub mod paging;
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
pub use paging::Paging;
pub use population::concrete;
pub use population::concrete::{Concrete, Configuration, Move};
pub use properties::Expectation;
pub use property::Property;
pub use stateright::Stateright;
pub use step::{ControlStep, PageStep};
pub use strategy::{Contradiction, Strategy};
pub use strategy_file::StrategyFileError;
