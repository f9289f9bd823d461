//! A program with a shared mapping of a file moves, and the file is in the end what it would have been: at the file server where the
//! algorithm writes back, in the file itself where both machines see it.

mod net;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::policy::Policy;

use net::{Net, await_that, compiled, ends_in_time, lacks, missing};

/// Writes all over a mapped file, looks at all of it, unmaps it a while before it ends. The last page is not whole.
const MAPS: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
enum { LENGTH = 300 * 4096 - 1000 };
int main(int count, char **arguments) {
    int file = open(arguments[1], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, LENGTH)) return 1;
    unsigned char *bytes = mmap(0, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED) return 2;
    close(file);
    uint64_t x = 88172645463325252ull, sum = 0;
    printf("begin\n"); fflush(stdout);
    for (int turn = 0; turn < 240; turn++) {
        for (int i = 0; i < 6; i++) {
            x ^= x << 13; x ^= x >> 7; x ^= x << 17;
            bytes[x % LENGTH] += x >> 40; sum = sum * 31 + bytes[x / 7 % LENGTH];
        }
        for (int i = 0; i < LENGTH; i += 512) sum = sum * 31 + bytes[i];
        printf("%d %016llx\n", turn, (unsigned long long)sum); fflush(stdout);
        usleep(8000);
    }
    bytes[LENGTH - 1] = 77;
    munmap(bytes, LENGTH);
    usleep(100000);
    printf("end\n");
}
"#;

struct Case {
    directory: tempfile::TempDir,
    program: PathBuf,
    data: PathBuf,
    printed: Vec<u8>,
    content: Vec<u8>,
}

/// The program, and what comes of it when it never moves.
fn case() -> Option<Case> {
    if let Some(reason) = missing().or_else(|| lacks("gcc").then(|| "gcc is not installed".to_owned())) {
        eprintln!("SKIPPED: mapped: {reason}");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "maps", MAPS);
    let data = directory.path().join("data");
    let run = Command::new(&program).arg(&data).stdin(Stdio::null()).output().unwrap();
    assert!(run.status.success());
    let content = std::fs::read(&data).unwrap();
    Some(Case { directory, program, data, printed: run.stdout, content })
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

#[test]
fn the_file_is_what_it_would_have_been() {
    let Some(case) = case() else { return };
    for policy in Policy::ALL {
        std::fs::remove_file(&case.data).unwrap();
        let net = Net::new("map");
        let (mut child, printed) = net.start(case.program.to_str().unwrap(), &[case.data.to_str().unwrap()]);
        net.migrate(0, child.0.id(), &policy);
        if !policy.leaves_pages_behind() {
            for hop in 1..3 {
                let there = await_that("the process has come", || net.arrived(hop % 2));
                net.migrate(hop % 2, there, &policy);
            }
        }
        assert!(ends_in_time(&mut child.0).is_some());
        await_that(&format!("{}: the output is complete", policy.name), || {
            (read(&printed) == case.printed).then_some(())
        });
        let stored = net.path("root").join(case.data.strip_prefix("/").unwrap());
        let file = if policy.writes_back() { &stored } else { &case.data };
        await_that(&format!("{}: {} has its content", policy.name, file.display()), || {
            (read(file) == case.content).then_some(())
        });
        assert_eq!(stored.exists(), policy.writes_back(), "{}", policy.name);
        println!("mapped: {}", policy.name);
    }
    drop(case.directory);
}

/// Pages that were modified reach the file server before the process is suspended and are fetched from there, and an
/// algorithm that would forget that they are the file server's is refused.
#[test]
fn pages_come_from_the_file_server() {
    let Some(case) = case() else { return };
    std::fs::remove_file(&case.data).unwrap();
    let net = Net::new("mpf");
    let (child, printed) = net.start(case.program.to_str().unwrap(), &[case.data.to_str().unwrap()]);
    let log = net.path("log");
    let (success, said) = net.try_migrate(0, child.0.id(), "generic", &["--log", log.to_str().unwrap()]);
    assert!(success, "{said}\n{}", net.logs());
    let log = std::fs::read_to_string(&log).unwrap();
    let count = |event: &str| log.lines().filter(|line| line.contains(&format!("\"{event}\""))).count();
    assert!(count("write-back-stored") >= 300, "{}", count("write-back-stored"));
    assert!(count("page-fetched") >= 100, "{}", count("page-fetched"));
    let there = await_that("the process has come", || net.arrived(1));
    let (success, said) = net.try_migrate(1, there, "pre-copy", &[]);
    assert!(
        !success && said.contains("is the file server's, and pre-copy does not write back to it"),
        "{said}"
    );
    await_that("the output is complete", || (read(&printed) == case.printed).then_some(()));
    drop(case.directory);
}

/// Has a file mapped for itself, writes to a part of it and looks at all of it.
const KEEPS: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
enum { LENGTH = 300 * 4096 - 1000, WRITTEN = 40 * 4096 };
int main(int count, char **arguments) {
    int file = open(arguments[1], O_RDONLY);
    unsigned char *bytes = mmap(0, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) return 2;
    close(file);
    uint64_t x = 88172645463325252ull, sum = 0;
    printf("begin\n"); fflush(stdout);
    for (int turn = 0; turn < 240; turn++) {
        for (int i = 0; i < 6; i++) {
            x ^= x << 13; x ^= x >> 7; x ^= x << 17;
            bytes[x % WRITTEN] += x >> 40;
        }
        for (int i = 0; i < LENGTH; i += 512) sum = sum * 31 + bytes[i];
        printf("%d %016llx\n", turn, (unsigned long long)sum); fflush(stdout);
        usleep(8000);
    }
    printf("end\n");
}
"#;

/// Also where missing pages come from the file server, which knows nothing of the file.
#[test]
fn a_private_mapping_of_a_file_is_what_it_was() {
    if let Some(reason) = missing().or_else(|| lacks("gcc").then(|| "gcc is not installed".to_owned())) {
        eprintln!("SKIPPED: mapped: {reason}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "keeps", KEEPS);
    let data = directory.path().join("data");
    let content: Vec<u8> =
        (0..300 * 4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&data, content).unwrap();
    let expected = Command::new(&program).arg(&data).stdin(Stdio::null()).output().unwrap().stdout;
    for policy in Policy::ALL {
        let net = Net::new("kps");
        let (mut child, printed) = net.start(program.to_str().unwrap(), &[data.to_str().unwrap()]);
        net.migrate(0, child.0.id(), &policy);
        assert!(ends_in_time(&mut child.0).is_some());
        await_that(&format!("{}: the output is complete", policy.name), || {
            (read(&printed) == expected).then_some(())
        });
        println!("kept: {}", policy.name);
    }
}
