//! The system behind small indices: records are interned, and what they can do is worked out once.

use std::hash::Hash;
use std::rc::Rc;

use enumset::{EnumSet, EnumSetType};
use population::system::{Conditions, System};
use rustc_hash::FxHashMap;

use super::bits::Bits;

/// The index of an interned control record.
pub(super) type ControlId = usize;
/// The index of an interned page record.
pub(super) type RecordId = usize;

/// What a control step does, whichever pages there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlStepTaken<T, K: EnumSetType> {
    pub step: T,
    pub requires: EnumSet<K>,
    pub control: ControlId,
}

/// What a page step does to its page and the control.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageStepTaken<T, K: EnumSetType> {
    pub step: T,
    pub requires: EnumSet<K>,
    pub control: ControlId,
    pub record: RecordId,
}

/// The steps of a page record under a control record.
type PageMoves<S> = Rc<[PageStepTaken<<S as System>::PageStep, <S as System>::Condition>]>;

/// Interned records of a system, with their steps.
pub(super) struct Steps<'s, S: System> {
    pub system: &'s S,
    controls: Pool<S::Control>,
    records: Pool<S::Page>,
    conditions: Vec<Conditions<S>>,
    meeting: FxHashMap<Conditions<S>, Bits>,
    page_moves: FxHashMap<(ControlId, RecordId), PageMoves<S>>,
    carried: FxHashMap<(S::ControlStep, ControlId, RecordId), RecordId>,
}

impl<'s, S: System> Steps<'s, S> {
    pub fn new(system: &'s S) -> Self {
        Steps {
            system,
            controls: Pool::default(),
            records: Pool::default(),
            conditions: Vec::new(),
            meeting: FxHashMap::default(),
            page_moves: FxHashMap::default(),
            carried: FxHashMap::default(),
        }
    }

    pub fn control(&self, id: ControlId) -> &S::Control {
        &self.controls.values[id]
    }

    pub fn record(&self, id: RecordId) -> &S::Page {
        &self.records.values[id]
    }

    pub fn control_id(&mut self, control: S::Control) -> ControlId {
        self.controls.intern(control)
    }

    pub fn record_id(&mut self, record: S::Page) -> RecordId {
        let id = self.records.intern(record);
        if id == self.conditions.len() {
            let conditions = self.system.conditions(&record);
            self.conditions.push(conditions);
            for (required, records) in &mut self.meeting {
                if conditions.is_superset(*required) {
                    records.insert(id);
                }
            }
        }
        id
    }

    /// Does the record meet all these conditions?
    pub fn meets(&self, record: RecordId, required: Conditions<S>) -> bool {
        self.conditions[record].is_superset(required)
    }

    /// The conditions that a record meets.
    pub fn conditions(&self, record: RecordId) -> Conditions<S> {
        self.conditions[record]
    }

    /// All interned records that meet these conditions.
    pub fn meeting(&mut self, required: Conditions<S>) -> &Bits {
        self.meeting.entry(required).or_insert_with(|| {
            let meeting = self.conditions.iter().enumerate();
            meeting.filter(|(_, met)| met.is_superset(required)).map(|(id, _)| id).collect()
        })
    }

    /// The control steps that the control record allows, if the pages meet what they require.
    pub fn control_moves(
        &mut self,
        control: ControlId,
    ) -> Vec<ControlStepTaken<S::ControlStep, S::Condition>> {
        let before = *self.control(control);
        let mut moves = Vec::new();
        for step in self.system.control_steps() {
            if let Some(taken) = self.system.control_move(*step, &before) {
                let control = self.control_id(taken.control);
                moves.push(ControlStepTaken { step: *step, requires: taken.requires, control });
            }
        }
        moves
    }

    /// The steps of a page with this record, if the other pages meet what they require.
    pub fn page_moves(&mut self, control: ControlId, record: RecordId) -> PageMoves<S> {
        if let Some(moves) = self.page_moves.get(&(control, record)) {
            return Rc::clone(moves);
        }
        let (before, page) = (*self.control(control), *self.record(record));
        let mut moves = Vec::new();
        for step in self.system.page_steps() {
            if let Some(taken) = self.system.page_move(*step, &before, &page) {
                let (control, record) = (self.control_id(taken.control), self.record_id(taken.page));
                moves.push(PageStepTaken { step: *step, requires: taken.requires, control, record });
            }
        }
        let moves: PageMoves<S> = moves.into();
        self.page_moves.insert((control, record), Rc::clone(&moves));
        moves
    }

    /// What a control step makes of a page record.
    pub fn carry(&mut self, step: S::ControlStep, control: ControlId, record: RecordId) -> RecordId {
        if let Some(carried) = self.carried.get(&(step, control, record)) {
            return *carried;
        }
        let carried = self.system.carry(step, self.control(control), self.record(record));
        let carried = self.record_id(carried);
        self.carried.insert((step, control, record), carried);
        carried
    }
}

struct Pool<T> {
    values: Vec<T>,
    ids: FxHashMap<T, usize>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { values: Vec::new(), ids: FxHashMap::default() }
    }
}

impl<T: Copy + Eq + Hash> Pool<T> {
    fn intern(&mut self, value: T) -> usize {
        *self.ids.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() - 1
        })
    }
}
