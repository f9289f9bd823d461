//! Unmodified programs move between two machines, there, back and there again, under every algorithm, and print what they print
//! when they never move.

mod net;

use std::process::{Command, Stdio};

use protocol::policy::Policy;

use net::{Net, await_that, ends_in_time, lacks, missing};

/// There, back and there again.
const HOPS: usize = 3;

/// Moves a program there and back under each of these and compares what it prints.
fn same_when_moved(tag: &str, program: &str, arguments: &[&str], policies: &[Policy]) {
    let lacking = [program, "bash"].into_iter().find(|program| lacks(program));
    if let Some(reason) = missing().or_else(|| lacking.map(|program| format!("{program} is not installed"))) {
        eprintln!("SKIPPED: {tag}: {reason}");
        return;
    }
    let mut plain = Command::new(program);
    let expected = plain.args(arguments).stdin(Stdio::null()).output().unwrap().stdout;
    assert!(!expected.is_empty());
    for policy in policies {
        let net = Net::new(tag);
        let (mut child, printed) = net.start(program, arguments);
        let child = &mut child.0;
        // Where pages stay behind until they are touched, the migration is over when the process is.
        net.migrate(0, child.id(), policy);
        if !policy.leaves_pages_behind() {
            for hop in 1..HOPS {
                let there = await_that("the process has come", || net.arrived(hop % 2));
                net.migrate(hop % 2, there, policy);
            }
        }
        assert!(ends_in_time(child).is_some(), "{}: what was left of the program did not end", policy.name);
        await_that(&format!("{} {}: the output is complete", policy.name, printed.display()), || {
            (std::fs::read(&printed).unwrap() == expected).then_some(())
        });
        println!("{tag}: {}", policy.name);
    }
}

/// All but `pre-copy-unbounded`, which sends again what was written for as long as a program writes: it never suspends one that
/// computes without a pause, and so never moves it.
fn ending() -> Vec<Policy> {
    Policy::ALL.into_iter().filter(|policy| *policy != Policy::PRE_COPY_UNBOUNDED).collect()
}

#[test]
fn an_interpreter_that_computes() {
    let program = "
import hashlib
print('begin', flush=True)
table, value = {}, 1
for turn in range(150):
    for i in range(20000):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        table[value % 50021] = hashlib.sha256(str(value).encode()).hexdigest()[:8]
    print(turn, len(table), value, flush=True)
print(hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest())
";
    same_when_moved("py", "python3", &["-c", program], &ending());
}

/// Works on an array, on memory that it gets and gives back all the time, and on its stack.
const COMPUTES: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
enum { WORDS = 1 << 20 };
static uint64_t array[WORDS];
static uint64_t depths(int n, uint64_t x) { volatile uint64_t y[64]; y[n % 64] = x * 31 + n; return n ? depths(n - 1, y[n % 64]) : y[0]; }
int main(void) {
    uint64_t x = 88172645463325252ull;
    printf("begin\n"); fflush(stdout);
    for (int turn = 0; turn < 500; turn++) {
        size_t length = 1000 + x % 300000;
        uint64_t *block = calloc(length, 8);
        for (int i = 0; i < 1000000; i++) {
            x ^= x << 13; x ^= x >> 7; x ^= x << 17;
            array[x % WORDS] += x; block[x % length] ^= array[x / 3 % WORDS];
        }
        x ^= block[length / 2] ^ depths(turn, x);
        free(block);
        printf("%d %016llx\n", turn, (unsigned long long)x); fflush(stdout);
    }
}
"#;

#[test]
fn a_compiled_program_that_computes() {
    if lacks("gcc") {
        eprintln!("SKIPPED: c: gcc is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("computes.c"), directory.path().join("computes"));
    std::fs::write(&source, COMPUTES).unwrap();
    let compiled = Command::new("gcc").args(["-O1", "-o"]).args([&program, &source]).status().unwrap();
    assert!(compiled.success());
    same_when_moved("c", program.to_str().unwrap(), &[], &ending());
}

#[test]
fn an_interpreter_with_threads() {
    let program = "
import threading
print('begin', flush=True)
sums = [0] * 4
def work(n):
    for i in range(4000000):
        sums[n] = (sums[n] * 31 + i) % 1000003
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sums)
";
    same_when_moved(
        "th",
        "python3",
        &["-c", program],
        &[Policy::POST_COPY, Policy::GENERIC, Policy::PRE_COPY],
    );
}

#[test]
fn a_text_processor() {
    let program = "BEGIN { print \"begin\"; fflush(); for (i = 0; i < 6000000; i++) { n[i % 70001] += i % 97; s = (s * 31 + i) % 1000003 } \
                   for (i = 0; i < 70001; i++) t = (t * 7 + n[i]) % 1000003; print s, t }";
    same_when_moved("awk", "awk", &[program], &[Policy::POST_COPY, Policy::TOTAL_COPY_DIRTY]);
}
