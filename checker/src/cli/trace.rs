//! `trace`: a shortest run that breaks a property, or one that shows it at work.

use std::fmt::Display;
use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use checker::judge::{Engine, JudgeOptions, judge};
use checker::narrative::Story;
use checker::report::{Actual, Basis, Conclusion};
use checker::setting::{Pages, Setting};
use checker::survival::{self, SurvivalOutcome};
use checker::witness::witness;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Sight, TraceArgs, TraceFormat};
use super::output::{remark, say, show_again};
use super::patience::Patience;
use super::progress::Teller;
use super::subject::Subject;
use super::{End, refuse_idle_defect, setting};

pub(super) fn run(args: &TraceArgs) -> Result<End> {
    let mut subject = args.subject.asked()?;
    subject.expectations = subject.expectations.and(args.expect.iter().copied());
    let setting = setting(subject.strategy.clone(), &args.world)?;
    let patience = Patience::start(args.limits.timeout)?;
    refuse_idle_defect(&setting, Pages::Exactly(args.pages))?;
    let property = match args.what {
        Sight::Property(property) => property,
        Sight::Outcome(outcome) => return show_outcome(args, &subject, &setting, outcome, &patience),
    };
    if property.is_about_disruptions() && setting.disruptions.is_none() {
        bail!("{property} speaks of disruptions: say which with --disruptions, or how many with --budget");
    }
    if !setting.applies(property) {
        bail!("{property} says nothing about {}", setting.strategy.name);
    }
    let teller = Teller::new();
    teller.begin(format!("{} · {property}", setting.strategy.name));
    let options = JudgeOptions {
        properties: property.into(),
        engine: Engine::Native,
        threads: NonZeroUsize::MIN,
        symmetry: true,
        states_max: args.limits.max_states,
        memory_bytes_max: args.limits.max_memory,
        timeout: args.limits.timeout,
        interrupted: patience.interrupted(),
        progress: &|progress| teller.report(progress),
        checkpoint: None,
    };
    let run = subject.expectations.hold(judge(&setting, Pages::Exactly(args.pages), &options)?);
    let pages = run.pages;
    let Some(mut verdict) = run.verdicts.into_iter().find(|verdict| verdict.property == property) else {
        bail!("{property} is not judged for {}", setting.strategy.name);
    };
    if verdict.actual == Actual::Inconclusive {
        teller.end();
        let why = verdict.basis.as_ref().map_or("no reason given".to_owned(), Basis::to_string);
        remark(format_args!("{} · {property} inconclusive: {why}", setting.strategy.name));
        return Ok(patience.end(Conclusion::Inconclusive, true));
    }
    let story = match verdict.story.take() {
        Some(story) => story,
        None => match witness(&setting.concrete(args.pages), property, &|| !patience.is_out()) {
            Ok(Some(story)) => story,
            Ok(None) => {
                let name = &setting.strategy.name;
                bail!("{property} is {} for {name}, and no run shows it at work", found(verdict.actual))
            }
            Err(unfinished) => {
                teller.end();
                remark(format_args!("{} · {property} holds: {unfinished}", setting.strategy.name));
                return Ok(patience.end(Conclusion::Inconclusive, true));
            }
        },
    };
    teller.end();
    print(args, &subject, property, json!(verdict.actual), &story)?;
    Ok(End::Concluded(verdict.conclusion(pages)))
}

fn found(actual: Actual) -> &'static str {
    match actual {
        Actual::Vacuous => "vacuous",
        _ => "kept",
    }
}

/// A shortest run on which disruptions come to this.
fn show_outcome(
    args: &TraceArgs,
    subject: &Subject,
    setting: &Setting,
    outcome: SurvivalOutcome,
    patience: &Patience,
) -> Result<End> {
    if setting.disruptions.is_none() {
        bail!("'{outcome}' is what comes of a disruption: say which with --disruptions");
    }
    let found = match survival::witness(setting, outcome, args.pages, &|| !patience.is_out()) {
        Ok(found) => found,
        Err(unfinished) => {
            remark(format_args!("{} · {outcome} inconclusive: {unfinished}", setting.strategy.name));
            return Ok(patience.end(Conclusion::Inconclusive, true));
        }
    };
    let Some(story) = found else {
        let options = args.world.goes_wrong.to_options();
        bail!("no run of {} with{options} ends in '{outcome}'", setting.strategy.name);
    };
    print(args, subject, outcome, json!("occurs"), &story)?;
    Ok(End::Concluded(Conclusion::AsExpected))
}

fn print(
    args: &TraceArgs,
    subject: &Subject,
    what: impl Display + Serialize,
    actual: Value,
    story: &Story,
) -> Result<()> {
    match args.format {
        TraceFormat::Text => {
            let again = show_again(&subject.argument(), what, args.pages.get(), &args.world);
            say(format_args!("{}\n{again}", story.to_text()))?
        }
        TraceFormat::Mermaid => say(story.to_mermaid().trim_end())?,
        TraceFormat::Dot => say(story.to_dot().trim_end())?,
        TraceFormat::Json => {
            let document = json!({
                "version": 1,
                "title": story.title,
                "property": what,
                "actual": actual,
                "steps": story.lines(),
                "loop_from": story.loop_from,
            });
            say(serde_json::to_string_pretty(&document)?)?
        }
    }
    Ok(())
}
