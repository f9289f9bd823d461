//! A closed set of views as a document: an inductive invariant that anybody can check again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use enumset::EnumSet;
use population::concrete::Concrete;
use population::system::{Judged, Properties, PropertyName, System};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::PAGES_MIN;
use super::set::{VIEW_PAGES_MAX, ViewSet};
use super::small_populations;
use super::steps::Steps;

/// The `format` of a document.
const FORMAT: &str = "sojourn-invariant";
/// The version of the format, counted up when a reader of the last one would misread it.
const VERSION: u32 = 1;

/// An inductive invariant for every population of at least one page.
///
/// A population of up to [`view_pages`](Invariant::view_pages) pages is always in one of the `small`
/// configurations. A larger one is always in a configuration that has all its views in `views`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "C: Serialize, P: Serialize",
    deserialize = "C: DeserializeOwned, P: DeserializeOwned"
))]
pub struct Invariant<C, P, R: PropertyName> {
    format: String,
    version: u32,
    /// The system that it is about; free text.
    pub subject: String,
    /// How many pages each view has.
    pub view_pages: usize,
    /// The properties that no permitted configuration violates.
    pub claims: EnumSet<R>,
    /// The control records that occur.
    pub controls: Vec<C>,
    /// The page records that occur.
    pub records: Vec<P>,
    /// The configurations of populations too small for a view.
    pub small: Vec<Configurations>,
    /// The views.
    pub views: Vec<Configurations>,
}

/// The invariant of a system.
pub type InvariantOf<S> = Invariant<<S as System>::Control, <S as System>::Page, <S as Judged>::Property>;

/// Configurations, or views, with the same control record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configurations {
    /// An index into [`Invariant::controls`].
    pub control: usize,
    /// For each of them, indices into [`Invariant::records`], ascending.
    pub pages: Vec<Vec<usize>>,
}

/// The text is not an invariant of this kind of system.
#[derive(Debug, Error)]
pub enum InvariantError {
    /// Not the JSON of an invariant with these records.
    #[error("not an invariant of this system")]
    Json(#[from] serde_json::Error),
    /// Of another format or version.
    #[error("expected {FORMAT} version {VERSION}, found {format} version {version}")]
    Version {
        /// The format it says it has.
        format: String,
        /// The version it says it has.
        version: u32,
    },
    /// An index without a record, or a number of pages that does not fit.
    #[error("malformed invariant: {0}")]
    Malformed(String),
}

impl<C, P, R: PropertyName> Invariant<C, P, R> {
    /// How many page records occur in views.
    pub fn view_records(&self) -> usize {
        self.views.iter().flat_map(|of| of.pages.iter().flatten()).collect::<BTreeSet<_>>().len()
    }

    /// Every control record with every page record that occurs with it, in a population of any size.
    pub fn pairs(&self) -> BTreeSet<(C, P)>
    where
        C: Copy + Ord,
        P: Copy + Ord,
    {
        let configurations = self.small.iter().chain(&self.views);
        let pair = |of: &Configurations, record: usize| (self.controls[of.control], self.records[record]);
        configurations.flat_map(|of| of.pages.iter().flatten().map(move |record| pair(of, *record))).collect()
    }

    fn validate(self) -> Result<Self, InvariantError> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(InvariantError::Version { format: self.format, version: self.version });
        }
        for of in self.small.iter().chain(&self.views) {
            if of.control >= self.controls.len() {
                return Err(InvariantError::Malformed(format!("there is no control record {}", of.control)));
            }
            if let Some(record) = of.pages.iter().flatten().find(|record| **record >= self.records.len()) {
                return Err(InvariantError::Malformed(format!("there is no page record {record}")));
            }
        }
        if !(PAGES_MIN..=VIEW_PAGES_MAX).contains(&self.view_pages) {
            let reason =
                format!("views of {} pages: they have {PAGES_MIN} to {VIEW_PAGES_MAX}", self.view_pages);
            return Err(InvariantError::Malformed(reason));
        }
        let sizes = |of: &[Configurations], fits: &dyn Fn(usize) -> bool| {
            of.iter().flat_map(|of| &of.pages).all(|pages| fits(pages.len()) && pages.is_sorted())
        };
        let small = PAGES_MIN..=self.view_pages;
        if !sizes(&self.small, &|pages| small.contains(&pages))
            || !sizes(&self.views, &|pages| pages == self.view_pages)
        {
            return Err(InvariantError::Malformed("a wrong number of pages, or not in order".to_owned()));
        }
        Ok(self)
    }
}

impl<C: Serialize, P: Serialize, R: PropertyName> Invariant<C, P, R> {
    /// The document as JSON, one record or one control record's views a line.
    ///
    /// # Errors
    ///
    /// A record that JSON cannot express, such as a map with keys that are not text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let head = [
            ("format", serde_json::to_string(&self.format)?),
            ("version", self.version.to_string()),
            ("subject", serde_json::to_string(&self.subject)?),
            ("view_pages", self.view_pages.to_string()),
            ("claims", serde_json::to_string(&self.claims)?),
            ("controls", lines(&self.controls)?),
            ("records", lines(&self.records)?),
            ("small", lines(&self.small)?),
            ("views", lines(&self.views)?),
        ];
        let mut json = String::from("{");
        for (index, (name, value)) in head.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _infallible = write!(json, "{comma}\n  \"{name}\": {value}");
        }
        json.push_str("\n}\n");
        Ok(json)
    }
}

impl<C: DeserializeOwned, P: DeserializeOwned, R: PropertyName> Invariant<C, P, R> {
    /// Reads what [`Invariant::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// If the text is not JSON, not of this version, or not of a system with these records.
    pub fn from_json(text: &str) -> Result<Self, InvariantError> {
        serde_json::from_str::<Self>(text)?.validate()
    }
}

fn lines<T: Serialize>(values: &[T]) -> Result<String, serde_json::Error> {
    let lines: Vec<_> = values.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(if lines.is_empty() { "[]".to_owned() } else { format!("[\n    {}\n  ]", lines.join(",\n    ")) })
}

/// The views, with the states of small populations, each in canonical order.
pub(super) fn export<S: Judged + Clone>(
    steps: &mut Steps<'_, S>,
    views: &ViewSet,
    claims: Properties<S>,
    states_max: usize,
) -> InvariantOf<S> {
    let mut small = BTreeSet::new();
    for pages in PAGES_MIN..=views.pages() {
        let concrete = Concrete { system: steps.system.clone(), pages };
        let explored = small_populations::explore(&concrete, EnumSet::empty(), states_max);
        small.extend(explored.states.into_iter().map(|state| (state.control, state.pages.to_vec())));
    }
    let mut large = BTreeSet::new();
    for control in views.controls() {
        for view in views.under(control) {
            let mut pages: Vec<_> = view.iter().map(|record| *steps.record(*record)).collect();
            pages.sort_unstable();
            large.insert((*steps.control(control), pages));
        }
    }

    let both = || small.iter().chain(&large);
    let controls: BTreeSet<_> = both().map(|(control, _)| *control).collect();
    let records: BTreeSet<_> = both().flat_map(|(_, pages)| pages).copied().collect();
    let index = Index { controls: numbered(&controls), records: numbered(&records) };
    Invariant {
        format: FORMAT.to_owned(),
        version: VERSION,
        subject: String::new(),
        view_pages: views.pages(),
        claims,
        small: index.group(&small),
        views: index.group(&large),
        controls: controls.into_iter().collect(),
        records: records.into_iter().collect(),
    }
}

struct Index<C, P> {
    controls: BTreeMap<C, usize>,
    records: BTreeMap<P, usize>,
}

impl<C: Ord, P: Ord> Index<C, P> {
    fn group(&self, configurations: &BTreeSet<(C, Vec<P>)>) -> Vec<Configurations> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for (control, pages) in configurations {
            let pages = pages.iter().map(|page| self.records[page]).collect();
            groups.entry(self.controls[control]).or_default().push(pages);
        }
        groups.into_iter().map(|(control, pages)| Configurations { control, pages }).collect()
    }
}

fn numbered<T: Copy + Ord>(values: &BTreeSet<T>) -> BTreeMap<T, usize> {
    values.iter().enumerate().map(|(index, value)| (*value, index)).collect()
}
