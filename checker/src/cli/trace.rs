//! `trace`: a shortest run that breaks a property, or one that shows it at work.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use checker::judge::{Engine, Options, judge};
use checker::narrative::Story;
use checker::report::{Actual, Conclusion};
use checker::setting::{Pages, Setting};
use checker::survival::{self, Outcome};
use checker::witness::witness;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Sight, Trace, TraceFormat};
use super::output::{remark, say, show_again};
use super::{End, algorithm, refuse_idle_defect, setting};

pub(super) fn run(args: &Trace) -> Result<End> {
    let setting = setting(algorithm(&args.algorithm)?, &args.world)?;
    refuse_idle_defect(&setting, Pages::Exactly(args.pages))?;
    let property = match args.what {
        Sight::Property(property) => property,
        Sight::Outcome(outcome) => return show_outcome(args, &setting, outcome),
    };
    if property.is_about_disruptions() && setting.disruptions.is_none() {
        bail!("{property} speaks of disruptions: say which with --disruptions, or how many with --budget");
    }
    if !setting.applies(property) {
        bail!("{property} says nothing about {}", setting.strategy.name);
    }
    let options = Options {
        properties: property.into(),
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
    let Some(mut verdict) = run.verdicts.into_iter().find(|verdict| verdict.property == property) else {
        bail!("{property} is not judged for {}", setting.strategy.name);
    };
    if verdict.actual == Actual::Inconclusive {
        let why = verdict.note.as_deref().unwrap_or("no reason given");
        remark(format_args!("{} · {property} inconclusive: {why}", setting.strategy.name));
        return Ok(End::Concluded(Conclusion::Inconclusive));
    }
    let story = match verdict.story.take() {
        Some(story) => story,
        None => match witness(&setting.concrete(args.pages), property) {
            Some(story) => story,
            None => {
                bail!("{property} holds for {}, and no run shows it at work", setting.strategy.name)
            }
        },
    };
    print(args, property, json!(verdict.actual), &story)?;
    Ok(End::Concluded(verdict.conclusion()))
}

/// A shortest run on which disruptions come to this.
fn show_outcome(args: &Trace, setting: &Setting, outcome: Outcome) -> Result<End> {
    if setting.disruptions.is_none() {
        bail!("'{outcome}' is what comes of a disruption: say which with --disruptions");
    }
    let Some(story) = survival::witness(setting, outcome, args.pages) else {
        let options = args.world.goes_wrong.to_options();
        bail!("no run of {} with{options} ends in '{outcome}'", setting.strategy.name);
    };
    print(args, outcome, json!("occurs"), &story)?;
    Ok(End::Concluded(Conclusion::AsExpected))
}

fn print(args: &Trace, what: impl Display + Serialize, actual: Value, story: &Story) -> Result<()> {
    match args.format {
        TraceFormat::Text => {
            let again = show_again(&args.algorithm, what, args.pages.get(), &args.world);
            say(format_args!("{}\n{again}", story.to_text()))
        }
        TraceFormat::Mermaid => say(story.to_mermaid().trim_end()),
        TraceFormat::Json => {
            let document = json!({
                "version": 1,
                "title": story.title,
                "property": what,
                "actual": actual,
                "steps": story.lines(),
                "loop_from": story.loop_from,
            });
            say(serde_json::to_string_pretty(&document)?)
        }
    }
}
