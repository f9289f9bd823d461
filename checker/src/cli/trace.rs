//! `trace`: a shortest run that breaks a property, or one that shows it at work.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use checker::judge::{Engine, Options, judge};
use checker::narrative::Story;
use checker::report::{Actual, Conclusion};
use checker::setting::Pages;
use checker::witness::witness;
use serde_json::json;

use super::args::{Trace, TraceFormat};
use super::output::{remark, say, show_again};
use super::{End, algorithm, setting};

pub(super) fn run(args: &Trace) -> Result<End> {
    let setting = setting(algorithm(&args.algorithm)?, &args.world);
    if !setting.applies(args.property) {
        bail!("{} says nothing about {}", args.property, setting.strategy.name);
    }
    let options = Options {
        properties: args.property.into(),
        engine: Engine::Native,
        threads: NonZeroUsize::MIN,
        symmetry: true,
        states_max: args.limits.max_states,
        memory_bytes_max: args.limits.max_memory,
        timeout: args.limits.timeout,
        interrupted: &AtomicBool::new(false),
        progress: &|_| {},
        checkpoint: None,
    };
    let run = judge(&setting, Pages::Exactly(args.pages), &options)?;
    let Some(mut verdict) = run.verdicts.into_iter().find(|verdict| verdict.property == args.property) else {
        bail!("{} is not judged for {}", args.property, setting.strategy.name);
    };
    if verdict.actual == Actual::Inconclusive {
        let why = verdict.note.as_deref().unwrap_or("no reason given");
        remark(format_args!("{} · {} inconclusive: {why}", setting.strategy.name, args.property));
        return Ok(End::Concluded(Conclusion::Inconclusive));
    }
    let story = match verdict.story.take() {
        Some(story) => story,
        None => match witness(&setting.concrete(args.pages), args.property) {
            Some(story) => story,
            None => {
                bail!("{} holds for {}, and no run shows it at work", args.property, setting.strategy.name)
            }
        },
    };
    print(args, verdict.actual, &story)?;
    Ok(End::Concluded(verdict.conclusion()))
}

fn print(args: &Trace, actual: Actual, story: &Story) -> Result<()> {
    match args.format {
        TraceFormat::Text => {
            let again = show_again(&args.algorithm, args.property, args.pages.get(), &args.world);
            say(format_args!("{}\n{again}", story.to_text()))
        }
        TraceFormat::Mermaid => say(story.to_mermaid().trim_end()),
        TraceFormat::Json => {
            let document = json!({
                "version": 1,
                "title": story.title,
                "property": args.property,
                "actual": actual,
                "steps": story.lines(),
                "loop_from": story.loop_from,
            });
            say(serde_json::to_string_pretty(&document)?)
        }
    }
}
