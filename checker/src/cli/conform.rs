//! `conform`: is a recorded run one that the model has?

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use checker::report::{Conclusion, counted};
use serde::Serialize;
use tie::trace::{
    Accepted, LineOrigin, MergeError, MergedLog, TraceError, conform_merged, conform_watched, merge,
};

use super::args::{Conform, ReportFormat};
use super::output::say;
use super::patience::Patience;
use super::progress::Teller;
use super::{End, strategy_file};

/// Lines between two remarks on how far it is.
const LINES_PER_REMARK: usize = 4096;

/// Letters of a line that are shown where it is not the one in question.
const LETTERS_MAX: usize = 160;

/// What is said of a log, in the order in which it is printed.
#[derive(Serialize)]
struct Report {
    conform: u32,
    logs: Vec<String>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    migrations: Option<usize>,
    /// The line in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<Quoted>,
    /// What is wrong, or who waits for what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instead: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<Quoted>,
}

/// A line of a log.
#[derive(Serialize)]
struct Quoted {
    log: String,
    line: usize,
    text: String,
}

pub(super) fn run(args: &Conform) -> Result<End> {
    let strategy = args.strategy.as_deref().map(strategy_file).transpose()?;
    let patience = Patience::start(args.timeout)?;
    let teller = Teller::new();
    let mut watch = |line: usize| {
        if line.is_multiple_of(LINES_PER_REMARK) {
            teller.begin(format!("conform: {line} lines"));
        }
        if patience.is_out() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (judged, merged) = match &args.traces[..] {
        [path] => (conform_watched(open(path)?, strategy, &mut watch), None),
        paths => {
            let logs = paths.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
            match merge(logs, strategy.as_ref()) {
                Ok(merged) => (conform_merged(&merged, strategy, &mut watch), Some(merged)),
                Err(error) => return contradiction(args, error),
            }
        }
    };
    teller.end();
    let mut report = Report::of(&args.traces);
    let conclusion = match judged {
        Ok(Accepted { algorithm, steps, hops, .. }) => {
            report.verdict = "accepted";
            (report.algorithm, report.lines, report.migrations) = (Some(algorithm), Some(steps), Some(hops));
            Conclusion::AsExpected
        }
        Err(TraceError::Rejected(rejection)) => {
            report.verdict = "rejected";
            let quote = |line| quoted(&args.traces, merged.as_ref(), line);
            report.line = Some(Quoted {
                text: serde_json::to_string(&rejection.step).context("a step is JSON")?,
                ..quote(rejection.line)
            });
            report.because = vec![rejection.objection.to_string()];
            report.instead = rejection.instead;
            report.history = rejection.history.into_iter().map(quote).collect();
            Conclusion::Surprise
        }
        Err(TraceError::Unfinished(unfinished)) => {
            report.verdict = "unfinished";
            report.lines = Some(unfinished.line - 1);
            report.because = unfinished.waits.iter().map(ToString::to_string).collect();
            Conclusion::Inconclusive
        }
        Err(error @ (TraceError::Ambiguous { .. } | TraceError::Stopped { .. })) => {
            report.verdict = "inconclusive";
            report.because = vec![error.to_string()];
            Conclusion::Inconclusive
        }
        Err(error) => return Err(error).with_context(|| report.logs.join(", ")),
    };
    report.tell(args.format)?;
    Ok(if patience.interrupted().load(Relaxed) { End::Interrupted } else { End::Concluded(conclusion) })
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).with_context(|| format!("{}", path.display()))
}

/// Logs that cannot be merged: two lines contradict each other, or the logs are not of one run.
fn contradiction(args: &Conform, error: MergeError) -> Result<End> {
    let message = error.to_string();
    let log = |log: usize| args.traces.get(log).map_or_else(String::new, |path| path.display().to_string());
    match error {
        MergeError::Contradiction { handled, sent } => {
            let quote = |LineOrigin { log, line }: LineOrigin| of_file(&args.traces[log], line);
            let report = Report {
                verdict: "rejected",
                line: Some(quote(handled)),
                because: vec![match sent {
                    Some(_) => message,
                    None => "a message is handled that nobody has sent".to_owned(),
                }],
                history: sent.into_iter().map(quote).collect(),
                ..Report::of(&args.traces)
            };
            report.tell(args.format)?;
            Ok(End::Concluded(Conclusion::Surprise))
        }
        MergeError::Log { log: at, error } => Err(error).with_context(|| log(at)),
        MergeError::Headers { log: at } => Err(anyhow::anyhow!("{}: {message}", log(at))),
    }
}

/// A line of the only log, or of the one among several that it is from.
fn quoted(traces: &[PathBuf], merged: Option<&MergedLog>, line: usize) -> Quoted {
    let of_merged = merged.and_then(|merged| merged.origins.get(line.checked_sub(2)?));
    match of_merged {
        Some(LineOrigin { log, line }) => of_file(&traces[*log], *line),
        None => of_file(&traces[0], line),
    }
}

/// The text is there to be looked at; what can no longer be read is left out.
fn of_file(path: &Path, line: usize) -> Quoted {
    let found = File::open(path).ok().and_then(|file| BufReader::new(file).lines().nth(line - 1));
    let text = found.and_then(Result::ok).unwrap_or_default();
    let text = match text.char_indices().nth(LETTERS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    };
    Quoted { log: path.display().to_string(), line, text }
}

impl Report {
    fn of(traces: &[PathBuf]) -> Self {
        Report {
            conform: 1,
            logs: traces.iter().map(|path| path.display().to_string()).collect(),
            verdict: "inconclusive",
            algorithm: None,
            lines: None,
            migrations: None,
            line: None,
            because: vec![],
            instead: vec![],
            history: vec![],
        }
    }

    fn tell(&self, format: ReportFormat) -> Result<()> {
        match format {
            ReportFormat::Json => say(serde_json::to_string_pretty(self).context("a report is JSON")?),
            ReportFormat::Text => say(self.text()),
        }
    }

    fn text(&self) -> String {
        let Report { logs, verdict, algorithm, lines, migrations, line, because, instead, history, .. } =
            self;
        let mut text = format!("{}: {verdict}", logs.join(", "));
        if let (Some(algorithm), Some(lines), Some(migrations)) = (algorithm, lines, migrations) {
            let moved = counted(*migrations, "migration");
            text += &format!(": {algorithm}; {lines} steps, all consumed; {moved}");
        }
        let place = |quoted: &Quoted| match logs.len() {
            1 => format!("line {}", quoted.line),
            _ => format!("{}, line {}", quoted.log, quoted.line),
        };
        if let Some(line) = line {
            text += &format!("\n{}: {}", place(line), line.text);
        }
        for because in because {
            text += &format!("\n  {because}");
        }
        if !instead.is_empty() {
            text += &format!("\n  the model has here: {}", instead.join(", "));
        }
        for line in history {
            text += &format!("\n  before it, {}: {}", place(line), line.text);
        }
        text
    }
}
