//! A story as a sequence diagram in plain text.
//!
//! ```text
//!       A                   B
//!   1   ● operator: migrate to B
//!   2   ├╌╌ state ╌╌╌╌╌╌╌╌╌▷│        a message leaves
//!   3   ├── state ─────────▶│        a message arrives
//! ```

use std::collections::BTreeSet;
use std::fmt::Write;

use model::page::Kind;

use super::{Manner, Story, StoryLine, StoryPlace};

/// Columns before the first lane: room for the step number.
const MARGIN: usize = 6;
/// Narrowest and widest distance between two lanes, in columns.
const LANE: std::ops::RangeInclusive<usize> = 20..=34;

pub(super) fn render(story: &Story) -> String {
    let lines = story.lines();
    let lanes = Lanes::new(&lines);
    let mut out = format!("{}\n{}\n\n{}\n", story.title, kinds(story), lanes.header());
    for (index, line) in lines.iter().enumerate() {
        if story.loop_from == Some(index) {
            out.push_str("  ┌─ from here on, for ever:\n");
        }
        let _ = writeln!(out, "{:>4}  {}", line.number, lanes.row(line));
        for change in &line.changes {
            let _ = writeln!(out, "      · {change}");
        }
    }
    match story.loop_from {
        Some(from) if from == lines.len() => {
            out.push_str("  ┌─ from here on nothing more happens, for ever\n")
        }
        Some(_) => out.push_str("  └─ and again\n"),
        None => {}
    }
    out
}

/// What the pages are at the start.
fn kinds(story: &Story) -> String {
    let kinds = story.start.pages.iter().enumerate().map(|(index, page)| match page.kind {
        Kind::Private => format!("page {index} private"),
        Kind::FileMapped => format!("page {index} file-mapped"),
    });
    kinds.collect::<Vec<_>>().join(", ")
}

/// The places of a story, side by side.
struct Lanes {
    places: Vec<StoryPlace>,
    width: usize,
}

impl Lanes {
    fn new(lines: &[StoryLine]) -> Self {
        let places: BTreeSet<StoryPlace> =
            lines.iter().flat_map(|line| [line.event.from, line.event.to]).collect();
        let longest = lines.iter().map(|line| line.event.text.chars().count() + 8).max().unwrap_or(0);
        Lanes { places: places.into_iter().collect(), width: longest.clamp(*LANE.start(), *LANE.end()) }
    }

    fn column(&self, place: StoryPlace) -> usize {
        self.places.iter().position(|known| *known == place).unwrap_or(0) * self.width
    }

    fn header(&self) -> String {
        let names =
            self.places.iter().map(|place| format!("{:<width$}", place.to_string(), width = self.width));
        format!("{}{}", " ".repeat(MARGIN), names.collect::<String>()).trim_end().to_owned()
    }

    fn row(&self, line: &StoryLine) -> String {
        let mut row: Vec<char> = vec![' '; self.places.len() * self.width];
        for place in &self.places {
            row[self.column(*place)] = '│';
        }
        let event = &line.event;
        let (from, to) = (self.column(event.from), self.column(event.to));
        if event.manner == Manner::Local || from == to {
            row[from] = '●';
            write_at(&mut row, from + 2, &event.text);
        } else {
            draw_arrow(&mut row, from, to, event.manner);
            write_at(&mut row, from.min(to) + 4, &format!(" {} ", event.text));
        }
        row.into_iter().collect::<String>().trim_end().to_owned()
    }
}

fn draw_arrow(row: &mut [char], from: usize, to: usize, manner: Manner) {
    let (dash, right, left) = match manner {
        Manner::Sent => ('╌', '▷', '◁'),
        Manner::Lost => ('╌', '✗', '✗'),
        Manner::Arrived | Manner::Local => ('─', '▶', '◀'),
    };
    for cell in &mut row[from.min(to) + 1..from.max(to)] {
        *cell = dash;
    }
    row[from] = if to > from { '├' } else { '┤' };
    if to > from {
        row[to - 1] = right;
    } else {
        row[to + 1] = left;
    }
}

fn write_at(row: &mut Vec<char>, at: usize, text: &str) {
    for (offset, letter) in text.chars().enumerate() {
        if at + offset >= row.len() {
            row.push(' ');
        }
        row[at + offset] = letter;
    }
}
