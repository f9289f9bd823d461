//! Runs of systems that know nothing of this project, turned into the log of steps and judged.
//!
//! An adapter reads what QEMU, CRIU or Cloud Hypervisor leave behind: recorded connections, traces, events, dumps of
//! memory. It invents nothing: what a system does not say is *unseen*, and the header of the log names it.
//!
//! ```text
//! connections ──► parsers ──┐
//! traces, events ─────────► one order of the steps ──► log, for the model to judge
//!                                     └──────────────► findings that need no model: contents, costs, bookkeeping
//! ```
//!
//! Parsers hold no more than has arrived, check caps before they take memory, never panic, and end with a typed error
//! that says where and which number they do not know.

pub mod account;
pub mod cloud_hypervisor;
pub mod criu;
pub mod fact;
pub mod input;
pub mod layout;
pub mod merge;
pub mod observation;
pub mod qemu;
mod ranges;
pub mod record;
pub mod report;
pub mod report_text;
pub mod scribe;
