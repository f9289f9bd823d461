//! Fresh runs of a real QEMU, recorded and observed: 20 of them, and one whose memory is compared.
//!
//! Skipped, loudly, where there is no `qemu-system-x86_64` or no userfaultfd.

mod qemu;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use observe::account::{CostLimits, Dumps};
use observe::qemu::run::{QemuInputs, QemuRun, Recovery};
use observe::report::{ObservedFault, ObservedProperty, ObservedVerdict, Report};
use serde_json::json;
use tempfile::TempDir;

use qemu::{Qemu, Tape, boot_sector, traced, version};

/// How a run goes.
#[derive(Clone, Copy, Debug, Default)]
struct Plan {
    /// Post-copy is allowed for, and started so long after the beginning.
    postcopy_after: Option<Duration>,
    /// The connection is cut so long after the hand-over.
    cut_after: Option<Duration>,
    /// The operator calls it off so long after the beginning.
    cancel_after: Option<Duration>,
    /// Bytes a second.
    bandwidth: u64,
    postcopy_bandwidth: u64,
    /// Turns of the guest's pause between two rounds of writes.
    pause: u32,
    xbzrle: bool,
    /// Pages go over further connections.
    multifd: bool,
    /// Pages that were asked for go over a connection of their own.
    preempt: bool,
}

const QUICK: Plan = Plan {
    postcopy_after: None,
    cut_after: None,
    cancel_after: None,
    bandwidth: 64 << 20,
    postcopy_bandwidth: 0,
    pause: 300_000_000,
    xbzrle: false,
    multifd: false,
    preempt: false,
};

struct Done {
    folder: TempDir,
    inputs: QemuInputs,
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// A run as planned. Where it is over before the time of its cut, it is tried again on a slower link.
fn run(plan: Plan) -> Done {
    let mut slower = plan;
    for _ in 0..4 {
        if let Some(done) = attempt(slower) {
            return done;
        }
        println!("it was over before its cut; again, at half the speed");
        slower = Plan { postcopy_bandwidth: slower.postcopy_bandwidth / 2, ..slower };
    }
    panic!("{plan:?} is over before its cut, even at an eighth of the speed");
}

fn attempt(plan: Plan) -> Option<Done> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path(&folder, "boot.img"), boot_sector(plan.pause)).unwrap();
    let incoming = path(&folder, "incoming.sock");
    let mut source = traced(folder.path(), "source", &[]);
    let mut destination = traced(folder.path(), "destination", &["-incoming", "defer"]);
    let capability = |name: &str, state: bool| json!({ "capability": name, "state": state });
    let capabilities = json!({ "capabilities": [
        capability("events", true),
        capability("postcopy-ram", plan.postcopy_after.is_some()),
        capability("xbzrle", plan.xbzrle),
        capability("multifd", plan.multifd),
        capability("postcopy-preempt", plan.preempt),
    ] });
    for qemu in [&mut source, &mut destination] {
        let answer = qemu.ask("migrate-set-capabilities", capabilities.clone());
        assert!(answer.get("return").is_some(), "{answer}");
    }
    let to = |path: &Path| format!("unix:{}", path.display());
    let answer = destination.ask("migrate-incoming", json!({ "uri": to(&incoming) }));
    assert!(answer.get("return").is_some(), "{answer}");
    source.ask(
        "migrate-set-parameters",
        json!({ "max-bandwidth": plan.bandwidth, "max-postcopy-bandwidth": plan.postcopy_bandwidth }),
    );
    // The guest is to write before it is moved.
    sleep(Duration::from_millis(800));
    let tape = Tape::start(folder.path(), "first", &incoming);
    let first = tape.folder.clone();
    source.ask("migrate", json!({ "uri": to(&tape.listen) }));
    let mut inputs = QemuInputs::default();
    if let Some(after) = plan.postcopy_after {
        sleep(after);
        source.ask("migrate-start-postcopy", json!({}));
    }
    let mut tapes = vec![];
    match (plan.cancel_after, plan.cut_after) {
        (Some(after), _) => {
            sleep(after);
            source.ask("migrate_cancel", json!({}));
            source.reaches(&["cancelled"]);
            tapes.push(tape);
        }
        (None, Some(after)) => {
            destination.reaches(&["postcopy-active"]);
            sleep(after);
            tape.end();
            if source.reaches(&["postcopy-paused", "completed"]) == "completed" {
                return None;
            }
            destination.reaches(&["postcopy-paused"]);
            let again = path(&folder, "again.sock");
            let answer = destination.ask("migrate-recover", json!({ "uri": to(&again) }));
            assert!(answer.get("return").is_some(), "{answer}");
            let tape = Tape::start(folder.path(), "second", &again);
            let stream = tape.folder.join("connection-1.forward.bin");
            let return_path = Some(tape.folder.join("connection-1.backward.bin"));
            inputs.recoveries.push(Recovery { stream, return_path });
            let answer = source.ask("migrate", json!({ "uri": to(&tape.listen), "resume": true }));
            assert!(answer.get("return").is_some(), "{answer}");
            source.reaches(&["completed"]);
            destination.reaches(&["completed"]);
            tapes.push(tape);
        }
        (None, None) => {
            source.reaches(&["completed"]);
            destination.reaches(&["completed"]);
            destination.hears("RESUME");
            tapes.push(tape);
        }
    }
    fs::write(path(&folder, "source.events"), source.events()).unwrap();
    fs::write(path(&folder, "destination.events"), destination.events()).unwrap();
    tapes.into_iter().for_each(|tape| drop(tape.end()));
    drop((source, destination));
    let QemuInputs { stream, return_path, channels, .. } = QemuInputs::of_recording(&first).unwrap();
    assert!(!plan.multifd || channels.len() >= 2, "{channels:?}");
    (inputs.stream, inputs.return_path, inputs.channels) = (stream, return_path, channels);
    inputs.source_trace = Some(path(&folder, "source.trace"));
    inputs.destination_trace = Some(path(&folder, "destination.trace"));
    inputs.events = Some(path(&folder, "source.events"));
    inputs.destination_events = Some(path(&folder, "destination.events"));
    Some(Done { folder, inputs })
}

fn observed(name: &str, plan: Plan) -> Report {
    let begun = Instant::now();
    let done = run(plan);
    let log = BufWriter::new(File::create(path(&done.folder, "log.ndjson")).unwrap());
    let told = QemuRun::survey(done.inputs)
        .and_then(|run| run.tell(CostLimits::default(), Dumps::default(), log, &mut |_| {}));
    let report = match told {
        Ok(report) => report,
        Err(error) => panic!("{name}: {error}\nthe recording is in {}", done.folder.keep().display()),
    };
    println!(
        "{name}: {} ({}), {} pages sent, {} steps, {:.1} s",
        report.kind,
        report.ending,
        report.sent,
        report.steps,
        begun.elapsed().as_secs_f64()
    );
    for cost in &report.costs {
        println!("    {}", cost.text);
    }
    let expected = |finding: &ObservedFault| plan.multifd && sends_twice() && finding.property == S8;
    if !report.findings.iter().all(expected) {
        let folder = done.folder.keep();
        panic!("{name}: {:#?}\nthe recording is in {}", report.findings, folder.display());
    }
    report.findings.iter().for_each(|finding| println!("    {}", finding.text));
    report
}

/// Is there what the test needs? If not, that is said where nobody misses it.
fn is_there() -> bool {
    if std::env::var_os("SOJOURN_QEMU").is_none() {
        println!(
            "SKIPPED: NO RUN OF A REAL QEMU: it races with a real clock, and is run where SOJOURN_QEMU is set"
        );
        return false;
    }
    match version() {
        Some(version) => {
            println!("{version}");
            true
        }
        None => {
            println!("SKIPPED: NO RUN OF A REAL QEMU: there is no qemu-system-x86_64");
            false
        }
    }
}

/// Versions before 8 have a race in which the page that fills a packet of multifd goes into the next packet as well. The
/// judgement finds it in some runs.
fn sends_twice() -> bool {
    let version = version().unwrap_or_default();
    let number = version.split(' ').skip_while(|word| *word != "version").nth(1).unwrap_or_default();
    number.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 8)
}

fn holds(report: &Report, properties: &[ObservedProperty]) {
    for property in properties {
        let verdict = report.verdict(*property);
        assert!(matches!(verdict, Some(ObservedVerdict::Holds(_))), "{property}: {verdict:?}");
    }
}

use ObservedProperty::*;

#[test]
fn three_pre_copies_are_accepted() {
    if !is_there() {
        return;
    }
    let slow = Plan { bandwidth: 8 << 20, ..QUICK };
    for (name, plan) in
        [("pre-copy", QUICK), ("pre-copy, slow", slow), ("pre-copy, xbzrle", Plan { xbzrle: true, ..slow })]
    {
        let report = observed(name, plan);
        assert!(report.kind.starts_with("pre-copy"), "{}", report.kind);
        holds(&report, &[S3, S4, S5, S8, S9, S10, L1, L2, L3, L4]);
    }
}

#[test]
fn two_post_copies_and_two_hybrids_are_accepted() {
    if !is_there() {
        return;
    }
    let now = Plan { postcopy_after: Some(Duration::ZERO), bandwidth: 2 << 20, ..QUICK };
    let later = Plan { postcopy_after: Some(Duration::from_millis(1500)), pause: 30_000_000, ..now };
    let plans = [
        ("post-copy", now),
        ("post-copy, slow", Plan { postcopy_bandwidth: 4 << 20, ..now }),
        ("hybrid", later),
        ("hybrid, slow", Plan { postcopy_bandwidth: 4 << 20, ..later }),
    ];
    for (name, plan) in plans {
        let report = observed(name, plan);
        assert!(report.kind.starts_with("post-copy"), "{}", report.kind);
        holds(&report, &[S3, S4, S5, S8, S9, S10, L1, L2, L3, L4]);
    }
}

#[test]
fn pages_over_further_connections_are_accepted() {
    if !is_there() {
        return;
    }
    let slow = Plan { bandwidth: 8 << 20, ..QUICK };
    let post_copy = Plan { postcopy_after: Some(Duration::ZERO), bandwidth: 2 << 20, preempt: true, ..QUICK };
    for (name, plan) in [
        ("pre-copy, multifd", Plan { multifd: true, ..QUICK }),
        ("pre-copy, multifd, slow", Plan { multifd: true, ..slow }),
        ("post-copy, preempt", post_copy),
        ("post-copy, preempt, slow", Plan { postcopy_bandwidth: 4 << 20, ..post_copy }),
    ] {
        let report = observed(name, plan);
        assert_eq!(report.ending, "completed");
        holds(&report, &[S3, S9, S10, L2, L4]);
    }
}

#[test]
fn cuts_at_ten_moments_are_recovered_from() {
    if !is_there() {
        return;
    }
    for tenth in 0..10 {
        let plan = Plan {
            postcopy_after: Some(Duration::from_millis(20)),
            cut_after: Some(Duration::from_millis(tenth * 40)),
            bandwidth: 2 << 20,
            postcopy_bandwidth: 3 << 20,
            ..QUICK
        };
        let report = observed(&format!("cut {} ms after the hand-over", tenth * 40), plan);
        assert!(report.kind.ends_with("cut once"), "{}", report.kind);
        holds(&report, &[S3, S5, S9, S10, L1, L2, L3, L4]);
    }
}

#[test]
fn three_cancelled_runs_are_accepted() {
    if !is_there() {
        return;
    }
    for after_ms in [0, 300, 1200] {
        let plan = Plan {
            cancel_after: Some(Duration::from_millis(after_ms)),
            bandwidth: 2 << 20,
            pause: 30_000_000,
            ..QUICK
        };
        let report = observed(&format!("cancelled after {after_ms} ms"), plan);
        assert_eq!(report.ending, "called off");
        holds(&report, &[S3, S10, L2]);
    }
}

/// The destination does not run until its memory is dumped, so that every page can be compared.
#[test]
fn memory_is_the_same_on_both_sides_of_a_pre_copy() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(path(&folder, "boot.img"), boot_sector(3_000_000)).unwrap();
    let incoming = path(&folder, "incoming.sock");
    let mut source = traced(folder.path(), "source", &[]);
    let to = format!("unix:{}", incoming.display());
    let mut destination = traced(folder.path(), "destination", &["-S", "-incoming", &to]);
    let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
    source.ask("migrate-set-capabilities", events.clone());
    destination.ask("migrate-set-capabilities", events);
    sleep(Duration::from_millis(800));
    let tape = Tape::start(folder.path(), "first", &incoming);
    let stream = Some(tape.folder.join("connection-1.forward.bin"));
    source.ask("migrate", json!({ "uri": format!("unix:{}", tape.listen.display()) }));
    source.reaches(&["completed"]);
    destination.reaches(&["completed"]);
    let dump = |qemu: &mut Qemu, name: &str| {
        let file = path(&folder, name);
        let answer = qemu.ask("pmemsave", json!({ "val": 0, "size": 8 << 20, "filename": file }));
        assert!(answer.get("return").is_some(), "{answer}");
        Some(file)
    };
    let before = dump(&mut source, "source.memory");
    let after = dump(&mut destination, "destination.memory");
    destination.ask("cont", json!({}));
    destination.hears("RESUME");
    tape.end();
    drop((source, destination));
    let inputs = QemuInputs {
        stream,
        source_trace: Some(path(&folder, "source.trace")),
        destination_trace: Some(path(&folder, "destination.trace")),
        ..QemuInputs::default()
    };
    let judge = |dumps: Dumps| {
        let log = BufWriter::new(File::create(path(&folder, "log.ndjson")).unwrap());
        QemuRun::survey(inputs.clone()).unwrap().tell(CostLimits::default(), dumps, log, &mut |_| {}).unwrap()
    };
    let report = judge(Dumps { source: before.clone(), destination: after.clone(), block: None });
    assert_eq!(report.findings, []);
    // 8 MiB but for the 384 KiB below 1 MiB, where addresses show something else; and the other blocks.
    let Some(ObservedVerdict::NotJudged(text)) = report.verdict(S2) else { panic!("{report:?}") };
    assert!(text.starts_with("1952 pages are the same everywhere, 226 could not be judged"), "{text}");

    // One bit of one page, on either side.
    let page = 0x234;
    let mut wrong = fs::read(before.as_ref().unwrap()).unwrap();
    wrong[page * 4096 + 77] ^= 1;
    fs::write(path(&folder, "wrong.memory"), wrong).unwrap();
    let report =
        judge(Dumps { source: Some(path(&folder, "wrong.memory")), destination: after, block: None });
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.property, finding.page.as_deref()), (S1, Some("pc.ram at 0x234000")));
}
