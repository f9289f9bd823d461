//! Programs that everybody has, moved while they work on files.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{lacks, missing, same_when_moved};

/// A file of text that compresses, the same in every run.
fn text(directory: &Path, lines: usize) -> PathBuf {
    let mut state = 88_172_645_463_325_252u64;
    let mut text = String::new();
    for line in 0..lines {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text += &format!("{line} {} the process of line {} moves {state:x}\n", state % 997, state % 13);
    }
    let path = directory.join("text");
    std::fs::write(&path, text).unwrap();
    path
}

fn shell(line: &str, argument: &Path) -> Command {
    // The shell's place is taken by the program: a shell that waits would be a process with a child.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("echo begin; exec {line}")).arg("sh").arg(argument);
    command
}

#[test]
fn awk() {
    or_skip!(missing().or(lacks("awk")));
    let directory = tempfile::tempdir().unwrap();
    let file = text(directory.path(), 400_000);
    let line = r#"awk '{ n[$2 % 97] += length($0); s = s $2 % 7; if (NR % 20000 == 0) { print NR, length(s); fflush() } } END { for (i = 0; i < 97; i++) print i, n[i] }' "$1""#;
    same_when_moved(&|| shell(line, &file), 2);
}

#[test]
fn perl() {
    or_skip!(missing().or(lacks("perl")));
    let directory = tempfile::tempdir().unwrap();
    let file = text(directory.path(), 600_000);
    let line = r#"perl -e '$| = 1; while (<>) { my @w = split; $n{$w[1]} .= substr($w[-1], 0, 3); $k++; print "$k\n" if $k % 30000 == 0 } print "$_ ", length $n{$_}, " ", unpack("%32C*", $n{$_}), "\n" for sort keys %n' "$1""#;
    same_when_moved(&|| shell(line, &file), 2);
}

#[test]
fn sqlite() {
    or_skip!(missing().or(lacks("sqlite3")));
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("base");
    let mut made = Command::new("sqlite3");
    made.arg(&base).arg(
        "create table t(a integer primary key, b integer, c text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 250000)
         insert into t select i, i * 7919 % 10007, 'row ' || i from n;",
    );
    assert!(made.status().unwrap().success());
    let line = r#"sqlite3 "$1" "select b % 100, count(*), sum(length(c)) from t group by 1 order by 1; select x.b, count(*), sum(y.a) from t x join t y on y.b = (x.b * 31 + 7) % 10007 where x.a < 120000 group by x.b order by 2 desc, 1 limit 200;""#;
    same_when_moved(&|| shell(line, &base), 1);
}

#[test]
fn xz_with_threads() {
    or_skip!(missing().or(lacks("xz")));
    let directory = tempfile::tempdir().unwrap();
    let file = text(directory.path(), 120_000);
    same_when_moved(&|| shell(r#"xz -T2 --block-size=1MiB -3 -c "$1""#, &file), 1);
}

#[test]
fn zstd_with_threads() {
    or_skip!(missing().or(lacks("zstd")));
    let directory = tempfile::tempdir().unwrap();
    let file = text(directory.path(), 300_000);
    same_when_moved(&|| shell(r#"zstd -q -T2 -15 -c "$1""#, &file), 1);
}

#[test]
fn a_compiler() {
    or_skip!(missing().or(lacks("gcc")));
    let found = Command::new("gcc").arg("-print-prog-name=cc1").output().unwrap().stdout;
    let compiler = String::from_utf8(found).unwrap().trim().to_owned();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large.c");
    let functions: String = (0..1500)
        .map(|i| format!("int f{i}(int a, int b) {{ int s = {i}; for (int k = a; k < b; k++) {{ s ^= k * {i} + (s >> {}); if (s % 3) s += a; else s -= b * k; }} return s; }}\n", i % 7 + 1))
        .collect();
    std::fs::write(&file, functions).unwrap();
    same_when_moved(&|| shell(&format!(r#"{compiler} -quiet -O2 "$1" -o -"#), &file), 1);
}
