//! Algorithms × properties on one screen.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::Color;
use enumset::EnumSet;
use model::Property;

use super::{Actual, CheckDocument, CheckRun, Conclusion, counted};
use crate::setting::Pages;
use crate::sheet::{Ink, Sheet, SheetEntry, SheetTable, Side};

/// The table, with a legend of what its marks mean.
pub fn table(document: &CheckDocument) -> Sheet {
    let judged: EnumSet<Property> =
        document.runs.iter().flat_map(|run| run.verdicts.iter().map(|verdict| verdict.property)).collect();
    let titles = ["algorithm".to_owned(), "states".to_owned()];
    let titles = titles.into_iter().chain(judged.iter().map(|property| property.to_string()));
    let mut table = SheetTable::new(titles).aligned(|at| if at == 1 { Side::Right } else { Side::Left });
    let mut marks = BTreeSet::new();
    for runs in by_algorithm(document) {
        let states: u64 = runs.iter().filter(|run| run.pages != Pages::Any).map(|run| run.states).sum();
        let states = if states == 0 { String::new() } else { states.to_string() };
        let row: Vec<Mark> = judged.iter().map(|property| Mark::of(&runs, property)).collect();
        marks.extend(&row);
        let head: [SheetEntry; 2] = [runs[0].algorithm.clone().into(), states.into()];
        table.add(head.into_iter().chain(row.into_iter().map(Mark::entry)));
    }
    Sheet::from(table).text(legend(&marks))
}

/// A row for each verdict, for programs.
pub fn verdicts(document: &CheckDocument) -> SheetTable {
    let mut table = SheetTable::new([
        "algorithm",
        "pages",
        "hosts",
        "link",
        "defect",
        "disruptions",
        "engine",
        "states",
        "property",
        "expected",
        "actual",
        "as_expected",
        "basis",
    ]);
    for run in &document.runs {
        let pages = match run.pages {
            Pages::Exactly(pages) => pages.to_string(),
            Pages::Any => "any".to_owned(),
        };
        for verdict in &run.verdicts {
            table.add([
                run.algorithm.clone(),
                pages.clone(),
                run.hosts.to_string(),
                run.link.to_string(),
                run.defect.map(|defect| defect.to_string()).unwrap_or_default(),
                run.disruptions.budget().to_string(),
                run.engine.to_owned(),
                run.states.to_string(),
                verdict.property.to_string(),
                verdict.expected.to_string(),
                verdict.actual.to_string(),
                (run.conclusion_of(verdict) == Conclusion::AsExpected).to_string(),
                verdict.basis.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]);
        }
    }
    table
}

/// The runs of one algorithm, in the order of their first appearance.
fn by_algorithm(document: &CheckDocument) -> Vec<Vec<&CheckRun>> {
    let mut order: Vec<&str> = Vec::new();
    let mut runs: BTreeMap<&str, Vec<&CheckRun>> = BTreeMap::new();
    for run in &document.runs {
        if !order.contains(&run.algorithm.as_str()) {
            order.push(&run.algorithm);
        }
        runs.entry(&run.algorithm).or_default().push(run);
    }
    order.into_iter().filter_map(|name| runs.remove(name)).collect()
}

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Holds { pages: Pages, expected: bool },
    Fails { expected: bool },
    Vacuous { expected: bool },
    NotJudged,
    Open,
}

impl Mark {
    /// How far it holds, if it does.
    fn bound(self) -> Option<Pages> {
        match self {
            Mark::Holds { pages, .. } => Some(pages),
            _ => None,
        }
    }

    /// The strongest thing that can be said: a surprise first, then what is open, then the widest bound.
    fn of(runs: &[&CheckRun], property: Property) -> Self {
        let verdicts = runs
            .iter()
            .flat_map(|run| run.verdicts.iter().map(move |verdict| (*run, verdict)))
            .filter(|(_, verdict)| verdict.property == property);
        let strongest = verdicts.max_by_key(|(run, verdict)| (run.conclusion_of(verdict), run.pages));
        let Some((run, verdict)) = strongest else { return Mark::NotJudged };
        let expected = run.conclusion_of(verdict) != Conclusion::Surprise;
        match verdict.actual {
            Actual::Inconclusive => Mark::Open,
            Actual::Holds => Mark::Holds { pages: run.pages, expected },
            Actual::Fails => Mark::Fails { expected },
            Actual::Vacuous => Mark::Vacuous { expected },
        }
    }

    fn is_surprise(self) -> bool {
        matches!(
            self,
            Mark::Holds { expected: false, .. }
                | Mark::Fails { expected: false }
                | Mark::Vacuous { expected: false }
        )
    }

    fn entry(self) -> SheetEntry {
        let colour = match self {
            _ if self.is_surprise() => Color::Red,
            Mark::Holds { .. } => Color::Green,
            Mark::Fails { .. } => Color::Cyan,
            Mark::NotJudged => Color::DarkGrey,
            Mark::Open | Mark::Vacuous { .. } => Color::Yellow,
        };
        let mark = if self.is_surprise() { "!" } else { "" };
        SheetEntry::from(format!("{}{mark}", self.symbol())).inked(Ink { colour, bold: self.is_surprise() })
    }

    fn symbol(self) -> String {
        match self {
            Mark::Holds { pages: Pages::Exactly(pages), .. } => pages.to_string(),
            Mark::Holds { pages: Pages::Any, .. } => "∀".to_owned(),
            Mark::Fails { .. } => "✗".to_owned(),
            Mark::Vacuous { .. } => "○".to_owned(),
            Mark::NotJudged => "–".to_owned(),
            Mark::Open => "?".to_owned(),
        }
    }
}

/// What the marks mean: those that stand in some cell.
fn legend(marks: &BTreeSet<Mark>) -> String {
    let mut bounds: Vec<Pages> = marks.iter().filter_map(|mark| mark.bound()).collect();
    bounds.sort_by_key(|pages| (*pages != Pages::Any, *pages));
    bounds.dedup();
    let mut lines: Vec<String> = bounds
        .into_iter()
        .map(|pages| match pages {
            Pages::Any => "∀ holds for any number of pages".to_owned(),
            Pages::Exactly(pages) => format!("{pages} holds for {}", counted(pages.get(), "page")),
        })
        .collect();
    let fails = |expected| marks.contains(&Mark::Fails { expected });
    let other = [
        (fails(true), "✗ fails, as expected"),
        (fails(false) && !fails(true), "✗ fails"),
        (
            marks.iter().any(|mark| matches!(mark, Mark::Vacuous { .. })),
            "○ vacuous: what it is about never happens",
        ),
        (marks.contains(&Mark::NotJudged), "– does not apply"),
        (marks.iter().any(|mark| mark.is_surprise()), "! not the expected verdict"),
        (marks.contains(&Mark::Open), "? inconclusive"),
    ];
    lines.extend(other.into_iter().filter(|(present, _)| *present).map(|(_, line)| line.to_owned()));
    lines.join(" · ")
}
