//! A guest of KVM moves there and back, by every algorithm, and what was done is what the model allows.
//!
//! Skipped, loudly, without `SOJOURN_PROCESSES=1`, and where KVM does not run the guest.

use std::fs::File;
use std::io::BufReader;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::Processor;
use linux::PAGE_SIZE;
use linux::region::MappedRegion;
use protocol::policy::Policy;
use sojourn::mapped::Occupant as _;
use tie::trace::conform;

/// Whether the guest works on this machine at all.
fn counts_where_it_is() -> Result<(), String> {
    let region = MappedRegion::new(16 * PAGE_SIZE as usize).map_err(|error| error.to_string())?;
    let region = Arc::new(region);
    Processor::write_program(&region);
    let mut processor = Processor::new(&region).map_err(|error| error.to_string())?;
    processor.go().map_err(|error| error.to_string())?;
    let begun = Instant::now();
    while processor.rounds() < 3 {
        if let Some(broken) = processor.broken() {
            return Err(broken);
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("it makes no rounds".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    processor.end();
    Ok(())
}

#[test]
fn no_page_is_lost_and_none_is_old_and_the_model_has_every_run() {
    if std::env::var_os("SOJOURN_PROCESSES").is_none() {
        return eprintln!("SKIPPED: guest: SOJOURN_PROCESSES is not set");
    }
    if let Err(reason) = counts_where_it_is() {
        return eprintln!("SKIPPED: guest: KVM does not run it here, where it need not even move: {reason}");
    }
    let logs = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_guest")).arg(logs.path()).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{said}");
    for policy in Policy::ALL {
        let moved = |line: &str| line.starts_with(&*policy.name) && line.contains("every page has them");
        assert!(printed.lines().any(moved), "{}: {printed}", policy.name);
        let log = File::open(logs.path().join(format!("{}.ndjson", policy.name))).unwrap();
        let accepted =
            conform(BufReader::new(log), None).unwrap_or_else(|error| panic!("{}: {error}", policy.name));
        assert!(accepted.steps > 2 * 1020, "{}: {} steps", policy.name, accepted.steps);
    }
}
