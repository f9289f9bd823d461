//! `conform`: is a recorded run one that the model has?

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result};
use checker::report::Conclusion;
use tie::trace::{Accepted, TraceError, conform};

use super::args::Conform;
use super::{End, strategy_file};

pub(super) fn run(args: &Conform) -> Result<End> {
    let strategy = args.strategy.as_deref().map(strategy_file).transpose()?;
    let path = &args.trace;
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    match conform(BufReader::new(file), strategy) {
        Ok(accepted) => {
            let Accepted { algorithm, header, steps, run, hops } = accepted;
            anstream::println!(
                "{}: accepted: {algorithm}, {} pages; {steps} steps, all consumed: {} of the model, \
                 the others change nothing there; the process moved {hops} times",
                path.display(),
                header.pages,
                run.len()
            );
            Ok(End::Concluded(Conclusion::AsExpected))
        }
        Err(TraceError::Rejected(rejection)) => {
            anstream::println!("{}: rejected\n{rejection}", path.display());
            Ok(End::Concluded(Conclusion::Surprise))
        }
        Err(error @ TraceError::Ambiguous { .. }) => {
            anstream::println!("{}: inconclusive: {error}", path.display());
            Ok(End::Concluded(Conclusion::Inconclusive))
        }
        Err(error) => Err(error).with_context(|| format!("{}", path.display())),
    }
}
