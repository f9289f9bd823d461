//! What a verdict rests on, as data; words only where it is printed.

use std::fmt;

use serde::{Serialize, Serializer};

use super::counted;

/// What a verdict rests on beside the bounds, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Views of so many pages.
    Views(usize),
    /// A ranking.
    Ranking,
    /// The proof for any number of pages, where an exploration was cut short.
    Proof,
    /// It is a possibility: no fairness is assumed.
    Possibility,
    /// No fairness is needed.
    NoFairness,
    /// Weak fairness of the protocol's steps.
    WeakFairness,
    /// Strong fairness of these steps, in alphabetical order.
    StrongFairness(Vec<String>),
    /// Nothing that it is about ever happens.
    Vacuous,
    /// There is no verdict, since the whole run was cut short: why.
    Cut(String),
    /// There is no verdict: why.
    Open(String),
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::Views(pages) => write!(f, "views of {}", counted(*pages, "page")),
            Basis::Ranking => f.write_str("ranked"),
            Basis::Proof => {
                f.write_str("proved for any number of pages, where the exploration was cut short")
            }
            Basis::Possibility => f.write_str("a possibility: no fairness assumed"),
            Basis::NoFairness => f.write_str("without fairness"),
            Basis::WeakFairness => f.write_str("under weak fairness"),
            Basis::StrongFairness(steps) => write!(f, "under strong fairness of {}", steps.join(", ")),
            Basis::Vacuous => f.write_str("nothing is ever pending"),
            Basis::Cut(why) | Basis::Open(why) => f.write_str(why),
        }
    }
}

/// In words, and the steps that have to be strongly fair.
impl Serialize for Basis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            note: String,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            strongly_fair: &'a [String],
        }
        let strongly_fair = match self {
            Basis::StrongFairness(steps) => steps.as_slice(),
            _ => &[],
        };
        Fields { note: self.to_string(), strongly_fair }.serialize(serializer)
    }
}
