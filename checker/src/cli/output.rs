//! How text leaves the program, and how a command is spelled for a shell.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, Result};
use checker::console;
use checker::sheet::{Notation, Sheet, SheetTable};
use model::algorithms;
use serde::Serialize;

pub(super) use checker::console::remark;

/// Writes a result to standard output, and a line end.
///
/// # Errors
/// It cannot be written. A reader who has seen enough is no error.
pub(super) fn say(text: impl Display) -> Result<()> {
    Ok(console::say(text)?)
}

use super::args::{TableFormat, World};

/// Writes a sheet to standard output, or what programs read instead: a document, or the rows of a table.
///
/// # Errors
/// It cannot be written.
pub(super) fn say_sheet<D: Serialize>(
    format: TableFormat,
    sheet: impl FnOnce() -> Sheet,
    rows: impl FnOnce() -> SheetTable,
    document: impl FnOnce() -> D,
) -> Result<()> {
    match format {
        TableFormat::Text => say(sheet().written(Notation::Text)),
        TableFormat::Markdown => say(sheet().written(Notation::Markdown)),
        TableFormat::Latex => say(sheet().written(Notation::Latex)),
        TableFormat::Csv => say(Sheet::from(rows()).written(Notation::Csv)),
        TableFormat::Json => say(serde_json::to_string_pretty(&document()).context("cannot write JSON")?),
    }
}

/// The last line below a run: the command that shows it again. The algorithm is a name or, as
/// [`file_argument`] has it, a path.
pub(super) fn show_again(algorithm: &str, what: impl Display, pages: usize, world: &World) -> String {
    let mut command = format!("show it again: checker trace {} {what}", quoted(algorithm));
    if let Some(defect) = world.defect {
        command += &format!(" --defect {defect}");
    }
    command += &world.goes_wrong.to_options();
    command += &format!(" --pages {pages}");
    if let Some(hosts) = world.hosts {
        command += &format!(" --hosts {hosts}");
    }
    if let Some(link) = world.link {
        command += &format!(" --link {link}");
    }
    command
}

/// A strategy file, so that it is taken neither for a built-in algorithm nor for an option or standard input.
pub(super) fn file_argument(path: &Path) -> String {
    let text = path.display().to_string();
    match text.starts_with('-') || algorithms::built_in(&text).is_some() {
        true => format!("./{text}"),
        false => text,
    }
}

/// A word for a POSIX shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./,:+@%=".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
