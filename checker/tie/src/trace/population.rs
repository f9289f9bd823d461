//! Where the model can be, with any number of pages.
//!
//! A line that does not say all there is to know of a page leaves several records possible for it: a write that nobody
//! saw, a duplicate that the link may have kept. What is possible for one page does not depend on what is possible for
//! another: a step asks nothing of the other pages but conditions on all of them, which each page meets on its own. So
//! a [`Population`] is one control record and, for each page, a *set* of records; every combination of them is a state
//! that the model can be in. Pages with the same set form a class. A control step looks at classes, and a page step at
//! the page's own set and at classes, so both cost the same for any number of pages.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use model::disruption::Connection;
use model::page::{Kind, Transit};
use model::paging::Waking;
use model::strategy::LogReading;
use model::system::{Conditions, System};
use model::{Control, ControlStep, Page, PageStep, Phase, Process};
use steplog::event::{Event, Step};
use steplog::header::{Header, Unseen};
use steplog::place::{HostId, Place};

use super::numbered::Numbered;
use crate::uncounted::Uncounted;

/// Most sets of records that are told apart before those without pages are cleared away.
const CLASSES_MAX: usize = 1 << 10;

/// A page's record, and what the model's link has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Record {
    pub page: Page,
    /// Where passes are unbounded, the model's link takes two contents of a page at a time. Real links take more:
    /// how many more are on their way.
    surplus: u32,
}

/// The records that a page can have: sorted, none twice, at least one.
type Records = Arc<[Record]>;

/// Pages with the same possible records.
#[derive(Clone, Debug)]
struct Class {
    records: Records,
    hash: u128,
    pages: usize,
    /// The sum of the pages' [signatures](signature).
    signatures: u128,
}

/// How a page gets from one record to another: by a step, or by none.
pub(super) type Passage = (Record, Option<PageStep>, Record);

/// Can a line change nothing of its page?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stutters {
    Never,
    /// Only where none of the steps is possible.
    IfStuck,
    Always,
}

/// A page step that is possible, in all its ways.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub control: Control,
    pub page: usize,
    pub requires: Conditions,
    pub passages: Vec<Passage>,
}

/// A control record, and for each page the records that it can have.
#[derive(Clone, Debug)]
pub(super) struct Population {
    pub control: Control,
    classes: Vec<Class>,
    of_page: Numbered,
    /// What may happen to a page at any time without anybody seeing it: that the process writes, that a mark in the dirty log
    /// is cleared, that a further thread touches it.
    unseen: Arc<[PageStep]>,
    /// Nobody says that he has noticed the loss of a connection.
    connections_unseen: bool,
    /// The hosts that know that the connection to the other one is gone, and of no new one.
    noticed: BTreeSet<HostId>,
    /// The hosts that have noticed the last outage, if there was one.
    noticed_outage: Option<BTreeSet<HostId>>,
}

impl Population {
    pub(super) fn loaded(model: &Uncounted, header: &Header) -> Self {
        let strategy = &model.migration().strategy;
        let is_file_mapped =
            |page: usize| strategy.tells_kinds_apart() && header.file_mapped.contains(&(page as u64));
        let pages = usize::try_from(header.pages).unwrap_or(usize::MAX);
        let of_page = Numbered::from_fn(pages, |page| u16::from(is_file_mapped(page)));
        let control = model.initial_control();
        let class = |kind| Class::of(vec![Record::loaded(kind)]);
        let mut classes = vec![class(Kind::Private), class(Kind::FileMapped)];
        for (page, class) in of_page.iter().enumerate() {
            classes[usize::from(class)].add(page);
        }
        let (noticed, noticed_outage) = (BTreeSet::new(), None);
        let unseen = |what| header.unseen.contains(&what);
        let connections_unseen = unseen(Unseen::Connections);
        let writes = unseen(Unseen::Writes).then_some(PageStep::Write);
        let clears = (strategy.real.log == LogReading::Pass).then_some(PageStep::ClearLog);
        let touches = (strategy.paging.wake == Waking::Apart).then_some(PageStep::FaultAgain);
        let unseen = writes.into_iter().chain(clears).chain(touches).collect();
        let mut population =
            Self { control, classes, of_page, unseen, connections_unseen, noticed, noticed_outage };
        population.close(model);
        population
    }

    /// The record that the page starts with.
    pub(super) fn loaded_record(model: &Uncounted, header: &Header, page: usize) -> Record {
        let told = model.migration().strategy.tells_kinds_apart();
        let is_file_mapped = told && header.file_mapped.contains(&(page as u64));
        Record::loaded(if is_file_mapped { Kind::FileMapped } else { Kind::Private })
    }

    /// The records that the page can have.
    pub(super) fn records(&self, page: usize) -> &[Record] {
        let class = self.of_page.get(page).and_then(|class| self.classes.get(usize::from(class)));
        class.map_or(&[], |class| &class.records)
    }

    /// Can every page have a record of this sort?
    pub(super) fn can_all(&self, is_such: impl Fn(&Page) -> bool) -> bool {
        self.inhabited().all(|class| class.records.iter().any(|record| is_such(&record.page)))
    }

    /// A page of each class in which a record of this sort is possible. Looks at all pages.
    pub(super) fn representatives(&self, is_such: impl Fn(&Page) -> bool) -> Vec<usize> {
        let mut wanted: Vec<bool> = self
            .classes
            .iter()
            .map(|class| class.records.iter().any(|record| is_such(&record.page)))
            .collect();
        let first = |class: u16| wanted.get_mut(usize::from(class)).is_some_and(std::mem::take);
        let mut first = first;
        self.of_page.iter().enumerate().filter(|(_, class)| first(*class)).map(|(page, _)| page).collect()
    }

    /// How many pages may have a record of this sort: from all that must to all that can.
    pub(super) fn count(&self, is_such: impl Fn(&Page) -> bool) -> RangeInclusive<u64> {
        let (mut least, mut most) = (0, 0);
        for class in self.inhabited() {
            let mut records = class.records.iter().map(|record| is_such(&record.page));
            let all = records.clone().all(|is_such| is_such);
            least += if all { class.pages as u64 } else { 0 };
            most += if records.any(|is_such| is_such) { class.pages as u64 } else { 0 };
        }
        least..=most
    }

    /// What tells the population from others, but for coincidences of one in 2¹²⁸ that could only lose a state.
    pub(super) fn fingerprint(&self) -> (Control, u128, Vec<HostId>, Option<Vec<HostId>>) {
        let pages = self.inhabited().map(|class| class.hash.wrapping_mul(class.signatures));
        let digest = pages.fold(0, u128::wrapping_add);
        let noticed = self.noticed.iter().copied().collect();
        let outage = self.noticed_outage.as_ref().map(|hosts| hosts.iter().copied().collect());
        (self.control, digest, noticed, outage)
    }

    /// The population after a control step, if it is possible.
    pub(super) fn after_control(&self, model: &Uncounted, step: ControlStep) -> Option<Self> {
        if step == ControlStep::Reconnect && !self.may_reconnect() {
            return None;
        }
        let taken = model.control_move(step, &self.control)?;
        let mut next = self.clone();
        next.require(model, taken.requires)?;
        for class in next.inhabited_mut() {
            let carried = |record: &Record| Record::carried(model, step, &self.control, record);
            class.replace(class.records.iter().map(carried).collect());
        }
        match step {
            ControlStep::Reconnect => next.noticed.clear(),
            ControlStep::Outage => next.noticed_outage = Some(BTreeSet::new()),
            _ => {}
        }
        next.control = taken.control;
        next.close(model);
        Some(next)
    }

    /// What comes of one of these steps of a page, or of none. A passage counts if `is_such`.
    pub(super) fn effects(
        &self,
        model: &Uncounted,
        page: usize,
        (steps, stutters): (&[PageStep], Stutters),
        is_such: impl Fn(&Passage) -> bool,
    ) -> Vec<Effect> {
        let mut effects: Vec<Effect> = Vec::new();
        for record in self.records(page) {
            let taken = |step: &PageStep| {
                let (control, requires, next) = record.taken(model, *step, &self.control)?;
                Some((control, requires, (*record, Some(*step), next)))
            };
            let mut ways: Vec<_> = steps.iter().filter_map(taken).collect();
            let stutters = match stutters {
                Stutters::Never => false,
                Stutters::IfStuck => ways.is_empty(),
                Stutters::Always => true,
            };
            let stays = (self.control, Conditions::empty(), (*record, None, *record));
            ways.extend(stutters.then_some(stays));
            for (control, requires, passage) in ways.into_iter().filter(|(_, _, passage)| is_such(passage)) {
                let same = |effect: &&mut Effect| (effect.control, effect.requires) == (control, requires);
                match effects.iter_mut().find(same) {
                    Some(effect) => effect.passages.push(passage),
                    None => effects.push(Effect { control, page, requires, passages: vec![passage] }),
                }
            }
        }
        effects.retain(|effect| self.others_can(model, page, effect.requires));
        effects
    }

    /// The population after a page step that [is possible](Self::effects) in it.
    pub(super) fn after(mut self, model: &Uncounted, effect: &Effect) -> Self {
        let left = self.leave(effect.page);
        if !effect.requires.is_empty() {
            // That the others can meet it was asked before.
            _ = self.require(model, effect.requires);
        }
        if left.is_some() {
            let mut records: Vec<_> = effect.passages.iter().map(|(_, _, next)| *next).collect();
            let is_new = self.control != effect.control;
            self.control = effect.control;
            if !is_new {
                close_records(model, &self.control, &self.unseen, &mut records);
            }
            self.enter(effect.page, records);
            if is_new {
                self.close(model);
            }
        }
        self
    }

    /// What remains possible when the page's record is one that can be changed so, and is.
    pub(super) fn changed(mut self, page: usize, change: impl Fn(&Page) -> Option<Page>) -> Option<Self> {
        let changed = |record: &Record| Some(Record { page: change(&record.page)?, ..*record });
        let records: Vec<_> = self.records(page).iter().filter_map(changed).collect();
        if records.is_empty() {
            return None;
        }
        self.leave(page);
        self.enter(page, records);
        Some(self)
    }

    /// What is possible when each record can be changed so, or stay as it is.
    pub(super) fn maybe_changed(mut self, change: impl Fn(&Page) -> Option<Page>) -> Self {
        for class in self.inhabited_mut() {
            let changed = |record: &Record| Some(Record { page: change(&record.page)?, ..*record });
            let changed = class.records.iter().filter_map(changed);
            class.replace(class.records.iter().copied().chain(changed).collect());
        }
        self
    }

    /// What remains possible when the records of all pages are of this sort.
    pub(super) fn all_only(mut self, is_such: impl Fn(&Page) -> bool) -> Option<Self> {
        for class in self.inhabited_mut() {
            class.keep(|record| is_such(&record.page)).then_some(())?;
        }
        Some(self)
    }

    /// The state when the process has died with its host.
    pub(super) fn lost(&self) -> Self {
        let control = Control { phase: Phase::Lost, process: Process::Lost, ..Control::GONE };
        Population { control, ..self.clone() }
    }

    /// What the step says of its host's connection to the other one. Where the model has one that is broken, a new one
    /// is there when both say so.
    pub(super) fn note_connection(&mut self, step: &Step) {
        let Place::Host(host) = step.place else { return };
        match step.event {
            Event::PeerDisconnected { peer: Place::Host(_), .. } | Event::PeerTimedOut { .. } => {
                self.noticed.insert(host);
            }
            Event::PeerConnected { peer: Place::Host(_), .. }
                if self.control.aftermath.connection != Connection::Broken =>
            {
                self.noticed.remove(&host);
            }
            Event::PeerFenced { .. } => self.noticed.clear(),
            // Its successor has noticed nothing.
            Event::HostCrashed => {
                self.noticed.remove(&host);
                self.noticed_outage.iter_mut().for_each(|hosts| _ = hosts.remove(&host));
            }
            Event::PeerDisconnected { peer: Place::FileServer, .. } => {
                self.noticed_outage.get_or_insert_default().insert(host);
            }
            _ => {}
        }
    }

    /// Does the host know that there is no connection to the other one?
    pub(super) fn has_noticed(&self, host: HostId) -> bool {
        self.noticed.contains(&host)
    }

    /// Is there an outage that the host can notice now? It may be over, if the host has not noticed it before.
    pub(super) fn may_notice_outage(&self, host: HostId) -> bool {
        let unnoticed = self.noticed_outage.as_ref().is_some_and(|hosts| !hosts.contains(&host));
        self.control.aftermath.store_down || unnoticed
    }

    /// Whoever has not noticed that a connection is broken does so before there is a new one.
    fn may_reconnect(&self) -> bool {
        self.connections_unseen || self.noticed.len() > 1
    }

    fn inhabited(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter().filter(|class| class.pages > 0)
    }

    fn inhabited_mut(&mut self) -> impl Iterator<Item = &mut Class> {
        self.classes.iter_mut().filter(|class| class.pages > 0)
    }

    /// Leaves the records that meet the conditions, if every page has one.
    fn require(&mut self, model: &Uncounted, required: Conditions) -> Option<()> {
        if required.is_empty() {
            return Some(());
        }
        let meets = |record: &Record| model.conditions(&record.page).is_superset(required);
        self.inhabited_mut().all(|class| class.keep(meets)).then_some(())
    }

    fn others_can(&self, model: &Uncounted, page: usize, required: Conditions) -> bool {
        let own = self.of_page.get(page).map(usize::from);
        let meets = |record: &Record| model.conditions(&record.page).is_superset(required);
        let others = self
            .classes
            .iter()
            .enumerate()
            .filter(|(class, Class { pages, .. })| *pages > usize::from(Some(*class) == own));
        required.is_empty() || others.into_iter().all(|(_, class)| class.records.iter().any(meets))
    }

    /// The process may have written before the next line.
    fn close(&mut self, model: &Uncounted) {
        if self.unseen.is_empty() {
            return;
        }
        let (control, unseen) = (self.control, self.unseen.clone());
        for class in self.inhabited_mut() {
            let mut records = class.records.to_vec();
            close_records(model, &control, &unseen, &mut records);
            class.replace(records);
        }
    }

    fn leave(&mut self, page: usize) -> Option<()> {
        let class = self.classes.get_mut(usize::from(self.of_page.get(page)?))?;
        class.pages -= 1;
        class.signatures = class.signatures.wrapping_sub(signature(page));
        Some(())
    }

    fn enter(&mut self, page: usize, records: Vec<Record>) {
        let records = set_of(records);
        let known = self.classes.iter().position(|class| *class.records == *records);
        let at = known.unwrap_or_else(|| {
            let entered = Class::of(records);
            match self.classes.iter().position(|class| class.pages == 0) {
                Some(free) => {
                    self.classes[free] = entered;
                    free
                }
                None => {
                    self.classes.push(entered);
                    self.classes.len() - 1
                }
            }
        });
        self.classes[at].add(page);
        self.of_page.set(page, at as u16);
        if self.classes.len() > CLASSES_MAX {
            self.merge_classes();
        }
    }

    /// Classes that have become alike are made one.
    fn merge_classes(&mut self) {
        let mut merged: Vec<Class> = Vec::new();
        let place = |class: &Class, merged: &mut Vec<Class>| {
            let alike = |other: &Class| other.hash == class.hash && other.records == class.records;
            let at = merged.iter().position(alike).unwrap_or_else(|| {
                merged.push(Class { pages: 0, signatures: 0, ..class.clone() });
                merged.len() - 1
            });
            merged[at].pages += class.pages;
            merged[at].signatures = merged[at].signatures.wrapping_add(class.signatures);
            at as u16
        };
        let moved: Vec<u16> = self.classes.iter().map(|class| place(class, &mut merged)).collect();
        let of_page = &self.of_page;
        let at = |page| of_page.get(page).and_then(|class| moved.get(usize::from(class))).copied();
        self.of_page = Numbered::from_fn(of_page.len(), |page| at(page).unwrap_or_default());
        self.classes = merged;
    }
}

impl Record {
    pub(super) fn loaded(kind: Kind) -> Self {
        Record { page: Page::loaded(kind), surplus: 0 }
    }

    /// What a control step makes of the record.
    pub(super) fn carried(model: &Uncounted, step: ControlStep, control: &Control, record: &Record) -> Self {
        let page = model.carry(step, control, &record.page);
        Record { page, surplus: if page.older == 0 { 0 } else { record.surplus } }
    }

    /// What a step makes of the record, with the control record after it and what it asks of the other pages.
    pub(super) fn taken(
        &self,
        model: &Uncounted,
        step: PageStep,
        control: &Control,
    ) -> Option<(Control, Conditions, Self)> {
        let (mut from, mut surplus) = (self.page, self.surplus);
        let overflows = step == PageStep::Copy && self.is_link_full(model);
        let refills = step == PageStep::DeliverOlder && surplus > 0;
        if overflows {
            from.older -= 1;
            surplus += 1;
        }
        let taken = model.page_move(step, control, &from)?;
        let mut page = taken.page;
        if refills {
            page.older += 1;
            surplus -= 1;
        }
        Some((taken.control, taken.requires, Record { page, surplus }))
    }

    fn is_link_full(&self, model: &Uncounted) -> bool {
        let unbounded = model.migration().strategy.crossings_max().is_none();
        unbounded && matches!(self.page.content, Transit::Flying(_)) && self.page.older > 0
    }
}

impl Class {
    fn of(records: Vec<Record>) -> Self {
        let mut class = Class { records: Arc::from([]), hash: 0, pages: 0, signatures: 0 };
        class.replace(records);
        class
    }

    fn add(&mut self, page: usize) {
        self.pages += 1;
        self.signatures = self.signatures.wrapping_add(signature(page));
    }

    fn replace(&mut self, records: Vec<Record>) {
        let records = set_of(records);
        if *records == *self.records {
            return;
        }
        self.records = records.into();
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &self.records).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        self.hash = (half(0) << 64) | half(1);
    }

    /// Leaves the records that are of this sort. Are there any?
    fn keep(&mut self, is_such: impl Fn(&Record) -> bool) -> bool {
        if !self.records.iter().all(&is_such) {
            let kept = self.records.iter().filter(|record| is_such(record)).copied().collect();
            self.replace(kept);
        }
        !self.records.is_empty()
    }
}

fn set_of(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_unstable();
    records.dedup();
    records
}

/// The records with those that unseen steps lead to from them.
fn close_records(model: &Uncounted, control: &Control, unseen: &[PageStep], records: &mut Vec<Record>) {
    let mut next = 0;
    while let Some(record) = records.get(next).copied() {
        for step in unseen {
            let taken = record.taken(model, *step, control).map(|(_, _, taken)| taken);
            records.extend(taken.filter(|taken| !records.contains(taken)));
        }
        next += 1;
    }
}

/// A number for each page; sums of them tell sets of pages apart.
fn signature(page: usize) -> u128 {
    let half = |salt: u64| {
        let mut x = (page as u64).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(x ^ (x >> 31))
    };
    (half(1) << 64) | half(1 << 40)
}

#[cfg(test)]
mod tests {
    use model::Link;
    use model::algorithms::GENERIC;
    use steplog::header::LinkOrder;

    use super::*;

    /// Pages are in fewer classes then, and nothing else is different.
    #[test]
    fn classes_that_are_alike_are_made_one() {
        let pages = 10;
        let model = Uncounted::undisrupted(GENERIC, Link::Fifo);
        let header =
            Header { file_mapped: [3, 7].into(), ..Header::new("generic", LinkOrder::Fifo, pages as u64) };
        let loaded = Population::loaded(&model, &header);
        let mut merged = loaded.clone();
        for page in 1..pages {
            let mut own = Class::of(loaded.records(page).to_vec());
            own.add(page);
            merged.leave(page);
            merged.of_page.set(page, merged.classes.len() as u16);
            merged.classes.push(own);
        }
        assert_eq!(merged.inhabited().count(), pages);
        merged.merge_classes();
        assert_eq!(merged.inhabited().map(|class| class.pages).collect::<Vec<_>>(), [8, 2]);
        assert_eq!(merged.fingerprint(), loaded.fingerprint());
        for page in 0..pages {
            assert_eq!(merged.records(page), loaded.records(page));
        }
    }
}
