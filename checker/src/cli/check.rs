//! `check`: judge algorithms, print a table or a document.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::available_parallelism;

use anstream::println;
use anyhow::{Context, Result};
use checker::judge::{self, Checkpoint, Options, judge};
use checker::report::{Conclusion, Document, Paint, Run, Verdict, table};
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::{Hosts, Link, Property, Strategy, algorithms};

use super::args::{Check, EngineName, Format, Switch};
use super::progress::Teller;
use super::{End, setting, strategy_file};

/// Pages of a concrete run where none are asked for: quick for all algorithms together.
const PAGES_DEFAULT: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// The same with a defect: every defect shows within so many, those that need a lossy link within one, and
/// a broken protocol has more states.
const PAGES_DEFECT: NonZeroUsize = NonZeroUsize::new(2).unwrap();

pub(super) fn run(args: &Check) -> Result<End> {
    let settings: Vec<Setting> =
        strategies(args)?.into_iter().map(|strategy| setting(strategy, &args.world)).collect();
    let interrupted = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&interrupted)?;
    let teller = Teller::new();
    let tell = |progress: &judge::Progress| teller.report(progress);
    let options = Options {
        properties: match args.property.is_empty() {
            true => EnumSet::all(),
            false => args.property.iter().copied().collect(),
        },
        engine: args.engine.into(),
        threads: args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
        symmetry: args.symmetry == Switch::On,
        states_max: args.max_states,
        memory_bytes_max: args.max_memory,
        timeout: args.timeout,
        interrupted: &interrupted,
        progress: &tell,
        checkpoint: args.checkpoint.as_deref().map(|directory| Checkpoint { directory, resume: args.resume }),
    };
    let mut runs = Vec::new();
    for setting in &settings {
        for pages in pages(args) {
            if !interrupted.load(Relaxed) {
                teller.begin(task(setting, pages));
                runs.push(judge(setting, pages, &options).with_context(|| task(setting, pages))?);
            }
        }
    }
    teller.end();
    let document = Document::new(runs);
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&document)?),
        Format::Text => print(&document, args),
    }
    Ok(match interrupted.load(Relaxed) {
        true => End::Interrupted,
        false => End::Concluded(document.conclusion()),
    })
}

fn strategies(args: &Check) -> Result<Vec<Strategy>> {
    let mut strategies: Vec<Strategy> =
        args.algorithms.iter().filter_map(|name| algorithms::built_in(name)).collect();
    for path in &args.strategy {
        strategies.push(strategy_file(path)?);
    }
    if strategies.is_empty() {
        strategies.extend(algorithms::BUILT_IN);
        strategies.extend(algorithms::VARIANTS);
    }
    Ok(strategies)
}

fn pages(args: &Check) -> Vec<Pages> {
    match (args.world.defect, args.engine) {
        _ if !args.pages.is_empty() => args.pages.clone(),
        (Some(defect), _) if defect.entry().link == Link::Lossy => vec![Pages::Exactly(NonZeroUsize::MIN)],
        (Some(_), _) => vec![Pages::Exactly(PAGES_DEFECT)],
        (None, EngineName::Native) => vec![Pages::Exactly(PAGES_DEFAULT), Pages::Any],
        (None, _) => vec![Pages::Exactly(PAGES_DEFAULT)],
    }
}

fn task(setting: &Setting, pages: Pages) -> String {
    match pages {
        Pages::Exactly(pages) => format!("{}, {pages} pages", setting.strategy.name),
        Pages::Any => format!("{}, any number of pages", setting.strategy.name),
    }
}

/// The first Ctrl-C asks for a partial report, the second ends the program.
fn stop_on_interrupt(interrupted: &Arc<AtomicBool>) -> Result<()> {
    let interrupted = Arc::clone(interrupted);
    ctrlc::set_handler(move || {
        if interrupted.swap(true, Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot react to Ctrl-C")
}

fn print(document: &Document, args: &Check) {
    println!("{}\n", table(document, Paint::Colour));
    tell_surprises(document);
    for run in document.runs.iter().filter(|run| run.defect.is_none() && run.inconclusive.is_none()) {
        if !run.untaken.is_empty() {
            println!("{}: no explored state takes {}\n", run.algorithm, run.untaken.join(", "));
        }
    }
    for run in &document.runs {
        if let Some(reason) = &run.inconclusive {
            println!("{}: inconclusive: {reason}", run.algorithm);
        }
    }
    for line in strong_fairness(document) {
        println!("{line}");
    }
    println!("{}", summary(document));
    println!("{}", hint(document, args));
}

/// Tells each surprise once; with a defect only those of the property that must catch it, if it does.
fn tell_surprises(document: &Document) {
    let surprises: Vec<(&Run, &Verdict)> = document
        .runs
        .iter()
        .flat_map(|run| run.verdicts.iter().map(move |verdict| (run, verdict)))
        .filter(|(_, verdict)| verdict.conclusion() == Conclusion::Surprise)
        .collect();
    let named = |run: &Run, verdict: &Verdict| {
        run.defect.is_some_and(|defect| defect.entry().caught_by == verdict.property)
    };
    let caught = surprises.iter().any(|(run, verdict)| named(run, verdict));
    let mut told = BTreeSet::new();
    for (run, verdict) in &surprises {
        if (!caught || named(run, verdict)) && told.insert((&run.algorithm, verdict.property)) {
            tell(run, verdict);
        }
    }
    let others: BTreeSet<(&String, Property)> =
        surprises.iter().map(|(run, verdict)| (&run.algorithm, verdict.property)).collect();
    if others.len() > told.len() {
        println!("{} more: checker trace ALGORITHM PROPERTY --defect …\n", others.len() - told.len());
    }
}

fn tell(run: &Run, verdict: &Verdict) {
    match &verdict.story {
        Some(story) => println!("{}", story.to_text()),
        None => println!("{} · {} holds, where a failure is expected", run.algorithm, verdict.property),
    }
    let defect = run.defect.map(|defect| format!(" --defect {defect}")).unwrap_or_default();
    let pages = match run.pages {
        Pages::Exactly(pages) => pages.get(),
        Pages::Any => verdict.story.as_ref().map_or(1, |story| story.start.pages.len()),
    };
    println!(
        "show it again: checker trace {} {}{defect} --pages {pages} --hosts {} --link {}\n",
        run.algorithm,
        verdict.property,
        hosts(run.hosts),
        link(run.link),
    );
}

/// What holds only because certain steps are not put off again and again. Which of them a single algorithm
/// needs is in the document.
fn strong_fairness(document: &Document) -> Vec<String> {
    let mut steps: BTreeMap<Property, BTreeSet<&str>> = BTreeMap::new();
    for verdict in document.runs.iter().flat_map(|run| &run.verdicts) {
        let note = verdict.note.as_deref().unwrap_or_default();
        if let Some(names) = note.strip_prefix("under strong fairness of ") {
            steps.entry(verdict.property).or_default().extend(names.split(", "));
        }
    }
    let line = |(property, names): (Property, BTreeSet<&str>)| {
        format!("{property} assumes strong fairness of {}", names.into_iter().collect::<Vec<_>>().join(", "))
    };
    steps.into_iter().map(line).collect()
}

fn summary(document: &Document) -> String {
    let verdicts: Vec<Conclusion> =
        document.runs.iter().flat_map(|run| run.verdicts.iter().map(Verdict::conclusion)).collect();
    let count = |wanted| verdicts.iter().filter(|conclusion| **conclusion == wanted).count();
    let seconds: f64 = document.runs.iter().map(|run| run.seconds).sum();
    let transitions: u64 = document.runs.iter().filter_map(|run| run.transitions).sum();
    let world = match document.runs.first() {
        Some(run) => format!("{} hosts and a file server, {} links", hosts(run.hosts), link(run.link)),
        None => "nothing checked".to_owned(),
    };
    let (expected, surprises, open) =
        (count(Conclusion::AsExpected), count(Conclusion::Surprise), count(Conclusion::Inconclusive));
    format!(
        "{expected} verdicts as expected, {surprises} not, {open} inconclusive; {transitions} transitions in \
         {seconds:.1} s; {world}, unlimited writes and migrations."
    )
}

fn hint(document: &Document, args: &Check) -> &'static str {
    match document.conclusion() {
        Conclusion::Surprise => "Not every verdict is the expected one.",
        Conclusion::Inconclusive => "Inconclusive is no pass: raise the bound that was reached.",
        Conclusion::AsExpected if args.algorithms.is_empty() && args.strategy.is_empty() => {
            "See why one fails: checker trace lazy-copy L1 · what there is: checker list · all options: checker --help"
        }
        Conclusion::AsExpected => "See a property at work: checker trace ALGORITHM PROPERTY",
    }
}

fn hosts(hosts: Hosts) -> u8 {
    match hosts {
        Hosts::Two => 2,
        Hosts::Three => 3,
    }
}

fn link(link: Link) -> &'static str {
    match link {
        Link::Fifo => "fifo",
        Link::Unordered => "unordered",
        Link::Lossy => "lossy",
    }
}
