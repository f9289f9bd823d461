//! One move of the program of the measurements, and what it cost.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::bed::{Bed, await_that};
use super::exercise::{Load, first_content};
use super::report::ExerciseReport;
use crate::control::{self, DeskAnswer, DeskQuestion};
use crate::status::{MigrationMoment, Status};

/// How long a move may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(60);

/// For how long the program works undisturbed before it moves.
const BEFORE: Duration = Duration::from_millis(400);

/// For how long a program whose pages stay behind is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// The pages of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExercisePages {
    /// Its own.
    pub private: u64,
    /// As in a file, until it writes to them.
    pub clean: u64,
    /// Of a file that is mapped shared.
    pub shared: u64,
}

impl ExercisePages {
    /// Touches memory for twice as many pages and gives it back, so that the kernel has it. A virtual machine is given memory when it first
    /// touches it, which takes its host longer than a page takes on a fast link; that is no part of a migration.
    fn touch_twice_as_many(self) {
        let pages = self.private + self.clean + self.shared;
        let len = usize::try_from(2 * pages * linux::PAGE_SIZE).unwrap_or(usize::MAX);
        drop(std::hint::black_box(vec![1u8; len]));
    }
}

/// What is to be moved, and how.
#[derive(Clone, Copy, Debug)]
pub struct ExercisePlan<'a> {
    /// By which algorithm.
    pub algorithm: &'a str,
    /// A file with another one instead.
    pub strategy: Option<&'a Path>,
    /// What the program does.
    pub load: Load,
    /// What it has.
    pub pages: ExercisePages,
    /// After this time it is given up if it has not been suspended.
    pub suspend_within: Option<Duration>,
}

/// What a move cost, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MeasuredRun {
    /// Whether it was suspended at all.
    pub moved: bool,
    /// From the beginning to the suspension.
    pub pre_ns: u64,
    /// From the suspension until it ran at the destination.
    pub freeze_ns: u64,
    /// What that consisted of.
    pub freeze: FreezeParts,
    /// From then on until all of it was there, if it came to that.
    pub post_ns: Option<u64>,
    /// Pages that the process asked for and waited for.
    pub faults: u64,
    /// What accesses of the process waited in Post-migration, each.
    pub stalls_ns: Vec<u64>,
    /// Work done in Post-migration, relative to before.
    pub work: Option<f64>,
    /// Pages that came from the source after the process was resumed, or in the freeze.
    pub pages: u64,
    /// Pages of the address space.
    pub all_pages: u64,
    /// Pages by way.
    pub steps: std::collections::BTreeMap<String, u64>,
}

/// The parts of a freeze, one after the other, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FreezeParts {
    /// The source stops the threads, collects what they are in the middle of, and looks for what was written.
    pub stop_ns: u64,
    /// That travels.
    pub travel_ns: u64,
    /// The destination drops what is outdated and brings what was built up to date; pages arrive that travel with it.
    pub prepare_ns: u64,
    /// *Ready* and *go*.
    pub agree_ns: u64,
    /// The process is let go, and does something.
    pub go_ns: u64,
}

impl FreezeParts {
    fn of(source: &Status, destination: &Status, runs: u64) -> Option<Self> {
        let stopped = source.moment(MigrationMoment::Stopped)?;
        let suspended = source.moment(MigrationMoment::Suspended)?;
        let [arrived, ready, resumed] =
            [MigrationMoment::Arrived, MigrationMoment::Ready, MigrationMoment::Resumed]
                .map(|moment| destination.moment(moment));
        let (arrived, ready, resumed) = (arrived?, ready?, resumed?);
        Some(Self {
            stop_ns: suspended.saturating_sub(stopped),
            travel_ns: arrived.saturating_sub(suspended),
            prepare_ns: ready.saturating_sub(arrived),
            agree_ns: resumed.saturating_sub(ready),
            go_ns: runs.saturating_sub(resumed),
        })
    }
}

/// The program, before it moves.
pub struct Exercising {
    child: Child,
    printed: PathBuf,
    errors: PathBuf,
    stop: PathBuf,
}

impl Exercising {
    /// Starts the program in the first place.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(bed: &Bed, exercise: &Path, load: Load, pages: ExercisePages) -> anyhow::Result<Self> {
        let number = unique();
        let path = |name: &str| bed.path(&format!("{name}-{number}"));
        let (printed, errors, stop) = (path("printed"), path("errors"), path("stop"));
        let mut areas = vec![format!("private:{}", pages.private)];
        for (kind, count) in [("clean", pages.clean), ("shared", pages.shared)] {
            if count > 0 {
                let file = path(kind);
                fs::write(&file, first_content(count))?;
                areas.push(format!("{kind}:{count}:{}", file.display()));
            }
        }
        let mut command = bed.program(0, exercise);
        command
            .arg(load.name())
            .arg(&stop)
            .args(areas)
            .stdout(File::create(&printed)?)
            .stderr(File::create(&errors)?);
        command.process_group(0);
        let child = command.spawn().context("the program does not start")?;
        let begun = Self { child, printed, errors, stop };
        await_that("the program has begun", PATIENCE, || {
            Ok(fs::read_to_string(&begun.printed)?.starts_with("begin").then_some(()))
        })?;
        Ok(begun)
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, wherever it is; what it noted.
    ///
    /// # Errors
    /// It does not end, or found a page that was not as it should be.
    pub fn finish(mut self) -> anyhow::Result<ExerciseReport> {
        File::create(&self.stop)?;
        let report = await_that("the program has ended", PATIENCE, || {
            match fs::read_to_string(&self.errors)?.trim_end() {
                "" => Ok(ExerciseReport::parse(&fs::read_to_string(&self.printed)?)),
                error => Err(std::io::Error::other(error.to_owned())),
            }
        });
        // What was left of it has ended with the move.
        let _ = self.child.kill();
        let _ = self.child.wait();
        report
    }
}

impl Drop for Exercising {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves the program once.
///
/// # Errors
/// It cannot be moved, or is not what it was.
pub fn measure(bed: &Bed, exercise: &Path, plan: &ExercisePlan<'_>) -> anyhow::Result<MeasuredRun> {
    Ok(measure_known(bed, exercise, plan, |_| Ok(()))?.1)
}

/// Moves the program once, after something was found out about it while it works undisturbed: told by its PID.
///
/// # Errors
/// It cannot be moved, or is not what it was; or it could not be found out.
pub fn measure_known<T>(
    bed: &Bed,
    exercise: &Path,
    plan: &ExercisePlan<'_>,
    find_out: impl FnOnce(u32) -> anyhow::Result<T>,
) -> anyhow::Result<(T, MeasuredRun)> {
    let program = Exercising::start(bed, exercise, plan.load, plan.pages)?;
    std::thread::sleep(BEFORE);
    let known = find_out(program.pid())?;
    Ok((known, moved(bed, plan, program)?))
}

fn moved(bed: &Bed, plan: &ExercisePlan<'_>, program: Exercising) -> anyhow::Result<MeasuredRun> {
    let lazy = plan.algorithm == "lazy-copy";
    plan.pages.touch_twice_as_many();
    let mut migrate = Migrating::begin(bed, plan, program.pid())?;
    let source = if lazy {
        // It ends when the program does.
        let mine = |status: &Status| {
            status.pid == Some(program.pid()) && status.moment(MigrationMoment::HandedOver).is_some()
        };
        let source = await_that("the program is handed over", PATIENCE, || {
            Ok(statuses(&bed.desks(0))?.into_iter().find(mine))
        })?;
        std::thread::sleep(WATCHED);
        source
    } else {
        migrate.end()?
    };
    if source.moment(MigrationMoment::HandedOver).is_none() {
        program.finish()?;
        if plan.suspend_within.is_none() {
            bail!("{} did not move it: {:?}\n{}", plan.algorithm, source.error, bed.logs());
        }
        return Ok(MeasuredRun { steps: source.steps, ..MeasuredRun::default() });
    }
    let reached = |status: &Status| {
        status.session == source.session
            && status.moment(MigrationMoment::Runs).is_some()
            && (lazy || status.moment(MigrationMoment::Complete).is_some())
    };
    let destination = await_that("all of it is there", PATIENCE, || {
        Ok(statuses(&bed.desks(1))?.into_iter().find(reached))
    })?;
    std::thread::sleep(BEFORE);
    let report = program.finish()?;
    measured(&source, &destination, &report).context("a moment of the migration is missing")
}

/// What the two ends and the program noted, put together.
pub fn measured(source: &Status, destination: &Status, report: &ExerciseReport) -> Option<MeasuredRun> {
    let (started, stopped) =
        (source.moment(MigrationMoment::Started)?, source.moment(MigrationMoment::Stopped)?);
    let handed_over = source.moment(MigrationMoment::HandedOver).unwrap_or(stopped);
    // Who lets it go may be late to note that it has.
    let noted = destination.moment(MigrationMoment::Runs)?;
    let runs = report.first_sign_after(handed_over).map_or(noted, |sign| sign.min(noted));
    let complete = destination.moment(MigrationMoment::Complete).map(|complete| complete.max(runs));
    let post_until = complete.or_else(|| report.span_ns().map(|(_, last)| last))?;
    let before = report.span_ns().and_then(|(first, _)| report.rate(first + 1, started.max(first + 2)));
    let during = report.rate(runs, post_until);
    let mut steps = source.steps.clone();
    for (name, count) in &destination.steps {
        *steps.entry(name.clone()).or_default() += count;
    }
    Some(MeasuredRun {
        moved: true,
        pre_ns: stopped.saturating_sub(started),
        freeze_ns: runs.saturating_sub(stopped),
        freeze: FreezeParts::of(source, destination, runs)?,
        post_ns: complete.map(|complete| complete - runs),
        faults: destination.count("faulted"),
        stalls_ns: report.stalls_ns(runs, post_until),
        work: before.zip(during).filter(|(before, _)| *before > 0.0).map(|(before, during)| during / before),
        pages: destination.count("installed"),
        all_pages: source.pages,
        steps,
    })
}

/// The command that moves it.
struct Migrating {
    child: Child,
    said: PathBuf,
}

impl Migrating {
    fn begin(bed: &Bed, plan: &ExercisePlan<'_>, pid: u32) -> anyhow::Result<Self> {
        let said = bed.path("said");
        let pid = pid.to_string();
        let arguments =
            ["migrate", &pid, "--to", &bed.destination, "--store", &bed.store, "--format", "json"];
        let mut command = bed.sojourn(0, &arguments);
        match plan.strategy {
            Some(file) => command.arg("--strategy").arg(file),
            None => command.args(["--algorithm", plan.algorithm]),
        };
        if let Some(bound) = plan.suspend_within {
            command.args(["--suspend-within", &humantime::format_duration(bound).to_string()]);
        }
        let child = command.stdout(File::create(&said)?).spawn()?;
        Ok(Self { child, said })
    }

    /// Waits for its end; how it was at the source in the end.
    fn end(&mut self) -> anyhow::Result<Status> {
        await_that("the program has moved", PATIENCE, || self.child.try_wait())?;
        let said = fs::read_to_string(&self.said)?;
        let mut document: serde_json::Value =
            serde_json::from_str(&said).context("sojourn migrate failed")?;
        match serde_json::from_value(document["process"].take()) {
            Ok(status) => Ok(status),
            Err(_) => bail!("not moved: {said}"),
        }
    }
}

impl Drop for Migrating {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What those say who have their sockets there.
fn statuses(directory: &Path) -> std::io::Result<Vec<Status>> {
    let mut all = Vec::new();
    // There is none before the first of them.
    for entry in fs::read_dir(directory).into_iter().flatten() {
        // One that has just ended has left its socket behind.
        if let Ok(DeskAnswer::Status(statuses)) = control::ask(&entry?.path(), &DeskQuestion::Status) {
            all.extend(statuses);
        }
    }
    Ok(all)
}

/// A number that no other run of this program has.
fn unique() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aside::SessionId;

    const REPORT: &str = "begin\nsample 1000 0 0\nsample 2000 100 0\nsample 3000 100 0\nsample 5000 150 0\nstall 2500 7\nstall 3500 40\nend\n";

    fn statuses() -> (Status, Status) {
        let new = || Status::new(SessionId(1), None, "post-copy", 10);
        let (mut source, mut destination) = (new(), new());
        source.mark(MigrationMoment::Started, 2000);
        source.mark(MigrationMoment::Stopped, 2100);
        source.mark(MigrationMoment::Suspended, 2250);
        source.mark(MigrationMoment::HandedOver, 2800);
        source.steps.insert("pushed".to_owned(), 3);
        destination.mark(MigrationMoment::Arrived, 2350);
        destination.mark(MigrationMoment::Ready, 2650);
        destination.mark(MigrationMoment::Resumed, 2850);
        destination.mark(MigrationMoment::Runs, 3000);
        destination.mark(MigrationMoment::Complete, 5000);
        destination.steps.insert("faulted".to_owned(), 2);
        (source, destination)
    }

    #[test]
    fn what_both_ends_and_the_program_noted_is_put_together() {
        let (source, destination) = statuses();
        let report = ExerciseReport::parse(REPORT).unwrap();
        let found = measured(&source, &destination, &report).unwrap();
        assert_eq!((found.pre_ns, found.freeze_ns, found.post_ns), (100, 900, Some(2000)));
        let FreezeParts { stop_ns, travel_ns, prepare_ns, agree_ns, go_ns } = found.freeze;
        assert_eq!([stop_ns, travel_ns, prepare_ns, agree_ns, go_ns], [150, 100, 300, 200, 150]);
        assert_eq!((found.faults, &found.stalls_ns[..]), (2, &[40][..]), "one stall was before");
        assert_eq!(found.work.map(|work| (work * 100.0).round()), Some(25.0));
        assert_eq!((found.steps["pushed"], found.steps["faulted"]), (3, 2));
    }

    #[test]
    fn it_runs_once_it_says_so_itself() {
        let (source, mut destination) = statuses();
        destination.mark(MigrationMoment::Runs, 4000);
        let report = ExerciseReport::parse(REPORT).unwrap();
        let found = measured(&source, &destination, &report).unwrap();
        assert_eq!((found.freeze_ns, found.post_ns), (900, Some(2000)));
    }

    #[test]
    fn what_never_completes_has_no_end() {
        let (source, mut destination) = statuses();
        destination.moments.remove("complete");
        let report = ExerciseReport::parse(REPORT).unwrap();
        let found = measured(&source, &destination, &report).unwrap();
        assert_eq!((found.post_ns, found.stalls_ns.len()), (None, 1));
        destination.moments.clear();
        assert_eq!(measured(&source, &destination, &report), None, "it never ran");
    }
}
