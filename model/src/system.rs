//! The shape of the model, with the conditions and the properties of process migration.

use enumset::EnumSet;
use population::system;
pub use population::system::{Fairness, Judged, Live, PropertyName, Scope, System};

use crate::condition::Condition;
use crate::property::Property;

/// The universal conditions that a page record meets, or that a move asks of all (other) pages.
pub type Conditions = EnumSet<Condition>;
/// A set of properties, mostly of violated ones.
pub type Properties = EnumSet<Property>;
/// What a control step leads to.
pub type ControlMove<C> = system::ControlMove<C, Condition>;
/// What a page step leads to.
pub type PageMove<C, P> = system::PageMove<C, P, Condition>;
/// What a page move does to the properties about steps.
pub type Verdict = system::Verdict<Condition, Property>;
