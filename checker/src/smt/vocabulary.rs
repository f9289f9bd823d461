//! What the conditions speak of: records as enumerated datatypes, permitted views, and steps as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use engine::views::InvariantOf;
use enumset::{EnumSet, EnumSetType};
use population::concrete::{Move, Step};
use population::system::{ConditionName, Conditions, Judged, Properties};

use super::script::{Script, and, or, symbol};

/// A view: the index of its control record, and those of its page records.
pub(super) type View = (usize, Vec<usize>);

/// A page step under one pair of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageRow<K: EnumSetType> {
    pub control: usize,
    pub record: usize,
    pub requires: EnumSet<K>,
    pub control_after: usize,
    pub record_after: usize,
}

/// A control step under one control record.
#[derive(Clone, Debug)]
pub(super) struct ControlRow<K: EnumSetType> {
    pub control: usize,
    pub requires: EnumSet<K>,
    pub control_after: usize,
    /// What becomes of each page record that occurs with the control record.
    pub carried: Vec<(usize, usize)>,
}

/// A system and an invariant of it, by index.
#[derive(Clone)]
pub(super) struct Vocabulary<'s, S: Judged> {
    pub system: &'s S,
    pub subject: String,
    pub claims: Properties<S>,
    pub view_pages: usize,
    pub controls: Vec<S::Control>,
    pub records: Vec<S::Page>,
    pub views: BTreeSet<View>,
    page_rows: BTreeMap<S::PageStep, Vec<PageRow<S::Condition>>>,
    control_rows: BTreeMap<S::ControlStep, Vec<ControlRow<S::Condition>>>,
}

impl<'s, S: Judged> Vocabulary<'s, S> {
    pub fn new(system: &'s S, invariant: &InvariantOf<S>) -> Self {
        let views = invariant.views.iter();
        let views = views.flat_map(|of| of.pages.iter().map(|pages| (of.control, pages.clone()))).collect();
        let mut vocabulary = Vocabulary {
            system,
            subject: invariant.subject.clone(),
            claims: invariant.claims,
            view_pages: invariant.view_pages,
            controls: invariant.controls.clone(),
            records: invariant.records.clone(),
            views,
            page_rows: BTreeMap::new(),
            control_rows: BTreeMap::new(),
        };
        let pairs = vocabulary.pairs();
        for step in system.page_steps() {
            let rows = pairs.iter().filter_map(|pair| vocabulary.tabulate_page_step(*step, *pair)).collect();
            vocabulary.page_rows.insert(*step, rows);
        }
        for step in system.control_steps() {
            let rows = vocabulary.tabulate_control_step(*step, &pairs);
            vocabulary.control_rows.insert(*step, rows);
        }
        vocabulary
    }

    /// The steps; those of a page stand under index 0.
    pub fn steps(&self) -> impl Iterator<Item = Step<S>> + '_ {
        let control = self.system.control_steps().iter().map(|step| Move::Control(*step));
        control.chain(self.system.page_steps().iter().map(|step| Move::Page(*step, 0)))
    }

    /// What a page step does under the records of permitted views.
    pub fn page_rows(&self, step: S::PageStep) -> &[PageRow<S::Condition>] {
        self.page_rows.get(&step).map_or(&[], Vec::as_slice)
    }

    /// What a control step does under the records of permitted views.
    pub fn control_rows(&self, step: S::ControlStep) -> &[ControlRow<S::Condition>] {
        self.control_rows.get(&step).map_or(&[], Vec::as_slice)
    }

    /// The control records with the page records that occur with them in views.
    pub fn pairs(&self) -> BTreeSet<(usize, usize)> {
        self.views.iter().flat_map(|(control, pages)| pages.iter().map(|page| (*control, *page))).collect()
    }

    fn tabulate_page_step(
        &mut self,
        step: S::PageStep,
        (control, record): (usize, usize),
    ) -> Option<PageRow<S::Condition>> {
        let taken = self.system.page_move(step, &self.controls[control], &self.records[record])?;
        Some(PageRow {
            control,
            record,
            requires: taken.requires,
            control_after: index(&mut self.controls, taken.control),
            record_after: index(&mut self.records, taken.page),
        })
    }

    fn tabulate_control_step(
        &mut self,
        step: S::ControlStep,
        pairs: &BTreeSet<(usize, usize)>,
    ) -> Vec<ControlRow<S::Condition>> {
        let controls: BTreeSet<_> = pairs.iter().map(|(control, _)| *control).collect();
        let mut rows = Vec::new();
        for control in controls {
            let before = self.controls[control];
            let Some(taken) = self.system.control_move(step, &before) else { continue };
            let mut carried = Vec::new();
            for (_, record) in pairs.range((control, 0)..=(control, usize::MAX)) {
                let after = self.system.carry(step, &before, &self.records[*record]);
                carried.push((*record, index(&mut self.records, after)));
            }
            let control_after = index(&mut self.controls, taken.control);
            rows.push(ControlRow { control, requires: taken.requires, control_after, carried });
        }
        rows
    }

    /// The sorts, the state, what is permitted and the conditions; and that there are enough pages.
    pub fn prelude(&self) -> Script {
        let mut script = Script::default();
        script.line("(declare-sort Page 0)");
        enumeration(&mut script, "Control", "c", &self.controls);
        enumeration(&mut script, "Record", "r", &self.records);
        script.line(self.permitted());
        for condition in Conditions::<S>::all() {
            script.line(self.meets(condition));
        }
        script.line("(declare-const control Control)");
        script.line("(declare-fun record (Page) Record)");
        let pages: Vec<_> = (0..=self.view_pages).map(|page| format!("page{page}")).collect();
        for page in &pages {
            script.line(format_args!("(declare-const {page} Page)"));
        }
        script.assert(format_args!("(distinct {})", pages.join(" ")));
        script
    }

    fn permitted(&self) -> String {
        let parameters: Vec<_> = (0..self.view_pages).map(|page| format!("(r-{page} Record)")).collect();
        let mut under = BTreeMap::<_, BTreeSet<Vec<usize>>>::new();
        for (control, pages) in &self.views {
            under.entry(*control).or_default().extend(orders(pages));
        }
        let view = |pages: &Vec<usize>| {
            and(pages.iter().enumerate().map(|(page, record)| format!("(= r-{page} r{record})")))
        };
        let under = under.iter().map(|(control, views)| {
            format!("\n  {}", and([format!("(= c c{control})"), or(views.iter().map(view))]))
        });
        format!("(define-fun permitted ((c Control) {}) Bool {})", parameters.join(" "), or(under))
    }

    fn meets(&self, condition: S::Condition) -> String {
        let records = self.records.iter().enumerate();
        let meeting = records.filter(|(_, record)| self.system.conditions(record).contains(condition));
        let meeting = or(meeting.map(|(record, _)| format!("(= r r{record})")));
        format!("(define-fun meets-{} ((r Record)) Bool {meeting})", symbol(&condition))
    }

    /// "All views of the state are permitted", for terms that give its control record and a page's record.
    pub fn invariant(&self, control: &str, record: &dyn Fn(&str) -> String) -> String {
        let pages: Vec<_> = (0..self.view_pages).map(|page| format!("p{page}")).collect();
        let bound: Vec<_> = pages.iter().map(|page| format!("({page} Page)")).collect();
        let records: Vec<_> = pages.iter().map(|page| record(page)).collect();
        let permitted = format!("(permitted {control} {})", records.join(" "));
        let body = match pages.len() {
            1 => permitted,
            _ => format!("(=> (distinct {}) {permitted})", pages.join(" ")),
        };
        format!("(forall ({}) {body})", bound.join(" "))
    }
}

/// "The record meets these conditions."
pub(super) fn meets_all<K: ConditionName>(required: EnumSet<K>, record: &str) -> String {
    and(required.iter().map(|condition| format!("(meets-{} {record})", symbol(&condition))))
}

fn index<T: Copy + PartialEq>(values: &mut Vec<T>, value: T) -> usize {
    values.iter().position(|other| *other == value).unwrap_or_else(|| {
        values.push(value);
        values.len() - 1
    })
}

fn enumeration<T: Debug>(script: &mut Script, sort: &str, prefix: &str, values: &[T]) {
    for (index, value) in values.iter().enumerate() {
        script.comment(format_args!("{prefix}{index} = {value:?}"));
    }
    let constructors: Vec<_> = (0..values.len()).map(|index| format!("({prefix}{index})")).collect();
    script.line(format_args!("(declare-datatypes (({sort} 0)) (({})))", constructors.join(" ")));
}

/// All orders of the pages of a view.
fn orders(pages: &[usize]) -> BTreeSet<Vec<usize>> {
    if pages.is_empty() {
        return BTreeSet::from([Vec::new()]);
    }
    let mut orders = BTreeSet::new();
    for first in 0..pages.len() {
        let mut rest = pages.to_vec();
        let page = rest.remove(first);
        orders.extend(self::orders(&rest).into_iter().map(|rest| [vec![page], rest].concat()));
    }
    orders
}
