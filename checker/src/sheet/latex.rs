//! As LaTeX, without any package.

use super::{SheetTable, Side, spoken};

pub(super) fn table(table: &SheetTable) -> String {
    let columns: String =
        table.sides.iter().map(|side| if *side == Side::Left { 'l' } else { 'r' }).collect();
    let row = |cells: Vec<String>| format!("{} \\\\", cells.join(" & "));
    let titles = row(table.titles.iter().map(|title| escaped(title)).collect());
    let rows = table.rows.iter().map(|cells| row(cells.iter().map(|entry| escaped(&entry.text)).collect()));
    let rule = || r"\hline".to_owned();
    let head = [format!("\\begin{{tabular}}{{{columns}}}"), rule(), titles, rule()];
    let foot = [rule(), r"\end{tabular}".to_owned()];
    head.into_iter().chain(rows).chain(foot).collect::<Vec<_>>().join("\n")
}

/// Small print.
pub(super) fn lines(text: &str) -> String {
    let lines: Vec<String> = spoken(text).map(escaped).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("{{\\footnotesize\\noindent\n{}\n\\par}}", lines.join(" \\\\\n"))
}

/// A text in which nothing means anything to LaTeX, and of which every font has the signs: those that are not letters are
/// written as commands. Behind `\\` a bracket or a star would belong to it.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let command = match letter {
            '\\' => r"\textbackslash{}",
            '{' => r"\{",
            '}' => r"\}",
            '$' => r"\$",
            '&' => r"\&",
            '#' => r"\#",
            '%' => r"\%",
            '_' => r"\_",
            '~' => r"\textasciitilde{}",
            '^' => r"\textasciicircum{}",
            '<' => r"\textless{}",
            '>' => r"\textgreater{}",
            '|' => r"\textbar{}",
            '"' => "{''}",
            '[' => "{[}",
            ']' => "{]}",
            '*' => "{*}",
            // Two would be a dash.
            '-' if before == '-' => "{}-",
            '∞' => r"$\infty$",
            '∀' => r"$\forall$",
            '≤' => r"$\le$",
            '≥' => r"$\ge$",
            '±' => r"$\pm$",
            '→' => r"$\to$",
            '·' => r"$\cdot$",
            '✓' => r"$\surd$",
            '✗' => r"$\times$",
            '○' => r"$\circ$",
            '–' => "--",
            '…' => r"\ldots{}",
            'µ' => r"$\mu$",
            '\n' | '\r' => " ",
            _ => "",
        };
        match command {
            "" => escaped.push(letter),
            command => escaped.push_str(command),
        }
        before = letter;
    }
    escaped
}
