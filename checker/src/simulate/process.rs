//! The process that is moved: what each of its threads touches next, and how long it has waited.

use protocol::page_set::PageSet;
use steplog::page::PageNumber;
use steplog::place::HostId;
use world::random::Random;
use world::workload::{self, AccessSequence};

use super::mix::Mix;
use super::setup::falls;
use super::{Fraction, Intervals, SOURCE, SimulatedWorkload, SimulationSetup};

/// Pages that a local workload touches one after the other before it goes elsewhere.
const RUN_PAGES: u64 = 64;

/// A process in the middle of its work.
#[derive(Debug)]
pub(super) struct Process {
    /// Where it runs, or last ran.
    pub at: HostId,
    /// Accesses done.
    pub count: u64,
    /// Its threads.
    pub threads: Vec<Thread>,
    /// Processor time that it is denied before the suspension, in per cent.
    pub throttle_percent: u32,
    write_share: Fraction,
    /// The pages that it touches at all.
    window: std::ops::Range<u64>,
}

/// A thread of it.
#[derive(Debug)]
pub(super) struct Thread {
    /// When it does its next access, unless it waits or is through.
    pub access_ns: Option<u64>,
    /// The page that it waits for, and since when.
    pub waits_for: Option<(PageNumber, u64)>,
    next: Option<Access>,
    touches: Touches,
    random: Random,
    interval_ns: u64,
    drawn: bool,
}

/// An access to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Which page.
    pub page: PageNumber,
    /// Whether it writes.
    pub writes: bool,
}

/// Which pages a thread touches.
#[derive(Debug)]
enum Touches {
    None,
    /// For ever.
    Pattern(Box<AccessSequence>),
    /// Runs of pages, each of which begins anywhere.
    Local {
        at: u64,
        left: u64,
    },
    /// As measured.
    Mix(Box<Mix>),
    /// A list of accesses, over and over: which comes next, and in which round.
    Listed {
        at: usize,
        rounds: u64,
    },
    /// After the resume, the pages from this one on.
    All(std::ops::Range<u64>),
}

impl Process {
    /// As it is when the migration starts, with these pages all zero.
    pub fn new(setup: &SimulationSetup, pages: u64, zero: &PageSet) -> Self {
        let window = setup.window(pages);
        let count = window.end - window.start;
        let mut random = Random::new(setup.seed);
        let threads = if setup.is_single() { 1 } else { setup.threads.max(1) };
        let thread = |number: u64| {
            let touches = match (&setup.workload, setup.workload.pattern(count)) {
                (SimulatedWorkload::All, _) => Touches::All(0..pages),
                (SimulatedWorkload::Local, _) => Touches::Local { at: 0, left: 0 },
                (SimulatedWorkload::Measured(profile), _) => {
                    Touches::Mix(Box::new(Mix::of(profile, pages, zero, setup.seed)))
                }
                (SimulatedWorkload::Listed(_), _) => Touches::Listed { at: 0, rounds: 0 },
                (_, Some(pattern)) => {
                    let workload = workload::Workload { pattern, write_percent: 0, interval_ns: 0 };
                    Touches::Pattern(Box::new(workload.accesses(count, setup.seed.wrapping_add(number))))
                }
                (_, None) => Touches::None,
            };
            let interval_ns = match &touches {
                Touches::Mix(mix) => mix.interval_ns(),
                _ => setup.access_interval_ns,
            };
            Thread {
                access_ns: None,
                waits_for: None,
                next: None,
                touches,
                random: random.split(),
                interval_ns,
                drawn: setup.intervals == Intervals::Drawn,
            }
        };
        Self {
            at: SOURCE,
            count: 0,
            threads: (0..u64::from(threads)).map(thread).collect(),
            throttle_percent: 0,
            write_share: setup.write_share,
            window,
        }
    }

    /// The access that a thread does next: an access that faulted is tried again. `None` if it is through, for now or
    /// for good.
    pub fn access(&mut self, thread: usize, setup: &SimulationSetup) -> Option<Access> {
        let Self { at, threads, write_share, window, .. } = self;
        let thread = threads.get_mut(thread)?;
        if thread.next.is_none() {
            let random = &mut thread.random;
            let pages = window.end - window.start;
            let placed = |page: u64| PageNumber(window.start + page);
            thread.next = match &mut thread.touches {
                Touches::None => None,
                Touches::Pattern(accesses) => accesses.next().map(|access| Access {
                    page: placed(access.page.0),
                    writes: falls(*write_share, random),
                }),
                Touches::Local { at, left } => {
                    (*at, *left) = match *left {
                        0 => (random.below(pages), RUN_PAGES - 1),
                        left => ((*at + 1) % pages.max(1), left - 1),
                    };
                    Some(Access { page: placed(*at), writes: falls(*write_share, random) })
                }
                Touches::Mix(mix) => mix.access(random),
                Touches::Listed { at, .. } => match &setup.workload {
                    SimulatedWorkload::Listed(list) => list
                        .accesses
                        .get(*at)
                        .map(|access| Access { page: PageNumber(access.page), writes: access.writes }),
                    _ => None,
                },
                Touches::All(_) if *at == SOURCE => None,
                Touches::All(pages) => {
                    pages.next().map(|page| Access { page: PageNumber(page), writes: true })
                }
            };
        }
        thread.next
    }

    /// The access of a thread is done; when the next one is due, unless at once.
    pub fn done(&mut self, thread: usize, now_ns: u64, setup: &SimulationSetup) {
        self.count += 1;
        let throttled = if self.at == SOURCE { u64::from(self.throttle_percent) } else { 0 };
        let Some(thread) = self.threads.get_mut(thread) else { return };
        thread.next = None;
        let interval_ns = match (&mut thread.touches, &setup.workload) {
            (Touches::All(_), _) => {
                thread.access_ns = None;
                return;
            }
            (Touches::Listed { at, rounds }, SimulatedWorkload::Listed(list)) => {
                let before_ns = list.accesses.get(*at).map_or(0, |access| access.at_ns);
                *at += 1;
                match list.accesses.get(*at) {
                    Some(access) => access.at_ns.saturating_sub(before_ns),
                    None => {
                        (*at, *rounds) = (0, *rounds + 1);
                        let first_ns = list.accesses.first().map_or(0, |access| access.at_ns);
                        list.period_ns.saturating_sub(before_ns).saturating_add(first_ns).max(1)
                    }
                }
            }
            _ if thread.drawn => exponential_ns(&mut thread.random, thread.interval_ns),
            _ => thread.interval_ns,
        };
        let slowed_ns = interval_ns.saturating_mul(100) / (100 - throttled.min(99));
        thread.access_ns = Some(now_ns.saturating_add(slowed_ns));
    }

    /// Each thread that does not wait begins, or goes on.
    pub fn go_on(&mut self, now_ns: u64) {
        for thread in self.threads.iter_mut().filter(|thread| thread.waits_for.is_none()) {
            thread.access_ns = Some(now_ns);
        }
    }

    /// No thread does anything.
    pub fn halt(&mut self) {
        self.threads.iter_mut().for_each(|thread| thread.access_ns = None);
    }

    /// When which thread does something next.
    pub fn next(&self) -> Option<(u64, usize)> {
        let due =
            self.threads.iter().zip(0..).filter_map(|(thread, number)| Some((thread.access_ns?, number)));
        due.min()
    }

    /// The page is there: the threads that waited for it, each with since when, go on after so long.
    pub fn wake(&mut self, page: PageNumber, now_ns: u64, after_ns: u64, mut woken: impl FnMut(u64)) {
        for thread in &mut self.threads {
            if let Some((_, since_ns)) = thread.waits_for.take_if(|(awaited, _)| *awaited == page) {
                let at_ns = now_ns.saturating_add(after_ns);
                woken(at_ns - since_ns);
                thread.access_ns = Some(at_ns);
            }
        }
    }

    /// Does a thread wait?
    pub fn waits(&self) -> bool {
        self.threads.iter().any(|thread| thread.waits_for.is_some())
    }

    /// Whether it has done all that it was to do, if that is at least so much.
    pub fn is_through(&self, accesses_min: u64) -> bool {
        self.threads.iter().all(|thread| match &thread.touches {
            Touches::None => true,
            Touches::Mix(mix) if mix.is_idle() => true,
            Touches::All(pages) => pages.is_empty() && thread.next.is_none(),
            _ => self.count >= accesses_min,
        })
    }
}

/// An interval of an exponential distribution with this mean, by von Neumann's comparisons of uniform numbers: integers
/// only, so that the run is the same on every machine.
fn exponential_ns(random: &mut Random, mean_ns: u64) -> u64 {
    let mut whole = 0u64;
    loop {
        let first = random.next();
        let (mut last, mut falls) = (first, 1u32);
        loop {
            let next = random.next();
            if next > last {
                break;
            }
            (last, falls) = (next, falls + 1);
        }
        if falls % 2 == 1 {
            let fraction = ((u128::from(first) * u128::from(mean_ns)) >> 64) as u64;
            return whole.saturating_mul(mean_ns).saturating_add(fraction);
        }
        whole += 1;
    }
}

/// How many accesses it takes this workload to write so many different pages; `None` if it never does, or not in
/// sixty-four times as many accesses as there are pages.
pub(super) fn accesses_for(setup: &SimulationSetup, pages: u64, distinct: u64) -> Option<u64> {
    let mut written = PageSet::empty(pages);
    let mut process = Process::new(&SimulationSetup { threads: 1, ..setup.clone() }, pages, &written);
    let most = pages.saturating_mul(64).max(1024);
    (1..=most).find(|_| {
        let access = process.access(0, setup);
        process.done(0, 0, setup);
        if let Some(Access { page, writes: true }) = access {
            written.insert(page);
        }
        written.len() as u64 >= distinct
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_intervals_have_the_mean_and_the_spread_of_an_exponential_distribution() {
        let mut random = Random::new(1);
        let drawn: Vec<f64> = (0..100_000).map(|_| exponential_ns(&mut random, 1_000_000) as f64).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.01, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.01, "{}", variance.sqrt());
        let beyond = drawn.iter().filter(|ns| **ns > 2e6).count() as f64 / drawn.len() as f64;
        assert!((beyond - (-2f64).exp()).abs() < 0.005, "{beyond}");
    }
}
