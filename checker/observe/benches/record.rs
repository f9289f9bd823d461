//! What the recorder costs: throughput through it as a share of a direct connection, in one run.
//!
//! ```sh
//! cargo bench -p observe --bench record
//! ```
//!
//! A connection between two machines is limited by its link; between two processes of one machine by the work of both
//! ends. A stream that nobody makes and nobody uses has no work but its copying, and keeps two cores busy with it: what
//! copies it once more for the disk can then leave no more than two thirds. With a real QEMU at both ends (where there
//! is one) it has, and this is the case that a recorder is for.

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/qemu/mod.rs"]
mod qemu;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use observe::record::ProxyRecorder;
use serde_json::json;
use tempfile::TempDir;

use qemu::{Qemu, Tape, boot_sector, machine, version};

const ROUNDS: usize = 3;

fn main() {
    for (name, bytes_per_second, seconds) in [
        ("1 Gbit/s", Some(125_000_000.0), 2.0),
        ("10 Gbit/s", Some(1_250_000_000.0), 1.0),
        ("as fast as it goes", None, 1.0),
    ] {
        let length = (bytes_per_second.unwrap_or(2e9) * seconds) as usize;
        let mut best = [0.0_f64; 2];
        for _ in 0..ROUNDS {
            let direct = direct(length, bytes_per_second);
            let recorded = recorded(length, bytes_per_second);
            best = [best[0].max(direct), best[1].max(recorded)];
        }
        tell(name, best);
    }
    match version() {
        None => println!("SKIPPED: there is no QEMU whose migration could be recorded"),
        Some(version) => {
            let mut best = [0.0_f64; 2];
            for _ in 0..ROUNDS {
                best = [best[0].max(migrated(false)), best[1].max(migrated(true))];
            }
            tell(&format!("{version}, as fast as it goes"), best);
        }
    }
}

fn tell(name: &str, best: [f64; 2]) {
    let [direct, recorded] = best.map(|rate| rate / 1e6);
    println!(
        "{name}: direct {direct:.0} MB/s, recorded {recorded:.0} MB/s: {:.1} %",
        100.0 * recorded / direct
    );
}

/// Memory of the guest that a real QEMU moves, in MiB.
const GUEST_MIB: u64 = 1024;

/// Bytes a second of a real QEMU's migration without a limit, by its own account.
fn migrated(recorded: bool) -> f64 {
    let folder = in_memory();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("boot.img"), boot_sector(1)).expect("a boot sector");
    // No page is zero, and none is like another.
    let mut memory = File::create(path("source.memory")).expect("a file");
    let mut piece = vec![0xa5; 1 << 20];
    for mib in 0..GUEST_MIB {
        for (page, bytes) in (0_u64..).zip(piece.chunks_mut(4096)) {
            bytes[..8].copy_from_slice(&(mib * 256 + page + 1).to_le_bytes());
        }
        memory.write_all(&piece).expect("it fits");
    }
    let start = |name: &str, more: &[&str]| {
        let backend = format!(
            "memory-backend-file,id=memory,size={GUEST_MIB}M,share=on,mem-path={}",
            path(&format!("{name}.memory")).display()
        );
        let size = GUEST_MIB.to_string();
        // Stopped: it is to be moved as it is, in one pass.
        let guest = ["-S", "-m", &size, "-object", &backend, "-machine", "pc,memory-backend=memory"];
        let command = Command::new(machine::program());
        Qemu::start(command, folder.path(), name, &[&guest, more].concat())
    };
    let (mut source, mut destination) = (start("source", &[]), start("destination", &["-incoming", "defer"]));
    for qemu in [&mut source, &mut destination] {
        let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        qemu.ask("migrate-set-capabilities", events);
    }
    let unix = |path: &std::path::Path| format!("unix:{}", path.display());
    let incoming = path("incoming.sock");
    destination.ask("migrate-incoming", json!({ "uri": unix(&incoming) }));
    source.ask("migrate-set-parameters", json!({ "max-bandwidth": 100_u64 << 30 }));
    let tape = recorded.then(|| Tape::start(folder.path(), "tape", &incoming));
    let to = tape.as_ref().map_or(&incoming, |tape| &tape.listen);
    source.ask("migrate", json!({ "uri": unix(to) }));
    assert_eq!(source.reaches(&["completed", "failed"]), "completed");
    let told = source.ask("query-migrate", json!({}))["return"].take();
    let sent = told["ram"]["transferred"].as_u64().expect("it says how much");
    if let Some(tape) = tape {
        assert!(tape.end()[0].forward.recorded >= sent.min(GUEST_MIB << 20));
    }
    sent as f64 / (told["total-time"].as_f64().expect("it says how long") / 1e3)
}

fn in_memory() -> TempDir {
    // As far as there is such a place: the disk is not what is measured.
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

fn direct(length: usize, rate: Option<f64>) -> f64 {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = server.local_addr().expect("it has one").to_string();
    transfer(&to, server, length, rate)
}

fn recorded(length: usize, rate: Option<f64>) -> f64 {
    let folder = in_memory();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = server.local_addr().expect("it has one").to_string();
    let listen = "127.0.0.1:0".parse().expect("an address");
    let recorder =
        ProxyRecorder::new(&listen, to.parse().expect("an address"), folder.path()).expect("it listens");
    let address = recorder.address().expect("it has one").to_string();
    let recording = spawn(move || recorder.run(Some(1), |_| {}));
    let rate = transfer(&address, server, length, rate);
    let passed = recording.join().expect("no panic").expect("it records");
    assert_eq!(passed[0].forward.recorded, length as u64);
    rate
}

/// Bytes a second, from the first to the last, as the receiver sees it.
fn transfer(to: &str, server: TcpListener, length: usize, rate: Option<f64>) -> f64 {
    let receiver = spawn(move || {
        let (mut stream, _) = server.accept().expect("a connection");
        let (mut buffer, mut taken) = (vec![0; 1 << 20], 0);
        let begun = Instant::now();
        loop {
            match stream.read(&mut buffer).expect("it can be read") {
                0 => break,
                count => taken += count,
            }
        }
        assert_eq!(taken, length);
        length as f64 / begun.elapsed().as_secs_f64()
    });
    let mut stream = TcpStream::connect(to).expect("somebody listens");
    let (piece, begun, mut sent) = (vec![7; 256 * 1024], Instant::now(), 0);
    while sent < length {
        let count = piece.len().min(length - sent);
        stream.write_all(&piece[..count]).expect("it can be written to");
        sent += count;
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sent as f64 / rate);
            sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    drop(stream);
    receiver.join().expect("no panic")
}
