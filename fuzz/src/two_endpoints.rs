//! Honest hosts under any schedule: any algorithm, any order of messages, duplicates, any number of migrations, while
//! connections break, machines die, the file server is out of reach, hosts lose patience and operators change their minds.
//!
//! After every step, the process runs once at most, and every page that it can read has the content that it would have if
//! the process had never moved. It is given up for lost only where a machine has died that it needed. Then everything is
//! mended, what goes on by itself is let happen, and must come to an end at which nothing is missing, or nothing is left
//! of a process that has exited or is lost. Every message goes over the wire as bytes.

use arbitrary::{Arbitrary, Unstructured};
use protocol::host::Work;
use protocol::wire::{Envelope, decode, encode};
use tie::flaws::Flaw;

use crate::FuzzFinding;
use crate::bench::{Bench, BenchSetup, BenchStep, Trouble};

/// Steps of an input that are taken.
const STEPS_MAX: usize = 400;
/// One step in so many is of something that goes wrong.
const STEPS_PER_TROUBLE: u8 = 6;
/// Steps after which everything that goes on by itself must be over.
const SETTLING_STEPS_MAX: usize = 2000;

/// The input is a setup and a schedule.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    run_flawed(input, None)
}

/// The same with a flaw seeded into the hosts, to see that it is found.
pub fn run_flawed(input: &[u8], flaw: Option<Flaw>) -> Result<(), FuzzFinding> {
    let mut input = Unstructured::new(input);
    let Ok(setup) = BenchSetup::arbitrary(&mut input) else { return Ok(()) };
    let mut bench = Bench::new(setup, flaw)?;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let Ok(goes_wrong) = input.ratio(1, STEPS_PER_TROUBLE) else { break };
        if goes_wrong {
            let Ok(trouble) = Trouble::arbitrary(&mut input) else { break };
            bench.suffer(trouble)?;
            bench.check_process()?;
        } else {
            let Ok(step) = BenchStep::arbitrary(&mut input) else { break };
            take(&mut bench, step)?;
        }
    }
    bench.mend()?;
    bench.check_process()?;
    settle(&mut bench)?;
    bench.check_end()
}

fn take(bench: &mut Bench, step: BenchStep) -> Result<(), FuzzFinding> {
    if let BenchStep::Deliver { which, twice } = step {
        let Some(envelope) = bench.arrival(which, twice) else { return Ok(()) };
        let arrived = over_the_wire(envelope)?;
        let handled = bench.handle(&arrived);
        handled.map_err(|error| {
            FuzzFinding(format!("{}: {}, of {:?}", error.place, error.error, arrived.message))
        })?;
    }
    bench.take(step)?;
    bench.check_process()
}

fn over_the_wire(sent: Envelope) -> Result<Envelope, FuzzFinding> {
    let Envelope { from, to, channel, epoch, message } = sent;
    let frame = encode(epoch, &message).map_err(|error| FuzzFinding(format!("{message:?}: {error}")))?;
    let (frame, _) = decode(&frame).map_err(|error| FuzzFinding(format!("{message:?}: {error}")))?;
    if (frame.epoch, &frame.message) != (epoch, &message) {
        return Err(FuzzFinding(format!("{message:?} became {:?} on the wire", frame.message)));
    }
    Ok(Envelope { from, to, channel, epoch, message })
}

/// A migration under way goes on, messages arrive, and hosts do what is due; nothing new begins.
fn settle(bench: &mut Bench) -> Result<(), FuzzFinding> {
    for _ in 0..SETTLING_STEPS_MAX {
        let due = bench.hosts().flat_map(|host| host.tasks().map(|task| task.work));
        let position = due.into_iter().position(|work| work != Work::BeginPass);
        let step = match position {
            _ if !bench.flights.is_empty() => BenchStep::Deliver { which: 0, twice: false },
            Some(which) => BenchStep::Work(u8::try_from(which).unwrap_or(u8::MAX)),
            None if bench.hosts().any(|host| host.check_suspension().is_ok()) => {
                BenchStep::Suspend { code: 0, stack: 0 }
            }
            // Suspension waits for another pass.
            None if bench.hosts().any(|host| host.tasks().next().is_some()) => BenchStep::Work(0),
            None => return Ok(()),
        };
        take(bench, step)?;
    }
    Err(FuzzFinding("it does not come to an end".to_owned()))
}
