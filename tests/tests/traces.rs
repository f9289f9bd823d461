//! Step logs of real runs are accepted to their last line; logs of what the model does not have are rejected at the
//! line in question.

use std::io::Write;

use model::algorithms;
use protocol::policy::Policy;
use steplog::event::{Event, Step, write_log};
use steplog::header::Header;
use steplog::place::HostId;
use tie::trace::{Accepted, TraceError, conform};
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const C: HostId = HostId(2);

fn links() -> [FrameOrder; 3] {
    let (jitter_ns, retransmit_after_ns) = (2_000_000, 3_000_000);
    let lossy = FrameOrder::Lossy { jitter_ns, loss_percent: 20, duplicate_percent: 20, retransmit_after_ns };
    [FrameOrder::Fifo, FrameOrder::Unordered { jitter_ns }, lossy]
}

fn scenario(policy: &Policy, order: FrameOrder, route: &[HostId], ending: Ending, seed: u64) -> Scenario {
    Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: 16,
            file_mapped_percent: 40,
            initially_dirty_percent: 50,
            noise_percent: 0,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 300_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: route.to_vec(),
        accesses_per_stay: 40,
        registers_len: 8,
        ending,
        seed,
    }
}

fn trace(header: &Header, steps: &[Step]) -> Vec<u8> {
    let mut text = serde_json::to_vec(header).expect("a header is JSON");
    text.push(b'\n');
    write_log(steps, &mut text).expect("memory can be written to");
    text
}

fn log(scenario: &Scenario) -> Vec<Step> {
    World::run(scenario).unwrap_or_else(|error| panic!("{}: {error}", scenario.policy.name)).log
}

#[test]
fn real_runs_are_accepted() {
    let mut lines = 0;
    for policy in Policy::ALL {
        for order in links() {
            for route in [&[A, B, C][..], &[A, B, A], &[A, B, C, B], &[A, B, C, A], &[A, B, C, A, C]] {
                for (ending, seed) in [(Ending::Idle, 1), (Ending::Exit, 2)] {
                    let scenario = scenario(&policy, order, route, ending, seed);
                    let steps = log(&scenario);
                    let accepted = conform(&trace(&scenario.header(false), &steps)[..], None)
                        .unwrap_or_else(|error| panic!("{}, {order:?}, {route:?}: {error}", policy.name));
                    assert_eq!((accepted.steps, accepted.hops), (steps.len(), route.len() - 1));
                    lines += accepted.steps;
                }
            }
        }
    }
    println!("{lines} lines of real runs accepted");
}

/// The line on which a post-copy log is rejected after a change, and what it says.
fn rejected(change: impl Fn(&mut Vec<Step>) -> usize) -> (usize, usize) {
    let scenario = scenario(&Policy::POST_COPY, FrameOrder::Fifo, &[A, B], Ending::Idle, 1);
    let mut steps = log(&scenario);
    let expected = change(&mut steps) + 2;
    match conform(&trace(&scenario.header(false), &steps)[..], None) {
        Err(TraceError::Rejected(rejection)) => (rejection.line, expected),
        other => panic!("not rejected: {other:?}"),
    }
}

fn find(steps: &[Step], which: impl Fn(&Event) -> bool) -> usize {
    steps.iter().position(|step| which(&step.event)).expect("such a step")
}

#[test]
fn a_page_sent_twice_is_rejected() {
    let (line, expected) = rejected(|steps| {
        let at = find(steps, |event| matches!(event, Event::PagePushed { .. }));
        steps.insert(at + 1, steps[at].clone());
        at + 1
    });
    assert_eq!(line, expected);
}

#[test]
fn a_page_that_arrives_unsent_is_rejected() {
    let (line, expected) = rejected(|steps| {
        let sent = find(steps, |event| matches!(event, Event::PagePushed { .. }));
        let Event::PagePushed { page, .. } = steps.remove(sent).event else { unreachable!("found") };
        find(steps, |event| matches!(event, Event::PageInstalled { page: other, .. } if *other == page))
    });
    assert_eq!(line, expected);
}

#[test]
fn resuming_before_the_go_is_rejected() {
    let (line, expected) = rejected(|steps| {
        let handed_over = find(steps, |event| matches!(event, Event::ProcessHandedOver { .. }));
        let resumed = find(steps, |event| matches!(event, Event::ProcessResumed { .. }));
        let early = steps.remove(resumed);
        steps.insert(handed_over, early);
        handed_over
    });
    assert_eq!(line, expected);
}

/// The model has a write here, but of the process where it is now.
#[test]
fn a_former_host_that_runs_on_is_rejected() {
    let (line, expected) = rejected(|steps| {
        let resumed = find(steps, |event| matches!(event, Event::ProcessResumed { .. }));
        let written = |step: &Step| matches!(step.event, Event::PageWritten { .. });
        let at = resumed + steps[resumed..].iter().position(written).expect("the process writes");
        steps[at].place = A.into();
        at
    });
    assert_eq!(line, expected);
}

/// The log of one algorithm is not one of another.
#[test]
fn another_algorithm_is_rejected() {
    let scenario = scenario(&Policy::POST_COPY, FrameOrder::Fifo, &[A, B], Ending::Idle, 1);
    let trace = trace(&scenario.header(false), &log(&scenario));
    assert!(matches!(conform(&trace[..], Some(algorithms::TOTAL_COPY)), Err(TraceError::Rejected(_))));
    let accepted = conform(&trace[..], Some(algorithms::POST_COPY));
    assert!(matches!(accepted, Ok(Accepted { hops: 1, .. })), "{accepted:?}");
}

#[test]
fn what_is_no_trace_is_an_error_with_its_line() {
    let good = r#"{"trace":1,"algorithm":"post-copy","link":"fifo","pages":2,"file_mapped":[]}"#;
    let written =
        r#"{"at_ns":0,"place":{"host":0},"epoch":0,"event":"page-written","page":2,"offset":0,"bytes":"00"}"#;
    let crashed = r#"{"at_ns":0,"place":{"host":0},"epoch":0,"event":"host-crashed"}"#;
    let disrupted = good.replace("}", r#","disrupted":true}"#);
    let disrupted = format!("{disrupted}\n{crashed}\n{}", crashed.replace(":0}", ":1}"));
    for (text, message) in [
        (String::new(), "line 1: the trace is empty"),
        (good.replace(":1,", ":2,"), "line 1: version 2 of the format; 1 is read"),
        (
            good.replace("post-copy", "no-copy"),
            "line 1: no built-in algorithm is called 'no-copy', and no strategy file was given",
        ),
        // What is empty may be left out of the first line.
        (format!("{}\n\n", good.replace(r#","file_mapped":[]"#, "")), "line 2: the line is empty"),
        (
            format!("{good}\n{}", crashed.replace(r#""at_ns":0,"#, "")),
            "line 2: missing field `at_ns`, at column 53",
        ),
        (good.replace("[]", "[2]"), "line 1: no page 2 of 2"),
        (good.replace("\"pages\":2", "\"pages\":0"), "line 1: 0 pages; there must be 1 to 16777216"),
        (format!("{good}\n{written}\n"), "line 2: no page 2 of 2"),
        (format!("{good}\n{crashed}\n"), "line 2: something goes wrong, which the header does not announce"),
        (
            format!("{disrupted}\n{}\n", crashed.replace(":0}", ":2}")),
            "line 4: a third host; where things go wrong there can be two",
        ),
    ] {
        let error = conform(text.as_bytes(), None).expect_err(&text);
        assert_eq!(error.to_string(), message);
    }
    let error = conform(format!("{good}\nnonsense\n").as_bytes(), None).expect_err("nonsense");
    assert!(matches!(error, TraceError::Line { line: 2, .. }), "{error}");
}

/// Runs `checker conform` on a file with this text.
fn checker_conform(text: &[u8]) -> (Option<i32>, String) {
    let build = escargot::CargoBuild::new().package("checker").bin("checker");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text).expect("it can be written to");
    let mut command = build.run().expect("the checker builds").command();
    let output = command.arg("conform").arg(file.path()).output().expect("the checker runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

#[test]
fn the_command_accepts_rejects_and_refuses() {
    let scenario = scenario(&Policy::GENERIC, FrameOrder::Fifo, &[A, B], Ending::Idle, 1);
    let (header, mut steps) = (scenario.header(false), log(&scenario));
    let (code, said) = checker_conform(&trace(&header, &steps));
    assert!(code == Some(0) && said.contains("accepted: generic;"), "{code:?}: {said}");
    let handed_over = find(&steps, |event| matches!(event, Event::ProcessHandedOver { .. }));
    steps.remove(handed_over);
    let (code, said) = checker_conform(&trace(&header, &steps));
    assert!(code == Some(1) && said.contains("rejected\nline "), "{code:?}: {said}");
    steps.truncate(handed_over);
    let (code, said) = checker_conform(&trace(&header, &steps));
    assert!(
        code == Some(3) && said.contains("unfinished\n") && said.contains("waits for"),
        "{code:?}: {said}"
    );
    let (code, said) = checker_conform(b"nonsense");
    assert!(code == Some(2) && said.contains("line 1"), "{code:?}: {said}");
}
