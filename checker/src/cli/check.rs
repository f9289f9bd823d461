//! `check`: judge algorithms, print a table or a document.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use checker::judge::{self, Checkpoint, Options, judge, judged};
use checker::report::{Actual, Conclusion, Document, Paint, Run, Verdict, counted, table};
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::{Link, Property, algorithms};

use super::args::{Check, EngineName, Format, Switch, World};
use super::output::{file_argument, say, show_again};
use super::progress::Teller;
use super::{End, refuse_idle_defect, setting, strategy_file};

/// Pages of a concrete run where none are asked for: quick for all algorithms together.
const PAGES_DEFAULT: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// The same where something goes wrong, which makes for many more states.
const PAGES_DISRUPTED: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// The same with a defect: every defect shows within so many, those that need a lossy link within one, and
/// a broken protocol has more states.
const PAGES_DEFECT: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// An algorithm asked for, and the file it comes from if it is not built in.
struct Subject {
    setting: Setting,
    file: Option<PathBuf>,
}

impl Subject {
    fn place(&self) -> String {
        self.file
            .as_ref()
            .map_or("the built-in one".to_owned(), |path| format!("the one in {}", path.display()))
    }
}

pub(super) fn run(args: &Check) -> Result<End> {
    refuse_what_the_engine_lacks(args)?;
    let pages = pages(args);
    let subjects = with_defect_at_work(args, subjects(args)?, &pages)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&interrupted)?;
    let teller = Teller::new();
    let tell = |progress: &judge::Progress| teller.report(progress);
    let options = Options {
        properties: EnumSet::empty(),
        engine: args.engine.into(),
        threads: args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
        symmetry: args.symmetry == Switch::On,
        states_max: args.limits.max_states,
        memory_bytes_max: args.limits.max_memory,
        timeout: args.limits.timeout,
        interrupted: &interrupted,
        progress: &tell,
        checkpoint: args.checkpoint.as_deref().map(|directory| Checkpoint { directory, resume: args.resume }),
    };
    let options = |pages_now| Options { properties: properties(args, &pages, pages_now), ..options };
    let settings = || subjects.iter().map(|subject| &subject.setting);
    if settings()
        .all(|setting| pages.iter().all(|pages| judged(setting, *pages, &options(*pages)).is_empty()))
    {
        let asked: Vec<String> = args.property.iter().map(Property::to_string).collect();
        bail!("there is nothing to judge: {} does not apply to any algorithm asked for", asked.join(", "));
    }
    let mut runs = Vec::new();
    for setting in settings() {
        for &pages in &pages {
            if !interrupted.load(Relaxed) {
                teller.begin(task(setting, pages));
                runs.push(judge(setting, pages, &options(pages)).with_context(|| task(setting, pages))?);
            }
        }
    }
    teller.end();
    let document = Document::new(runs);
    match args.format {
        Format::Json => say(serde_json::to_string_pretty(&document)?)?,
        Format::Text => say(text(&document, args, &subjects))?,
    }
    Ok(match interrupted.load(Relaxed) {
        true => End::Interrupted,
        false => End::Concluded(document.conclusion()),
    })
}

/// The algorithms asked for. Everything that is said names them, so no two have the same name.
fn subjects(args: &Check) -> Result<Vec<Subject>> {
    let built_in = |strategy| Ok(Subject { setting: setting(strategy, &args.world)?, file: None });
    let named = args.algorithms.iter().filter_map(|name| algorithms::built_in(name));
    let mut subjects: Vec<Subject> = named.map(built_in).collect::<Result<_>>()?;
    for path in &args.strategy {
        subjects.push(Subject { file: Some(path.clone()), ..built_in(strategy_file(path)?)? });
    }
    if subjects.is_empty() {
        let all = algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS);
        subjects = all.map(built_in).collect::<Result<_>>()?;
    }
    for (index, subject) in subjects.iter().enumerate() {
        let name = &subject.setting.strategy.name;
        if let Some(other) = subjects[..index].iter().find(|other| other.setting.strategy.name == *name) {
            bail!("two algorithms are called '{name}': {} and {}", other.place(), subject.place());
        }
    }
    Ok(subjects)
}

/// The subjects to which the defect makes a difference, for each number of pages. One that is asked for by name and is not
/// among them is refused.
fn with_defect_at_work(args: &Check, mut subjects: Vec<Subject>, pages: &[Pages]) -> Result<Vec<Subject>> {
    let idle = |subject: &Subject| {
        let each = pages.iter().map(|pages| refuse_idle_defect(&subject.setting, *pages));
        each.collect::<Result<Vec<()>>>().err()
    };
    let named = !args.algorithms.is_empty() || !args.strategy.is_empty();
    let mut reason = None;
    subjects.retain(|subject| match idle(subject) {
        None => true,
        Some(why) => {
            reason.get_or_insert(why);
            false
        }
    });
    match reason {
        Some(reason) if named || subjects.is_empty() => Err(reason),
        _ => Ok(subjects),
    }
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
        if args.limits.timeout.is_some() {
            bail!("--timeout has no effect with --engine stateright: use --max-states");
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

/// The first Ctrl-C asks for a partial report, the second ends the program.
pub(super) fn stop_on_interrupt(interrupted: &Arc<AtomicBool>) -> Result<()> {
    let interrupted = Arc::clone(interrupted);
    ctrlc::set_handler(move || {
        if interrupted.swap(true, Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot react to Ctrl-C")
}

fn text(document: &Document, args: &Check, subjects: &[Subject]) -> String {
    let mut blocks = vec![format!("{}\n", table(document, Paint::Colour))];
    blocks.extend(surprises(document, args, subjects));
    for run in document.runs.iter().filter(|run| run.is_idle()) {
        blocks.push(format!("{}: no explored state takes {}\n", run.algorithm, run.untaken.join(", ")));
    }
    for run in &document.runs {
        if let Some(reason) = &run.inconclusive {
            blocks.push(format!("{}: inconclusive: {reason}", run.algorithm));
        }
    }
    blocks.extend(open(document));
    blocks.extend(strong_fairness(document));
    blocks.push(summary(document));
    blocks.push(hint(document, args).to_owned());
    blocks.join("\n")
}

/// Tells each surprise once; with a defect only those of the property that must catch it, if it does.
fn surprises(document: &Document, args: &Check, subjects: &[Subject]) -> Vec<String> {
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
    let mut blocks = Vec::new();
    for (run, verdict) in &surprises {
        if (!caught || named(run, verdict)) && told.insert((&run.algorithm, verdict.property)) {
            blocks.push(tell(run, verdict, args, subjects));
        }
    }
    let others: BTreeSet<(&String, Property)> =
        surprises.iter().map(|(run, verdict)| (&run.algorithm, verdict.property)).collect();
    if others.len() > told.len() {
        let more = others.len() - told.len();
        blocks.push(format!("{more} more: checker trace ALGORITHM PROPERTY --defect …\n"));
    }
    blocks
}

fn tell(run: &Run, verdict: &Verdict, args: &Check, subjects: &[Subject]) -> String {
    let told = match &verdict.story {
        Some(story) => story.to_text(),
        None => format!("{} · {} holds, where a failure is expected", run.algorithm, verdict.property),
    };
    let pages = match run.pages {
        Pages::Exactly(pages) => pages.get(),
        Pages::Any => verdict.story.as_ref().map_or(1, |story| story.start.pages.len()),
    };
    let subject = subjects.iter().find(|subject| subject.setting.strategy.name == run.algorithm);
    let file = subject.and_then(|subject| subject.file.as_deref()).map(file_argument);
    let goes_wrong = args.world.goes_wrong.clone();
    let world = World { hosts: Some(run.hosts), link: Some(run.link), defect: run.defect, goes_wrong };
    let again = show_again(file.as_ref().unwrap_or(&run.algorithm), verdict.property, pages, &world);
    format!("{told}\n{again}\n")
}

/// Why a verdict is open, where the run as a whole does not say so.
fn open(document: &Document) -> Vec<String> {
    let open = |run: &Run, verdict: &Verdict| {
        let note = verdict.note.as_ref().filter(|_| verdict.actual == Actual::Inconclusive)?;
        (run.inconclusive.as_ref() != Some(note))
            .then(|| format!("{}: {} inconclusive: {note}", run.algorithm, verdict.property))
    };
    let verdicts =
        document.runs.iter().flat_map(|run| run.verdicts.iter().map(move |verdict| (run, verdict)));
    verdicts.filter_map(|(run, verdict)| open(run, verdict)).collect()
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
    let seconds: f64 = document.runs.iter().map(|run| run.seconds).sum();
    let transitions: u64 = document.runs.iter().filter_map(|run| run.transitions).sum();
    let world = match document.runs.first() {
        Some(run) => format!("{} hosts and a file server, {} links{}", run.hosts, run.link, budget(run)),
        None => "nothing checked".to_owned(),
    };
    let expected = count(document, Conclusion::AsExpected);
    let (surprises, open) =
        (count(document, Conclusion::Surprise), count(document, Conclusion::Inconclusive));
    format!(
        "{} as expected, {surprises} not, {open} inconclusive; {} in {seconds:.1} s; {world}, unlimited writes \
         and migrations.",
        counted(expected, "verdict"),
        counted(transitions, "transition"),
    )
}

/// How much goes wrong, if anything does.
fn budget(run: &Run) -> String {
    match run.disruptions.budget() {
        0 => String::new(),
        budget => format!(", up to {}", counted(budget, "disruption")),
    }
}

fn count(document: &Document, wanted: Conclusion) -> usize {
    let verdicts = document.runs.iter().flat_map(|run| &run.verdicts);
    verdicts.filter(|verdict| verdict.conclusion() == wanted).count()
}

fn hint(document: &Document, args: &Check) -> &'static str {
    match document.conclusion() {
        Conclusion::Surprise if count(document, Conclusion::Surprise) == 0 => {
            "An action is never taken: too few pages to need it, or a model in which it cannot occur."
        }
        Conclusion::Surprise => "Not every verdict is the expected one.",
        Conclusion::Inconclusive => "Inconclusive is no pass: raise the bound that was reached.",
        Conclusion::AsExpected if args.algorithms.is_empty() && args.strategy.is_empty() => {
            "See why one fails: checker trace lazy-copy L1 · what there is: checker list · all options: checker --help"
        }
        Conclusion::AsExpected => "See a property at work: checker trace ALGORITHM PROPERTY",
    }
}
