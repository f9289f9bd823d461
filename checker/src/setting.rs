//! What is to be checked: an algorithm, and the world it runs in.

use std::num::NonZeroUsize;

use model::concrete::Concrete;
use model::{Defect, Expectation, Hosts, Link, Migration, Property, Strategy};

/// An algorithm in its world, but for the number of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The algorithm.
    pub strategy: Strategy,
    /// How many hosts there are beside the file server.
    pub hosts: Hosts,
    /// What links do to messages.
    pub link: Link,
    /// The deliberate defect, if any.
    pub defect: Option<Defect>,
}

/// How many pages the process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pages {
    /// Exactly so many: explored exhaustively.
    Exactly(NonZeroUsize),
    /// Any number: proved.
    Any,
}

impl Setting {
    /// The model of it.
    pub fn migration(&self) -> Migration {
        let migration = Migration::new(self.strategy.clone(), self.hosts, self.link);
        match self.defect {
            Some(defect) => migration.with_defect(defect),
            None => migration,
        }
    }

    /// The model with a given number of pages.
    pub fn concrete(&self, pages: NonZeroUsize) -> Concrete<Migration> {
        Concrete { system: self.migration(), pages: pages.get() }
    }

    /// Does the property say anything about the algorithm?
    pub fn applies(&self, property: Property) -> bool {
        self.strategy.expectation(property) != Expectation::NotApplicable
    }
}
