//! `corpus unpack | pack`: between the committed archives and the folders that cargo-fuzz reads and writes.

use std::process::ExitCode;

use fuzz::corpus::{home, pack, unpack};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack"] => unpack(home()).map(|inputs| format!("{inputs} inputs unpacked into fuzz/corpus/")),
        ["pack"] => {
            pack(home()).map(|inputs| format!("{inputs} inputs packed; findings are in fuzz/findings/"))
        }
        _ => {
            eprintln!("usage: corpus unpack | pack");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
