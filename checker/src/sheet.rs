//! What is printed as tables: one value, written for a terminal, as Markdown, as LaTeX or as CSV.
//!
//! Whoever has something to show fills a [`Sheet`] with tables and lines of text, and does not know how it will be
//! written. CSV is for programs: of a sheet it has the tables alone.

mod latex;
mod markdown;
mod text;

use std::fmt;

pub use latex::escaped as latex_escaped;

/// Tables and lines of text, in the order in which they are printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
enum Block {
    Table(SheetTable),
    /// Lines; an empty one is a gap.
    Text(String),
}

/// How a sheet is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// For a terminal.
    Text,
    /// A table as GitHub and pandoc read it.
    Markdown,
    /// A `tabular` that needs no package.
    Latex,
    /// As RFC 4180 has it, but for the line ends.
    Csv,
}

/// Rows under titles.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetTable {
    titles: Vec<String>,
    sides: Vec<Side>,
    rows: Vec<Vec<SheetEntry>>,
    layout: Layout,
}

/// Where the entries of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// How a table looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A line below the titles, and so many blanks behind each column.
    Ruled(u16),
    /// Two blanks between columns and nothing else.
    Bare,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetEntry {
    text: String,
    ink: Option<Ink>,
}

/// How a terminal with colours shows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// The colour.
    pub colour: comfy_table::Color,
    /// Whether it stands out.
    pub bold: bool,
}

impl From<String> for SheetEntry {
    fn from(text: String) -> Self {
        SheetEntry { text, ink: None }
    }
}

impl From<&str> for SheetEntry {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl SheetEntry {
    /// In this colour, where there are colours.
    pub fn inked(self, ink: Ink) -> Self {
        SheetEntry { ink: Some(ink), ..self }
    }
}

impl SheetTable {
    /// A table with these titles: words in the first column, numbers in all others.
    pub fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        let titles: Vec<String> = titles.into_iter().map(Into::into).collect();
        let sides = (0..titles.len()).map(|at| if at == 0 { Side::Left } else { Side::Right }).collect();
        SheetTable { titles, sides, rows: Vec::new(), layout: Layout::Ruled(1) }
    }

    /// With words in all columns but these first ones.
    #[must_use]
    pub fn aligned(mut self, side: impl Fn(usize) -> Side) -> Self {
        self.sides = (0..self.titles.len()).map(side).collect();
        self
    }

    /// With this look on a terminal.
    #[must_use]
    pub fn laid_out(self, layout: Layout) -> Self {
        SheetTable { layout, ..self }
    }

    /// Adds a row; what it lacks is empty.
    pub fn add<E: Into<SheetEntry>>(&mut self, row: impl IntoIterator<Item = E>) {
        let mut row: Vec<SheetEntry> = row.into_iter().map(Into::into).collect();
        debug_assert!(row.len() <= self.titles.len(), "more entries than titles: {row:?}");
        row.resize_with(self.titles.len(), || "".into());
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether this is the whole text of some cell, or a part of it between blanks.
    pub fn shows(&self, sign: &str) -> bool {
        let mut entries = self.rows.iter().flatten();
        entries.any(|entry| entry.text.split_whitespace().any(|word| word == sign))
    }

    fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let rows = self.rows.iter().map(|row| row.iter().map(|entry| entry.text.as_str()).collect());
        let titles: Vec<&str> = self.titles.iter().map(String::as_str).collect();
        for row in std::iter::once(titles).chain(rows) {
            // Writing to memory cannot fail, and all rows are equally long.
            let _ = writer.write_record(row);
        }
        let bytes = writer.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// As on a terminal.
impl fmt::Display for SheetTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::table(self))
    }
}

impl From<SheetTable> for Sheet {
    fn from(table: SheetTable) -> Self {
        Sheet::default().table(table)
    }
}

impl Sheet {
    /// With this table at the end.
    #[must_use]
    pub fn table(mut self, table: SheetTable) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// With these lines at the end.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// With these lines at the end, unless there are none.
    #[must_use]
    pub fn lines<T: AsRef<str>>(self, lines: impl IntoIterator<Item = T>) -> Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        if lines.is_empty() { self } else { self.text(lines.join("\n")) }
    }

    /// Written so, without a line end behind it.
    pub fn written(&self, notation: Notation) -> String {
        let block = |block: &Block| match (block, notation) {
            (Block::Table(table), Notation::Text) => Some(text::table(table)),
            (Block::Table(table), Notation::Markdown) => Some(markdown::table(table)),
            (Block::Table(table), Notation::Latex) => Some(latex::table(table)),
            (Block::Table(table), Notation::Csv) => Some(table.to_csv()),
            (Block::Text(_), Notation::Csv) => None,
            (Block::Text(text), Notation::Text) => Some(text.clone()),
            (Block::Text(text), Notation::Markdown) => Some(markdown::lines(text)),
            (Block::Text(text), Notation::Latex) => Some(latex::lines(text)),
        };
        let between = if notation == Notation::Text { "\n" } else { "\n\n" };
        let is_gap = |text: &String| text.is_empty() && notation != Notation::Text;
        let blocks: Vec<String> = self.blocks.iter().filter_map(block).filter(|text| !is_gap(text)).collect();
        blocks.join(between).trim_end().to_owned()
    }
}

/// The lines of a text that say something, without what only a terminal needs.
fn spoken(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever means something in one of the notations.
    fn hostile() -> Sheet {
        let mut table = SheetTable::new(["name", "100 %", "a & b"]);
        table.add(["pre_copy", "50 %", "\"so\", he said"]);
        table.add(["a|b", "{x}", "$1 #2 ~ ^ \\"]);
        table.add(["[0]", "* 3", "∞ ≤ ∀"]);
        table.add(["--pages"]);
        Sheet::from(table).text("\n* one_two:\n\n50 % of A & B")
    }

    #[test]
    fn csv_quotes_what_would_end_a_field() {
        assert_eq!(
            hostile().written(Notation::Csv),
            "name,100 %,a & b\n\
             pre_copy,50 %,\"\"\"so\"\", he said\"\n\
             a|b,{x},$1 #2 ~ ^ \\\n\
             [0],* 3,∞ ≤ ∀\n\
             --pages,,"
        );
        let written = hostile().written(Notation::Csv);
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
        assert_eq!(&rows[0][2], "\"so\", he said");
        assert!(rows.iter().all(|row| row.len() == 3));
    }

    #[test]
    fn latex_prints_what_means_something_to_it() {
        assert_eq!(
            hostile().written(Notation::Latex),
            r"\begin{tabular}{lrr}
\hline
name & 100 \% & a \& b \\
\hline
pre\_copy & 50 \% & {''}so{''}, he said \\
a\textbar{}b & \{x\} & \$1 \#2 \textasciitilde{} \textasciicircum{} \textbackslash{} \\
{[}0{]} & {*} 3 & $\infty$ $\le$ $\forall$ \\
-{}-pages &  &  \\
\hline
\end{tabular}

{\footnotesize\noindent
{*} one\_two: \\
50 \% of A \& B
\par}"
        );
    }

    #[test]
    fn markdown_prints_what_means_something_to_it() {
        assert_eq!(
            hostile().written(Notation::Markdown),
            r#"| name | 100 % | a \& b |
| :--- | ---: | ---: |
| pre\_copy | 50 % | "so", he said |
| a\|b | {x} | \$1 \#2 \~ ^ \\ |
| \[0\] | \* 3 | ∞ ≤ ∀ |
| --pages |  |  |

\* one\_two:\
50 % of A \& B"#
        );
    }

    #[test]
    fn a_terminal_has_columns_and_a_line() {
        let mut table = SheetTable::new(["what", "n"]);
        table.add(["a", "10"]);
        assert_eq!(Sheet::from(table.clone()).written(Notation::Text), "what   n \n─────────\na     10");
        let bare = Sheet::from(table.laid_out(Layout::Bare)).written(Notation::Text);
        assert_eq!(bare, "what   n\na     10");
    }

    #[test]
    fn a_sign_is_shown_where_it_stands_alone() {
        let mut table = SheetTable::new(["what", "n"]);
        table.add(["a", "0 ≤ 3 ≤ ∞"]);
        assert!(table.shows("∞") && !table.shows("–") && !table.shows("n"));
    }
}
