//! A real QEMU: two processes, a guest that writes memory, the recorder between them.

pub mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use observe::record::{Passed, ProxyRecorder};

pub use machine::{Qemu, version};

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

/// Starts a QEMU with 8 MiB in this folder, which traces what it does.
pub fn traced(folder: &Path, name: &str, more: &[&str]) -> Qemu {
    let path = |end: &str| folder.join(format!("{name}{end}")).display().to_string();
    fs::write(path(".events"), EVENTS).unwrap();
    let trace = format!("events={},file={}", path(".events"), path(".trace"));
    let arguments = ["-m", "8", "-trace", &trace, "-msg", "timestamp=on"];
    Qemu::start(Command::new(machine::program()), folder, name, &[&arguments[..], more].concat())
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
