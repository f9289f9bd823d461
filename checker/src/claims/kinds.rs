//! Generic by the kinds of page: C29, by bisimulation and by bounds.
//!
//! An observer sees every step: what the operator does, every message that leaves or arrives, every access
//! that changes something, each with its page. Nothing is hidden, so what is found alike here is alike step by
//! step. What the observer does not see is what the states of the process are called.

use engine::bisimulation::{Comparison, Labelled, PlayerSide, compare};
use engine::state_graph::PageIdentity;
use enumset::EnumSet;
use model::Strategy;
use model::concrete::{Move, Step};
use model::page::{Kind, WriteBack};

use super::lab::range;
use super::{ClaimFinding, Lab, LabError};
use crate::bounds::{Bounds, Cost};
use crate::narrative::Story;
use crate::observed::{ObservedMigration, Population, Writes, story};

const PRIVATE_DIRTY: Population = Population { kind: Some(Kind::Private), writes: Writes::AllAtFirst };
const PRIVATE_CLEAN: Population = Population { kind: Some(Kind::Private), writes: Writes::None };
const MAPPED_CLEAN: Population = Population { kind: Some(Kind::FileMapped), writes: Writes::None };
const MAPPED: Population = Population { kind: Some(Kind::FileMapped), writes: Writes::Any };

const WITHOUT: &str = "generic-without-working-set";

/// Two algorithms on one population.
struct Pair<'a> {
    lab: &'a Lab,
    population: Population,
}

impl Pair<'_> {
    fn alike(&self, one: Strategy, other: Strategy) -> Result<(bool, Option<Story>), LabError> {
        let names = [one.name.clone(), other.name.clone()];
        let concretes =
            [one, other].map(|strategy| self.lab.observed(strategy, self.population, EnumSet::empty()));
        let [left, right] = &concretes;
        let graphs =
            [self.lab.graph(left, PageIdentity::Apart)?, self.lab.graph(right, PageIdentity::Apart)?];
        let [left, right] = graphs.each_ref().map(|graph| Labelled::of(graph, |step, _| Some(step)));
        let Comparison::Different { play } = compare(&left, &right) else { return Ok((true, None)) };
        // The run that one of them has, and the other not: the side of the step without answer.
        let side = play.last().map_or(PlayerSide::Left, |last| last.attacker);
        let edges = play.iter().flat_map(|turn| match turn.attacker == side {
            true => turn.attack.clone(),
            false => turn.answer.clone().unwrap_or_default(),
        });
        let edges: Vec<_> = edges.collect();
        let (graph, able, unable) = match side {
            PlayerSide::Left => (&graphs[0], &names[0], &names[1]),
            PlayerSide::Right => (&graphs[1], &names[1], &names[0]),
        };
        let last = play.last().and_then(|last| last.label).map_or(String::new(), called);
        let title = format!("{able} can take a step that {unable} cannot: {last}");
        let start = edges.first().map_or(0, |first| graph.leaves(*first));
        Ok((false, Some(story(title, graph.run(start, &edges), None))))
    }
}

/// The statement, or what refutes it.
fn differs(alike: &str, witness: &Option<Story>) -> String {
    match witness {
        Some(story) => format!("{alike}; but {}", story.title),
        None => alike.to_owned(),
    }
}

fn called(step: Step<ObservedMigration>) -> String {
    match step {
        Move::Control(step) => step.to_string(),
        Move::Page(step, page) => format!("{step} of page {page}"),
    }
}

/// C29.
pub(super) fn like_the_others(lab: &Lab) -> Result<ClaimFinding, LabError> {
    let alike = |population, one, other| Pair { lab, population }.alike(one, other);
    let post_copy = || lab.algorithm("post-copy");
    let with_working_set =
        Strategy { name: "post-copy-with-working-set".into(), working_set: true, ..post_copy() };
    let (generic, without) = (|| lab.algorithm("generic"), || lab.algorithm(WITHOUT));
    let (literal, witness) = alike(PRIVATE_DIRTY, generic(), post_copy())?;
    let (clean, other) = alike(PRIVATE_CLEAN, generic(), lab.algorithm("total-copy-dirty"))?;
    let mut finding = ClaimFinding::new("checker claims C29")
        .claims(
            differs("with only private dirty pages, generic is bisimilar to post-copy", &witness),
            literal,
        )
        .claims(
            differs("with only clean pages, generic is bisimilar to dirty-only total copy", &other),
            clean,
        );
    finding.witness = witness;
    let traffic = |name, population, cost| lab.bounds(name, population, cost);
    let flushed = traffic("flushing", Population::default(), Cost::WrittenBack)?;
    let sent = traffic(WITHOUT, MAPPED, Cost::Sent)?;
    let written = traffic(WITHOUT, MAPPED, Cost::WrittenBack)?;
    let none = Bounds { minimum: 0, maximum: Some(0) };
    finding = finding.claims(
        format!(
            "with only file-mapped pages generic's traffic is flushing's: {} pages from the source instead of none, {} write-backs instead of {}",
            range(sent),
            range(written),
            range(flushed)
        ),
        sent == none && written == flushed,
    );
    let settled = lab.bounds_where(WITHOUT, MAPPED, Cost::Sent, |state| {
        state.pages.iter().all(|page| !page.page.dirty && page.page.write_back == WriteBack::Idle)
    })?;
    let fetched = (
        traffic(WITHOUT, MAPPED, Cost::Fetched)?,
        traffic("flushing", Population::default(), Cost::Fetched)?,
    );
    Ok(finding
        .corrects(
            "with only private dirty pages, generic without its working set is bisimilar to post-copy",
            alike(PRIVATE_DIRTY, without(), post_copy())?.0,
        )
        .corrects(
            "and with it to post-copy that sends it too",
            alike(PRIVATE_DIRTY, generic(), with_working_set)?.0,
        )
        .corrects(
            "with only clean private pages, generic without its working set is bisimilar to dirty-only total copy",
            alike(PRIVATE_CLEAN, without(), lab.algorithm("total-copy-dirty"))?.0,
        )
        .corrects(
            "with only clean file-mapped pages, it is bisimilar to flushing with nothing to flush",
            alike(MAPPED_CLEAN, without(), lab.algorithm("flushing"))?.0,
        )
        .corrects(
            format!(
                "with only file-mapped pages that are written back when it is suspended, it sends {} and fetches {}, as flushing does ({}); but each write may be written back anew",
                range(settled),
                range(fetched.0),
                range(fetched.1)
            ),
            settled == none && fetched.0 == fetched.1,
        ))
}
