//! Algorithms × properties on one screen.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, TableComponent};
use enumset::EnumSet;
use model::Property;

use super::{Actual, Conclusion, Document, Expected, Run, Verdict};
use crate::setting::Pages;

/// With or without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours.
    Colour,
}

/// The table, with a legend of what its marks mean.
pub fn table(document: &Document, paint: Paint) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    if paint == Paint::Colour {
        table.enforce_styling();
    }
    let judged: EnumSet<Property> =
        document.runs.iter().flat_map(|run| run.verdicts.iter().map(|verdict| verdict.property)).collect();
    let titles = ["algorithm".to_owned(), "states".to_owned()];
    table.set_header(titles.into_iter().chain(judged.iter().map(|property| property.to_string())));
    for runs in by_algorithm(document) {
        let states: u64 = runs.iter().filter(|run| run.pages != Pages::Any).map(|run| run.states).sum();
        let states = if states == 0 { String::new() } else { states.to_string() };
        let name = Cell::new(&runs[0].algorithm);
        let cells = judged.iter().map(|property| mark(&runs, property, paint));
        table.add_row([name, Cell::new(states).set_alignment(CellAlignment::Right)].into_iter().chain(cells));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    format!("{table}\n{}", legend(document))
}

/// The runs of one algorithm, in the order of their first appearance.
fn by_algorithm(document: &Document) -> Vec<Vec<&Run>> {
    let mut order: Vec<&str> = Vec::new();
    let mut runs: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in &document.runs {
        if !order.contains(&run.algorithm.as_str()) {
            order.push(&run.algorithm);
        }
        runs.entry(&run.algorithm).or_default().push(run);
    }
    order.into_iter().filter_map(|name| runs.remove(name)).collect()
}

/// The strongest thing that can be said: a surprise first, then what is open, then the widest bound.
fn mark(runs: &[&Run], property: Property, paint: Paint) -> Cell {
    let verdicts: Vec<(&Run, &Verdict)> = runs
        .iter()
        .flat_map(|run| run.verdicts.iter().map(move |verdict| (*run, verdict)))
        .filter(|(_, verdict)| verdict.property == property)
        .collect();
    let strongest = verdicts.iter().max_by_key(|(run, verdict)| (verdict.conclusion(), run.pages));
    let (text, colour) = match strongest {
        None => ("–".to_owned(), Color::DarkGrey),
        Some((run, verdict)) => match (verdict.expected, verdict.actual) {
            (_, Actual::Inconclusive) => ("?".to_owned(), Color::Yellow),
            (Expected::Holds, Actual::Holds) => (bound(run.pages), Color::Green),
            (Expected::Fails, Actual::Fails) => ("✗".to_owned(), Color::Cyan),
            (Expected::Holds, Actual::Fails) => ("✗!".to_owned(), Color::Red),
            (Expected::Fails, Actual::Holds) => (format!("{}!", bound(run.pages)), Color::Red),
        },
    };
    let cell = Cell::new(text);
    match paint {
        Paint::Plain => cell,
        Paint::Colour if colour == Color::Red => cell.fg(colour).add_attribute(Attribute::Bold),
        Paint::Colour => cell.fg(colour),
    }
}

fn bound(pages: Pages) -> String {
    match pages {
        Pages::Exactly(pages) => pages.to_string(),
        Pages::Any => "∀".to_owned(),
    }
}

fn legend(document: &Document) -> String {
    let explored: BTreeSet<usize> = document.runs.iter().filter_map(|run| exact(run.pages)).collect();
    let mut lines = Vec::new();
    if document.runs.iter().any(|run| run.pages == Pages::Any) {
        lines.push("∀ holds for any number of pages".to_owned());
    }
    for pages in explored {
        lines.push(format!("{pages} holds for {pages} page{}", if pages == 1 { "" } else { "s" }));
    }
    lines.push("✗ fails, as the specification says".to_owned());
    lines.push("– does not apply".to_owned());
    if document.conclusion() == Conclusion::Surprise {
        lines.push("! not the expected verdict".to_owned());
    }
    if document.conclusion() >= Conclusion::Inconclusive {
        lines.push("? inconclusive".to_owned());
    }
    lines.join(" · ")
}

fn exact(pages: Pages) -> Option<usize> {
    match pages {
        Pages::Exactly(pages) => Some(pages.get()),
        Pages::Any => None,
    }
}
