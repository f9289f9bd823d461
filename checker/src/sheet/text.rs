//! For a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Table as Grid, TableComponent};

use super::{Layout, SheetEntry, SheetTable, Side};

/// The table, with a line end between its lines.
pub(super) fn table(table: &SheetTable) -> String {
    let mut grid = Grid::new();
    grid.load_preset(NOTHING);
    let gap = match table.layout {
        Layout::Ruled(gap) => {
            grid.set_style(TableComponent::HeaderLines, '─');
            grid.set_style(TableComponent::MiddleHeaderIntersections, '─');
            gap
        }
        Layout::Bare => 2,
    };
    if table.rows.iter().flatten().any(|entry| entry.ink.is_some()) {
        grid.enforce_styling();
    }
    grid.set_header(&table.titles);
    for row in &table.rows {
        grid.add_row(row.iter().map(cell));
    }
    for (column, side) in grid.column_iter_mut().zip(&table.sides) {
        column.set_padding((0, gap));
        column.set_cell_alignment(match side {
            Side::Left => CellAlignment::Left,
            Side::Right => CellAlignment::Right,
        });
    }
    match table.layout {
        Layout::Ruled(_) => grid.to_string(),
        Layout::Bare => grid.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"),
    }
}

fn cell(entry: &SheetEntry) -> Cell {
    let cell = Cell::new(&entry.text);
    match entry.ink {
        None => cell,
        Some(ink) if ink.bold => cell.fg(ink.colour).add_attribute(Attribute::Bold),
        Some(ink) => cell.fg(ink.colour),
    }
}
