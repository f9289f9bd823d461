//! `trace`: a shortest run that breaks a property, or one that shows it at work.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use anstream::println;
use anyhow::{Result, bail};
use checker::judge::{Engine, Options, judge};
use checker::narrative::Story;
use checker::report::{Actual, Conclusion};
use checker::setting::Pages;
use checker::witness::witness;
use serde_json::json;

use super::args::{Trace, TraceFormat};
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
        states_max: None,
        memory_bytes_max: None,
        timeout: None,
        interrupted: &AtomicBool::new(false),
        progress: &|_| {},
        checkpoint: None,
    };
    let run = judge(&setting, Pages::Exactly(args.pages), &options)?;
    let conclusion = run.conclusion();
    let found = run.verdicts.into_iter().find_map(|verdict| verdict.story);
    let (actual, story) = match found {
        Some(story) => (Actual::Fails, story),
        None => match witness(&setting.concrete(args.pages), args.property) {
            Some(story) => (Actual::Holds, story),
            None => {
                bail!("{} holds for {}, and no run shows it at work", args.property, setting.strategy.name)
            }
        },
    };
    print(args, actual, &story)?;
    Ok(End::Concluded(if actual == Actual::Fails { conclusion } else { Conclusion::AsExpected }))
}

fn print(args: &Trace, actual: Actual, story: &Story) -> Result<()> {
    match args.format {
        TraceFormat::Text => println!("{}\nshow it again: {}", story.to_text(), again(args)),
        TraceFormat::Mermaid => println!("{}", story.to_mermaid().trim_end()),
        TraceFormat::Json => {
            let document = json!({
                "version": 1,
                "title": story.title,
                "property": args.property,
                "actual": actual,
                "steps": story.lines(),
                "loop_from": story.loop_from,
            });
            println!("{}", serde_json::to_string_pretty(&document)?);
        }
    }
    Ok(())
}

/// The command that was given, from what was made of it.
fn again(args: &Trace) -> String {
    let mut command = format!("checker trace {} {} --pages {}", args.algorithm, args.property, args.pages);
    if let Some(hosts) = args.world.hosts {
        command += match hosts {
            model::Hosts::Two => " --hosts 2",
            model::Hosts::Three => " --hosts 3",
        };
    }
    if let Some(link) = args.world.link {
        command += &format!(" --link {}", format!("{link:?}").to_lowercase());
    }
    if let Some(defect) = args.world.defect {
        command += &format!(" --defect {defect}");
    }
    command
}
