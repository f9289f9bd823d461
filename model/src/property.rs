//! The names of the properties. What each means, and how it is judged, is in `properties/`.

use std::fmt;
use std::str::FromStr;

use enumset::EnumSetType;
use population::system::PropertyName;
use serde::{Deserialize, Serialize};

/// A property that a migration algorithm should have: `S` for safety, `L` for liveness.
#[derive(Debug, EnumSetType, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[enumset(serialize_repr = "list")]
#[allow(missing_docs)]
pub enum Property {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    S12,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
    L8,
}

impl PropertyName for Property {
    const NO_DEADLOCK: Self = Property::S10;

    fn is_safety(self) -> bool {
        Property::is_safety(self)
    }
}

impl Property {
    /// Is it judged on states and steps, rather than on infinite runs?
    pub fn is_safety(self) -> bool {
        self <= Property::S12
    }

    /// Does it speak of disruptions alone, and say nothing in a world without them?
    pub fn is_about_disruptions(self) -> bool {
        matches!(self, Property::S11 | Property::S12 | Property::L8)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The text names no property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no property is called '{0}'; there are S1 to S12 and L1 to L8")]
pub struct UnknownProperty(pub String);

impl FromStr for Property {
    type Err = UnknownProperty;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        enumset::EnumSet::<Property>::all()
            .iter()
            .find(|property| property.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownProperty(text.to_owned()))
    }
}
