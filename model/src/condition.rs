//! The universal conditions: what a move may ask of all other pages, and nothing else.

use enumset::EnumSetType;

/// Placeholder
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// No request in flight or waiting, no content on its way to the running process.
    Quiet,
    /// Not due in this pre-copy pass.
    NotDue,
    /// In step with the destination.
    InStep,
    /// Has been given whatever the freeze transfer owes it.
    FreezeDone,
    /// No content in flight from the source.
    Landed,
    /// If the dirty map says it travelled, it has arrived.
    Arrived,
    /// The source owes nothing of it.
    Settled,
    /// No request on its way to the source.
    Unasked,
    /// No request that the source could answer is waiting at the source.
    NoDemand,
}
