//! CRIU and Cloud Hypervisor: two recorded runs of a real CRIU, and connections written by encoders of the documented
//! layouts, since neither can be run everywhere that this test is.

mod common;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use observe::account::CostLimits;
use observe::cloud_hypervisor::connection::{encode_memory, encode_request, encode_response};
use observe::criu::image::encode_pagemap;
use observe::criu::page_server::encode;
use observe::fact::ObserveError;
use observe::report::{ObservedProperty, ObservedVerdict, Report};
use observe::{cloud_hypervisor, criu};

use common::Recording;

fn log(folder: &Path) -> BufWriter<File> {
    BufWriter::new(File::create(folder.join("log.ndjson")).unwrap())
}

fn write(folder: &Path, name: &str, parts: &[Vec<u8>]) -> Option<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, parts.concat()).unwrap();
    Some(path)
}

fn page(fill: u8) -> Vec<u8> {
    vec![fill; 4096]
}

const PID: u64 = 42;

fn get(page: u64, pages: u64) -> Vec<u8> {
    encode(7, pages, page * 4096, PID)
}

fn add(page: u64, pages: u64) -> Vec<u8> {
    let mut bytes = encode(6 | 4 << 16, pages, page * 4096, PID);
    bytes.extend((0..pages).flat_map(|number| self::page((page + number) as u8)));
    bytes
}

/// Eight pages: two in the dump, one faulted, five fetched.
fn lazy(folder: &Path, requests: &[Vec<u8>], alive_at_source: bool) -> Result<Report, ObserveError> {
    fs::create_dir_all(folder.join("images")).unwrap();
    write(folder, "images/pagemap-42.img", &[encode_pagemap(&[(16, 2, 4), (18, 6, 2)])]);
    let inputs = criu::CriuInputs {
        page_server: write(
            folder,
            "dump",
            &[
                encode(4, 0, 0, PID),
                add(16, 2),
                encode(6 | 2 << 16, 6, 18 * 4096, PID),
                encode(0x1023, 0, 0, 0),
            ],
        ),
        lazy_requests: write(folder, "requests", requests),
        lazy_answers: write(folder, "answers", &[add(20, 1), add(18, 2), add(21, 3)]),
        images: Some(folder.join("images")),
        alive_at_source,
        ..criu::CriuInputs::default()
    };
    criu::tell(&inputs, CostLimits::default(), log(folder), &mut |_| {})
}

fn whole() -> Vec<Vec<u8>> {
    vec![get(20, 1), get(18, 2), get(21, 3), encode(0x1023, 0, 0, 0)]
}

fn broken(report: &Report) -> Vec<ObservedProperty> {
    let mut broken: Vec<_> = report.findings.iter().map(|finding| finding.property).collect();
    broken.dedup();
    broken
}

fn recorded(run: &str) -> Report {
    let recording = Recording::of(run);
    criu::tell(&recording.criu_inputs(), CostLimits::default(), log(recording.folder.path()), &mut |_| {})
        .unwrap()
}

#[test]
fn a_recorded_lazy_migration_is_in_order() {
    let report = recorded("criu-lazy");
    assert_eq!(report.findings, []);
    use ObservedProperty::*;
    let holds = |property| matches!(report.verdict(property), Some(ObservedVerdict::Holds(_)));
    for property in [S3, S5, S8, S9, S10, L1, L2, L3, L4] {
        assert!(holds(property), "{property}: {:?}", report.verdict(property));
    }
    assert_eq!((report.pages, report.sent, report.steps), (526, 526, 1085));
}

/// The source took the end of the connection for the end of the migration.
#[test]
fn a_recorded_cut_has_lost_what_was_left_behind() {
    let report = recorded("criu-lazy-cut");
    use ObservedProperty::*;
    let broken = broken(&report);
    assert!(broken.contains(&S5) && broken.contains(&S10), "{report:#?}");
    let finding = report.findings.iter().find(|finding| finding.property == S5).unwrap();
    assert_eq!(finding.at, "source trace, line 4");
    assert_eq!((report.pages, report.sent), (111_005, 178));
    assert_eq!(report.ending, "completed at the source alone");
    assert!(matches!(report.verdict(S9), Some(ObservedVerdict::NotJudged(_))), "{report:#?}");
    for property in [S1, L1, L2] {
        let verdict = report.verdict(property);
        assert!(matches!(verdict, Some(ObservedVerdict::Violated(_))), "{property}: {verdict:?}");
    }
}

#[test]
fn a_lazy_migration_of_criu_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let report = lazy(folder.path(), &whole(), false).unwrap();
    assert_eq!((broken(&report), report.pages, report.sent), (vec![], 6, 6));
    assert!(report.unseen.iter().any(|text| text.starts_with("2 pages in the dump")), "{report:?}");
    assert!(matches!(report.verdict(ObservedProperty::S5), Some(ObservedVerdict::Holds(_))), "{report:?}");
    let log = fs::read_to_string(folder.path().join("log.ndjson")).unwrap();
    let count =
        |event: &str| log.lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count();
    assert_eq!([count("page-transferred"), count("page-served"), count("page-pushed")], [0, 1, 5]);
    // Nobody says that the process may run: that it does is all that there is.
    assert_eq!([count("process-handed-over"), count("process-resumed"), count("image-destroyed")], [0, 1, 1]);
}

#[test]
fn a_process_that_goes_on_at_both_hosts_after_a_cut_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let report = lazy(folder.path(), &whole()[..2], true).unwrap();
    assert!(broken(&report).contains(&ObservedProperty::S3), "{report:?}");
    // Without the sign of life it is not judged, and the cut shows all the same.
    let report = lazy(folder.path(), &whole()[..2], false).unwrap();
    assert_eq!(broken(&report), [ObservedProperty::S10]);
    assert!(matches!(report.verdict(ObservedProperty::S3), Some(ObservedVerdict::NotJudged(_))));
}

#[test]
fn closing_while_pages_are_owed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let requests = [get(20, 1), get(18, 2), encode(0x1023, 0, 0, 0)];
    let report = lazy(folder.path(), &requests, false).unwrap();
    assert!(broken(&report).contains(&ObservedProperty::S5), "{report:?}");
}

#[test]
fn an_answer_to_something_else_is_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let requests = [get(20, 1), get(19, 1), get(21, 3)];
    let error = lazy(folder.path(), &requests, false).unwrap_err().to_string();
    assert!(
        error.contains("1 pages at 0x13000 are asked for") && error.contains("2 pages at 0x12000"),
        "{error}"
    );
}

#[test]
fn the_log_of_the_daemon_is_tied_to_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let text = "(00.000010) uffd: 42-7: #PF at 0x14000\n(00.000020) uffd: 42-7: uffd_copy: 0x14000/4096\n\
                (00.000030) uffd: 42-7: uffd_copy: 0x12000/8192\n";
    let tell = |text: &str| {
        let inputs = criu::CriuInputs {
            lazy_requests: write(
                folder.path(),
                "requests",
                &[get(20, 1), get(18, 2), encode(0x1023, 0, 0, 0)],
            ),
            lazy_answers: write(folder.path(), "answers", &[add(20, 1), add(18, 2)]),
            lazy_log: write(folder.path(), "lazy.log", &[text.into()]),
            ..criu::CriuInputs::default()
        };
        criu::tell(&inputs, CostLimits::default(), log(folder.path()), &mut |_| {})
    };
    let report = tell(text).unwrap();
    assert_eq!(broken(&report), []);
    let log = fs::read_to_string(folder.path().join("log.ndjson")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("page-installed")).count(), 3);
    // A page that was never written is in no dump: the daemon says that it is zero, or the process waits for nothing.
    let never_written = format!("(00.000005) uffd: 42-7: #PF at 0x99000\n{text}");
    let error = tell(&never_written).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("a page that the dump does not have"), "{error}");
    let zero = format!("{never_written}(00.000040) uffd: 42-7: zero page at 0x99000\n");
    assert_eq!(broken(&tell(&zero).unwrap()), []);
    let error = tell(&text.replace("0x12000/8192", "0x13000/4096")).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("channel 1, offset"), "{error}");
}

/// A live migration: all pages, two again, one more while stopped.
fn live() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let contents = |pages: &[u8]| pages.iter().flat_map(|fill| page(*fill)).collect::<Vec<_>>();
    let requests = vec![
        encode_request(1, 1, &[]),
        encode_request(2, 0, br#"{"memory": [{"gpa": 0, "size": 16384}]}"#),
        encode_memory(4, &[(0, 4)], &contents(&[1, 2, 3, 4])),
        encode_memory(4, &[(1, 1), (3, 1)], &contents(&[5, 6])),
        encode_memory(4, &[(1, 1)], &contents(&[7])),
        encode_request(3, 0, &[9; 50]),
        encode_request(5, 0, &[]),
    ];
    let responses = vec![encode_response(1, &[]); requests.len()];
    (requests, responses)
}

/// What is asked and what is answered on the connection for faults.
type Faults = (Vec<Vec<u8>>, Vec<Vec<u8>>);

fn cloud(
    folder: &Path,
    requests: &[Vec<u8>],
    responses: &[Vec<u8>],
    faults: Option<Faults>,
) -> Result<Report, ObserveError> {
    let (fault_requests, fault_responses) = match faults {
        Some((asked, answered)) => (write(folder, "faults", &asked), write(folder, "answers", &answered)),
        None => (None, None),
    };
    let inputs = cloud_hypervisor::CloudHypervisorInputs {
        requests: write(folder, "requests", requests).unwrap(),
        responses: write(folder, "responses", responses).unwrap(),
        fault_requests,
        fault_responses,
    };
    cloud_hypervisor::tell(&inputs, CostLimits::default(), log(folder), &mut |_| {})
}

#[test]
fn a_live_migration_of_cloud_hypervisor_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (requests, responses) = live();
    let report = cloud(folder.path(), &requests, &responses, None).unwrap();
    assert_eq!((broken(&report), report.pages, report.sent), (vec![], 4, 7));
    assert_eq!(report.kind, "pre-copy, 2 passes");
    let log = fs::read_to_string(folder.path().join("log.ndjson")).unwrap();
    let events: Vec<_> =
        log.lines().filter_map(|line| line.split("\"event\":\"").nth(1)?.split('"').next()).collect();
    let others: Vec<_> = events.iter().filter(|event| !event.starts_with("page-")).copied().collect();
    let expected = [
        "migration-expected",
        "migration-started",
        "pass-begun",
        "process-suspended",
        "state-sent",
        "state-accepted",
        "readiness-declared",
        "readiness-learned",
        "process-handed-over",
        "process-resumed",
        "image-destroyed",
    ];
    assert_eq!(others, expected);
    let count = |event: &str| events.iter().filter(|other| **other == event).count();
    assert_eq!([count("page-copied"), count("page-transferred"), count("page-installed")], [6, 1, 7]);
}

#[test]
fn an_end_that_counts_as_completion_is_found_where_pages_are_owed() {
    let folder = tempfile::tempdir().unwrap();
    let (live, _) = live();
    let requests = [live[0].clone(), live[1].clone(), live[5].clone(), live[6].clone()];
    let responses = vec![encode_response(1, &[]); 4];
    let faults = |pages: &[u64]| {
        let asked = pages.iter().map(|page| encode_memory(9, &[(*page, 1)], &[]));
        let answered = pages.iter().map(|number| encode_response(1, &page(*number as u8)));
        ([vec![2, 0]].into_iter().chain(asked).collect(), answered.collect())
    };
    let report = cloud(folder.path(), &requests, &responses, Some(faults(&[2, 0, 3, 1]))).unwrap();
    assert_eq!((broken(&report), report.sent), (vec![], 4), "{report:?}");
    let report = cloud(folder.path(), &requests, &responses, Some(faults(&[2, 0]))).unwrap();
    let found = broken(&report);
    assert!(found.contains(&ObservedProperty::S5), "{report:?}");
    let finding = report.findings.iter().find(|finding| finding.property == ObservedProperty::S5).unwrap();
    assert!(finding.text.contains("let go of 2 pages"), "{finding:?}");
}

#[test]
fn an_answer_of_another_length_is_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let (live, _) = live();
    let requests = [live[0].clone(), live[1].clone(), live[5].clone(), live[6].clone()];
    let responses = vec![encode_response(1, &[]); 4];
    let faults = (vec![vec![2, 0], encode_memory(9, &[(0, 2)], &[])], vec![encode_response(1, &page(1))]);
    let error = cloud(folder.path(), &requests, &responses, Some(faults)).unwrap_err().to_string();
    assert!(error.contains("2 pages are asked for") && error.contains("0x1000 bytes"), "{error}");
}
