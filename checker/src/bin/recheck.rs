//! Judges an inductive invariant without the engine that found it.
//!
//! ```text
//! checker invariant generic > generic.json
//! recheck generic.json
//! ```
//!
//! The file says which algorithm it is about. Every initial configuration must be in the invariant, every
//! step of a permitted configuration must stay in it, and none may violate a claimed property: then no
//! number of pages does. Exit: 0 accepted, 1 an objection, 2 no readable invariant.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use checker::setting::Setting;
use clap::Parser;
use engine::views::{InvariantOf, recheck};
use model::Migration;

/// Judges an inductive invariant, as `checker invariant` prints it
#[derive(Parser)]
struct Arguments {
    /// The invariant
    file: std::path::PathBuf,
}

fn main() -> ExitCode {
    match judge(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn judge(arguments: &Arguments) -> Result<bool> {
    let path = arguments.file.display();
    let text = fs::read_to_string(&arguments.file).with_context(|| format!("{path}"))?;
    let invariant = InvariantOf::<Migration>::from_json(&text).with_context(|| format!("{path}"))?;
    let setting =
        Setting::from_fingerprint(&invariant.subject).with_context(|| format!("{path}: subject"))?;
    let claims: Vec<String> = invariant.claims.iter().map(|property| property.to_string()).collect();
    let name = &setting.strategy.name;
    Ok(match recheck(&setting.migration(), &invariant) {
        Ok(done) => {
            println!(
                "{name}: {} for any number of pages; {} configurations and {} steps checked",
                claims.join(" "),
                done.configurations,
                done.steps
            );
            true
        }
        Err(objection) => {
            println!("{name}: not accepted: {objection}");
            false
        }
    })
}
