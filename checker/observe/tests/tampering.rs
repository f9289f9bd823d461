//! Recorded runs, changed in thirty ways at twenty places each: the change must be found.
//!
//! What was observed of both hosts is changed, not the files: so that a change can also be one that both hosts agree
//! on, as if the run had really gone that way.

mod common;

use std::collections::BTreeMap;

use observe::account::{Account, CostLimits};
use observe::fact::{Fact, HostSide, Observations, ObserveError, ObservedFact, PageArrival, PageRange};
use observe::merge::Merge;
use observe::qemu::run::QemuRun;

use common::Recording;

const PLACES: usize = 20;

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

#[derive(Clone)]
struct Lanes {
    source: Vec<ObservedFact>,
    destination: Vec<ObservedFact>,
}

struct Listed(std::vec::IntoIter<ObservedFact>);

impl Observations for Listed {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        Ok(self.0.next())
    }
}

fn lanes(run: &QemuRun) -> Lanes {
    let (mut merge, mut lanes) = (run.observations().unwrap(), Lanes { source: vec![], destination: vec![] });
    while let Some(merged) = merge.next_merged().unwrap() {
        match merged.observed.side {
            HostSide::Source => lanes.source.push(merged.observed),
            HostSide::Destination => lanes.destination.push(merged.observed),
        }
    }
    lanes
}

/// Is something wrong with it, and if so what?
fn objection(run: &QemuRun, lanes: &Lanes) -> Option<String> {
    let (known, _) = run.knowledge();
    let listed = |lane: &[ObservedFact]| Box::new(Listed(Vec::from(lane).into_iter()));
    let (source, destination) = (listed(&lanes.source), listed(&lanes.destination));
    let mut merge = Merge::new(source, destination, &run.layout, run.watched());
    let mut account = Account::new(&run.layout, known);
    let mut step = 0;
    loop {
        match merge.next_merged() {
            Ok(Some(merged)) => account.take(&merged, step),
            Ok(None) => break,
            Err(error) => return Some(error.to_string()),
        }
        step += 1;
    }
    let report = account.finish(CostLimits::default(), Vec::new());
    report.findings.first().map(|finding| format!("{}: {}", finding.property, finding.text))
}

fn places(lane: &[ObservedFact], is_it: impl Fn(&Fact) -> bool) -> Vec<usize> {
    (0..lane.len()).filter(|index| is_it(&lane[*index].fact)).collect()
}

fn is_sent(fact: &Fact) -> bool {
    matches!(fact, Fact::Sent { .. })
}

fn is_zero(fact: &Fact) -> bool {
    matches!(fact, Fact::Sent { bytes: ..100, .. })
}

fn is_arrival(fact: &Fact) -> bool {
    matches!(fact, Fact::Arrived { .. })
}

fn is_install(fact: &Fact) -> bool {
    matches!(fact, Fact::Installed(_))
}

fn one(lane: &[ObservedFact], dice: &mut Dice, is_it: impl Fn(&Fact) -> bool) -> Option<usize> {
    let places = places(lane, is_it);
    (!places.is_empty()).then(|| places[dice.below(places.len())])
}

/// The place of the arrival of what is sent at this place, over a connection that is not cut.
fn arrival_of(lanes: &Lanes, sent: usize) -> Option<usize> {
    let number = places(&lanes.source[..sent], is_sent).len();
    places(&lanes.destination, is_arrival).get(number).copied()
}

/// The first place behind this one at which the page is put in place.
fn install_of(lanes: &Lanes, arrival: usize, page: u32) -> Option<usize> {
    let is_it = |fact: &Fact| matches!(fact, Fact::Installed(pages) if pages.first == page);
    (arrival..lanes.destination.len()).find(|index| is_it(&lanes.destination[*index].fact))
}

fn page_of(fact: &Fact) -> Option<u32> {
    match fact {
        Fact::Sent { page, .. } => Some(*page),
        _ => None,
    }
}

/// Takes a page out of the run as if it had never been sent.
fn take_out(lanes: &mut Lanes, sent: usize) -> Option<(ObservedFact, ObservedFact, ObservedFact)> {
    let page = page_of(&lanes.source[sent].fact)?;
    let arrival = arrival_of(lanes, sent)?;
    let install = install_of(lanes, arrival, page)?;
    let install = lanes.destination.remove(install);
    let arrival = lanes.destination.remove(arrival);
    Some((lanes.source.remove(sent), arrival, install))
}

/// Puts in at these places what another page would leave.
fn put_in(
    lanes: &mut Lanes,
    at: usize,
    (sent, arrival, install): (ObservedFact, ObservedFact, ObservedFact),
) -> Option<()> {
    let arrival_at = arrival_of(lanes, at).unwrap_or(lanes.destination.len());
    lanes.destination.insert(arrival_at, install);
    lanes.destination.insert(arrival_at, arrival);
    lanes.source.insert(at, sent);
    Some(())
}

fn place_of(lane: &[ObservedFact], fact: &Fact) -> Option<usize> {
    lane.iter().position(|observed| observed.fact == *fact)
}

/// Something else between the two places.
fn between(dice: &mut Dice, from: usize, to: usize) -> Option<usize> {
    (to > from + 1).then(|| from + 1 + dice.below(to - from - 1))
}

type Change = fn(&mut Lanes, &mut Dice) -> Option<()>;

/// Moves something of a lane to somewhere else.
fn shift(lane: &mut Vec<ObservedFact>, from: usize, to: usize) {
    let observed = lane.remove(from);
    lane.insert(to, observed);
}

fn renumber(fact: &mut Fact) -> Option<()> {
    match fact {
        Fact::Sent { page, .. } => *page ^= 1,
        Fact::Arrived { page: PageArrival::Page(page), .. } => *page ^= 1,
        Fact::Arrived { page: PageArrival::WithinBlock(page), .. } => *page ^= 1,
        Fact::Installed(pages) | Fact::RequestReceived(pages) => pages.first ^= 1,
        Fact::Faulted(page) => *page ^= 1,
        _ => return None,
    }
    Some(())
}

fn swap_neighbours(lane: &mut [ObservedFact], dice: &mut Dice, is_it: fn(&Fact) -> bool) -> Option<()> {
    let places = places(lane, is_it);
    let index = dice.below(places.len().checked_sub(1)?);
    let (first, second) = (places[index], places[index + 1]);
    let fact = lane[first].fact.clone();
    lane[first].fact = std::mem::replace(&mut lane[second].fact, fact);
    Some(())
}

const CHANGES: [(&str, Change); 30] = [
    ("the source does not send a page that arrives", |lanes, dice| {
        let at = one(&lanes.source, dice, is_sent)?;
        lanes.source.remove(at);
        Some(())
    }),
    ("the source sends a page twice, it arrives once", |lanes, dice| {
        let at = one(&lanes.source, dice, is_sent)?;
        lanes.source.insert(at, lanes.source[at].clone());
        Some(())
    }),
    ("two pages are sent in another order than they arrive", |lanes, dice| {
        swap_neighbours(&mut lanes.source, dice, is_sent)
    }),
    ("another page is sent than arrives", |lanes, dice| {
        let at = one(&lanes.source, dice, is_sent)?;
        renumber(&mut lanes.source[at].fact)
    }),
    ("a page that is sent does not arrive", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_arrival)?;
        lanes.destination.remove(at);
        Some(())
    }),
    ("a page arrives twice", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_arrival)?;
        lanes.destination.insert(at, lanes.destination[at].clone());
        Some(())
    }),
    ("two pages arrive in another order", |lanes, dice| {
        swap_neighbours(&mut lanes.destination, dice, is_arrival)
    }),
    ("another page arrives", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_arrival)?;
        renumber(&mut lanes.destination[at].fact)
    }),
    ("a page that has arrived is not put in place", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_install)?;
        lanes.destination.remove(at);
        Some(())
    }),
    ("a page is put in place before it arrives", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_arrival)?;
        let Fact::Installed(_) = lanes.destination.get(at + 1)?.fact else { return None };
        lanes.destination.swap(at, at + 1);
        Some(())
    }),
    ("another page is put in place", |lanes, dice| {
        let at = one(&lanes.destination, dice, is_install)?;
        renumber(&mut lanes.destination[at].fact)
    }),
    ("a page is lost: neither sent nor installed", |lanes, dice| {
        let at = one(&lanes.source, dice, |fact| is_sent(fact) && !is_zero(fact))?;
        take_out(lanes, at).map(drop)
    }),
    ("a zero page is lost", |lanes, dice| {
        let at = one(&lanes.source, dice, is_zero)?;
        take_out(lanes, at).map(drop)
    }),
    ("a page is sent and installed twice in a row", |lanes, dice| {
        let at = one(&lanes.source, dice, is_sent)?;
        let again = take_out(lanes, at)?;
        put_in(lanes, at, again.clone())?;
        put_in(lanes, at, again)
    }),
    ("a page of the first pass is sent again after the hand-over", |lanes, dice| {
        let handed = place_of(&lanes.source, &Fact::HandedOver)?;
        let at = one(&lanes.source[..handed], dice, is_sent)?;
        let again = take_out(&mut lanes.clone(), at)?;
        let end = lanes.source.iter().rposition(|observed| is_sent(&observed.fact))?;
        put_in(lanes, between(dice, handed, end)?, again)
    }),
    ("a page that was sent after the hand-over is sent again much later", |lanes, dice| {
        let handed = place_of(&lanes.source, &Fact::HandedOver)?;
        let end = lanes.source.iter().rposition(|observed| is_sent(&observed.fact))?;
        let at = handed + one(lanes.source.get(handed..end)?, dice, is_sent)?;
        let again = take_out(&mut lanes.clone(), at)?;
        put_in(lanes, between(dice, at, end)?, again)
    }),
    ("a page is sent while the process is suspended", |lanes, dice| {
        let handed = place_of(&lanes.source, &Fact::HandedOver)?;
        let at = handed + one(&lanes.source[handed..], dice, is_sent)?;
        let early = take_out(lanes, at)?;
        put_in(lanes, handed, early)
    }),
    ("a request is passed over until the end", |lanes, dice| {
        let asked = one(&lanes.source, dice, |fact| matches!(fact, Fact::RequestReceived(_)))?;
        let Fact::RequestReceived(PageRange { first, .. }) = lanes.source[asked].fact else { return None };
        let sent = (asked..lanes.source.len()).find(|at| page_of(&lanes.source[*at].fact) == Some(first))?;
        let late = take_out(lanes, sent)?;
        let end = lanes.source.iter().rposition(|observed| is_sent(&observed.fact))?;
        put_in(lanes, end + 1, late)
    }),
    ("a request is never answered", |lanes, dice| {
        let asked = one(&lanes.source, dice, |fact| matches!(fact, Fact::RequestReceived(_)))?;
        let Fact::RequestReceived(PageRange { first, .. }) = lanes.source[asked].fact else { return None };
        let sent = (asked..lanes.source.len()).find(|at| page_of(&lanes.source[*at].fact) == Some(first))?;
        take_out(lanes, sent).map(drop)
    }),
    ("a request arrives that nobody sent", |lanes, dice| {
        let asked = one(&lanes.source, dice, |fact| matches!(fact, Fact::RequestReceived(_)))?;
        lanes.source.insert(asked, lanes.source[asked].clone());
        Some(())
    }),
    ("a request is dropped as void while the page is owed", |lanes, dice| {
        let taken = one(&lanes.source, dice, |fact| matches!(fact, Fact::RequestTaken(_)))?;
        let Fact::RequestTaken(page) = lanes.source[taken].fact else { return None };
        lanes.source[taken].fact = Fact::RequestVoid(page);
        Some(())
    }),
    ("the destination says too early that nothing is missing", |lanes, dice| {
        let resumed = place_of(&lanes.destination, &Fact::Resumed)?;
        let declared = place_of(&lanes.destination, &Fact::CompletionDeclared)?;
        let last = lanes.destination.iter().rposition(|observed| is_install(&observed.fact))?;
        let to = between(dice, resumed, last)?;
        shift(&mut lanes.destination, declared, to);
        Some(())
    }),
    ("the source lets go too early", |lanes, dice| {
        let handed = place_of(&lanes.source, &Fact::HandedOver)?;
        let destroyed = place_of(&lanes.source, &Fact::Destroyed)?;
        let last = lanes.source.iter().rposition(|observed| is_sent(&observed.fact))?;
        let to = between(dice, handed, last)?;
        shift(&mut lanes.source, destroyed, to);
        Some(())
    }),
    ("the source hears of the end before it is said", |lanes, _| {
        let declared = place_of(&lanes.destination, &Fact::CompletionDeclared)?;
        lanes.destination.remove(declared);
        Some(())
    }),
    ("the source runs on after the hand-over", |lanes, dice| {
        let handed = place_of(&lanes.source, &Fact::HandedOver)?;
        let to = between(dice, handed, lanes.source.len() + 1)?;
        let runs = ObservedFact { fact: Fact::RunsAtSource, ..lanes.source[handed].clone() };
        lanes.source.insert(to, runs);
        Some(())
    }),
    ("the process is handed over without being suspended", |lanes, _| {
        let suspended = place_of(&lanes.source, &Fact::Suspended)?;
        lanes.source.remove(suspended);
        Some(())
    }),
    ("the destination runs before the state was sent", |lanes, dice| {
        let accepted = place_of(&lanes.destination, &Fact::StateAccepted)?;
        let resumed = place_of(&lanes.destination, &Fact::Resumed)?;
        let to = dice.below(accepted);
        shift(&mut lanes.destination, resumed, to);
        Some(())
    }),
    ("pages written after they were copied are not announced", |lanes, dice| {
        let at = one(
            &lanes.source,
            dice,
            |fact| matches!(fact, Fact::DiscardSent(pages) if pages.iter().any(|pages| pages.count < 100)),
        )?;
        lanes.source.remove(at);
        Some(())
    }),
    ("pages written after they were copied are not forgotten", |lanes, dice| {
        let at = one(
            &lanes.destination,
            dice,
            |fact| matches!(fact, Fact::Discarded(pages) if pages.count < 100),
        )?;
        lanes.destination.remove(at);
        Some(())
    }),
    ("after a cut the source does not hear what has arrived", |lanes, dice| {
        let at = one(&lanes.source, dice, |fact| matches!(fact, Fact::ProgressLearned(_)))?;
        lanes.source.remove(at);
        Some(())
    }),
];

#[test]
fn what_was_changed_is_found() {
    let recordings = common::RUNS.map(Recording::of);
    let runs = recordings.each_ref().map(|recording| QemuRun::survey(recording.inputs()).unwrap());
    let lanes = runs.each_ref().map(lanes);
    for (run, lanes) in runs.iter().zip(&lanes) {
        assert_eq!(objection(run, lanes), None, "unchanged");
    }
    let mut misses: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut changed, mut found) = (0, 0);
    for (number, (name, change)) in CHANGES.iter().enumerate() {
        let mut dice = Dice(number as u64 + 1);
        let (mut here, mut example) = (0, None);
        for place in 0..PLACES * 10 {
            let which = place % runs.len();
            let mut lanes = lanes[which].clone();
            if here == PLACES || change(&mut lanes, &mut dice).is_none() {
                continue;
            }
            here += 1;
            match objection(&runs[which], &lanes) {
                Some(text) => {
                    found += 1;
                    example.get_or_insert(text);
                }
                None => *misses.entry(name).or_default() += 1,
            }
        }
        changed += here;
        println!(
            "{name}: {} of {here}; {}",
            here - misses.get(name).unwrap_or(&0),
            example.unwrap_or_default()
        );
    }
    println!("found: {found} of {changed}; missed: {misses:?}");
    assert_eq!(changed, CHANGES.len() * PLACES);
    assert_eq!((found, misses), (600, BTreeMap::new()));
}
