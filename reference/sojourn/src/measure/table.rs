//! Columns for people.

/// Cells in columns: the first to the left, the others to the right; a line under the first `heads` rows.
pub fn table(heads: usize, rows: &[Vec<String>]) -> String {
    let width = |text: &String| text.chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(width).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
    lines.insert(heads.min(lines.len()), "─".repeat(total));
    lines.join("\n")
}

/// Nanoseconds as milliseconds.
pub fn ms(nanoseconds: f64) -> String {
    match nanoseconds / 1e6 {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [vec!["a", "bb"], vec!["long", "∞"]].map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(table(1, &rows), "a     bb\n────────\nlong   ∞");
        assert_eq!([0.4567e6, 45.67e6, 456.7e6].map(ms), ["0.46", "45.7", "457"].map(str::to_owned));
    }
}
