//! Pages sent as what has changed of them (XBZRLE): one that is as it was is in the trace and not in the stream.

mod common;

use std::fs;
use std::path::Path;

use observe::fact::ObserveError;
use observe::qemu::encode::Encoder;
use observe::qemu::run::QemuInputs;
use observe::report::Report;

use common::tell;

const PAGES: u64 = 4;

/// Three passes over memory; the second one finds page 1 unchanged, and page 3, with which the pass ends.
fn stream(with_differences: bool) -> Vec<u8> {
    let mut encoder = Encoder::new("pc");
    encoder.start(&[("pc.ram", PAGES)]);
    encoder.part(false);
    for page in 0..PAGES {
        encoder.page("pc.ram", page, &[page as u8 + 1; 4096]);
    }
    encoder.end_part().part(false);
    for page in [0, 2] {
        match with_differences {
            true => encoder.changed("pc.ram", page, &[1, 1, 9]),
            false => encoder.page("pc.ram", page, &[9; 4096]),
        };
    }
    encoder.end_part().part(true).page("pc.ram", 1, &[7; 4096]).end_part();
    encoder.device("cpu", 16).end(None);
    encoder.finish()
}

fn trace() -> String {
    let mut at_us = 0;
    let mut text = String::new();
    let mut line = |event: &str| {
        at_us += 1000;
        text += &format!("77@1795993781.{at_us:06}:{event}\n");
    };
    line("migrate_set_state new state setup");
    line("migrate_set_state new state active");
    let saved = |page: u64| format!("ram_save_page pc.ram: offset: {:#x} host: 0x7f8000000000", page * 4096);
    let mut part = |pages: &[u64], stops: bool| {
        if !pages.is_empty() {
            line("migration_bitmap_sync_end dirty_pages 4");
        }
        if stops {
            line("vm_state_notify running 0 reason 7 (finish-migrate)");
        }
        line("savevm_section_start ram, section_id 2");
        pages.iter().for_each(|page| line(&saved(*page)));
        line("savevm_section_end ram, section_id 2 -> 0");
    };
    part(&[], false);
    part(&[0, 1, 2, 3], false);
    part(&[0, 1, 2, 3], false);
    part(&[1], true);
    line("migrate_set_state new state completed");
    text
}

fn observe(folder: &Path, stream: &[u8], trace: &str) -> Result<Report, ObserveError> {
    fs::write(folder.join("stream.bin"), stream).unwrap();
    fs::write(folder.join("source.trace"), trace).unwrap();
    let inputs = QemuInputs {
        stream: Some(folder.join("stream.bin")),
        source_trace: Some(folder.join("source.trace")),
        ..QemuInputs::default()
    };
    tell(inputs, &folder.join("log.ndjson"))
}

#[test]
fn a_page_that_is_as_it_was_need_not_be_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let report = observe(folder.path(), &stream(true), &trace()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.sent, 7);
}

#[test]
fn without_differences_every_page_that_is_saved_is_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let error = observe(folder.path(), &stream(false), &trace()).unwrap_err().to_string();
    assert!(error.contains("pc.ram at 0x1000 is sent") && error.contains("pc.ram at 0x2000"), "{error}");
}

#[test]
fn a_page_that_was_never_sent_cannot_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut trace = trace();
    let first = trace.find("ram_save_page pc.ram: offset: 0x1000").unwrap();
    trace.replace_range(first.., &trace[first..].replacen("0x1000 ", "0x3000 ", 1));
    let error = observe(folder.path(), &stream(true), &trace).unwrap_err().to_string();
    assert!(error.contains("pc.ram at 0x3000 is sent"), "{error}");
}
