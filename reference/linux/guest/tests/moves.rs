//! A guest of KVM moves there and back, by every algorithm, and what was done is what the model allows.
//!
//! Skipped, loudly, without `SOJOURN_PROCESSES=1`, and where there is no KVM.

use std::fs::File;
use std::io::BufReader;
use std::process::Command;

use protocol::policy::Policy;
use tie::trace::conform;

#[test]
fn no_page_is_lost_and_none_is_old_and_the_model_has_every_run() {
    if std::env::var_os("SOJOURN_PROCESSES").is_none() {
        return eprintln!("SKIPPED: guest: SOJOURN_PROCESSES is not set");
    }
    if let Err(error) = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm()) {
        return eprintln!("SKIPPED: guest: no virtual machine of KVM: {error}");
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
