//! A real QEMU, foretold and measured: what it says itself about a guest, what `checker simulate` makes of it, and what moving
//! that guest between two network namespaces on a shaped link comes to.
//!
//! Says loudly why it does nothing where it may not: it needs root, `ip`, `tc` and `qemu-system-x86_64`, and a machine with
//! nothing else to do.

#[path = "../../checker/observe/tests/qemu/machine.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use machine::Qemu;
use serde_json::{Value, json};
use sojourn::measure::bed::{self, Bed, Links};

/// How far what is measured may be from what was foretold.
const TOLERANCE: f64 = 0.2;

/// Bits a second of the link.
const RATE: u64 = 200_000_000;

/// What a connection holds at the sender at most. By itself the kernel lets it grow with the connection, up to 4 MiB, and all
/// of it is sent before the state: which it will be is known to nobody beforehand.
const SEND_BUFFER: u64 = 256 << 10;

/// What it holds on average: Linux wakes a writer that found it full when a third of it is free.
const QUEUED: u64 = SEND_BUFFER * 5 / 6;

/// It is sent as fast as the link takes it: nothing is lost on it, and this congestion control does not guess at its rate as others do.
const CONGESTION_CONTROL: &str = "reno";

/// For how long QEMU is to freeze its guest at most, in milliseconds.
const DOWNTIME_MS: u64 = 300;

/// How often each guest is moved; what counts is the median.
const RUNS: usize = 5;

/// For how long QEMU looks at the writes of a guest, in seconds.
const LOOKED_AT_S: u64 = 3;

/// What QEMU reads of each GiB, in pages: the most that it does.
const SAMPLED_PAGES: u64 = 16_384;

/// Memory of a guest, in MiB, and how much of that its program fills.
const MEMORY_MIB: u64 = 128;
const FILLED_MIB: u32 = 64;

/// Memory of the guest that says what a look at a page costs that is all zero, in MiB.
const EMPTY_MIB: u64 = 1024;

/// How often the timer of the guest fires in a second.
const TICKS_PER_S: u32 = 500;

/// A boot sector that writes to each page from 1 MiB on, as many as are filled, and then, at each tick of its timer, to so many
/// of them, each in its turn; between ticks it is halted.
fn boot_sector(pages_per_tick: u16, filled_mib: u32) -> [u8; 512] {
    #[rustfmt::skip]
    let code = [
        0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, // cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax
        0xbc, 0x00, 0x7c,                                     // mov sp, 7c00h
        0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92,                   // A20: in al, 92h; or al, 2; out 92h, al
        0x66, 0x0f, 0x01, 0x16, 0xb0, 0x7c,                   // lgdt [7cb0h]
        0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,       // mov eax, cr0; or al, 1; mov cr0, eax
        0xeb, 0x00, 0xbb, 0x08, 0x00, 0x8e, 0xdb,             // jmp; mov bx, 8; mov ds, bx: all of memory is in reach
        0x24, 0xfe, 0x0f, 0x22, 0xc0,                         // and al, 0feh; mov cr0, eax: back in real mode
        0xeb, 0x00, 0x31, 0xc0, 0x8e, 0xd8,                   // jmp; xor ax, ax; mov ds, ax
        0x66, 0xbe, 0x00, 0x00, 0x10, 0x00,                   // mov esi, 100000h
        0x67, 0x66, 0x89, 0x36,                               // fill: mov [esi], esi
        0x66, 0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,             // add esi, 1000h
        0x66, 0x3b, 0x36, 0xb6, 0x7c, 0x72, 0xee,             // cmp esi, [end]; jb fill
        0xc7, 0x06, 0x20, 0x00, 0x92, 0x7c,                   // mov word [20h], tick
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,                   // mov word [22h], 0
        0xb0, 0x34, 0xe6, 0x43,                               // mov al, 34h; out 43h, al
        0xa0, 0xba, 0x7c, 0xe6, 0x40,                         // mov al, [divisor]; out 40h, al
        0xa0, 0xbb, 0x7c, 0xe6, 0x40,                         // mov al, [divisor + 1]; out 40h, al
        0xb0, 0xfe, 0xe6, 0x21,                               // mov al, 0feh; out 21h, al: the timer alone
        0x66, 0xbe, 0x00, 0x00, 0x10, 0x00,                   // mov esi, 100000h
        0xfb, 0xf4,                                           // rest: sti; hlt
        0x8b, 0x0e, 0xbc, 0x7c, 0xe3, 0xf8,                   // mov cx, [pages]; jcxz rest
        0x67, 0xfe, 0x46, 0x04,                               // page: inc byte [esi + 4]
        0x66, 0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,             // add esi, 1000h
        0x66, 0x3b, 0x36, 0xb6, 0x7c, 0x72, 0x06,             // cmp esi, [end]; jb on
        0x66, 0xbe, 0x00, 0x00, 0x10, 0x00,                   // mov esi, 100000h
        0xe2, 0xe6, 0xeb, 0xdc,                               // on: loop page; jmp rest
        0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf,             // tick: push ax; mov al, 20h; out 20h, al; pop ax; iret
    ];
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    // Two descriptors, nothing and all of memory, and where they are.
    sector[0xa8..0xb0].copy_from_slice(&[0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0]);
    sector[0xb0..0xb6].copy_from_slice(&[15, 0, 0xa0, 0x7c, 0, 0]);
    sector[0xb6..0xba].copy_from_slice(&((1 + filled_mib) << 20).to_le_bytes());
    let divisor = u16::try_from(1_193_182 / TICKS_PER_S).expect("a divisor");
    sector[0xba..0xbc].copy_from_slice(&divisor.to_le_bytes());
    sector[0xbc..0xbe].copy_from_slice(&pages_per_tick.to_le_bytes());
    sector[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A guest and how it is moved.
#[derive(Clone, Copy)]
struct Move {
    algorithm: &'static str,
    pages_per_tick: u16,
}

/// From the command until the guest runs at the destination and has all its pages, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    freeze_ms: f64,
    total_ms: f64,
}

fn built(package: &str, program: &str) -> PathBuf {
    let build = escargot::CargoBuild::new().package(package).bin(program);
    build.run().expect("it builds").path().to_owned()
}

/// Why nothing is done.
fn missing() -> Option<String> {
    if std::env::var_os("SOJOURN_QEMU").is_none() {
        return Some("SOJOURN_QEMU is not set".to_owned());
    }
    if machine::version().is_none() {
        return Some("there is no qemu-system-x86_64".to_owned());
    }
    bed::missing()
}

fn asked(qemu: &mut Qemu, command: &str, arguments: Value) -> anyhow::Result<Value> {
    let mut answer = qemu.ask(command, arguments);
    ensure!(answer.get("return").is_some(), "{command}: {answer}");
    Ok(answer["return"].take())
}

/// A pair of them, the second of which waits for the guest of the first.
fn pair(bed: &Bed, folder: &Path, moved: Move) -> anyhow::Result<[Qemu; 2]> {
    fs::write(folder.join("boot.img"), boot_sector(moved.pages_per_tick, FILLED_MIB))?;
    let memory = MEMORY_MIB.to_string();
    // The destination has its memory before it is filled. That it is cleared and found is the work of a machine of its own; here it
    // would hold up the line as well, for milliseconds at a time.
    let start = |at: usize, name: &str, had: &str, more: &[&str]| {
        let command = bed.program(at, Path::new(&machine::program()));
        let backend = format!("memory-backend-ram,id=memory,size={MEMORY_MIB}M,prealloc={had}");
        let of_memory = ["-m", &memory, "-object", &backend, "-machine", "memory-backend=memory"];
        Qemu::start(command, folder, name, &[&of_memory, more].concat())
    };
    let mut both = [start(0, "source", "off", &[]), start(1, "destination", "on", &["-incoming", "defer"])];
    let capability = |name: &str, state: bool| json!({ "capability": name, "state": state });
    let capabilities =
        json!([capability("events", true), capability("postcopy-ram", moved.algorithm == "post-copy")]);
    for qemu in &mut both {
        asked(qemu, "migrate-set-capabilities", json!({ "capabilities": capabilities }))?;
    }
    // The line is what limits it.
    let parameters = json!({ "downtime-limit": DOWNTIME_MS, "max-bandwidth": 1u64 << 33 });
    asked(&mut both[0], "migrate-set-parameters", parameters)?;
    asked(&mut both[1], "migrate-incoming", json!({ "uri": "tcp:10.77.1.2:4444" }))?;
    // The guest is to have filled its memory before it is moved.
    sleep(Duration::from_secs(1));
    Ok(both)
}

/// What it costs QEMU on this machine to see that a page is all zero, in nanoseconds: of a guest that has hardly any others, and that
/// nobody receives.
fn zero_page_ns(bed: &Bed, folder: &Path) -> anyhow::Result<u64> {
    fs::write(folder.join("boot.img"), boot_sector(0, 0))?;
    let command = bed.program(0, Path::new(&machine::program()));
    let mut qemu = Qemu::start(command, folder, "empty", &["-m", &EMPTY_MIB.to_string()]);
    let capabilities = json!([{ "capability": "events", "state": true }]);
    asked(&mut qemu, "migrate-set-capabilities", json!({ "capabilities": capabilities }))?;
    asked(&mut qemu, "migrate-set-parameters", json!({ "max-bandwidth": 1u64 << 33 }))?;
    sleep(Duration::from_secs(1));
    asked(&mut qemu, "migrate", json!({ "uri": "exec:cat > /dev/null" }))?;
    let (began, ended) = (qemu.hears_of(&["active"]), qemu.hears("STOP"));
    let pages = (EMPTY_MIB << 20) / 4096;
    Ok(((at_ms(&ended) - at_ms(&began)) * 1e6 / pages as f64) as u64)
}

/// What a run is foretold to cost, from what QEMU says of this guest: its writes, its memory, the state of its devices.
fn foretold(
    checker: &Path,
    zero_ns: u64,
    qemu: &mut Qemu,
    folder: &Path,
    moved: Move,
) -> anyhow::Result<Cost> {
    let look = json!({ "calc-time": LOOKED_AT_S, "sample-pages": SAMPLED_PAGES });
    asked(qemu, "calc-dirty-rate", look)?;
    let rate = loop {
        sleep(Duration::from_millis(100));
        let rate = asked(qemu, "query-dirty-rate", json!({}))?;
        if rate["status"] == "measured" {
            break rate;
        }
    };
    println!("  {rate}");
    let workload = folder.join("rate.json");
    fs::write(&workload, rate.to_string())?;
    let memory = asked(qemu, "query-memory-size-summary", json!({}))?["base-memory"].as_u64();
    let memory = memory.context("no size of the memory")?;
    let (dump, devices) = (folder.join("memory"), folder.join("devices"));
    asked(qemu, "pmemsave", json!({ "val": 0, "size": memory, "filename": dump }))?;
    asked(qemu, "xen-save-devices-state", json!({ "filename": devices, "live": true }))?;
    let pages = fs::read(&dump)?;
    let zero = pages.chunks(4096).filter(|page| page.iter().all(|byte| *byte == 0)).count();
    fs::remove_file(&dump)?;
    let zero_share = zero as f64 / (memory / 4096) as f64;
    let state_bytes = fs::metadata(&devices)?.len();
    println!("  {:.1} % of the pages are zero, {state_bytes} bytes of devices", zero_share * 100.0);
    let mut command = Command::new(checker);
    command.args([
        "simulate",
        moved.algorithm,
        "--preset",
        "qemu",
        "--mapped-share",
        "0",
        "--format",
        "json",
    ]);
    for (option, value) in [
        ("--bandwidth", format!("{RATE}bit/s")),
        ("--send-buffer", QUEUED.to_string()),
        ("--memory", memory.to_string()),
        ("--zero-share", zero_share.to_string()),
        ("--zero-cost", format!("{zero_ns}ns")),
        ("--state", state_bytes.to_string()),
    ] {
        command.arg(option).arg(value);
    }
    if moved.algorithm == "pre-copy" {
        command.args(["--downtime", &format!("{DOWNTIME_MS}ms")]);
    }
    let output = command.arg("--workload").arg(&workload).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let summary = &document["runs"][0]["summary"];
    let ms = |name: &str| {
        let mean = summary[name]["mean"].as_f64().map(|ns| ns / 1e6);
        mean.with_context(|| format!("{name} is not foretold: {summary}"))
    };
    Ok(Cost { freeze_ms: ms("freeze_ns")?, total_ms: ms("total_ns")? })
}

/// When QEMU says an event happened, in milliseconds since 1970.
fn at_ms(event: &Value) -> f64 {
    let part = |name: &str| event["timestamp"][name].as_f64().unwrap_or(f64::NAN);
    part("seconds") * 1e3 + part("microseconds") / 1e3
}

fn measured(both: [Qemu; 2], moved: Move) -> anyhow::Result<Cost> {
    let [mut source, destination] = both;
    let began_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
    asked(&mut source, "migrate", json!({ "uri": "tcp:10.77.1.2:4444" }))?;
    if moved.algorithm == "post-copy" {
        asked(&mut source, "migrate-start-postcopy", json!({}))?;
    }
    let completed = destination.hears_of(&["completed"]);
    // It was stopped before, to say what the state of its devices is.
    let (stopped_ms, runs_ms) =
        (at_ms(&source.heard_last("STOP").context("it never stopped")?), at_ms(&destination.hears("RESUME")));
    Ok(Cost { freeze_ms: runs_ms - stopped_ms, total_ms: at_ms(&completed).max(runs_ms) - began_ms })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn what_is_foretold_of_a_guest_of_qemu_is_what_is_measured() {
    if let Some(reason) = missing() {
        println!("SKIPPED: NO RUN OF A REAL QEMU IS FORETOLD: {reason}");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (sojourn, checker) = (built("sojourn", "sojourn"), built("checker", "checker"));
    let bed = Bed::open(directory.path(), &sojourn, Links::Shaped(RATE)).expect("a bed");
    for at in 0..2 {
        let set = format!(
            "cd /proc/sys/net/ipv4 && echo 4096 65536 {SEND_BUFFER} > tcp_wmem && echo {CONGESTION_CONTROL} > tcp_congestion_control"
        );
        let mut shell = bed.program(at, Path::new("sh"));
        assert!(shell.args(["-c", &set]).status().is_ok_and(|status| status.success()), "no send buffer");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let zero_ns = zero_page_ns(&bed, folder.path()).expect("a guest without content");
    println!("  {zero_ns} ns for a page that is all zero");
    let mut far = Vec::new();
    for (what, algorithm, pages_per_tick) in [
        ("pre-copy, idle", "pre-copy", 0),
        ("pre-copy, 1000 pages/s", "pre-copy", 2),
        ("pre-copy, 2500 pages/s", "pre-copy", 5),
        ("post-copy, idle", "post-copy", 0),
        ("post-copy, 1000 pages/s", "post-copy", 2),
    ] {
        let moved = Move { algorithm, pages_per_tick };
        let run = |asks: bool| -> anyhow::Result<(Option<Cost>, Cost)> {
            let folder = tempfile::tempdir()?;
            let mut both = pair(&bed, folder.path(), moved)?;
            let foretold =
                asks.then(|| foretold(&checker, zero_ns, &mut both[0], folder.path(), moved)).transpose()?;
            Ok((foretold, measured(both, moved)?))
        };
        let runs: anyhow::Result<Vec<_>> = (0..RUNS).map(|number| run(number == 0)).collect();
        let runs = runs.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let foretold = runs[0].0.expect("the first is foretold");
        let of = |part: fn(&Cost) -> f64| -> Vec<f64> { runs.iter().map(|(_, cost)| part(cost)).collect() };
        for (name, foretold_ms, all) in [
            ("freeze", foretold.freeze_ms, of(|cost| cost.freeze_ms)),
            ("total", foretold.total_ms, of(|cost| cost.total_ms)),
        ] {
            let measured_ms = median(all.clone());
            let percent = (measured_ms / foretold_ms - 1.0) * 100.0;
            let line = format!(
                "{what:24} {name:6} foretold {foretold_ms:8.1} ms, measured {measured_ms:8.1} ms, {percent:+.1} % {all:.1?}"
            );
            println!("{line}");
            if percent.abs() > TOLERANCE * 100.0 {
                far.push(line);
            }
        }
    }
    assert!(far.is_empty(), "{} are far off: {far:#?}", far.len());
}
