//! What each step of a move costs on this machine, with an idle process and without a network: `cargo run -p linux --example measure`.
//!
//! Needs the privileges of a tracer and of who makes namespaces (root).

use std::process::Command;
use std::time::{Duration, Instant};

use linux::build::{BuildOptions, BuiltProcess};
use linux::obstacle::StandardStreams;
use linux::pagemap::PageState;
use linux::plan::{FileChoices, plan};
use linux::region::MappedRegion;
use linux::source::TrackedProcess;
use linux::userfault::MemoryEvent;
use linux::{PAGE_SIZE, Result};

const REPETITIONS: usize = 15;

fn main() -> Result<()> {
    let mut figures: Vec<(&str, Vec<Duration>)> = Vec::new();
    let mut add =
        |name: &'static str, time: Duration| match figures.iter_mut().find(|(other, _)| *other == name) {
            Some((_, times)) => times.push(time),
            None => figures.push((name, vec![time])),
        };
    for _ in 0..REPETITIONS {
        let mut child = Command::new("sleep").arg("1000").spawn().map_err(failed)?;
        std::thread::sleep(Duration::from_millis(20));
        let moved = measure_move(child.id() as i32, &mut add);
        let _ = child.kill();
        let _ = child.wait();
        moved?;
        measure_faults(&mut add)?;
    }
    for (name, mut times) in figures {
        times.sort();
        let show = |time: Duration| format!("{:8.1} µs", time.as_nanos() as f64 / 1e3);
        println!("{name:32} median {}   best {}", show(times[times.len() / 2]), show(times[0]));
    }
    Ok(())
}

fn measure_move(pid: i32, add: &mut impl FnMut(&'static str, Duration)) -> Result<()> {
    let mut source = TrackedProcess::open(pid)?;
    let began = Instant::now();
    let (inventory, _) = source.obstacles(StandardStreams::Replace)?;
    add("obstacles, running", began.elapsed());
    add("stop for tracking", source.track()?.stopped_for);
    let began = Instant::now();
    source.take_written()?;
    add("take what was written", began.elapsed());
    let files = FileChoices::same_file_system();
    let destination =
        BuiltProcess::build(&inventory, BuildOptions { files: files.clone(), ..BuildOptions::default() })?;
    add("build, ahead", destination.built_for());
    let frozen = source.freeze().map_err(|(_, error)| error)?;
    add("freeze: stop and gather", frozen.froze_for());
    let prepared = destination.prepare(frozen.state())?;
    add("freeze: prepare", prepared.prepared_for());
    for (mapping, backing) in plan(&frozen.state().inventory, &files) {
        if !backing.is_installed() {
            continue;
        }
        let from_file = mapping.file().is_some();
        let runs = frozen.population_of(mapping)?;
        let there = runs.iter().filter(|run| run.state != PageState::Zero).flat_map(|run| run.range.pages());
        let pages: Vec<u64> = if from_file { mapping.range.pages().collect() } else { there.collect() };
        for page in pages {
            let mut bytes = [0; PAGE_SIZE as usize];
            if frozen.read(page * PAGE_SIZE, &mut bytes).is_ok() {
                prepared.put(page, &bytes)?;
            }
        }
    }
    let departed = frozen.hand_over()?;
    let resumed = prepared.go()?;
    add("freeze: go", resumed.resumed_for());
    departed.kill()?;
    resumed.kill();
    Ok(())
}

fn measure_faults(add: &mut impl FnMut(&'static str, Duration)) -> Result<()> {
    const PAGES: u64 = 256;
    let region = MappedRegion::new((PAGES * PAGE_SIZE) as usize)?;
    region.expect()?;
    let memory = region.memory();
    let content = [7; PAGE_SIZE as usize];
    let first = region.range().pages().start;
    let took = std::thread::scope(|scope| {
        let touching = scope.spawn(|| {
            let began = Instant::now();
            for page in 0..PAGES / 2 {
                // SAFETY: within the region, which lives until after this thread.
                unsafe { region.as_ptr().add((page * PAGE_SIZE) as usize).read_volatile() };
            }
            began.elapsed()
        });
        let mut served = 0;
        while served < PAGES / 2 {
            if let Some(MemoryEvent::Fault { page, .. }) = memory.next_event()? {
                memory.install(page, &content)?;
                served += 1;
            }
        }
        touching.join().map_err(|_| failed(std::io::Error::other("a thread panicked")))
    })?;
    add("fault, served by a busy thread", took / (PAGES as u32 / 2));
    let began = Instant::now();
    for page in PAGES / 2..PAGES {
        memory.install(first + page, &content)?;
    }
    add("install a page", began.elapsed() / (PAGES as u32 / 2));
    Ok(())
}

fn failed(source: std::io::Error) -> linux::LinuxError {
    linux::LinuxError::System { doing: "run a program".to_owned(), source }
}
