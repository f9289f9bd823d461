//! Fresh runs of a real CRIU, recorded and observed.
//!
//! Skipped, loudly, where `criu check` fails or one may not do what CRIU does.

mod criu;

use std::fs::File;
use std::io::BufWriter;

use observe::account::CostLimits;
use observe::report::ObservedProperty::*;
use observe::report::{ObservedVerdict, Report};
use tempfile::TempDir;

fn is_there() -> bool {
    match criu::version() {
        Ok(version) => {
            println!("{version}");
            true
        }
        Err(reason) => {
            println!("SKIPPED: NO RUN OF A REAL CRIU: {reason}");
            false
        }
    }
}

fn observed(mebibytes: u32, cut: bool) -> Report {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let inputs = criu::migrate(folder.path(), mebibytes, cut);
    let log = BufWriter::new(File::create(criu::log(folder.path())).unwrap());
    match observe::criu::tell(&inputs, CostLimits::default(), log, &mut |_| {}) {
        Ok(report) => {
            println!(
                "{} ({}), {} of {} pages sent, {} steps",
                report.kind, report.ending, report.sent, report.pages, report.steps
            );
            report
        }
        Err(error) => panic!("{error}\nthe recording is in {}", folder.keep().display()),
    }
}

#[test]
fn a_lazy_migration_is_accepted() {
    if !is_there() {
        return;
    }
    for mebibytes in [2, 32] {
        let report = observed(mebibytes, false);
        assert_eq!(report.findings, []);
        assert!(report.pages >= mebibytes * 256, "{report:?}");
        for property in [S5, S8, S9, S10, L1, L2, L3, L4] {
            let verdict = report.verdict(property);
            assert!(matches!(verdict, Some(ObservedVerdict::Holds(_))), "{property}: {verdict:?}");
        }
    }
}

/// CRIU takes the end of the connection for the end of the migration, and lets the process die at the source that has
/// pages which the one that was restored waits for.
#[test]
fn a_cut_loses_the_pages_that_were_left_behind() {
    if !is_there() {
        return;
    }
    let report = observed(512, true);
    let found = |property| report.findings.iter().find(|finding| finding.property == property);
    let clean_departure = found(S5).unwrap_or_else(|| panic!("{report:#?}"));
    assert!(clean_departure.text.contains("let go of"), "{clean_departure:?}");
    assert!(clean_departure.at.starts_with("source trace, line "), "{clean_departure:?}");
    assert!(found(S10).is_some(), "{report:#?}");
    println!("{}", clean_departure.text);
}
