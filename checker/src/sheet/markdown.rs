//! As Markdown, with the tables that GitHub, pandoc and most others read.

use super::{SheetTable, Side, spoken};

pub(super) fn table(table: &SheetTable) -> String {
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rule = table.sides.iter().map(|side| match side {
        Side::Left => ":---".to_owned(),
        Side::Right => "---:".to_owned(),
    });
    let titles = row(table.titles.iter().map(|title| escaped(title)).collect());
    let rows = table.rows.iter().map(|cells| row(cells.iter().map(|entry| escaped(&entry.text)).collect()));
    [titles, row(rule.collect())].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// A paragraph in which each line ends where it ended.
pub(super) fn lines(text: &str) -> String {
    let line = |line: &str| {
        let escaped = escaped(line);
        // At the beginning of a line these would begin a list.
        if line.starts_with(['-', '+']) { format!("\\{escaped}") } else { escaped }
    };
    spoken(text).map(line).collect::<Vec<_>>().join("\\\n")
}

/// A text in which nothing means anything to Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '$' => {
                escaped.extend(['\\', letter]);
            }
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}
