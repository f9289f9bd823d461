//! What is to be checked: an algorithm, and the world it runs in.

use std::num::NonZeroUsize;

use model::concrete::Concrete;
use model::defects::Idle;
use model::{
    Defect, Disruptions, Expectation, Hosts, Link, Migration, Property, Strategy, StrategyFileError,
};
use serde::Deserialize;
use serde_json::json;

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
    /// What may go wrong.
    pub disruptions: Disruptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    strategy: String,
    hosts: Hosts,
    link: Link,
    defect: Option<Defect>,
    #[serde(default)]
    disruptions: Disruptions,
}

/// Why a text is no fingerprint of a setting.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// It is not of the form.
    #[error("no setting")]
    Form(#[from] serde_json::Error),
    /// The strategy in it is none.
    #[error("strategy")]
    Strategy(#[from] StrategyFileError),
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
        let migration =
            Migration::new(self.strategy.clone(), self.hosts, self.link).with_disruptions(self.disruptions);
        match self.defect {
            Some(defect) => migration.with_defect(defect),
            None => migration,
        }
    }

    /// Can the defect, if there is one, make a difference with so many pages?
    ///
    /// # Errors
    /// Why it cannot.
    pub fn defect_acts(&self, pages: Pages) -> Result<(), Idle> {
        let count = match pages {
            Pages::Exactly(pages) => Some(pages.get()),
            Pages::Any => None,
        };
        self.migration().defect_acts(count)
    }

    /// The model with a given number of pages.
    pub fn concrete(&self, pages: NonZeroUsize) -> Concrete<Migration> {
        Concrete { system: self.migration(), pages: pages.get() }
    }

    /// Every choice that makes a difference, in one text: what a checkpoint or an invariant belongs to.
    pub fn fingerprint(&self) -> String {
        let Setting { strategy, hosts, link, defect, disruptions } = self;
        let mut world =
            json!({ "strategy": strategy.to_toml(), "hosts": hosts, "link": link, "defect": defect });
        if !disruptions.is_none() {
            world["disruptions"] = json!(disruptions);
        }
        world.to_string()
    }

    /// The setting that has this fingerprint.
    ///
    /// # Errors
    /// The text is no fingerprint, or its strategy is not a legal one.
    pub fn from_fingerprint(text: &str) -> Result<Self, FingerprintError> {
        let World { strategy, hosts, link, defect, disruptions } = serde_json::from_str(text)?;
        Ok(Setting { strategy: strategy.parse()?, hosts, link, defect, disruptions })
    }

    /// Does the property say anything about the algorithm?
    pub fn applies(&self, property: Property) -> bool {
        let speaks = !property.is_about_disruptions() || !self.disruptions.is_none();
        speaks && self.strategy.expectation(property) != Expectation::NotApplicable
    }
}
