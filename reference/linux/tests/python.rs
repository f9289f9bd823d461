//! An interpreter that computes, moved.

mod common;

use std::process::Command;

use common::same_when_moved;

const COMPUTING: &str = r#"
import hashlib, sys
print("begin", flush=True)
table = {}
value = 1
for round in range(60):
    for i in range(20000):
        value = (value * 6364136223846793005 + 1442695040888963407) % 2**64
        table[value % 50021] = hashlib.sha256(str(value).encode()).hexdigest()[:8]
    print(round, len(table), value, flush=True)
print(hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest())
"#;

#[test]
fn computing() {
    or_skip!(common::missing().or(common::lacks("python3")));
    same_when_moved(
        &|| {
            let mut command = Command::new("python3");
            command.args(["-c", COMPUTING]);
            command
        },
        2,
    );
}
