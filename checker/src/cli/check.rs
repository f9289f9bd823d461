//! `check`: judge algorithms, print a table or a document.

mod folder;
mod told;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use checker::judge::{self, JudgeCheckpoint, JudgeOptions, judge, judged};
use checker::report::{Actual, CheckDocument, CheckRun, counted, verdicts};
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::{Link, Property, algorithms};

use super::args::{Check, EngineName, Switch};
use super::output::{remark, say_sheet};
use super::patience::Patience;
use super::progress::Teller;
use super::subject::Subject;
use super::{End, setting};

/// Pages of a concrete run where none are asked for: quick for all algorithms together.
const PAGES_DEFAULT: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// The same where something goes wrong, which makes for many more states.
const PAGES_DISRUPTED: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// The same with a defect: every defect shows within so many, those that need a lossy link within one, and
/// a broken protocol has more states.
const PAGES_DEFECT: NonZeroUsize = NonZeroUsize::new(2).unwrap();

pub(super) fn run(args: &Check) -> Result<End> {
    refuse_what_the_engine_lacks(args)?;
    let all = algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS);
    let mut subjects = args.subjects.asked_or(all)?;
    let pages = pages(args);
    // What is given up is a run, not the command.
    let patience = Patience::start(None)?;
    for subject in &mut subjects {
        subject.expectations = subject.expectations.clone().and(args.expect.iter().copied());
    }
    let settings: Vec<Setting> = (subjects.iter())
        .map(|subject| setting(subject.strategy.clone(), &args.world))
        .collect::<Result<_>>()?;
    refuse_idle_expectations(args, &subjects, &settings)?;
    let (subjects, settings, idle) = with_effect(subjects, settings, &pages)?;
    let _folder = match &args.checkpoint {
        Some(directory) => Some(folder::Folder::take(directory, args.resume)?),
        None => None,
    };
    let teller = Teller::new();
    let tell = |progress: &judge::JudgeProgress| teller.report(progress);
    let options = JudgeOptions {
        properties: EnumSet::empty(),
        engine: args.engine.into(),
        threads: args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
        symmetry: args.symmetry == Switch::On,
        states_max: args.limits.max_states,
        memory_bytes_max: args.limits.max_memory,
        timeout: args.limits.timeout,
        interrupted: patience.interrupted(),
        progress: &tell,
        checkpoint: args
            .checkpoint
            .as_deref()
            .map(|directory| JudgeCheckpoint { directory, resume: args.resume }),
    };
    let options = |pages_now| JudgeOptions { properties: properties(args, &pages, pages_now), ..options };
    if settings
        .iter()
        .all(|setting| pages.iter().all(|pages| judged(setting, *pages, &options(*pages)).is_empty()))
    {
        let asked: Vec<String> = args.property.iter().map(Property::to_string).collect();
        bail!("there is nothing to judge: {} does not apply to any algorithm asked for", asked.join(", "));
    }
    let mut runs = Vec::new();
    for (subject, setting) in subjects.iter().zip(&settings) {
        for &pages in &pages {
            if !patience.is_out() {
                teller.begin(task(setting, pages));
                let run = judge(setting, pages, &options(pages)).with_context(|| task(setting, pages))?;
                runs.push(subject.expectations.hold(run));
            }
        }
        if proves_beside(args, &pages) && !patience.is_out() {
            let safe = options(Pages::Any).properties.iter().filter(|property| property.is_safety());
            let proof = judge(
                setting,
                Pages::Any,
                &JudgeOptions { properties: safe.collect(), ..options(Pages::Any) },
            );
            runs.extend(decided(
                subject.expectations.hold(proof.with_context(|| task(setting, Pages::Any))?),
            ));
        }
    }
    teller.end();
    let document = CheckDocument::new(runs);
    say_sheet(args.format, || told::sheet(&document, args, &subjects), || verdicts(&document), || &document)?;
    if let (Some(defect), false) = (args.world.defect, idle.is_empty()) {
        remark(format_args!("the defect {defect} cannot act on {}: not judged", idle.join(", ")));
    }
    Ok(patience.end(document.conclusion(), true))
}

/// Those on which the defect, if there is one, can act, and the names of the others.
type Affected = (Vec<Subject>, Vec<Setting>, Vec<String>);

/// Leaves out algorithms on which the defect cannot act; if it can on none, that is an error.
fn with_effect(subjects: Vec<Subject>, settings: Vec<Setting>, pages: &[Pages]) -> Result<Affected> {
    let most = pages.iter().copied().max().unwrap_or(Pages::Any);
    let (mut affected, mut idle) = ((vec![], vec![]), vec![]);
    let mut reason = None;
    for (subject, setting) in subjects.into_iter().zip(settings) {
        match setting.defect_acts(most) {
            Ok(()) => {
                affected.0.push(subject);
                affected.1.push(setting);
            }
            Err(why) => {
                idle.push(setting.strategy.name.clone().into_owned());
                reason.get_or_insert(why);
            }
        }
    }
    match (affected.0.is_empty(), reason) {
        (true, Some(reason)) => Err(reason.into()),
        _ => Ok((affected.0, affected.1, idle)),
    }
}

/// Is safety proved beside the numbers of pages asked for?
fn proves_beside(args: &Check, pages: &[Pages]) -> bool {
    let asked = !args.pages.is_empty() && args.proof == Switch::On;
    asked && args.engine == EngineName::Native && args.world.defect.is_none() && !pages.contains(&Pages::Any)
}

/// What a proof that was not asked for has decided: where it is open, nobody is the wiser. `None` if it decided nothing.
fn decided(mut proof: CheckRun) -> Option<CheckRun> {
    proof.verdicts.retain(|verdict| verdict.actual != Actual::Inconclusive);
    (!proof.verdicts.is_empty()).then_some(proof)
}

/// Refuses to expect something of what is not judged.
fn refuse_idle_expectations(args: &Check, subjects: &[Subject], settings: &[Setting]) -> Result<()> {
    for (subject, setting) in subjects.iter().zip(settings) {
        let mut said = subject.expectations.said();
        let asked = |property| args.expect.iter().any(|word| word.property == property);
        if let Some(property) = said.find(|property| !setting.applies(*property) && !asked(*property)) {
            bail!("{}: expect: {property} says nothing about {}", subject.place, subject.strategy.name);
        }
    }
    for word in &args.expect {
        if !settings.iter().any(|setting| setting.applies(word.property)) {
            bail!("--expect: {} does not apply to any algorithm asked for", word.property);
        }
    }
    Ok(())
}

/// Refuses what an engine would pass over in silence.
fn refuse_what_the_engine_lacks(args: &Check) -> Result<()> {
    let live = |property: &Property| !property.is_safety();
    if args.engine == EngineName::Native {
        return Ok(());
    }
    if args.pages.contains(&Pages::Any) {
        bail!(
            "--pages any is a proof, not an exploration: there is nothing for --engine to compare or replace"
        );
    }
    if args.engine == EngineName::Stateright {
        if let Some(property) = args.property.iter().find(|property| live(property)) {
            bail!("stateright judges safety properties alone, {property} is a liveness property");
        }
        if args.checkpoint.is_some() {
            bail!("--checkpoint has no effect with --engine stateright");
        }
    } else if !args.property.is_empty() && args.property.iter().all(live) {
        bail!("--engine both compares safety properties alone, and none is asked for");
    }
    Ok(())
}

/// The properties to judge for so many pages. That a process can migrate again is judged for given numbers
/// of pages alone: where others are judged, too, that is no lack of the proof.
fn properties(args: &Check, all_pages: &[Pages], pages: Pages) -> EnumSet<Property> {
    let asked = match args.property.is_empty() {
        true => EnumSet::all(),
        false => args.property.iter().copied().collect(),
    };
    let insists = all_pages == [Pages::Any] && args.property.contains(&Property::L7);
    if pages == Pages::Any && !insists { asked - Property::L7 } else { asked }
}

fn pages(args: &Check) -> Vec<Pages> {
    let disrupted = args.world.goes_wrong.disruptions().is_some_and(|disruptions| !disruptions.is_none());
    let few = if disrupted { PAGES_DISRUPTED } else { PAGES_DEFAULT };
    match (args.world.defect, args.engine) {
        _ if !args.pages.is_empty() => {
            let mut seen = BTreeSet::new();
            args.pages.iter().copied().filter(|pages| seen.insert(*pages)).collect()
        }
        (Some(defect), _) if defect.entry().link == Link::Lossy => vec![Pages::Exactly(NonZeroUsize::MIN)],
        (Some(_), _) => vec![Pages::Exactly(PAGES_DEFECT)],
        (None, EngineName::Native) => vec![Pages::Exactly(few), Pages::Any],
        (None, _) => vec![Pages::Exactly(few)],
    }
}

fn task(setting: &Setting, pages: Pages) -> String {
    match pages {
        Pages::Exactly(pages) => format!("{}, {}", setting.strategy.name, counted(pages.get(), "page")),
        Pages::Any => format!("{}, any number of pages", setting.strategy.name),
    }
}
