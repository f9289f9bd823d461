//! What a check found, in words for people: surprises first, then what is open, and a line that sums up.

use std::collections::{BTreeMap, BTreeSet};

use checker::report::{Actual, Basis, CheckDocument, CheckRun, Conclusion, PropertyVerdict, counted, table};
use checker::setting::Pages;
use checker::sheet::Sheet;
use model::Property;

use super::Subject;
use crate::cli::args::{Check, World};
use crate::cli::output::show_again;

pub(super) fn sheet(document: &CheckDocument, args: &Check, subjects: &[Subject]) -> Sheet {
    table(document).text(format!("\n{}", words(document, args, subjects)))
}

fn words(document: &CheckDocument, args: &Check, subjects: &[Subject]) -> String {
    let mut blocks = Vec::new();
    blocks.extend(surprises(document, args, subjects));
    for run in document.runs.iter().filter(|run| run.is_idle()) {
        blocks.push(format!("{}: no explored state takes {}\n", run.algorithm, run.untaken.join(", ")));
    }
    for run in &document.runs {
        if let Some(reason) = &run.inconclusive {
            blocks.push(format!("{}: inconclusive: {reason}", run.algorithm));
        }
    }
    for run in &document.runs {
        if let Some(why) = &run.unsaved {
            blocks.push(format!("{}: not saved any more: {why}", run.algorithm));
        }
    }
    blocks.extend(open(document));
    blocks.extend(strong_fairness(document));
    blocks.push(summary(document));
    blocks.push(hint(document, args).to_owned());
    blocks.join("\n")
}

/// Tells each surprise once; with a defect only those of the property that must catch it, if it does.
fn surprises(document: &CheckDocument, args: &Check, subjects: &[Subject]) -> Vec<String> {
    let surprises: Vec<(&CheckRun, &PropertyVerdict)> = document
        .runs
        .iter()
        .flat_map(|run| run.verdicts.iter().map(move |verdict| (run, verdict)))
        .filter(|(run, verdict)| run.conclusion_of(verdict) == Conclusion::Surprise)
        .collect();
    let named = |run: &CheckRun, verdict: &PropertyVerdict| {
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

fn tell(run: &CheckRun, verdict: &PropertyVerdict, args: &Check, subjects: &[Subject]) -> String {
    let told = match &verdict.story {
        Some(story) => story.to_text(),
        None if verdict.actual == Actual::Vacuous => {
            format!("{} · {} is vacuous: what it is about never happens", run.algorithm, verdict.property)
        }
        None => format!("{} · {} holds, where a failure is expected", run.algorithm, verdict.property),
    };
    let pages = match run.pages {
        Pages::Exactly(pages) => pages.get(),
        Pages::Any => verdict.story.as_ref().map_or(1, |story| story.start.pages.len()),
    };
    let subject = subjects.iter().find(|subject| subject.strategy.name == run.algorithm);
    let name = subject.map_or_else(|| run.algorithm.clone(), Subject::argument);
    let goes_wrong = args.world.goes_wrong.clone();
    let world = World { hosts: Some(run.hosts), link: Some(run.link), defect: run.defect, goes_wrong };
    let again = show_again(&name, verdict.property, pages, &world);
    format!("{told}\n{again}\n")
}

/// Why a verdict is open, where the run as a whole does not say so.
fn open(document: &CheckDocument) -> Vec<String> {
    let open = |run: &CheckRun, verdict: &PropertyVerdict| match (&verdict.basis, verdict.actual) {
        (Some(Basis::Open(why)), Actual::Inconclusive) => {
            Some(format!("{}: {} inconclusive: {why}", run.algorithm, verdict.property))
        }
        (_, Actual::Vacuous) if run.conclusion_of(verdict) == Conclusion::Inconclusive => {
            let Pages::Exactly(pages) = run.pages else { return None };
            let pages = counted(pages.get(), "page");
            Some(format!(
                "{}: {} is vacuous with {pages}: nothing is ever pending",
                run.algorithm, verdict.property
            ))
        }
        _ => None,
    };
    let verdicts =
        document.runs.iter().flat_map(|run| run.verdicts.iter().map(move |verdict| (run, verdict)));
    verdicts.filter_map(|(run, verdict)| open(run, verdict)).collect()
}

/// What holds only because certain steps are not put off again and again. Which of them a single algorithm
/// needs is in the document.
fn strong_fairness(document: &CheckDocument) -> Vec<String> {
    let mut steps: BTreeMap<Property, BTreeSet<&str>> = BTreeMap::new();
    for verdict in document.runs.iter().flat_map(|run| &run.verdicts) {
        if let Some(Basis::StrongFairness(names)) = &verdict.basis {
            steps.entry(verdict.property).or_default().extend(names.iter().map(String::as_str));
        }
    }
    let line = |(property, names): (Property, BTreeSet<&str>)| {
        format!("{property} assumes strong fairness of {}", names.into_iter().collect::<Vec<_>>().join(", "))
    };
    steps.into_iter().map(line).collect()
}

fn summary(document: &CheckDocument) -> String {
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
fn budget(run: &CheckRun) -> String {
    match run.disruptions.budget() {
        0 => String::new(),
        budget => format!(", up to {}", counted(budget, "disruption")),
    }
}

fn count(document: &CheckDocument, wanted: Conclusion) -> usize {
    let of =
        |run: &CheckRun| run.verdicts.iter().filter(|verdict| run.conclusion_of(verdict) == wanted).count();
    document.runs.iter().map(of).sum()
}

fn hint(document: &CheckDocument, args: &Check) -> &'static str {
    match document.conclusion() {
        Conclusion::Surprise if count(document, Conclusion::Surprise) == 0 => {
            "An action is never taken: too few pages to need it, or a model in which it cannot occur."
        }
        Conclusion::Surprise => "Not every verdict is the expected one.",
        Conclusion::Inconclusive => "Inconclusive is no pass: raise the bound that was reached.",
        Conclusion::AsExpected
            if args.subjects.algorithms.is_empty() && args.subjects.strategy.is_empty() =>
        {
            "See why one fails: checker trace lazy-copy L1 · what there is: checker list · all options: checker --help"
        }
        Conclusion::AsExpected => "See a property at work: checker trace ALGORITHM PROPERTY",
    }
}
