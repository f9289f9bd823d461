//! How long it takes to tell and judge a run of a guest of 4 GiB, and whether the time grows with the lines and no
//! faster: five passes over 2^20 pages, and over a quarter of them in the same run.
//!
//! ```sh
//! cargo bench -p observe --bench observe
//! ```

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use observe::account::{CostLimits, Dumps};
use observe::qemu::encode::Encoder;
use observe::qemu::run::{QemuInputs, QemuRun};

const PASSES: u64 = 5;
/// One page in so many is sent whole the first time; the others as what has changed, so that the disk can hold it.
const WHOLE: u64 = 16;

fn main() {
    let quarter = measure(1 << 18);
    let whole = measure(1 << 20);
    println!("time per line, four times the lines: {:.2} times", whole / quarter);
}

/// Seconds per line of the log.
fn measure(pages: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let inputs = write(folder.path(), pages);
    let log = folder.path().join("log.ndjson");
    let begun = Instant::now();
    let to = BufWriter::with_capacity(1 << 20, File::create(&log).expect("a log can be made"));
    let run = QemuRun::survey(inputs).expect("what was just written can be read");
    let report =
        run.tell(CostLimits::default(), Dumps::default(), to, &mut |_| {}).expect("it fits together");
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!((report.findings.len(), u64::from(report.pages)), (0, pages));
    println!(
        "{pages} pages, {} lines of traces, {} lines of the log: {seconds:.1} s, at most {} MiB",
        PASSES * pages * 2,
        report.steps,
        memory_mib()
    );
    seconds / report.steps as f64
}

fn memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn write(folder: &Path, pages: u64) -> QemuInputs {
    let path = |name: &str| folder.join(name);
    let file =
        |name: &str| BufWriter::with_capacity(1 << 20, File::create(path(name)).expect("a file can be made"));
    let (mut stream, mut source, mut destination) = (file("stream"), file("source"), file("destination"));
    let mut encoder = Encoder::new("pc");
    let mut at_us = 1_000_000;
    let mut line = |to: &mut BufWriter<File>, text: std::fmt::Arguments<'_>| {
        at_us += 1;
        writeln!(to, "7@{}.{:06}:{text}", at_us / 1_000_000, at_us % 1_000_000)
            .expect("a file can be written to");
    };
    line(&mut source, format_args!("migrate_set_state new state setup"));
    line(&mut destination, format_args!("migrate_set_state new state active"));
    encoder.start(&[("pc.ram", pages)]);
    for pass in 1..=PASSES {
        if pass == PASSES {
            line(&mut source, format_args!("vm_state_notify running 0 reason 7 (finish-migrate)"));
        }
        line(&mut source, format_args!("migration_bitmap_sync_end dirty_pages {pages}"));
        line(&mut source, format_args!("savevm_section_start ram, section_id 2"));
        encoder.part(pass == PASSES);
        for page in 0..pages {
            match pass == 1 && page % WHOLE == 0 {
                true => encoder.page("pc.ram", page, &[page as u8; 4096]),
                false => encoder.changed("pc.ram", page, &[pass as u8; 8]),
            };
            let address = page * 4096;
            line(
                &mut source,
                format_args!("ram_save_page pc.ram: offset: {address:#x} host: 0x7f0000000000"),
            );
            line(
                &mut destination,
                format_args!("ram_load_loop pc.ram: addr: {address:#x} flags: 0x48 host: 0x7f0000000000"),
            );
            if page % 1024 == 0 {
                stream.write_all(&encoder.take()).expect("a file can be written to");
            }
        }
        encoder.end_part();
        line(&mut source, format_args!("savevm_section_end ram, section_id 2 -> 0"));
    }
    encoder.device("cpu", 1000).end(None);
    stream.write_all(&encoder.take()).expect("a file can be written to");
    line(&mut destination, format_args!("vm_state_notify running 1 reason 9 (running)"));
    line(&mut source, format_args!("migrate_set_state new state completed"));
    for file in [stream, source, destination] {
        file.into_inner().expect("a file can be written to");
    }
    QemuInputs {
        stream: Some(path("stream")),
        source_trace: Some(path("source")),
        destination_trace: Some(path("destination")),
        ..QemuInputs::default()
    }
}
