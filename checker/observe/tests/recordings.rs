//! Three recorded runs of QEMU: parsed to the last byte, told in one order, judged.

mod common;

use std::collections::BTreeMap;
use std::io::BufReader;

use observe::fact::ObserveError;
use observe::qemu::return_path::{ReturnMessage, ReturnPath};
use observe::qemu::run::QemuInputs;
use observe::qemu::stream::{Item, Known, RamContent, Stream, StreamCommand};
use observe::qemu::trace::QemuTrace;
use observe::report::{CostKind, ObservedProperty, ObservedVerdict, Report};

use common::{RUNS, Recording, tell};

/// How often each kind of item comes.
fn items(bytes: &[u8], known: Option<Known>) -> (BTreeMap<&'static str, u64>, Known) {
    let mut stream = match known {
        Some(known) => Stream::resumed(bytes, known),
        None => Stream::new(bytes),
    };
    let mut counts = BTreeMap::new();
    while let Some(located) = stream.next_item().unwrap() {
        let kind = match located.item {
            Item::Record(record) if record.content == RamContent::Filled(0) => "zero",
            Item::Record(_) => "page",
            Item::PartEnded => "part",
            Item::Command(StreamCommand::PostcopyDiscard(_)) => "discard",
            Item::Command(StreamCommand::Packaged(package)) => {
                assert!(package.listens && package.runs);
                "package"
            }
            Item::Command(_) => "command",
            Item::DeviceState { devices, .. } => {
                assert_eq!(devices.len(), 30);
                "devices"
            }
            Item::Ended => "end",
            _ => "other",
        };
        *counts.entry(kind).or_default() += 1;
    }
    assert_eq!(stream.offset(), bytes.len() as u64, "not parsed to the last byte");
    (counts, stream.known().clone())
}

#[test]
fn streams_parse_to_their_last_byte() {
    let pre_copy = Recording::of("pre-copy").read("stream.bin");
    let (counts, known) = items(&pre_copy, None);
    let expected = [("devices", 1), ("other", 19), ("page", 654), ("part", 8), ("zero", 1552)];
    assert_eq!(counts, expected.into());
    assert_eq!((pre_copy.len(), known.blocks.len()), (2_810_062, 6));

    let (counts, _) = items(&Recording::of("post-copy").read("stream.bin"), None);
    let expected = [
        ("command", 5),
        ("discard", 6),
        ("end", 1),
        ("other", 25),
        ("package", 1),
        ("page", 630),
        ("part", 11),
        ("zero", 1552),
    ];
    assert_eq!(counts, expected.into());

    let cut = Recording::of("post-copy-cut-recovered");
    let (counts, known) = items(&cut.read("stream.bin"), None);
    assert_eq!((counts["page"], counts["zero"], counts.get("end")), (69, 989, None));
    let (counts, _) = items(&cut.read("recovery-stream.bin"), Some(known));
    assert_eq!((counts["page"], counts["zero"], counts["command"], counts["end"]), (557, 563, 7, 1));
}

#[test]
fn return_paths_parse_to_their_last_byte() {
    let messages = |run: &str, name: &str| {
        let bytes = Recording::of(run).read(name);
        let (mut path, mut counts) = (ReturnPath::new(&bytes[..]), [0; 3]);
        while let Some((_, message)) = path.next_message().unwrap() {
            let kind = match message {
                ReturnMessage::PagesRequested { count, .. } => {
                    assert_eq!(count, 1);
                    0
                }
                ReturnMessage::Received { .. } => 1,
                _ => 2,
            };
            counts[kind] += 1;
        }
        assert_eq!(path.offset(), bytes.len() as u64);
        counts
    };
    assert_eq!(messages("post-copy", "return-path.bin"), [10, 0, 5]);
    assert_eq!(messages("post-copy-cut-recovered", "return-path.bin"), [2, 0, 4]);
    assert_eq!(messages("post-copy-cut-recovered", "recovery-return-path.bin"), [21, 6, 2]);
}

#[test]
fn traces_are_understood_line_by_line() {
    let lines = |run: &str, name: &str| {
        let bytes = Recording::of(run).read(name);
        let (mut trace, mut known) = (QemuTrace::new(BufReader::new(&bytes[..])), 0);
        while trace.next_line().unwrap().is_some() {
            known += 1;
        }
        assert_eq!(trace.strange(), 0);
        (known, trace.lines())
    };
    assert_eq!(lines("pre-copy", "source.trace"), (736, 746));
    assert_eq!(lines("pre-copy", "destination.trace"), (2209, 2210));
    assert_eq!(lines("post-copy", "source.trace"), (754, 821));
    assert_eq!(lines("post-copy", "destination.trace"), (3373, 3420));
    assert_eq!(lines("post-copy-cut-recovered", "source.trace"), (829, 949));
    assert_eq!(lines("post-copy-cut-recovered", "destination.trace"), (4235, 4321));
}

fn count(report: &Report, wanted: fn(&ObservedVerdict) -> bool) -> usize {
    report.verdicts.iter().filter(|(_, verdict)| wanted(verdict)).count()
}

#[test]
fn the_runs_are_told_and_nothing_is_wrong_but_costs() {
    let figures = RUNS.map(|run| {
        let report = Recording::of(run).tell().unwrap_or_else(|error| panic!("{run}: {error}"));
        assert_eq!(report.findings, [], "{run}");
        assert_eq!(report.ending, "completed");
        assert!(
            matches!(report.verdict(ObservedProperty::S2), Some(ObservedVerdict::NotJudged(_))),
            "contents were not seen"
        );
        let holds = count(&report, |verdict| matches!(verdict, ObservedVerdict::Holds(_)));
        (report.kind.clone(), report.pages, report.sent, report.steps, holds)
    });
    let expected = [
        ("pre-copy, 2 passes".to_owned(), 2178, 2206, 4421, 10),
        ("post-copy after 1 pass of pre-copy (1060 pages)".to_owned(), 2178, 2182, 4394, 11),
        ("post-copy after 1 pass of pre-copy (247 pages), cut once".to_owned(), 2178, 2178, 4415, 11),
    ];
    assert_eq!(figures, expected);
}

#[test]
fn requests_wait_although_nothing_is_sent() {
    let idle = |run: &str| {
        let report = Recording::of(run).tell().unwrap();
        let cost = report.costs.iter().find(|cost| cost.kind == CostKind::IdleWait)?;
        Some((cost.count, cost.text.clone()))
    };
    assert_eq!(idle("pre-copy"), None);
    let (count, text) = idle("post-copy").unwrap();
    assert_eq!((count, text.starts_with("7 of 9 requests waited 64.2 ms to 97.0 ms")), (7, true), "{text}");
    let (count, text) = idle("post-copy-cut-recovered").unwrap();
    assert_eq!(
        (count, text.starts_with("21 of 21 requests waited 25.7 ms to 118.5 ms")),
        (21, true),
        "{text}"
    );
}

#[test]
fn what_is_missing_is_unseen_and_not_passed() {
    let recording = Recording::of("post-copy");
    let whole = recording.inputs();
    let judged = |inputs: QemuInputs| {
        let report = tell(inputs, &recording.path("log.ndjson")).unwrap();
        assert_eq!(report.findings, []);
        let holds = |(property, verdict): &(ObservedProperty, ObservedVerdict)| {
            matches!(verdict, ObservedVerdict::Holds(_)).then_some(*property)
        };
        report.verdicts.iter().filter_map(holds).collect::<Vec<_>>()
    };
    use ObservedProperty::*;
    let all = judged(whole.clone());
    assert_eq!(all, [S3, S4, S5, S7, S8, S9, S10, L1, L2, L3, L4]);
    let stream = QemuInputs { stream: whole.stream.clone(), ..QemuInputs::default() };
    assert_eq!(judged(stream), [] as [ObservedProperty; 0]);
    let no_source = QemuInputs { source_trace: None, events: None, ..whole.clone() };
    assert_eq!(judged(no_source), [L3, L4]);
    let no_destination = QemuInputs { destination_trace: None, events: None, ..whole.clone() };
    assert_eq!(judged(no_destination), [S4, S5, S7, S8, L1]);
    let traces = QemuInputs { stream: None, return_path: None, ..whole.clone() };
    assert_eq!(judged(traces), [S3, S4, S9, S10, L2, L3, L4]);
    let source = QemuInputs { source_trace: whole.source_trace.clone(), ..QemuInputs::default() };
    assert_eq!(judged(source), [S4]);
}

/// Two threads wait for one page; the second asks after the page was sent, and the end comes before the source looks.
#[test]
fn a_request_for_a_page_that_was_sent_needs_no_answer() {
    let recording = Recording::of("post-copy-cut-recovered");
    let trace = String::from_utf8(recording.read("source.trace")).unwrap();
    let asked = trace.lines().rfind(|line| line.contains("migrate_handle_rp_req_pages")).unwrap();
    let shut = trace.find("source_return_path_thread_shut").unwrap();
    let line = trace[..shut].rfind('\n').unwrap() + 1;
    let again = format!("{}{asked}\n{}", &trace[..line], &trace[line..]);
    std::fs::write(recording.path("source.trace"), again).unwrap();
    let trace = String::from_utf8(recording.read("destination.trace")).unwrap();
    let request = trace.lines().rfind(|line| line.contains("migrate_send_rp_message 4")).unwrap();
    let twice = trace.replace(request, &format!("{request}\n{request}"));
    std::fs::write(recording.path("destination.trace"), twice).unwrap();
    let answers = recording.read("recovery-return-path.bin");
    // The last two messages: which page, in 16 bytes, and that nothing is missing.
    let shut = answers.len() - 8;
    assert_eq!(answers[shut - 16..shut - 12], [0, 4, 0, 12]);
    let request = &answers[shut - 16..shut];
    let again = [&answers[..shut], request, &answers[shut..]].concat();
    std::fs::write(recording.path("recovery-return-path.bin"), again).unwrap();
    let report = recording.tell().unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn a_right_run_has_no_finding_whatever_is_missing() {
    type Removal = fn(&mut QemuInputs);
    let removals: [Removal; 7] = [
        |inputs| inputs.stream = None,
        |inputs| inputs.return_path = None,
        |inputs| inputs.recoveries.iter_mut().for_each(|recovery| recovery.return_path = None),
        |inputs| inputs.recoveries.clear(),
        |inputs| inputs.source_trace = None,
        |inputs| inputs.destination_trace = None,
        |inputs| inputs.events = None,
    ];
    for run in RUNS {
        let recording = Recording::of(run);
        let mut judged = 0;
        for subset in 0..1_u32 << removals.len() {
            let mut inputs = recording.inputs();
            let chosen = removals.iter().enumerate().filter(|(number, _)| subset & 1 << number != 0);
            chosen.for_each(|(_, remove)| remove(&mut inputs));
            match tell(inputs.clone(), &recording.path("log.ndjson")) {
                Ok(report) => assert_eq!(report.findings, [], "{run}, {inputs:#?}"),
                // Too little is left to tell a run from.
                Err(ObserveError::Nothing | ObserveError::Lacking { .. }) => {}
                Err(error) => panic!("{run}: {error}; {inputs:#?}"),
            }
            judged += 1;
        }
        assert_eq!(judged, 128);
    }
}

#[test]
fn hosts_with_different_clocks_are_told_in_the_order_of_their_messages() {
    let recording = Recording::of("post-copy");
    recording.tell().unwrap();
    let events = |recording: &Recording| -> Vec<String> {
        let log = String::from_utf8(recording.read("log.ndjson")).unwrap();
        let per_host = |host: &str| {
            log.lines().skip(1).filter(|line| line.contains(host)).map(event).collect::<Vec<_>>()
        };
        [per_host(r#""place":{"host":0}"#), per_host(r#""place":{"host":1}"#)].concat()
    };
    let before = events(&recording);
    let trace = String::from_utf8(recording.read("destination.trace")).unwrap();
    std::fs::write(recording.path("destination.trace"), trace.replace("@17959938", "@17959937")).unwrap();
    let report = recording.tell().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(events(&recording), before);
}

/// A step without its time.
fn event(line: &str) -> String {
    line.split_once(',').map_or(line, |(_, rest)| rest).to_owned()
}
