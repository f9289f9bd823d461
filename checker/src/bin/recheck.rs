//! Judges an inductive invariant without the engine that found it.
//!
//! ```text
//! checker invariant generic > generic.json
//! recheck generic.json
//! ```
//!
//! The file says what it is about: the choices of the algorithm, the world, the defect. Every initial configuration must be
//! in the invariant, every step of a permitted configuration must stay in it, and each property that it claims must be
//! proved here: then it holds for every number of pages.

use std::io::stdin;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use checker::console::{DOCUMENT_BYTES_MAX, end, read_from, read_text, remark, say};
use checker::proof::{ProofRefusal, judge};
use clap::Parser;

/// Judges an inductive invariant, as `checker invariant` prints it
#[derive(Parser)]
#[command(name = "recheck", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    /// The invariant; `-` reads standard input
    file: PathBuf,
    /// Give up after this time, as in 90s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

const EXIT_CODES: &str = "Exit codes: 0 all that is claimed is proved; 1 it is not; 2 usage, or no readable invariant; 3 \
                          inconclusive: the time ran out.";

/// Between two remarks on how far it is.
const REMARK_EVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run(&Arguments::try_parse().unwrap_or_else(|error| end(&error))) {
        Ok(code) => code,
        Err(error) => {
            remark(format_args!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = arguments.file.display();
    let what = "an invariant";
    let text = match arguments.file == Path::new("-") {
        true => read_from(stdin().lock(), what, DOCUMENT_BYTES_MAX),
        false => read_text(&arguments.file, what, DOCUMENT_BYTES_MAX),
    };
    let text = text.with_context(|| path.to_string())?;
    let started = Instant::now();
    let said = std::cell::Cell::new(started);
    let judged = judge(&text, &|done| {
        if said.get().elapsed() >= REMARK_EVERY {
            said.set(Instant::now());
            remark(format_args!("{path}: {} configurations, {} steps", done.configurations, done.steps));
        }
        arguments.timeout.is_none_or(|timeout| started.elapsed() < timeout)
    });
    match judged {
        Ok(proved) => {
            say(format_args!("{path}: {proved}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(unfinished @ ProofRefusal::Unfinished(_)) => {
            say(format_args!("{path}: inconclusive: {unfinished}"))?;
            Ok(ExitCode::from(3))
        }
        Err(refusal) if refusal.is_unreadable() => Err(refusal).with_context(|| path.to_string()),
        Err(refusal) => {
            say(format_args!("{path}: not accepted: {refusal}"))?;
            Ok(ExitCode::from(1))
        }
    }
}
