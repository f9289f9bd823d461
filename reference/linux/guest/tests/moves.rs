//! A guest of KVM moves there and back, by every algorithm.
//!
//! Skipped, loudly, without `SOJOURN_PROCESSES=1`, and where there is no KVM.

use std::process::Command;

use protocol::policy::Policy;

#[test]
fn no_page_is_lost_and_none_is_old() {
    if std::env::var_os("SOJOURN_PROCESSES").is_none() {
        return eprintln!("SKIPPED: guest: SOJOURN_PROCESSES is not set");
    }
    if let Err(error) = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm()) {
        return eprintln!("SKIPPED: guest: no virtual machine of KVM: {error}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_guest")).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{said}");
    for policy in Policy::ALL {
        let moved = |line: &str| line.starts_with(&*policy.name) && line.contains("every page has them");
        assert!(printed.lines().any(moved), "{}: {printed}", policy.name);
    }
}
