//! What the project asks of itself, measured in one run: on the published link with the published address space, and 1 GiB on a link that
//! is as fast as the machine.

use std::path::Path;
use std::time::{Duration, Instant};

use linux::source::TrackedProcess;
use protocol::policy::Policy;
use serde::Serialize;

use super::bed::{Bed, Links};
use super::exercise::Load;
use super::paper::own_pages;
use super::run::{ExercisePages, ExercisePlan, Exercising, MeasuredRun, measure};
use super::statistics::{Better, MeasuredSpread, mean, percentile};
use super::table::table;
use super::{PAGES, RATE, Tools, scratch};

/// Payload of TCP in a full frame of Ethernet, and that frame on the line with preamble and gap.
const PAYLOAD_BYTES: f64 = 1448.0;
const FRAME_BYTES: f64 = 1538.0;

/// Bytes of a page.
const PAGE_BYTES: u64 = linux::PAGE_SIZE;

/// The address space that goes over the link that is not shaped, in pages.
const LARGE: u64 = 1 << 18;

/// How often it goes: it takes a while.
const LARGE_REPETITIONS_MAX: usize = 3;

/// How often writes of a tracked process are looked at, as before a migration.
const SCAN_INTERVAL: Duration = Duration::from_millis(10);

/// For how long a process is tracked, and not tracked.
const TRACKED: Duration = Duration::from_millis(300);

/// How often it is.
const TRACKED_TIMES: usize = 4;

/// Something that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// What.
    pub what: &'static str,
    /// In which unit.
    pub unit: &'static str,
    /// The least or the most that it may be; nothing where it is only to be known.
    pub goal: Option<f64>,
    /// Which of two values is the better one.
    pub better: Better,
    /// Every measurement.
    pub values: Vec<f64>,
}

impl Goal {
    fn new(
        what: &'static str,
        unit: &'static str,
        goal: Option<f64>,
        better: Better,
        values: Vec<f64>,
    ) -> Self {
        Self { what, unit, goal, better, values }
    }

    /// All measurements together.
    pub fn spread(&self) -> Option<MeasuredSpread> {
        MeasuredSpread::of(self.values.iter().copied(), self.better)
    }

    /// Whether the measurement in the middle is good enough; nothing that was not measured is.
    pub fn is_met(&self) -> bool {
        let Some(goal) = self.goal else { return true };
        self.spread().is_some_and(|spread| match self.better {
            Better::Less => spread.median <= goal,
            Better::More => spread.median >= goal,
        })
    }
}

/// Measures everything that is asked for.
///
/// # Errors
/// Something cannot be moved.
pub fn goals(tools: &Tools, mut said: impl FnMut(&str)) -> anyhow::Result<Vec<Goal>> {
    let mut goals = Vec::new();
    {
        let directory = scratch()?;
        let mut bed = Bed::open(directory.path(), &tools.sojourn, Links::Shaped(RATE))?;
        shaped(&mut bed, tools, &mut said, &mut goals)?;
    }
    let directory = scratch()?;
    let mut bed = Bed::open(directory.path(), &tools.sojourn, Links::Unshaped)?;
    tracking(&bed, tools, &mut said, &mut goals)?;
    large(&mut bed, tools, &mut said, &mut goals)?;
    Ok(goals)
}

fn shaped(
    bed: &mut Bed,
    tools: &Tools,
    said: &mut impl FnMut(&str),
    goals: &mut Vec<Goal>,
) -> anyhow::Result<()> {
    let working = PAGES.saturating_sub(own_pages(bed, tools)?).max(1);
    let private = ExercisePages { private: working, ..ExercisePages::default() };
    let half = working / 2;
    let mixed = ExercisePages { private: half / 2, clean: half - half / 2, shared: working - half };
    let mut runs = |policy: &Policy, load: Load, pages: ExercisePages| {
        let plan =
            ExercisePlan { algorithm: &policy.name, strategy: None, load, pages, suspend_within: None };
        let run = |at| {
            said(&format!("{}, {load}: {at} of {}", policy.name, tools.repetitions));
            measure(bed, &tools.exercise, &plan)
        };
        (1..=tools.repetitions).map(run).collect::<anyhow::Result<Vec<MeasuredRun>>>()
    };
    let uniform = runs(&Policy::POST_COPY, Load::Uniform, private)?;
    let local = runs(&Policy::POST_COPY, Load::Local, private)?;
    let generic = runs(&Policy::GENERIC, Load::Uniform, mixed)?;
    let rewriting = runs(&Policy::PRE_COPY, Load::Rewrite, private)?;
    let bulk = runs(&Policy::POST_COPY, Load::Idle, private)?;
    let streams = (0..tools.repetitions)
        .map(|_| Ok(share_of_link(bed.stream(&tools.exercise, PAGES * PAGE_BYTES)?.as_nanos() as f64, RATE)))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    let each =
        |runs: &[MeasuredRun], of: fn(&MeasuredRun) -> Option<f64>| runs.iter().filter_map(of).collect();
    let freeze = |run: &MeasuredRun| Some(run.freeze_ns as f64 / 1e6);
    let work = |run: &MeasuredRun| Some(run.work? * 100.0);
    let less = |what, goal, values| Goal::new(what, "ms", Some(goal), Better::Less, values);
    goals.extend([
        less("freeze, post-copy", 5.0, each(&uniform, freeze)),
        less("freeze, generic", 5.0, each(&generic, freeze)),
        less("freeze, pre-copy, 10 % of pages rewritten a second", 30.0, each(&rewriting, freeze)),
        less("a fault under load, mean", 0.75, each(&uniform, |run| Some(mean(&run.stalls_ns)? / 1e6))),
        less(
            "a fault under load, p99",
            2.0,
            each(&uniform, |run| Some(percentile(&run.stalls_ns, 99)? as f64 / 1e6)),
        ),
        Goal::new(
            "work done during Post, accesses with a working set",
            "%",
            Some(70.0),
            Better::More,
            each(&local, work),
        ),
        Goal::new("work done during Post, uniform accesses", "%", None, Better::More, each(&uniform, work)),
        Goal::new(
            "bulk transfer, of the link",
            "%",
            Some(98.0),
            Better::More,
            each(&bulk, |run| link_share(run, RATE)),
        ),
        Goal::new("a plain TCP stream of as much, of the link", "%", None, Better::More, streams),
    ]);
    Ok(())
}

/// What part of the link the contents of all pages took while they were pushed, in percent: headers of the protocol and encryption
/// are not counted, those of TCP, IP and Ethernet are.
fn link_share(run: &MeasuredRun, rate: u64) -> Option<f64> {
    run.post_ns.filter(|post_ns| *post_ns > 0).map(|post_ns| share_of_link(post_ns as f64, rate))
}

/// The same of as many bytes in so many nanoseconds.
fn share_of_link(took_ns: f64, rate: u64) -> f64 {
    let least_s = (PAGES * PAGE_BYTES * 8) as f64 / (rate as f64 * PAYLOAD_BYTES / FRAME_BYTES);
    least_s * 1e9 / took_ns.max(1.0) * 100.0
}

/// What tracking costs a process that computes and writes: one thread is stopped once; writes to pages that were looked at fault.
fn tracking(
    bed: &Bed,
    tools: &Tools,
    said: &mut impl FnMut(&str),
    goals: &mut Vec<Goal>,
) -> anyhow::Result<()> {
    let (mut stops, mut slowdowns) = (Vec::new(), Vec::new());
    for at in 1..=tools.repetitions {
        said(&format!("tracking: {at} of {}", tools.repetitions));
        let (stopped, slowdown) = tracked(bed, &tools.exercise)?;
        stops.extend(stopped.into_iter().map(|stop| stop.as_secs_f64() * 1e3));
        slowdowns.extend(slowdown);
    }
    goals.push(Goal::new("tracking stops the program for", "ms", Some(0.5), Better::Less, stops));
    goals.push(Goal::new("slow-down while tracked", "%", Some(5.0), Better::Less, slowdowns));
    Ok(())
}

/// How long it was stopped each time, and by how much longer a unit of work keeps a processor while it is tracked, in percent.
fn tracked(bed: &Bed, exercise: &Path) -> anyhow::Result<(Vec<Duration>, Option<f64>)> {
    let program = Exercising::start(
        bed,
        exercise,
        Load::Busy,
        ExercisePages { private: PAGES, ..ExercisePages::default() },
    )?;
    let mut source = TrackedProcess::open(i32::try_from(program.pid())?)?;
    let (mut stops, mut spans) = (Vec::new(), Vec::new());
    std::thread::sleep(TRACKED);
    for _ in 0..TRACKED_TIMES {
        let from = now_ns();
        std::thread::sleep(TRACKED);
        let between = now_ns();
        stops.push(source.track()?.stopped_for);
        let began = Instant::now();
        while began.elapsed() < TRACKED {
            source.take_written()?;
            std::thread::sleep(SCAN_INTERVAL);
        }
        spans.push((from, between, now_ns()));
        source.untrack();
    }
    std::thread::sleep(SCAN_INTERVAL * 3);
    let report = program.finish()?;
    let sum = |of: fn(&(u64, u64, u64)) -> (u64, u64)| {
        let each = spans.iter().map(&of).map(|(from, to)| report.cpu_ns_per_unit(from, to));
        each.sum::<Option<f64>>()
    };
    let free = sum(|(from, between, _)| (*from, *between));
    let tracked = sum(|(_, between, to)| (*between, *to));
    Ok((stops, free.zip(tracked).map(|(free, tracked)| (tracked / free - 1.0) * 100.0)))
}

/// A large address space on a link that is not shaped, against a plain TCP stream on the same link.
fn large(
    bed: &mut Bed,
    tools: &Tools,
    said: &mut impl FnMut(&str),
    goals: &mut Vec<Goal>,
) -> anyhow::Result<()> {
    let pages = ExercisePages { private: LARGE, ..ExercisePages::default() };
    let plan = ExercisePlan {
        algorithm: "total-copy",
        strategy: None,
        load: Load::Idle,
        pages,
        suspend_within: None,
    };
    let mut shares = Vec::new();
    for at in 1..=tools.repetitions.min(LARGE_REPETITIONS_MAX) {
        said(&format!("1 GiB on an unshaped link: {at}"));
        let stream = bed.stream(&tools.exercise, LARGE * PAGE_BYTES)?;
        let run = measure(bed, &tools.exercise, &plan)?;
        let took_ns = run.freeze_ns + run.post_ns.unwrap_or(0);
        shares.push(stream.as_nanos() as f64 / took_ns.max(1) as f64 * 100.0);
    }
    let what = "1 GiB on an unshaped link, of a plain TCP stream";
    goals.push(Goal::new(what, "%", Some(50.0), Better::More, shares));
    Ok(())
}

fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The goals beside what was measured.
pub fn text(goals: &[Goal]) -> String {
    let head = ["", "goal", "median", "best", "worst", "runs", ""].map(str::to_owned).to_vec();
    let row = |goal: &Goal| {
        let sign = if goal.better == Better::Less { "≤" } else { "≥" };
        let asked = goal.goal.map_or(String::new(), |asked| format!("{sign} {asked} {}", goal.unit));
        let spread = goal.spread();
        let show = |of: fn(&MeasuredSpread) -> f64| {
            spread.as_ref().map_or("–".to_owned(), |spread| format!("{:.2}", of(spread)))
        };
        let verdict = if goal.is_met() { "" } else { "missed" };
        vec![
            goal.what.to_owned(),
            asked,
            show(|spread| spread.median),
            show(|spread| spread.best),
            show(|spread| spread.worst),
            goal.values.len().to_string(),
            verdict.to_owned(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(goals.iter().map(row)).collect();
    let missed = goals.iter().filter(|goal| !goal.is_met()).count();
    format!(
        "{}\n{missed} of {} goals missed; by the median of the runs. 10 MiB and {} Mbit/s, Ethernet's frames included, unless it says otherwise.\n\
         A freeze lasts from the first stop until the process runs again; a fault as long as the access that waits for it; a working set:\n\
         nine of ten accesses are to a tenth of the pages, one access each 340 µs as in the published experiment.",
        table(1, &rows),
        goals.iter().filter(|goal| goal.goal.is_some()).count(),
        RATE / 1_000_000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(goal: Option<f64>, better: Better, values: &[f64]) -> Goal {
        Goal::new("a freeze", "ms", goal, better, values.to_vec())
    }

    #[test]
    fn a_goal_is_met_by_the_median() {
        assert!(goal(Some(5.0), Better::Less, &[9.0, 5.0, 1.0]).is_met());
        assert!(!goal(Some(5.0), Better::Less, &[9.0, 5.1, 1.0]).is_met());
        assert!(goal(Some(5.0), Better::More, &[9.0, 5.0, 1.0]).is_met());
        assert!(!goal(Some(5.0), Better::More, &[9.0, 4.9, 1.0]).is_met());
        assert!(!goal(Some(5.0), Better::More, &[]).is_met(), "what was not measured is not met");
        assert!(goal(None, Better::More, &[]).is_met());
    }

    #[test]
    fn what_is_missed_is_said() {
        let text = text(&[goal(Some(5.0), Better::Less, &[6.0]), goal(None, Better::More, &[1.0])]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2], ["a", "freeze", "≤", "5", "ms", "6.00", "6.00", "6.00", "1", "missed"]);
        assert_eq!(lines[4][..4], ["1", "of", "1", "goals"], "{text}");
    }

    #[test]
    fn the_contents_of_pages_fill_the_link_at_best() {
        // 2560 pages take 891 ms on a line of 100 Mbit/s.
        let run = MeasuredRun { post_ns: Some(891_000_000), ..MeasuredRun::default() };
        let share = link_share(&run, RATE).unwrap();
        assert!((share - 100.0).abs() < 0.1, "{share}");
        assert_eq!(link_share(&MeasuredRun { post_ns: None, ..run.clone() }, RATE), None);
        assert_eq!(link_share(&MeasuredRun { post_ns: Some(0), ..run }, RATE), None);
    }
}
