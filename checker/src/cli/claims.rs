//! `claims`: what the source text claims, each row computed.

use anyhow::{Context, Result, bail};
use checker::claims::{self, Answer, Claim, ClaimFinding, Lab, LabError};
use checker::report::{Conclusion, counted};
use checker::sheet::{Sheet, SheetTable, Side};
use model::{Strategy, algorithms};
use serde::Serialize;
use serde_json::json;

use super::End;
use super::args::{Claims, TableFormat};
use super::output::{say, say_sheet};
use super::patience::Patience;
use super::progress::Teller;
use super::subject::Subject;

/// A claim with what was found of it.
#[derive(Serialize)]
struct Row {
    id: &'static str,
    section: &'static str,
    says: &'static str,
    expected: Answer,
    /// `None` if it was not decided.
    actual: Option<Answer>,
    as_expected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    inconclusive: Option<String>,
    #[serde(flatten)]
    finding: Option<ClaimFinding>,
}

pub(super) fn run(args: &Claims) -> Result<End> {
    let asked: Vec<Claim> = match args.ids.is_empty() {
        true => claims::all().collect(),
        false => {
            let known = |id: &String| {
                Claim::find(id).with_context(|| format!("no claim is called '{id}': see `checker claims`"))
            };
            args.ids.iter().map(known).collect::<Result<_>>()?
        }
    };
    let instead = instead(args)?;
    let patience = Patience::start(args.timeout.timeout)?;
    let (interrupted, until) = (patience.shared(), patience.until());
    let lab = Lab { defect: args.defect, instead, interrupted, until, ..Lab::default() };
    let teller = Teller::new();
    let (mut rows, mut given_up) = (Vec::new(), false);
    let claims = asked.len();
    for claim in asked {
        if patience.is_out() {
            break;
        }
        teller.begin(format!("{} {}", claim.id, claim.says));
        let found = claim.check(&lab);
        given_up |= found.as_ref().is_err_and(LabError::is_an_end);
        rows.push(row(claim, found)?);
    }
    teller.end();
    match args.format {
        TableFormat::Text if args.ids.is_empty() => say(table(&rows))?,
        TableFormat::Text => say(rows.iter().map(details).collect::<Vec<_>>().join("\n\n"))?,
        format => {
            let document = || json!({ "version": 1, "claims": rows });
            say_sheet(format, || sheet(&rows), || answers(&rows), document)?;
        }
    }
    let complete = rows.len() == claims && !given_up;
    Ok(patience.end(conclusion(&rows), complete))
}

/// Algorithms of one's own that stand in for built-in ones.
fn instead(args: &Claims) -> Result<Vec<Strategy>> {
    let subjects = args.strategy.iter().map(|path| Subject::in_file(path)).collect::<Result<Vec<_>>>()?;
    let known = |name: &str| algorithms::BUILT_IN.iter().any(|strategy| strategy.name == name);
    if let Some(subject) = subjects.iter().find(|subject| !known(&subject.strategy.name)) {
        bail!(
            "the source text says nothing about '{}': {} has to be called after a built-in algorithm",
            subject.strategy.name,
            subject.place
        );
    }
    Ok(subjects.into_iter().map(|subject| subject.strategy).collect())
}

fn row(claim: Claim, found: Result<ClaimFinding, LabError>) -> Result<Row> {
    let Claim { id, section, says, expected, .. } = claim;
    let (finding, inconclusive) = match found {
        Ok(finding) => (Some(finding), None),
        Err(error) if error.is_a_bound() => (None, Some(error.to_string())),
        Err(error) => bail!("{id}: {error}"),
    };
    let as_expected = finding.as_ref().is_some_and(|finding| finding.is(expected));
    let actual = finding.as_ref().map(ClaimFinding::answer);
    Ok(Row { id, section, says, expected, actual, as_expected, inconclusive, finding })
}

fn conclusion(rows: &[Row]) -> Conclusion {
    let of = |row: &Row| match (row.as_expected, &row.inconclusive) {
        (true, _) => Conclusion::AsExpected,
        (false, Some(_)) => Conclusion::Inconclusive,
        (false, None) => Conclusion::Surprise,
    };
    rows.iter().map(of).max().unwrap_or(Conclusion::AsExpected)
}

/// A line for each claim.
fn table(rows: &[Row]) -> String {
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.push(format!("\n{}. One with all it rests on: checker claims C29", summary(rows)));
    lines.join("\n")
}

fn summary(rows: &[Row]) -> String {
    let surprises = rows.iter().filter(|row| !row.as_expected && row.inconclusive.is_none()).count();
    let open = rows.iter().filter(|row| row.inconclusive.is_some()).count();
    let expected = counted(rows.len() - surprises - open, "answer");
    let mark = if surprises > 0 { " (!)" } else { "" };
    format!("{expected} as expected, {surprises} not{mark}, {open} inconclusive")
}

fn line(row: &Row) -> String {
    let (reason, command) = reason(row);
    format!("{:4}{:15}{reason} · {command}", row.id, answer(row))
}

/// Why, and the command that shows it.
fn reason(row: &Row) -> (&str, &str) {
    match (&row.finding, &row.inconclusive) {
        (Some(finding), _) if finding.reason().is_empty() => {
            ("argued, not computed", finding.command.as_str())
        }
        (Some(finding), _) => (finding.reason(), finding.command.as_str()),
        (None, Some(why)) => (why.as_str(), ""),
        (None, None) => ("", ""),
    }
}

fn sheet(rows: &[Row]) -> Sheet {
    let titles = ["claim", "section", "says", "answer", "because", "command"];
    let mut table = SheetTable::new(titles).aligned(|_| Side::Left);
    for row in rows {
        let (reason, command) = reason(row);
        let answer = answer(row);
        table.add([row.id, row.section, row.says, &answer, reason, command]);
    }
    Sheet::from(table).text(format!("{}.", summary(rows)))
}

/// A row for each, for programs.
fn answers(rows: &[Row]) -> SheetTable {
    let titles = ["claim", "section", "says", "expected", "actual", "as_expected", "because", "command"];
    let mut table = SheetTable::new(titles);
    for row in rows {
        let (reason, command) = reason(row);
        let actual = row.actual.map_or("inconclusive".to_owned(), |actual| actual.to_string());
        let (expected, as_expected) = (row.expected.to_string(), row.as_expected.to_string());
        table.add([row.id, row.section, row.says, &expected, &actual, &as_expected, reason, command]);
    }
    table
}

fn answer(row: &Row) -> String {
    match row.actual {
        None => "inconclusive".to_owned(),
        Some(actual) if row.as_expected => actual.to_string(),
        Some(actual) => format!("{actual}!"),
    }
}

/// A claim with everything that was computed for it.
fn details(row: &Row) -> String {
    let mut text = format!("{} · section {} · {}\n{}", row.id, row.section, row.says, answer(row));
    if let Some(why) = &row.inconclusive {
        text += &format!(": {why}");
    }
    let Some(finding) = &row.finding else { return text };
    let mark = |holds| if holds { "✓" } else { "✗" };
    for (heading, statements) in [("", &finding.claimed), ("\ninstead:", &finding.corrected)] {
        if !statements.is_empty() {
            text += heading;
        }
        for statement in statements {
            text += &format!("\n  {} {}", mark(statement.holds), statement.says);
        }
    }
    if let Some(witness) = &finding.witness {
        text += &format!("\n\n{}", witness.to_text());
    }
    match finding.command == format!("checker claims {}", row.id) {
        true => text.trim_end().to_owned(),
        false => text + &format!("\nsee also: {}", finding.command),
    }
}
