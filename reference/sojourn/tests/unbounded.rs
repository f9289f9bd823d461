//! `pre-copy-unbounded` waits until everything is in step: it moves a program that becomes quiet, and one that does not is left alone
//! in the time that the user gives.

mod net;

use protocol::policy::Policy;

use net::{Net, await_that, compiled, ends_in_time, lacks, missing};

/// Busy for so many seconds, quiet for so many, then done.
const BECOMES_QUIET: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
enum { LENGTH = 4 << 20 };
static unsigned char bytes[LENGTH];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
int main(int count, char **arguments) {
    printf("begin\n"); fflush(stdout);
    unsigned x = 1;
    double until = now() + atoi(arguments[1]);
    while (now() < until) for (int i = 0; i < 1000; i++) { x = x * 1664525 + 1013904223; bytes[x % LENGTH]++; }
    sleep(atoi(arguments[2]));
    printf("end\n");
}
"#;

#[test]
fn one_that_becomes_quiet_moves_and_one_that_does_not_runs_on() {
    if let Some(reason) = missing().or_else(|| lacks("gcc").then(|| "gcc is not installed".to_owned())) {
        eprintln!("SKIPPED: unbounded: {reason}");
        return;
    }
    let name = Policy::PRE_COPY_UNBOUNDED.name;
    let net = Net::new("unb");
    let program = compiled(&net.path("."), "quiet", BECOMES_QUIET);
    let program = program.to_str().unwrap();

    let (mut child, printed) = net.start(program, &["6", "0"]);
    let (success, said) = net.try_migrate(0, child.0.id(), &name, &["--suspend-within", "2s"]);
    assert!(
        !success && said.contains("not suspended after 2s") && said.contains("it runs on here"),
        "{said}"
    );
    assert_eq!(ends_in_time(&mut child.0), Some(true), "it did not run on");
    assert_eq!(std::fs::read(printed).unwrap(), b"begin\nend\n");

    let (mut child, printed) = net.start(program, &["2", "10"]);
    let (success, said) = net.try_migrate(0, child.0.id(), &name, &["--suspend-within", "60s"]);
    assert!(success, "{said}\n{}", net.logs());
    assert!(ends_in_time(&mut child.0).is_some());
    await_that("the output is complete", || {
        (std::fs::read(&printed).unwrap() == b"begin\nend\n").then_some(())
    });
}
