//! Unmodified programs move between two machines, there, back and there again, under every algorithm, and print what they print
//! when they never move.

mod net;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::policy::Policy;

use net::{Net, await_that, compiled, ends_in_time, lacks, missing};

/// There, back and there again.
const HOPS: usize = 3;

/// Moves a program there and back under each of these and compares what it prints.
fn same_when_moved(tag: &str, program: &str, arguments: &[&str], policies: &[Policy]) {
    same_after(HOPS, tag, program, arguments, policies);
}

/// The same after so many moves.
fn same_after(hops: usize, tag: &str, program: &str, arguments: &[&str], policies: &[Policy]) {
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
            for hop in 1..hops {
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
    let program = compiled(directory.path(), "computes", COMPUTES);
    same_when_moved("c", program.to_str().unwrap(), &[], &ending());
}

/// Gets memory and gives it back all the time, while another thread goes through what it has had from the beginning.
const CHANGES: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
enum { PAGE = 4096, OLD = 2000, NEW = 64, ROUNDS = 600 };
static unsigned char old[OLD][PAGE];
static uint64_t changed;
static void *changes(void *_) {
    for (int round = 0; round < ROUNDS; round++) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS, both = PROT_READ | PROT_WRITE;
        unsigned char *fresh = mmap(0, NEW * PAGE, both, flags, -1, 0);
        for (int page = 0; page < NEW; page++) fresh[page * PAGE] = round + page;
        fresh = mremap(fresh, NEW * PAGE, 2 * NEW * PAGE, MREMAP_MAYMOVE);
        for (int page = 0; page < 2 * NEW; page++) changed = changed * 31 + fresh[page * PAGE];
        munmap(fresh, 2 * NEW * PAGE);
        usleep(3000);
    }
    return 0;
}
int main(void) {
    for (int page = 0; page < OLD; page++) memset(old[page], page % 251 + 1, PAGE);
    printf("begin\n"); fflush(stdout);
    pthread_t thread;
    pthread_create(&thread, 0, changes, 0);
    uint64_t sum = 0;
    for (int i = 0; i < ROUNDS * 8; i++) { sum = sum * 31 + old[i * 1009 % OLD][i % PAGE]; usleep(300); }
    pthread_join(thread, 0);
    printf("%016llx %016llx\n", (unsigned long long)sum, (unsigned long long)changed);
}
"#;

/// What is put into memory while the process changes its address space has to wait for it, however long it waits for a processor.
#[test]
fn one_that_changes_its_memory_on_a_busy_machine() {
    if lacks("gcc") {
        eprintln!("SKIPPED: busy: gcc is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "changes", CHANGES);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let arguments = ["-n", "19", program.to_str().unwrap()];
        let moved = AssertUnwindSafe(|| same_after(1, "busy", "nice", &arguments, &[Policy::POST_COPY]));
        let moved = catch_unwind(moved);
        over.store(true, Ordering::Relaxed);
        moved.unwrap_or_else(|panicked| resume_unwind(panicked));
    });
}

/// Reads a file that is mapped, and ends as soon as it is on another machine.
const READS: &str = "
import mmap, os, sys, time
with open(sys.argv[1], 'r+b') as file: memory = mmap.mmap(file.fileno(), 0)
print('begin', sum(memory[at] for at in range(0, len(memory), 4096)), flush=True)
network = lambda: os.readlink('/proc/self/ns/net')
here = network()
while network() == here: time.sleep(0.001)
print('end', memory[4096], flush=True)
";

/// The pages of a file that nobody has asked for are gathered after the arrival. There is nothing to be gathered for a process that has ended.
#[test]
fn a_host_rests_when_a_process_has_ended_before_all_of_it_was_there() {
    if let Some(reason) =
        missing().or_else(|| lacks("python3").then(|| "python3 is not installed".to_owned()))
    {
        eprintln!("SKIPPED: ended: {reason}");
        return;
    }
    let net = Net::new("end");
    let data = net.path("data");
    std::fs::write(&data, vec![7; 256 << 20]).unwrap();
    let (mut child, printed) = net.start("python3", &["-c", READS, data.to_str().unwrap()]);
    net.migrate(0, child.0.id(), &Policy::GENERIC);
    await_that("the program has ended", || {
        std::fs::read_to_string(&printed).unwrap().contains("end 7\n").then_some(())
    });
    assert!(ends_in_time(&mut child.0).is_some());
    // Far less than a host keeps what it has to say to others.
    let rests = (0..20).any(|_| {
        let before = net.processor_time(1);
        std::thread::sleep(Duration::from_millis(500));
        net.processor_time(1) - before < Duration::from_millis(100)
    });
    let logs = net.logs();
    let refused = logs.lines().filter(|line| line.contains("refused")).count();
    assert!(rests && refused < 10, "it turns in vain, {refused} times refused\n{logs}");
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

/// Whether this test is skipped, which is said.
fn skipped(tag: &str, needed: &str) -> bool {
    let reason = missing().or_else(|| lacks(needed).then(|| format!("{needed} is not installed")));
    reason.inspect(|reason| eprintln!("SKIPPED: {tag}: {reason}")).is_some()
}

/// A shell line whose program takes the place of the shell, which would be a process with a child if it waited.
fn line_same_when_moved(tag: &str, line: &str, file: &Path) {
    let line = format!("echo begin; exec {line}");
    same_when_moved(tag, "sh", &["-c", &line, "sh", file.to_str().unwrap()], &ending());
}

/// A file of text that compresses, the same in every run.
fn text(directory: &Path, lines: usize) -> PathBuf {
    let mut state = 88_172_645_463_325_252u64;
    let line = |line: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{line} {} the process of line {} moves {state:x}\n", state % 997, state % 13)
    };
    let text: String = (0..lines).map(line).collect();
    let path = directory.join("text");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_long_query_on_a_file() {
    if skipped("sq", "sqlite3") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("base");
    let made = "create table t(a integer primary key, b integer, c text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
        insert into t select i, i * 7919 % 10007, 'row ' || i from n;";
    assert!(Command::new("sqlite3").arg(&base).arg(made).status().unwrap().success());
    let line = r#"sqlite3 "$1" "select x.b, count(*), sum(y.a + length(y.c)) from t x join t y on y.b = (x.b * 31 + 7) % 10007 where x.a < 250000 group by x.b order by 2 desc, 1 limit 200;""#;
    line_same_when_moved("sq", line, &base);
}

#[test]
fn a_script_that_reads_a_file() {
    if skipped("pl", "perl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = text(directory.path(), 2_500_000);
    let line = r#"perl -e '$| = 1; while (<>) { my @w = split; $n{$w[1]} .= substr($w[-1], 0, 3); $k++; print "$k\n" if $k % 30000 == 0 } print "$_ ", length $n{$_}, " ", unpack("%32C*", $n{$_}), "\n" for sort keys %n' "$1""#;
    line_same_when_moved("pl", line, &file);
}
