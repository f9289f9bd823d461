//! What the recorder costs: throughput through it as a share of a direct connection, in one run.
//!
//! ```sh
//! cargo bench -p observe --bench record
//! ```
//!
//! A connection between two machines is limited by its link; between two processes of one machine by the copying
//! itself, and then a third process in between takes its share of the cores. Both are measured.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use observe::record::ProxyRecorder;

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
        let [direct, recorded] = best.map(|rate| rate / 1e6);
        println!(
            "{name}: direct {direct:.0} MB/s, recorded {recorded:.0} MB/s: {:.1} %",
            100.0 * recorded / direct
        );
    }
}

fn direct(length: usize, rate: Option<f64>) -> f64 {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = server.local_addr().expect("it has one").to_string();
    transfer(&to, server, length, rate)
}

fn recorded(length: usize, rate: Option<f64>) -> f64 {
    // In memory, as far as there is such a place: the disk is not what is measured.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
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
