//! A virtual machine of KVM is moved from one machine to another and back, by every algorithm in turn, while its program
//! counts in all pages of its memory: `cargo run -p guest`. With a folder behind it, `cargo run -p guest -- LOGS`, the steps
//! of each run are written there for `checker conform`.

use std::fs::File;
use std::io::BufWriter;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest::{FIRST_PAGE, Processor};
use linux::PAGE_SIZE;
use linux::region::MappedRegion;
use protocol::policy::Policy;
use sojourn::aside::SessionId;
use sojourn::driver::{Driver, DriverSetup, Handle, LogTarget};
use sojourn::host::Machine;
use sojourn::key::Trust;
use sojourn::layout::AddressSpaceLayout;
use sojourn::mapped::{MappedBuilder, MappedSubject, Occupant as _};
use sojourn::recorder::{SharedLog, StepRecorder as _, Untangled, header};
use sojourn::status::HostPhase;
use sojourn::store::Store;
use steplog::header::Unseen;

const PAGES: u64 = 1024;

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let logs = std::env::args_os().nth(1).map(PathBuf::from);
    for policy in Policy::ALL {
        if let Err(error) = there_and_back(&policy, logs.as_deref()) {
            eprintln!("{}: {error}", policy.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Moves a guest twice, and looks whether each page holds as many rounds as were made.
fn there_and_back(policy: &Policy, logs: Option<&Path>) -> Result<(), AnyError> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let files = std::env::temp_dir().join(format!("guest-{}-{}", std::process::id(), policy.name));
    std::fs::create_dir_all(&files)?;
    let log = SharedLog::default();
    let store = Store::open(listen()?, files.clone(), Trust::default(), Some(log.clone()))?;
    let setup = DriverSetup {
        store: Some(store.address().to_string()),
        log: Some(log.clone()),
        ..DriverSetup::default()
    };
    let builders = [MappedBuilder::new(Processor::new), MappedBuilder::new(Processor::new)];
    let machine = |builder: &MappedBuilder<Processor>| -> Result<Machine, AnyError> {
        Ok(Machine::open(listen()?, setup.clone(), vec![Box::new(builder.clone())])?)
    };
    let machines = [machine(&builders[0])?, machine(&builders[1])?];

    let region = Arc::new(MappedRegion::new((PAGES * PAGE_SIZE) as usize)?);
    Processor::write_program(&region);
    let mut first = Processor::new(&region)?;
    first.go()?;
    let subject = MappedSubject::new(region, Box::new(first.clone()));
    let session = SessionId::random()?;
    let driver = Driver::at_source(session, Box::new(subject), policy.clone(), machines[0].setup())?;
    machines[0].take_on(driver);

    await_rounds(&first, 3)?;
    let mut frozen = Vec::new();
    // Who comes back to pages that were left behind finds the processor that it left there.
    let here = |at: usize| builders[at].latest().unwrap_or_else(|| first.clone());
    for (from, to) in [(0, 1), (1, 0)] {
        let log = LogTarget::Shared(log.clone());
        frozen.push(moved(session, &machines[from], &machines[to], policy, log)?);
        await_rounds(&here(to), 3)?;
    }
    if let Some(folder) = logs {
        write_log(policy, &log, folder)?;
    }
    let mut last = here(0);
    last.stop()?;
    let counted = last.counted()?;
    let made_here = builders.iter().filter_map(MappedBuilder::latest).map(|processor| processor.rounds());
    let rounds = first.rounds() + made_here.sum::<u32>();
    // It was stopped in the middle of a round.
    let (before, after) = (Some(&(rounds + 1)), Some(&rounds));
    let right = counted.is_sorted_by(|a, b| a >= b)
        && (counted.first() == before || counted.first() == after)
        && (counted.last() == after || counted.last() == before);
    if !right || counted.len() as u64 != PAGES - FIRST_PAGE {
        let odd = counted.iter().position(|held| !(rounds..=rounds + 1).contains(held));
        return Err(format!("{rounds} rounds, but page {odd:?} does not have them").into());
    }
    let milliseconds: Vec<_> = frozen.iter().map(|at| format!("{:.2}", at.as_secs_f64() * 1e3)).collect();
    println!(
        "{:<20} {rounds} rounds, and every page has them; frozen for {} ms",
        policy.name,
        milliseconds.join(" and ")
    );
    std::fs::remove_dir_all(files)?;
    Ok(())
}

/// Writes down what has been done, once it is a while since anything was.
fn write_log(policy: &Policy, log: &SharedLog, folder: &Path) -> Result<(), AnyError> {
    let mut before = 0;
    while before != log.steps().len() {
        before = log.steps().len();
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut untangled = Untangled::new(SharedLog::default());
    log.steps().into_iter().for_each(|step| untangled.record(step));
    let steps = untangled.finish().map(|log| log.steps()).unwrap_or_default();
    let (layout, unseen) = (AddressSpaceLayout::plain(PAGES, 0, "none"), [Unseen::Writes, Unseen::Reads]);
    std::fs::create_dir_all(folder)?;
    let file = File::create(folder.join(format!("{}.ndjson", policy.name)))?;
    header(policy, &layout, false, &unseen).write_with(&steps, BufWriter::new(file))?;
    Ok(())
}

/// Waits until the guest has made so many rounds more.
fn await_rounds(processor: &Processor, more: u32) -> Result<(), AnyError> {
    let (begun, until) = (Instant::now(), processor.rounds() + more);
    while processor.rounds() < until {
        if let Some(broken) = processor.broken() {
            return Err(broken.into());
        }
        if begun.elapsed() > PATIENCE {
            return Err("the guest does not go on".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Moves the guest, and waits until it is at rest there; for how long it stood still.
fn moved(
    session: SessionId,
    from: &Machine,
    to: &Machine,
    policy: &Policy,
    log: LogTarget,
) -> Result<Duration, AnyError> {
    let of = |machine: &Machine| -> Option<Handle> {
        machine.sessions().into_iter().find(|handle| handle.session() == session)
    };
    let source = of(from).ok_or("there is nothing to move")?;
    source.migrate(&to.address().to_string(), policy.clone(), log)?;
    let begun = Instant::now();
    loop {
        let phase = of(to).map(|handle| handle.status.lock().phase);
        let arrived = match policy.leaves_pages_behind() {
            true => matches!(phase, Some(HostPhase::Resting | HostPhase::Post | HostPhase::Completing)),
            false => phase == Some(HostPhase::Resting),
        };
        let frozen_ns = source.status.lock().freeze_ns;
        if let Some(frozen_ns) = frozen_ns.filter(|_| arrived) {
            return Ok(Duration::from_nanos(frozen_ns));
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("it does not arrive: {phase:?}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
