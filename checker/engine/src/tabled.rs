//! A system as tables: records become small numbers, and every move is computed once.
//!
//! A model has few distinct control records and page records, however many states it has. [`Tabled`]
//! numbers them as they are met and remembers, for each pair of a control record and a page record, the
//! moves of such a page and what they violate. A state is then one number for the control and one for
//! each page, and generating its successors is a matter of looking up lists.
//!
//! The tables are filled on demand with `&mut self` and read with `&self`: threads share them without a
//! lock, note what is missing, and have it filled between two rounds. A pair's entries are computed
//! without regard to the rest of a population, so a few records may be numbered that no state contains;
//! pairs that no state contains are never filled in.

mod interner;
mod restore;

use std::ops::Range;

use arrayvec::ArrayVec;
use enumset::{EnumSet, EnumSetType};
use population::concrete::PAGES_MAX;
use population::system::{Conditions, Judged, Properties, PropertyName, System, Verdict};

use interner::Interner;
pub use interner::{ControlId, PageId, RECORDS_MAX, RecordKind, RecordOrigin, TooManyRecords};
pub use restore::NotDerivable;

/// A system with numbered records and tabulated moves.
pub struct Tabled<'a, S: Judged> {
    system: &'a S,
    controls: Interner<S::Control>,
    pages: Interner<S::Page>,
    /// By control record.
    rows: Vec<Option<RowOf<S>>>,
    /// The page moves of all cells, one cell after the other.
    page_edges: Vec<PageEdge<S::Condition>>,
    /// For each cell what each control edge of its row makes of the page, one cell after the other.
    carried: Vec<PageId>,
    /// What page edges refer to; the first one is empty.
    verdicts: Vec<Verdict<S::Condition, S::Property>>,
}

/// What is known about a control record.
struct Row<K: EnumSetType, R: EnumSetType> {
    judged: EnumSet<R>,
    may_end: bool,
    edges: Vec<ControlEdge<K, R>>,
    /// By page record; shorter than the number of page records where the rest is missing.
    cells: Vec<Cell<K, R>>,
}

/// A row of a system's table.
type RowOf<S> = Row<<S as System>::Condition, <S as Judged>::Property>;

/// What is known about a page record under a control record.
#[derive(Clone, Copy)]
struct Cell<K: EnumSetType, R: EnumSetType> {
    /// [`Cell::MISSING`] while the cell has not been filled in.
    edges_start: u32,
    carried_start: u32,
    edges_len: u16,
    conditions: EnumSet<K>,
    judged: EnumSet<R>,
}

/// A control move under one control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlEdge<K: EnumSetType, R: EnumSetType> {
    /// Index into [`control_steps`](population::system::System::control_steps).
    pub step: u16,
    /// What all pages have to meet.
    pub requires: EnumSet<K>,
    /// The control record afterwards.
    pub control: ControlId,
    /// The properties that the step violates.
    pub violated: EnumSet<R>,
}

/// A page move under one control record and one page record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEdge<K: EnumSetType> {
    /// Index into [`page_steps`](population::system::System::page_steps).
    pub step: u16,
    /// What all other pages have to meet.
    pub requires: EnumSet<K>,
    /// The control record afterwards.
    pub control: ControlId,
    /// The page record afterwards.
    pub page: PageId,
    /// See [`Tabled::violated`].
    verdict: u16,
}

/// An enabled move of a state.
#[derive(Clone, Copy, Debug)]
pub enum Taken<'t, K: EnumSetType, R: EnumSetType> {
    /// A move of the control.
    Control {
        /// The move.
        edge: &'t ControlEdge<K, R>,
        /// The records of all pages afterwards.
        pages: &'t [PageId],
    },
    /// A move of one page.
    Page {
        /// The index of the page, counted from 0.
        index: usize,
        /// The move.
        edge: &'t PageEdge<K>,
        /// What all other pages meet.
        others: EnumSet<K>,
    },
}

/// What there is to say about a state besides its moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expanded<R: EnumSetType> {
    /// The properties that the state violates; the absence of a deadlock (`S10`) among them.
    pub violated: EnumSet<R>,
    /// The number of enabled moves.
    pub moves: usize,
}

/// Something that [`Tabled::expand`] needs and that has not been filled in: a control record, by itself
/// or with a page record.
pub type Missing = (ControlId, Option<PageId>);

impl<K: EnumSetType, R: EnumSetType> Cell<K, R> {
    const MISSING: Self = Cell {
        edges_start: u32::MAX,
        carried_start: 0,
        edges_len: 0,
        conditions: EnumSet::empty(),
        judged: EnumSet::empty(),
    };

    #[inline]
    fn is_missing(&self) -> bool {
        self.edges_start == u32::MAX
    }

    #[inline]
    fn edges(&self) -> Range<usize> {
        let start = self.edges_start as usize;
        start..start + usize::from(self.edges_len)
    }
}

/// Reading.
impl<'a, S: Judged> Tabled<'a, S> {
    /// The system that the tables are about.
    pub fn system(&self) -> &'a S {
        self.system
    }

    /// The control record with this number.
    pub fn control(&self, id: ControlId) -> &S::Control {
        &self.controls.records()[id.index()]
    }

    /// The page record with this number.
    pub fn page(&self, id: PageId) -> &S::Page {
        &self.pages.records()[id.index()]
    }

    /// The control records met so far; the position is the number.
    pub fn controls(&self) -> &[S::Control] {
        self.controls.records()
    }

    /// The page records met so far; the position is the number.
    pub fn pages(&self) -> &[S::Page] {
        self.pages.records()
    }

    /// The number of a control record that has been met.
    pub fn find_control(&self, control: &S::Control) -> Option<ControlId> {
        self.controls.find(control).map(ControlId)
    }

    /// The number of a page record that has been met.
    pub fn find_page(&self, page: &S::Page) -> Option<PageId> {
        self.pages.find(page).map(PageId)
    }

    /// Calls `visit` for every enabled move of a state, in the order of
    /// [`Concrete::successors`](population::concrete::Concrete::successors).
    ///
    /// Returns `None`, without having called `visit`, if something has to be filled in first: then
    /// [`Tabled::missing`] says what.
    #[inline]
    pub fn expand(
        &self,
        control: ControlId,
        pages: &[PageId],
        mut visit: impl FnMut(Taken<'_, S::Condition, S::Property>),
    ) -> Option<Expanded<S::Property>> {
        let row = self.rows.get(control.index())?.as_ref()?;
        let mut cells = ArrayVec::<&Cell<_, _>, PAGES_MAX>::new();
        let mut violated = row.judged;
        // The conditions that some page lacks, and those that two or more lack. What the others of a page
        // lack follows from the two: whatever two lack, and whatever one lacks that is not this page.
        let (mut lacked, mut lacked_twice) = (EnumSet::empty(), EnumSet::empty());
        for page in pages {
            let cell = row.cells.get(page.index()).filter(|cell| !cell.is_missing())?;
            lacked_twice |= lacked & !cell.conditions;
            lacked |= !cell.conditions;
            violated |= cell.judged;
            cells.push(cell);
        }

        let mut moves = 0;
        for (nth, edge) in row.edges.iter().enumerate() {
            if lacked.is_disjoint(edge.requires) {
                let carried = |cell: &&Cell<_, _>| self.carried[cell.carried_start as usize + nth];
                let carried: ArrayVec<PageId, PAGES_MAX> = cells.iter().map(carried).collect();
                visit(Taken::Control { edge, pages: &carried });
                moves += 1;
            }
        }
        for (index, cell) in cells.iter().enumerate() {
            let others_lack = lacked_twice | (lacked & cell.conditions);
            for edge in &self.page_edges[cell.edges()] {
                if others_lack.is_disjoint(edge.requires) {
                    visit(Taken::Page { index, edge, others: !others_lack });
                    moves += 1;
                }
            }
        }
        if moves == 0 && !row.may_end {
            violated |= S::Property::NO_DEADLOCK;
        }
        Some(Expanded { violated, moves })
    }

    /// The properties that a page move violates when all other pages meet `others`.
    #[inline]
    pub fn violated(&self, edge: &PageEdge<S::Condition>, others: Conditions<S>) -> Properties<S> {
        match edge.verdict {
            0 => EnumSet::empty(),
            verdict => self.verdicts[usize::from(verdict)].given(others),
        }
    }

    /// Notes what has to be filled in before the state can be expanded.
    pub fn missing(&self, control: ControlId, pages: &[PageId], noted: &mut Vec<Missing>) {
        let row = self.rows.get(control.index()).and_then(Option::as_ref);
        if row.is_none() {
            noted.push((control, None));
        }
        let known = |page: &PageId| {
            row.and_then(|row| row.cells.get(page.index())).is_some_and(|cell| !cell.is_missing())
        };
        noted.extend(pages.iter().filter(|page| !known(page)).map(|page| (control, Some(*page))));
    }

    /// How each control record and each page record came about, in the order of their numbers.
    pub fn origins(&self) -> (&[RecordOrigin], &[RecordOrigin]) {
        (self.controls.origins(), self.pages.origins())
    }

    /// The memory that the tables take, in bytes; hash maps are estimated.
    pub fn memory_bytes(&self) -> u64 {
        let row = |row: &Row<_, _>| size_of_slice(&row.edges) + size_of_slice(&row.cells);
        let rows: usize = self.rows.iter().flatten().map(row).sum();
        let records = 3 * (size_of_slice(self.controls()) + size_of_slice(self.pages()));
        (rows
            + records
            + size_of_slice(&self.rows)
            + size_of_slice(&self.page_edges)
            + size_of_slice(&self.carried)) as u64
    }
}

fn size_of_slice<T>(slice: &[T]) -> usize {
    std::mem::size_of_val(slice)
}

/// Filling in.
impl<'a, S: Judged> Tabled<'a, S> {
    /// Tables that know no record yet.
    pub fn new(system: &'a S) -> Self {
        Tabled {
            system,
            controls: Interner::new(RecordKind::Control),
            pages: Interner::new(RecordKind::Page),
            rows: Vec::new(),
            page_edges: Vec::new(),
            carried: Vec::new(),
            verdicts: vec![Verdict::default()],
        }
    }

    /// The number of the initial control record, and those of the initial page records in order.
    pub fn initial(&mut self) -> Result<(ControlId, Vec<PageId>), TooManyRecords> {
        let control = self.intern_control(self.system.initial_control(), RecordOrigin::Initial(0))?;
        let pages = self.system.initial_pages();
        let pages =
            pages.iter().enumerate().map(|(nth, page)| self.intern_page(*page, RecordOrigin::Initial(nth)));
        let pages = pages.collect::<Result<_, _>>()?;
        Ok((control, pages))
    }

    /// Fills in whatever [`Tabled::expand`] needs for this state.
    pub fn complete(&mut self, control: ControlId, pages: &[PageId]) -> Result<(), TooManyRecords> {
        let mut missing = Vec::new();
        self.missing(control, pages, &mut missing);
        missing.into_iter().try_for_each(|missing| self.fill(missing))
    }

    /// Fills in one entry; nothing happens if it is there already.
    pub fn fill(&mut self, (control, page): Missing) -> Result<(), TooManyRecords> {
        if self.rows.len() <= control.index() {
            self.rows.resize_with(control.index() + 1, || None);
        }
        let mut row = match self.rows[control.index()].take() {
            Some(row) => row,
            None => self.row(control)?,
        };
        if let Some(page) = page {
            if row.cells.len() <= page.index() {
                row.cells.resize(page.index() + 1, Cell::MISSING);
            }
            if row.cells[page.index()].is_missing() {
                row.cells[page.index()] = self.cell(control, &row.edges, page)?;
            }
        }
        self.rows[control.index()] = Some(row);
        Ok(())
    }

    fn row(&mut self, id: ControlId) -> Result<RowOf<S>, TooManyRecords> {
        let control = *self.control(id);
        let mut edges = Vec::new();
        for (nth, step) in (0..).zip(self.system.control_steps()) {
            let Some(taken) = self.system.control_move(*step, &control) else { continue };
            edges.push(ControlEdge {
                step: nth,
                requires: taken.requires,
                control: self
                    .intern_control(taken.control, RecordOrigin::ControlMove { control: id, step: nth })?,
                violated: self.system.judge_control_move(*step, &control, &taken),
            });
        }
        let (judged, may_end) = (self.system.judge_control(&control), self.system.may_end(&control));
        Ok(Row { judged, may_end, edges, cells: Vec::new() })
    }

    fn cell(
        &mut self,
        control_id: ControlId,
        control_edges: &[ControlEdge<S::Condition, S::Property>],
        page_id: PageId,
    ) -> Result<Cell<S::Condition, S::Property>, TooManyRecords> {
        let (control, page) = (*self.control(control_id), *self.page(page_id));
        let conditions = self.system.conditions(&page);

        let carried_start = self.carried.len() as u32;
        for edge in control_edges {
            // A page that does not meet the conditions never sees the move: what it would make of such a
            // page means nothing, and is not asked.
            let after = if conditions.is_superset(edge.requires) {
                let step = self.system.control_steps()[usize::from(edge.step)];
                let origin = RecordOrigin::Carried { control: control_id, page: page_id, step: edge.step };
                self.intern_page(self.system.carry(step, &control, &page), origin)?
            } else {
                page_id
            };
            self.carried.push(after);
        }

        let edges_start = self.page_edges.len();
        for (nth, step) in (0..).zip(self.system.page_steps()) {
            let Some(taken) = self.system.page_move(*step, &control, &page) else { continue };
            let origin = RecordOrigin::PageMove { control: control_id, page: page_id, step: nth };
            let edge = PageEdge {
                step: nth,
                requires: taken.requires,
                control: self.intern_control(taken.control, origin)?,
                page: self.intern_page(taken.page, origin)?,
                verdict: self.verdict(self.system.judge_page_move(*step, &control, &page, &taken))?,
            };
            self.page_edges.push(edge);
        }
        Ok(Cell {
            edges_start: edges_start as u32,
            carried_start,
            edges_len: (self.page_edges.len() - edges_start) as u16,
            conditions,
            judged: self.system.judge_page(&control, &page),
        })
    }

    fn verdict(&mut self, verdict: Verdict<S::Condition, S::Property>) -> Result<u16, TooManyRecords> {
        let nth = self.verdicts.iter().position(|known| *known == verdict).unwrap_or_else(|| {
            self.verdicts.push(verdict);
            self.verdicts.len() - 1
        });
        u16::try_from(nth).map_err(|_| TooManyRecords { kind: RecordKind::Verdict })
    }

    fn intern_control(
        &mut self,
        control: S::Control,
        origin: RecordOrigin,
    ) -> Result<ControlId, TooManyRecords> {
        self.controls.intern(control, origin).map(ControlId)
    }

    fn intern_page(&mut self, page: S::Page, origin: RecordOrigin) -> Result<PageId, TooManyRecords> {
        self.pages.intern(page, origin).map(PageId)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use population::concrete::{Concrete, Configuration, Move, State, Step};
    use population::system::System as _;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{RandomSystem, Shape};

    type Successor = (Step<RandomSystem>, State<RandomSystem>, Properties<RandomSystem>);

    fn by_table(
        tabled: &mut Tabled<'_, RandomSystem>,
        state: &State<RandomSystem>,
    ) -> (Properties<RandomSystem>, Vec<Successor>) {
        let control = tabled.find_control(&state.control).unwrap();
        let ids: Vec<_> = state.pages.iter().map(|page| tabled.find_page(page).unwrap()).collect();
        tabled.complete(control, &ids).unwrap();
        let mut successors = Vec::new();
        let records = |ids: &[PageId]| ids.iter().map(|id| *tabled.page(*id)).collect();
        let expanded = tabled.expand(control, &ids, |taken| {
            successors.push(match taken {
                Taken::Control { edge, pages } => {
                    let next =
                        Configuration { control: *tabled.control(edge.control), pages: records(pages) };
                    let step = tabled.system().control_steps()[usize::from(edge.step)];
                    (Move::Control(step), next, edge.violated)
                }
                Taken::Page { index, edge, others } => {
                    let mut pages = ids.clone();
                    pages[index] = edge.page;
                    let next =
                        Configuration { control: *tabled.control(edge.control), pages: records(&pages) };
                    let step = tabled.system().page_steps()[usize::from(edge.step)];
                    (Move::Page(step, index), next, tabled.violated(edge, others))
                }
            });
        });
        let expanded = expanded.unwrap();
        assert_eq!(expanded.moves, successors.len());
        (expanded.violated, successors)
    }

    proptest! {
        #[test]
        fn moves_are_those_of_the_plain_semantics(seed: u64, pages in 0usize..4) {
            let shape = Shape { violating: 30, ..Shape::default() };
            let concrete = Concrete { system: RandomSystem::new(seed, shape), pages };
            let mut tabled = Tabled::new(&concrete.system);
            tabled.initial().unwrap();
            let mut seen: HashSet<_> = concrete.initial().into_iter().collect();
            let mut todo: Vec<_> = seen.iter().cloned().collect();
            while let Some(state) = todo.pop() {
                let (violated, successors) = by_table(&mut tabled, &state);
                prop_assert_eq!(violated, concrete.judge(&state));
                let expected: Vec<Successor> = concrete
                    .successors(&state)
                    .map(|(step, next)| (step, next, concrete.judge_step(&state, step)))
                    .collect();
                prop_assert_eq!(&successors, &expected);
                todo.extend(successors.into_iter().map(|(_, next, _)| next).filter(|next| seen.insert(next.clone())));
            }

            let (controls, pages) = tabled.origins();
            let restored = Tabled::restore(&concrete.system, controls, pages).unwrap();
            prop_assert_eq!(restored.controls(), tabled.controls());
            prop_assert_eq!(restored.pages(), tabled.pages());
        }
    }
}
