//! One run of the model out of all those that a log leaves possible.
//!
//! Where the model can be is kept as what is possible for each page. A run is found page by page: of what the page can
//! have been after each step, one thing that leads to the end.

use model::system::System;
use model::{ControlStep, Move, PageStep};
use steplog::header::Header;

use super::population::{Effect, Population, Record};
use crate::explain::Explanation;
use crate::uncounted::Uncounted;

/// A step, as it was taken: for each page in every way that is possible.
#[derive(Clone, Debug)]
pub(super) enum Trodden {
    Control(ControlStep),
    Page(Effect),
}

/// All ways that were followed: steps, and what came before them.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<(Vec<Trodden>, Option<usize>)>);

impl Paths {
    /// Steps after those of this number; returns the number of the way that ends with them.
    pub(super) fn add(&mut self, trodden: Vec<Trodden>, before: Option<usize>) -> Option<usize> {
        if trodden.is_empty() {
            return before;
        }
        self.0.push((trodden, before));
        Some(self.0.len() - 1)
    }

    /// One run along the way that ends there.
    pub(super) fn run(&self, model: &Uncounted, header: &Header, end: Option<usize>) -> Explanation {
        let mut parts = Vec::new();
        let mut by = end;
        while let Some((trodden, before)) = by.and_then(|by| self.0.get(by)) {
            parts.push(trodden);
            by = *before;
        }
        let way: Vec<&Trodden> = parts.into_iter().rev().flatten().collect();
        let mut steps: Vec<Option<Move<ControlStep, PageStep>>> = way
            .iter()
            .map(|step| match step {
                Trodden::Control(step) => Some(Move::Control(*step)),
                Trodden::Page(_) => None,
            })
            .collect();
        let pages = usize::try_from(header.pages).unwrap_or(usize::MAX);
        for page in 0..pages {
            let first = Population::loaded_record(model, header, page);
            for (at, step) in of_page(model, &way, page, first).into_iter().enumerate() {
                if let Some(step) = step {
                    steps[at] = Some(Move::Page(step, page));
                }
            }
        }
        steps.into_iter().flatten().collect()
    }
}

/// What a page can be after a step: the record, which one before it led there, and by which step of the page.
type Layer = Vec<(Record, usize, Option<PageStep>)>;

fn of_page(model: &Uncounted, way: &[&Trodden], page: usize, first: Record) -> Vec<Option<PageStep>> {
    let mut control = model.initial_control();
    let mut layers: Vec<Layer> = vec![vec![(first, 0, None)]];
    for step in way {
        let before = layers.last().map_or(&[][..], |layer| layer);
        let mut layer: Layer = Vec::new();
        let mut add = |record: Record, from: usize, step: Option<PageStep>| {
            if !layer.iter().any(|(other, _, _)| *other == record) {
                layer.push((record, from, step));
            }
        };
        let meets = |record: &Record, required| model.conditions(&record.page).is_superset(required);
        for (from, (record, _, _)) in before.iter().enumerate() {
            match step {
                Trodden::Control(step) => {
                    let taken = model.control_move(*step, &control);
                    if taken.is_some_and(|taken| meets(record, taken.requires)) {
                        add(Record::carried(model, *step, &control, record), from, None);
                    }
                }
                Trodden::Page(effect) if effect.page == page => {
                    let own = effect.passages.iter().filter(|(before, _, _)| before == record);
                    own.for_each(|(_, step, after)| add(*after, from, *step));
                }
                Trodden::Page(effect) if meets(record, effect.requires) => add(*record, from, None),
                Trodden::Page(_) => {}
            }
        }
        control = match step {
            Trodden::Control(step) => {
                model.control_move(*step, &control).map_or(control, |taken| taken.control)
            }
            Trodden::Page(effect) => effect.control,
        };
        layers.push(layer);
    }
    let mut at = 0;
    let mut steps: Vec<_> = layers
        .iter()
        .skip(1)
        .rev()
        .map(|layer| match layer.get(at) {
            Some((_, from, step)) => {
                at = *from;
                *step
            }
            None => None,
        })
        .collect();
    steps.reverse();
    steps
}
