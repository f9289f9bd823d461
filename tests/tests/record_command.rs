//! `checker record` and `checker observe qemu --recording`, end to end: a recorded run goes through the proxy, and what
//! is said of the new recording is what is said of the old one.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::spawn;

use common::programs::{checker, code, command, stderr, stdout};

fn recorded(run: &str, name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../checker/observe/tests/recordings").join(run);
    let mut bytes = Vec::new();
    match File::open(folder.join(name)) {
        Ok(mut plain) => plain.read_to_end(&mut bytes),
        Err(_) => {
            let packed = File::open(folder.join(format!("{name}.gz"))).expect("a recording");
            flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes)
        }
    }
    .expect("its bytes");
    bytes
}

/// Starts the proxy; where it listens.
fn proxy(arguments: &[&str]) -> (Child, String, BufReader<std::process::ChildStderr>) {
    let mut proxy = command("checker")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut said = BufReader::new(proxy.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    let (_, rest) = line.split_once("listening at ").unwrap_or_else(|| panic!("{line}"));
    let address = rest.split(',').next().expect("an address").to_owned();
    (proxy, address, said)
}

#[test]
fn a_run_that_passes_through_the_proxy_is_judged_as_it_was() {
    let (stream, answers) = (recorded("post-copy", "stream.bin"), recorded("post-copy", "return-path.bin"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = server.local_addr().expect("an address").to_string();
    let output = path("recording");
    let arguments =
        ["record", "--listen", "127.0.0.1:0", "--to", &to, "--output", &output, "--connections", "1"];
    let (proxy, address, _said) = proxy(&arguments);

    let said = answers.clone();
    let destination = spawn(move || {
        let (mut connection, _) = server.accept().expect("a connection");
        connection.write_all(&said).expect("answers go out");
        let mut taken = Vec::new();
        connection.read_to_end(&mut taken).expect("the stream arrives");
        taken
    });
    let mut source = TcpStream::connect(address).expect("the proxy takes it");
    source.write_all(&stream).expect("the stream goes out");
    source.shutdown(Shutdown::Write).expect("its end too");
    let mut heard = Vec::new();
    source.read_to_end(&mut heard).expect("answers arrive");
    assert!(heard == answers && destination.join().expect("no panic") == stream, "changed on its way");

    let ended = proxy.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    let expected = format!("connection 1: {} bytes there, {} bytes back\n", stream.len(), answers.len());
    assert_eq!(String::from_utf8_lossy(&ended.stdout), expected);

    std::fs::write(path("stream"), &stream).expect("a file");
    std::fs::write(path("answers"), &answers).expect("a file");
    let judged = checker(&["observe", "qemu", "--recording", &output, "--format", "json"]);
    let before = checker(&[
        "observe",
        "qemu",
        "--stream",
        &path("stream"),
        "--return-path",
        &path("answers"),
        "--format",
        "json",
    ]);
    assert_eq!(code(&judged), code(&before), "{}", stderr(&judged));
    assert_eq!(stdout(&judged), stdout(&before));
    assert!(stdout(&judged).contains("\"post-copy"), "{}", stdout(&judged));
}

#[test]
fn a_recording_is_not_written_over_and_nobody_listens_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("recording").display().to_string();
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = busy.local_addr().expect("an address").to_string();
    let refused = checker(&["record", "--listen", &taken, "--to", "127.0.0.1:9", "--output", &output]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains(&taken), "{}", stderr(&refused));
    std::fs::write(Path::new(&output).join("connection-1.forward.bin"), b"precious").expect("a file");
    let refused = checker(&["record", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9", "--output", &output]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("holds a recording already"), "{}", stderr(&refused));
}
