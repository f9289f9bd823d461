//! The proxy stores what passes, and what it cannot store passes all the same.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use observe::record::{Address, Passed, ProxyRecorder};

const THERE: usize = 3_000_001;
const BACK: usize = 70_001;

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| ((index * 31 + seed) ^ (index >> 9)) as u8).collect()
}

fn record(listen: &str, to: &str, folder: &Path) -> (Address, Arc<AtomicBool>, JoinHandle<Vec<Passed>>) {
    let recorder = ProxyRecorder::new(&listen.parse().unwrap(), to.parse().unwrap(), folder).unwrap();
    let (address, stop) = (recorder.address().unwrap(), recorder.stop());
    (address, stop, spawn(move || recorder.run(Some(1), |_| {}).unwrap()))
}

/// The times of a direction: offsets follow each other up to the length, and times do not go back.
fn check_times(path: &Path, length: usize) {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, pieces) = lines.split_last().unwrap();
    let (mut offset, mut at_us) = (0, 0);
    for piece in pieces {
        assert_eq!(piece["offset"], offset);
        assert!(piece["at_us"].as_u64().unwrap() >= at_us);
        offset += piece["length"].as_u64().unwrap();
        at_us = piece["at_us"].as_u64().unwrap();
    }
    assert_eq!((offset, end["offset"].as_u64()), (length as u64, Some(length as u64)));
}

/// A server that takes everything, then answers.
fn answer(mut stream: impl Read + Write) -> Vec<u8> {
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).unwrap();
    stream.write_all(&pattern(BACK, 7)).unwrap();
    taken
}

fn check(folder: &Path, passed: &[Passed], taken: &[u8], answered: &[u8]) {
    assert!(taken == pattern(THERE, 1) && answered == pattern(BACK, 7), "the connection changed what passed");
    let [one] = passed else { panic!("{passed:?}") };
    assert_eq!((one.forward.passed, one.forward.recorded), (THERE as u64, THERE as u64));
    assert_eq!((one.forward.broken.as_ref(), one.backward.broken.as_ref()), (None, None));
    assert!(fs::read(folder.join("connection-1.forward.bin")).unwrap() == taken);
    assert!(fs::read(folder.join("connection-1.backward.bin")).unwrap() == answered);
    check_times(&folder.join("connection-1.forward.times"), THERE);
    check_times(&folder.join("connection-1.backward.times"), BACK);
    assert!(folder.join("connections.json").exists());
}

#[test]
fn both_directions_of_tcp_are_stored_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let (address, _, recording) = record("127.0.0.1:0", &to, folder.path());
    let served = spawn(move || answer(server.accept().unwrap().0));
    let mut client = TcpStream::connect(address.to_string()).unwrap();
    client.write_all(&pattern(THERE, 1)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).unwrap();
    check(folder.path(), &recording.join().unwrap(), &served.join().unwrap(), &answered);
}

#[test]
fn both_directions_of_unix_sockets_are_stored_byte_for_byte() {
    let (folder, sockets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (sockets.path().join("here"), sockets.path().join("there"));
    let server = UnixListener::bind(&there).unwrap();
    let unix = |path: &Path| format!("unix:{}", path.display());
    let (_, _, recording) = record(&unix(&here), &unix(&there), folder.path());
    let served = spawn(move || answer(server.accept().unwrap().0));
    let mut client = UnixStream::connect(&here).unwrap();
    client.write_all(&pattern(THERE, 1)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).unwrap();
    check(folder.path(), &recording.join().unwrap(), &served.join().unwrap(), &answered);
    assert!(!here.exists(), "the socket is taken away");
}

#[test]
fn a_disk_that_takes_nothing_ends_the_recording_and_not_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("connection-1.backward.bin")).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let (address, _, recording) = record("127.0.0.1:0", &to, folder.path());
    let served = spawn(move || answer(server.accept().unwrap().0));
    let mut client = TcpStream::connect(address.to_string()).unwrap();
    client.write_all(&pattern(THERE, 1)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).unwrap();
    assert!(served.join().unwrap() == pattern(THERE, 1) && answered == pattern(BACK, 7));
    let passed = recording.join().unwrap();
    assert_eq!((passed[0].backward.passed, passed[0].backward.recorded), (BACK as u64, 0));
    assert!(passed[0].backward.unrecorded.is_some() && passed[0].forward.unrecorded.is_none());
}

#[test]
fn a_cut_is_a_cut_for_both_sides_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let (address, stop, recording) = record("127.0.0.1:0", &to, folder.path());
    let mut client = TcpStream::connect(address.to_string()).unwrap();
    let (mut peer, _) = server.accept().unwrap();
    client.write_all(b"before").unwrap();
    let mut before = [0; 6];
    peer.read_exact(&mut before).unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut rest = Vec::new();
    // The end, or an error: either says that the connection is gone.
    assert!(!matches!(peer.read_to_end(&mut rest), Ok(1..)));
    assert!(!matches!(client.read_to_end(&mut rest), Ok(1..)));
    let passed = recording.join().unwrap();
    assert!(passed[0].forward.broken.is_some() || passed[0].backward.broken.is_some());
    assert_eq!(fs::read(folder.path().join("connection-1.forward.bin")).unwrap(), b"before");
}

/// Writes without end, and takes what comes or does not. True if it was cut.
fn busy(mut stream: TcpStream, takes: bool, mut told: impl FnMut() + Send + 'static) -> JoinHandle<bool> {
    /// Far more than passes until a stop is noticed.
    const PIECES: usize = 4096;
    let mut other = stream.try_clone().unwrap();
    if takes {
        // The end, or an error: either says that the connection is gone.
        spawn(move || io::copy(&mut other, &mut io::sink()));
    }
    spawn(move || {
        let piece = vec![0; 1 << 20];
        (0..PIECES).any(|_| {
            told();
            stream.write_all(&piece).is_err()
        })
    })
}

/// Whether both sides are busy, or neither takes what the other sends.
#[test]
fn a_connection_that_is_never_idle_is_cut() {
    for takes in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap().to_string();
        let (address, stop, recording) = record("127.0.0.1:0", &to, folder.path());
        let client = TcpStream::connect(address.to_string()).unwrap();
        let (peer, _) = server.accept().unwrap();
        let mut pieces = 0;
        let told = move || {
            pieces += 1;
            stop.fetch_or(pieces == 3, Ordering::Relaxed);
        };
        let (client, peer) = (busy(client, takes, told), busy(peer, takes, || {}));
        assert!(client.join().unwrap() && peer.join().unwrap(), "everything has passed");
        assert!(recording.join().unwrap()[0].forward.broken.is_some());
    }
}

#[test]
fn a_recording_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("connection-1.forward.bin"), b"precious").unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let error = ProxyRecorder::new(&listen, "127.0.0.1:1".parse().unwrap(), folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds a recording already"), "{error}");
}
