//! A real QEMU: two processes, a guest that writes memory, the recorder between them.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use observe::record::{Passed, ProxyRecorder};
use serde_json::{Value, json};

/// The program to be run: what `SOJOURN_QEMU` names, or with `1` the one of the distribution.
fn program() -> OsString {
    match std::env::var_os("SOJOURN_QEMU") {
        Some(named) if named != "1" => named,
        _ => "qemu-system-x86_64".into(),
    }
}

/// Nothing here takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The version of QEMU, if there is one.
pub fn version() -> Option<String> {
    let output = Command::new(program()).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// A boot sector that goes into protected mode and adds one to a byte of each page from 1 MiB to 6 MiB, for ever, with
/// a pause of so many turns of a loop behind each round.
pub fn boot_sector(pause: u32) -> [u8; 512] {
    #[rustfmt::skip]
    let mut code = vec![
        0xfa,                               // cli
        0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92, // A20: in al, 92h; or al, 2; out 92h, al
        0x0f, 0x01, 0x16, 0x58, 0x7c,       // lgdt [7c58h]
        0x0f, 0x20, 0xc0,                   // mov eax, cr0
        0x66, 0x83, 0xc8, 0x01,             // or eax, 1
        0x0f, 0x22, 0xc0,                   // mov cr0, eax
        0xea, 0x1b, 0x7c, 0x08, 0x00,       // jmp 8:7c1bh
        0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, // mov ax, 10h; mov ds, ax
        0xb8, 0x00, 0x00, 0x10, 0x00,       // round: mov eax, 100000h
        0xfe, 0x00,                         // page: inc byte [eax]
        0x05, 0x00, 0x10, 0x00, 0x00,       // add eax, 1000h
        0x3d, 0x00, 0x00, 0x60, 0x00,       // cmp eax, 600000h
        0x72, 0xf2,                         // jb page
        0xb9,                               // mov ecx, pause
    ];
    code.extend(pause.max(1).to_le_bytes());
    code.extend([0x49, 0x75, 0xfd]); // turn: dec ecx; jnz turn
    code.extend([0xeb, 0xe3]); // jmp round
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    // The descriptor table at 7c40h: nothing, code, data, all of memory; and where it is.
    sector[0x48..0x50].copy_from_slice(&[0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0]);
    sector[0x50..0x58].copy_from_slice(&[0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0]);
    sector[0x58..0x5e].copy_from_slice(&[0x17, 0, 0x40, 0x7c, 0, 0]);
    sector[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

const EVENTS: &str = "migration_bitmap_sync_end\nram_save_page\nget_queued_page\nget_queued_page_not_dirty\n\
    ram_load_loop\nram_load_postcopy_loop\nram_discard_range\npostcopy_place_page\npostcopy_place_page_zero\n\
    postcopy_init_range\npostcopy_ram_fault_thread_request\nmigrate_set_state\nmigrate_handle_rp_req_pages\n\
    migrate_send_rp_message\nsavevm_command_send\nsavevm_section_start\nsavevm_section_end\n\
    loadvm_process_command\nloadvm_handle_cmd_packaged_received\nram_dirty_bitmap_reload_complete\n\
    source_return_path_thread_shut\nvm_state_notify\n";

/// One QEMU and its monitor.
pub struct Qemu {
    child: Child,
    monitor: UnixStream,
    said: Arc<(Mutex<Vec<Value>>, Condvar)>,
}

impl Qemu {
    /// Starts one in this folder.
    pub fn start(folder: &Path, name: &str, more: &[&str]) -> Self {
        let path = |end: &str| folder.join(format!("{name}{end}")).display().to_string();
        fs::write(path(".events"), EVENTS).unwrap();
        let disk = folder.join("boot.img").display().to_string();
        let child = Command::new(program())
            .args(["-nodefaults", "-display", "none", "-accel", "tcg", "-m", "8", "-boot", "a"])
            .args(["-drive", &format!("file={disk},format=raw,if=floppy,readonly=on")])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", path(".qmp"))])
            .args(["-trace", &format!("events={},file={}", path(".events"), path(".trace"))])
            .args(["-msg", "timestamp=on"])
            .args(more)
            .stdin(Stdio::null())
            .stderr(fs::File::create(path(".stderr")).unwrap())
            .spawn()
            .unwrap();
        let monitor = connect(Path::new(&path(".qmp")));
        let said = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (reader, heard) = (BufReader::new(monitor.try_clone().unwrap()), said.clone());
        spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                heard.0.lock().unwrap().push(value);
                heard.1.notify_all();
            }
        });
        let mut qemu = Self { child, monitor, said };
        qemu.ask("qmp_capabilities", json!({}));
        qemu
    }

    /// Gives a command and waits for the answer.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let from = self.said.0.lock().unwrap().len();
        writeln!(self.monitor, "{}", json!({ "execute": command, "arguments": arguments })).unwrap();
        self.wait(from, command, |value| value.get("return").is_some() || value.get("error").is_some())
    }

    /// Waits until the migration has been in one of these states.
    pub fn reaches(&self, states: &[&str]) -> String {
        let value = self.wait(0, &format!("{states:?}"), |value| {
            value["event"] == "MIGRATION" && states.iter().any(|state| value["data"]["status"] == *state)
        });
        value["data"]["status"].as_str().unwrap().to_owned()
    }

    /// Waits for an event.
    pub fn hears(&self, event: &str) {
        self.wait(0, event, |value| value["event"] == event);
    }

    /// The events so far, as the monitor's socket gave them.
    pub fn events(&self) -> String {
        self.said.0.lock().unwrap().iter().map(|value| format!("{value}\n")).collect()
    }

    fn wait(&self, from: usize, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let mut said = self.said.0.lock().unwrap();
        loop {
            if let Some(value) = said.iter().skip(from).find(|value| is_it(value)) {
                return value.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "no {what}; instead: {said:#?}");
            said = self.said.1.wait_timeout(said, Duration::from_millis(200)).unwrap().0;
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(path: &Path) -> UnixStream {
    let begun = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{}: {error}", path.display()),
        }
        sleep(Duration::from_millis(20));
    }
}

/// A recorder between two Unix sockets.
pub struct Tape {
    pub folder: PathBuf,
    pub listen: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Passed>>,
}

impl Tape {
    pub fn start(folder: &Path, name: &str, to: &Path) -> Self {
        let (output, listen) = (folder.join(name), folder.join(format!("{name}.sock")));
        let unix = |path: &Path| format!("unix:{}", path.display()).parse().unwrap();
        let recorder = ProxyRecorder::new(&unix(&listen), unix(to), &output).unwrap();
        let stop = recorder.stop();
        let thread = spawn(move || recorder.run(None, |_| {}).unwrap());
        Self { folder: output, listen, stop, thread }
    }

    /// Cuts the connections, if there are any, and ends.
    pub fn end(self) -> Vec<Passed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
