//! A report in words, for a person.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, BufRead};

use crate::report::{CostNote, ObservedFault, ObservedVerdict, Report};

/// Lines of a log around those that findings are about.
pub type Surroundings = BTreeMap<u64, String>;

/// So many lines before and after are shown.
const AROUND: u64 = 2;
/// So many occurrences of a cost are shown.
const FIGURES: usize = 3;

/// The lines of the log around each finding.
///
/// # Errors
/// The log cannot be read.
pub fn surroundings(report: &Report, log: impl BufRead) -> io::Result<Surroundings> {
    let about = report.findings.iter().map(|finding| finding.step);
    let costs = report.costs.iter().flat_map(|cost| cost.figures.iter().take(FIGURES));
    let about: Vec<_> = about.chain(costs.map(|figure| figure.log_line)).collect();
    let wanted = |line: u64| about.iter().any(|about| line.abs_diff(*about) <= AROUND);
    let last = about.iter().max().map_or(0, |last| last + AROUND);
    let mut lines = Surroundings::new();
    for (number, line) in (1..=last).zip(log.lines()) {
        let line = line?;
        if wanted(number) {
            lines.insert(number, line.trim_end().to_owned());
        }
    }
    Ok(lines)
}

/// The report in words. With the log's lines around what is wrong.
pub fn text(report: &Report, lines: &Surroundings) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report, lines);
    text
}

fn write_report(to: &mut String, report: &Report, lines: &Surroundings) -> fmt::Result {
    let Report { kind, ending, pages, sent, sent_bytes, steps, .. } = report;
    writeln!(to, "{kind}: {ending}")?;
    writeln!(to, "{pages} pages, sent {sent} times, {sent_bytes} bytes; {steps} steps")?;
    if let Some(freeze_us) = report.freeze_us {
        writeln!(to, "the process stood still for {} ms", millis(freeze_us))?;
    }
    writeln!(to)?;
    for (property, verdict) in &report.verdicts {
        let (word, because) = match verdict {
            ObservedVerdict::Holds(because) => ("holds", because),
            ObservedVerdict::Violated(because) => ("VIOLATED", because),
            ObservedVerdict::NotJudged(because) => ("not judged", because),
        };
        writeln!(to, "{:<3} {:<31} {word:<10}  {because}", property.to_string(), property.meaning())?;
    }
    for finding in &report.findings {
        write_finding(to, finding, lines)?;
    }
    if report.findings_unlisted > 0 {
        writeln!(to, "\nand {} more findings", report.findings_unlisted)?;
    }
    for cost in &report.costs {
        write_cost(to, cost, lines)?;
    }
    writeln!(to, "\nnot recorded:")?;
    report.unseen.iter().try_for_each(|unseen| writeln!(to, "  {unseen}"))
}

fn write_finding(to: &mut String, finding: &ObservedFault, lines: &Surroundings) -> fmt::Result {
    let ObservedFault { property, page, at, at_us, step, text } = finding;
    let page = page.as_ref().map_or(String::new(), |page| format!("{page}: "));
    writeln!(to, "\n{property} violated: {page}{text}")?;
    let when =
        at_us.map_or(String::new(), |at_us| format!(", at {}.{:06} s", at_us / 1_000_000, at_us % 1_000_000));
    writeln!(to, "  {at}{when}; log line {step}")?;
    write_lines(to, *step, lines)
}

fn write_cost(to: &mut String, cost: &CostNote, lines: &Surroundings) -> fmt::Result {
    writeln!(to, "\ncost: {}", cost.text)?;
    for figure in cost.figures.iter().take(FIGURES) {
        let page = figure.page.as_ref().map_or(String::new(), |page| format!("{page}, "));
        writeln!(
            to,
            "  {}: {page}{}; log line {}",
            cost.kind.figure(figure.figure),
            figure.at,
            figure.log_line
        )?;
        write_lines(to, figure.log_line, lines)?;
    }
    if cost.count > FIGURES as u64 {
        writeln!(to, "  and {} more", cost.count - FIGURES as u64)?;
    }
    Ok(())
}

fn write_lines(to: &mut String, about: u64, lines: &Surroundings) -> fmt::Result {
    for (number, line) in lines.range(about.saturating_sub(AROUND)..=about + AROUND) {
        let mark = if *number == about { '>' } else { ' ' };
        writeln!(to, "  {mark} {number:>8}  {line}")?;
    }
    Ok(())
}

fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}
