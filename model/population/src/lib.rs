//! The shape of every model here, and what a system of that shape means for a number of pages.
//!
//! [`system`] has the traits that a model implements: a *control* record, a *population* of interchangeable page records,
//! and moves that ask of other pages nothing but conditions on **all** of them. [`concrete`] is the plain semantics for a
//! fixed number of pages; every engine is held to it.
//!
//! A model and an engine meet here, and know nothing of each other.

#![forbid(unsafe_code)]

pub mod concrete;
pub mod system;
