//! Foretold from a profile, then measured: what `sojourn profile` writes about a process, what `checker simulate` makes of it, and
//! what moving that process comes to.
//!
//! Says loudly why it does nothing where it may not: real processes are looked at where `SOJOURN_PROCESSES` is set, and moved
//! against a prediction where `SOJOURN_PREDICTED` is, on a machine with nothing else to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sojourn::measure::bed::{self, Bed, Links};
use sojourn::measure::exercise::Load;
use sojourn::measure::run::{ExercisePages, ExercisePlan, MeasuredRun, measure_known};
use sojourn::measure::{PAGES, RATE};

/// How far what is measured may be from what was foretold.
const TOLERANCE: f64 = 0.2;

/// How often each program is moved; what counts is the median. A freeze of a few milliseconds is now and then as much longer,
/// since something else was to be done.
const RUNS: usize = 5;

/// For how long a program is profiled before it is moved.
const PROFILED: Duration = Duration::from_secs(3);

/// Writes so many pages in a second, one after the other and from the first again, of so many.
const WRITER: &str = "
import mmap, sys, time
pages, rate = int(sys.argv[1]), float(sys.argv[2])
memory = mmap.mmap(-1, pages * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(pages): memory[page * 4096] = 1
print('ready', flush=True)
began, written = time.monotonic(), 0
while True:
    due = int((time.monotonic() - began) * rate)
    while written < due:
        memory[written % pages * 4096] = written & 254 | 1
        written += 1
    time.sleep(0.002)
";

fn built(package: &str, program: &str) -> PathBuf {
    let build = escargot::CargoBuild::new().package(package).bin(program);
    build.run().expect("it builds").path().to_owned()
}

fn checker() -> &'static Path {
    static CHECKER: OnceLock<PathBuf> = OnceLock::new();
    CHECKER.get_or_init(|| built("checker", "checker"))
}

fn sojourn() -> &'static Path {
    static SOJOURN: OnceLock<PathBuf> = OnceLock::new();
    SOJOURN.get_or_init(|| built("sojourn", "sojourn"))
}

/// Why nothing is done.
fn missing(variable: &str) -> Option<String> {
    match std::env::var_os(variable) {
        None => Some(format!("{variable} is not set")),
        Some(_) => bed::missing(),
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A profile of so many seconds, as a file.
fn profile(pid: u32, seconds: &str, file: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(sojourn());
    command.args(["profile", &pid.to_string(), "--for", seconds, "--out"]).arg(file);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What `checker simulate` says of an algorithm with this workload on the published line.
fn simulated(algorithm: &str, workload: &Path, options: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(checker());
    command.args([
        "simulate",
        algorithm,
        "--preset",
        "sojourn",
        "--bandwidth",
        "100Mbit/s",
        "--format",
        "json",
    ]);
    let output = command.arg("--workload").arg(workload).args(options).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(document["runs"][0].take())
}

#[test]
fn the_profile_of_a_program_that_is_known_says_what_is_known() {
    if let Some(reason) = missing("SOJOURN_PROCESSES") {
        println!("SKIPPED: NO PROFILE OF A REAL PROCESS: {reason}");
        return;
    }
    let (pages, rate) = (4000, 500);
    let mut python = Command::new("python3");
    python.args(["-c", WRITER, &pages.to_string(), &rate.to_string()]).stdout(Stdio::piped());
    let Ok(child) = python.spawn() else {
        println!("SKIPPED: NO PROFILE OF A REAL PROCESS: there is no python3");
        return;
    };
    let mut program = Running(child);
    let mut said = String::new();
    BufReader::new(program.0.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("python.workload");
    profile(program.0.id(), "3s", &file).expect("a profile");
    assert!(matches!(program.0.try_wait(), Ok(None)), "it goes on");
    let text = fs::read_to_string(&file).expect("a file");
    let numbers = |name: &str| -> Vec<u64> {
        text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = ")?.parse().ok()).collect()
    };
    let (after, written) = (numbers("after-ns"), numbers("written"));
    assert!(after.len() == written.len() && after.len() > 5, "{text}");
    assert!(numbers("pages")[0] > pages && numbers("modified-pages")[0] > pages, "{text}");
    // Between the first half second and the end: what is written anew is what the program writes on purpose.
    let early = after.iter().position(|after| *after > 500_000_000).expect("a point");
    let seconds = (after[after.len() - 1] - after[early]) as f64 / 1e9;
    let found = (written[written.len() - 1] - written[early]) as f64 / seconds;
    assert!((found / f64::from(rate) - 1.0).abs() < 0.1, "{found} pages a second: {text}");
    let touched = numbers("touched");
    assert!(touched.iter().zip(&written).all(|(touched, written)| touched >= written), "{text}");
    let run = simulated("pre-copy", &file, &["--runs", "1"]).expect("a simulation");
    assert_eq!(run["outcome"]["page_count"].as_u64(), Some(numbers("pages")[0]));
    assert!(run["summary"]["freeze_ns"]["mean"].as_f64().is_some_and(|ns| ns > 4e6), "{run}");
}

/// What is said of a migration while it goes on: how long it is going to take, in milliseconds.
fn said_meanwhile(desks: &Path, until: &AtomicBool) -> Vec<f64> {
    let mut said = Vec::new();
    while !until.load(Ordering::Relaxed) {
        let status = Command::new(sojourn())
            .args(["status", "--format", "json"])
            .env("SOJOURN_RUNTIME_DIR", desks)
            .output();
        let document: Value =
            status.ok().and_then(|it| serde_json::from_slice(&it.stdout).ok()).unwrap_or_default();
        for process in document["processes"].as_array().into_iter().flatten() {
            let ms = |name: &str| process[name].as_u64().map(|ns| ns as f64 / 1e6);
            said.extend(ms("total_expected_ns"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    said
}

/// `sojourn status` says no less than it will be, within what a busy machine does to it, and is right in the end. Before, it
/// may say more: pages that turn out to be all zero take less than the line takes for a page.
#[test]
fn a_migration_under_way_says_how_long_it_is_going_to_take() {
    if let Some(reason) = missing("SOJOURN_PROCESSES") {
        println!("SKIPPED: NO MIGRATION IS ASKED HOW LONG IT TAKES: {reason}");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let bed = Bed::open(directory.path(), sojourn(), Links::Shaped(RATE)).expect("a bed");
    let exercise = built("sojourn", "sojourn-exercise");
    let pages = ExercisePages { private: 2 * PAGES, ..ExercisePages::default() };
    for algorithm in ["total-copy", "pre-copy", "post-copy"] {
        let plan =
            ExercisePlan { algorithm, strategy: None, load: Load::Rewrite, pages, suspend_within: None };
        let (over, desks) = (AtomicBool::new(false), bed.desks(0));
        let (run, said) = std::thread::scope(|scope| {
            let listener = scope.spawn(|| said_meanwhile(&desks, &over));
            let run = measure_known(&bed, &exercise, &plan, |_| Ok(()));
            over.store(true, Ordering::Relaxed);
            (run, listener.join().expect("it listens"))
        });
        let (_, run) = run.expect("it moves");
        let total_ms = (run.pre_ns + run.freeze_ns + run.post_ns.unwrap_or(0)) as f64 / 1e6;
        let freeze_ms = run.freeze_ns as f64 / 1e6;
        println!("{algorithm}: {total_ms:.0} ms, frozen for {freeze_ms:.1} ms; said meanwhile: {said:.0?}");
        let (middle, last) = (said[said.len() / 2], said[said.len() - 1]);
        assert!(middle > 0.7 * total_ms, "{algorithm}: {middle} instead of {total_ms} ms");
        // What post-copy has still to send at the end are zeroes, all of them at once.
        if algorithm != "post-copy" {
            assert!((last / total_ms - 1.0).abs() < 0.25, "{algorithm}: {last} instead of {total_ms} ms");
        }
    }
}

/// What was foretold beside what it came to.
#[derive(Debug)]
struct Comparison {
    what: String,
    foretold_ms: f64,
    measured_ms: f64,
    all_ms: Vec<f64>,
}

impl Comparison {
    fn is_near(&self) -> bool {
        (self.measured_ms / self.foretold_ms - 1.0).abs() <= TOLERANCE
    }
}

/// Page counts that no run can have.
fn outside(run: &MeasuredRun, bounds: &Value) -> Vec<String> {
    let count = |names: &[&str]| names.iter().filter_map(|name| run.steps.get(*name)).sum::<u64>();
    let counts = BTreeMap::from([
        ("sent", count(&["copied", "transferred", "pushed", "served"])),
        ("frozen", count(&["transferred", "flushed"])),
        ("faults", count(&["faulted"])),
        ("fetched", count(&["fetched"])),
    ]);
    let bounds = bounds.as_array().into_iter().flatten();
    let wrong = bounds.filter_map(|bound| {
        let name = bound["cost"].as_str()?;
        let (count, least) = (*counts.get(name)?, bound["least"].as_u64()?);
        let most = bound["most"].as_u64().unwrap_or(u64::MAX);
        (!(least..=most).contains(&count)).then(|| format!("{name}: {count} is not from {least} to {most}"))
    });
    wrong.collect()
}

#[test]
fn what_is_foretold_from_a_profile_is_what_is_measured() {
    if let Some(reason) = missing("SOJOURN_PREDICTED") {
        println!("SKIPPED: NOTHING IS FORETOLD AND MEASURED: {reason}");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let bed = Bed::open(directory.path(), sojourn(), Links::Shaped(RATE)).expect("a bed");
    let exercise = built("sojourn", "sojourn-exercise");
    let quarter = PAGES / 4;
    let mixed = ExercisePages { private: quarter, clean: quarter, shared: 2 * quarter };
    let private = ExercisePages { private: PAGES, ..ExercisePages::default() };
    let (mut comparisons, mut wrong) = (Vec::new(), Vec::new());
    for (algorithm, pages) in [("pre-copy", private), ("post-copy", private), ("generic", mixed)] {
        for load in [Load::Uniform, Load::Local, Load::Rewrite] {
            let what = format!("{algorithm}, {load}");
            let (found, outside) = compared(&bed, &exercise, algorithm, load, pages)
                .unwrap_or_else(|error| panic!("{what}: {error:#}"));
            for Comparison { what, foretold_ms, measured_ms, all_ms } in &found {
                let percent = (measured_ms / foretold_ms - 1.0) * 100.0;
                println!(
                    "{what:32} foretold {foretold_ms:8.1} ms, measured {measured_ms:8.1} ms, {percent:+.1} % {all_ms:.1?}"
                );
            }
            comparisons.extend(found);
            wrong.extend(outside.into_iter().map(|outside| format!("{what}: {outside}")));
        }
    }
    assert!(wrong.is_empty(), "no run can have this: {wrong:#?}");
    let far: Vec<_> = comparisons.iter().filter(|comparison| !comparison.is_near()).collect();
    assert!(far.is_empty(), "{} of {} are far off: {far:#?}", far.len(), comparisons.len());
}

fn compared(
    bed: &Bed,
    exercise: &Path,
    algorithm: &str,
    load: Load,
    pages: ExercisePages,
) -> anyhow::Result<(Vec<Comparison>, Vec<String>)> {
    let file = bed.path(&format!("{algorithm}-{load}.workload"));
    let plan = ExercisePlan { algorithm, strategy: None, load, pages, suspend_within: None };
    let foretell = |pid| {
        profile(pid, &format!("{}s", PROFILED.as_secs()), &file)?;
        simulated(algorithm, &file, &[])
    };
    let (foretold, first) = measure_known(bed, exercise, &plan, foretell)?;
    let mut runs = vec![first];
    for _ in 1..RUNS {
        // It has modified as much by then as the one that was profiled.
        let works_as_long = |_| {
            std::thread::sleep(PROFILED);
            Ok(())
        };
        runs.push(measure_known(bed, exercise, &plan, works_as_long)?.1);
    }
    ensure!(runs.iter().all(|run| run.moved), "it did not move");
    let ms = |name: &str| {
        let mean = foretold["summary"][name]["mean"].as_f64();
        mean.map(|ns| ns / 1e6).with_context(|| format!("{name} is not foretold: {}", foretold["summary"]))
    };
    let compare = |name: &str, foretold_ms, of: fn(&MeasuredRun) -> u64| {
        let mut all_ms: Vec<f64> = runs.iter().map(|run| of(run) as f64 / 1e6).collect();
        all_ms.sort_by(f64::total_cmp);
        let what = format!("{algorithm}, {load}, {name}");
        Comparison { what, foretold_ms, measured_ms: all_ms[all_ms.len() / 2], all_ms }
    };
    let total = |run: &MeasuredRun| run.pre_ns + run.freeze_ns + run.post_ns.unwrap_or(0);
    let comparisons = vec![
        compare("freeze", ms("freeze_ns")?, |run| run.freeze_ns),
        compare("total", ms("total_ns")?, total),
    ];
    let mut wrong = Vec::new();
    for run in &runs {
        // It may have come to have a few pages more, or fewer.
        let memory = (run.all_pages * 4096).to_string();
        let bounds = simulated(algorithm, &file, &["--runs", "1", "--memory", &memory])?;
        wrong.extend(outside(run, &bounds["bounds"]));
    }
    Ok((comparisons, wrong))
}
