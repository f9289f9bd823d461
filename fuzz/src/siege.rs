//! One host against peers that break the protocol, in the middle of a world that otherwise goes on.
//!
//! Honest hosts bring the besieged one into every phase, and things go wrong around them; in between it is sent whatever
//! can be made up. Whatever it was sent,
//!
//! * it does not panic, nor fail for good;
//! * a message that is refused or ignored changes nothing, and only the sender is blamed;
//! * a message that is applied changes no page but those that the sender was to bring;
//! * what is due can be done, and the records agree with the memory;
//! * a process that was not handed over does not run, and one that is here is not stopped.
//!
//! What forged messages do to the content that the process sees is not judged: a source can send what it likes.

use arbitrary::{Arbitrary, Unstructured};
use protocol::destination::{Assembling, AwaitingGo, Destination, Receiving};
use protocol::ensemble::PlaceError;
use protocol::error::Error;
use protocol::host::{Host, Location, MessageOutcome, Resident, Role};
use protocol::memory::{Accesses, Fault, Memory};
use protocol::source::{Shadow, Source};
use protocol::wire::{Channel, Envelope, Message, Resync};
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};
use tie::flaws::{Flaw, FlawedMemory};

use crate::FuzzFinding;
use crate::bench::{Bench, BenchSetup, BenchStep, Trouble};
use crate::forgery::Forgery;

/// Moves of an input that are made.
const MOVES_MAX: usize = 300;

#[derive(Arbitrary, Clone, Debug)]
enum Move {
    Step(BenchStep),
    /// Something goes wrong, or is in order again.
    Suffer(Trouble),
    Forge(Forgery),
    /// An honest message, from somebody else or of another time.
    Divert {
        which: u8,
        disguise: Forgery,
    },
}

/// The input is a setup, and what goes on and is forged around this host.
pub fn besiege(besieged: HostId, input: &[u8]) -> Result<(), FuzzFinding> {
    besiege_flawed(besieged, input, None)
}

/// The same with a flaw seeded into the hosts, to see that it is found.
pub fn besiege_flawed(besieged: HostId, input: &[u8], flaw: Option<Flaw>) -> Result<(), FuzzFinding> {
    let mut input = Unstructured::new(input);
    let Ok(setup) = BenchSetup::arbitrary(&mut input) else { return Ok(()) };
    let mut bench = Bench::new(setup, flaw)?;
    bench.take(BenchStep::Start(u8::from(besieged == HostId(0)).max(1)))?;
    for _ in 0..MOVES_MAX {
        if input.is_empty() {
            break;
        }
        let Ok(next) = Move::arbitrary(&mut input) else { break };
        make(&mut bench, besieged, next)?;
        for host in bench.hosts() {
            check_records(host, bench.page_count())
                .map_err(|what| FuzzFinding(format!("{}: {what}", host.id())))?;
        }
    }
    Ok(())
}

fn make(bench: &mut Bench, besieged: HostId, next: Move) -> Result<(), FuzzFinding> {
    let current = bench.host(besieged).map(Host::epoch).unwrap_or_default();
    match next {
        Move::Step(BenchStep::Deliver { which, twice }) => match bench.arrival(which, twice) {
            Some(envelope) => deliver(bench, &envelope),
            None => Ok(()),
        },
        Move::Step(step) => bench.take(step),
        Move::Suffer(trouble) => bench.suffer(trouble),
        Move::Forge(forgery) => {
            let (from, epoch) = (forgery.from(), forgery.epoch(current));
            let message = forgery.message(current, bench.page_count());
            let (to, channel) = (besieged.into(), Channel::Main);
            deliver(bench, &Envelope { from, to, channel, epoch, message })
        }
        Move::Divert { which, disguise } => {
            let Some(envelope) = bench.arrival(which, true) else { return Ok(()) };
            let (from, epoch) = (disguise.from(), disguise.epoch(current));
            let (to, channel) = (besieged.into(), envelope.channel);
            deliver(bench, &Envelope { from, to, channel, epoch, message: envelope.message })
        }
    }
}

/// Has the receiver handle a message, and judges what became of the receiver.
fn deliver(bench: &mut Bench, envelope: &Envelope) -> Result<(), FuzzFinding> {
    let receiver = match envelope.to {
        Place::Host(id) => id,
        // Has a target of its own.
        Place::FileServer => {
            let _answered = bench.handle(envelope);
            return bench.collect();
        }
    };
    let Some(before) = bench.host(receiver).cloned() else { return Ok(()) };
    let handled = bench.handle(envelope);
    let Some(after) = bench.host(receiver) else { return Ok(()) };
    let check_untouched = |answers| check_untouched(&before, after, bench.uncollected(), answers);
    let judged = match &handled {
        Err(PlaceError { error: Error::PeerMisbehaved { peer, .. }, .. }) if *peer == envelope.from => {
            check_untouched(0)
        }
        Err(error) => Err(format!("somebody else is blamed: {error}")),
        Ok(Some(MessageOutcome::Ignored)) => check_untouched(0),
        Ok(Some(MessageOutcome::Answered)) => check_untouched(1),
        Ok(_) => check_harmless(&before, after, envelope),
    };
    judged.map_err(|what| FuzzFinding(format!("{envelope:?} came to {handled:?}, and {what}")))?;
    bench.collect()
}

/// Nothing has changed, and as many messages were said as there are to be answers.
fn check_untouched(
    before: &Host<FlawedMemory>,
    after: &Host<FlawedMemory>,
    said: usize,
    answers: usize,
) -> Result<(), String> {
    if said != answers {
        return Err(format!("{said} messages were the answer"));
    }
    if before == after { Ok(()) } else { Err(format!("{before:?} became {after:?}")) }
}

fn check_harmless(
    before: &Host<FlawedMemory>,
    after: &Host<FlawedMemory>,
    envelope: &Envelope,
) -> Result<(), String> {
    let Envelope { from, message, .. } = envelope;
    check_pages(before, after, |page| is_to_bring(before.role(), envelope, page))?;
    let may_set_going = match before.role() {
        Role::Destination(Destination::AwaitingGo(awaiting)) => {
            *message == Message::Go && *from == awaiting.from.into()
        }
        Role::Source(source @ (Source::Frozen(_) | Source::Offered(_))) => {
            *message == Message::Refuse && source.route().is_some_and(|route| *from == route.to.into())
        }
        _ => false,
    };
    match (is_frozen(before), is_frozen(after)) {
        (true, false) if !may_set_going => Err("a process runs that is not to".to_owned()),
        (false, true) => Err("the process was stopped".to_owned()),
        _ => Ok(()),
    }
}

fn is_frozen(host: &Host<FlawedMemory>) -> bool {
    host.memory().read(PageNumber(0), 0, &mut []) == Err(Fault::Frozen)
}

/// May this message put the page in place or drop it?
fn is_to_bring(role: &Role, envelope: &Envelope, page: PageNumber) -> bool {
    let &Envelope { from, epoch, ref message, .. } = envelope;
    // Where the process has exited, nobody needs what is kept; any host may have been its last.
    let exited = *message == Message::Exit;
    let keeps =
        |former: &Option<Shadow>| !exited && former.as_ref().is_some_and(|former| former.owed.contains(page));
    let from_source = |source: HostId| from == source.into();
    // The process does not come after all. Where a host needs nothing any more from a former one, or tells it of the exit,
    // the return of the process was called off, by whomever.
    let by_any = exited || is_complete(message);
    let calls_off = |former: &Option<Shadow>| {
        let concerned = former.as_ref().is_some_and(|former| former.route.epoch == epoch);
        *message == Message::Cancel || by_any && concerned
    };
    let resident = match role {
        Role::Destination(Destination::Receiving(Receiving { from: source, epoch: own, former, .. })) => {
            let brings = from_source(*source) && epoch == *own;
            return (brings || calls_off(former) && (by_any || from_source(*source))) && !keeps(former);
        }
        Role::Destination(
            Destination::Assembling(Assembling { from: source, former, .. })
            | Destination::AwaitingGo(AwaitingGo { from: source, former, .. }),
        ) if calls_off(former) => return (by_any || from_source(*source)) && !keeps(former),
        Role::Source(Source::Frozen(_) | Source::Offered(_)) => None,
        role => role.resident(),
    };
    match resident.map(|resident| resident.pages[page.index()].location) {
        Some(Location::At(former, _)) => from == former.host.into() && epoch == former.epoch,
        Some(Location::FileServer) => from == Place::FileServer,
        _ => false,
    }
}

/// Does the sender need nothing any more?
fn is_complete(message: &Message) -> bool {
    matches!(message, Message::Complete | Message::Resync(Resync { progress: Progress::Complete, .. }))
}

fn check_pages(
    before: &Host<FlawedMemory>,
    after: &Host<FlawedMemory>,
    may_change: impl Fn(PageNumber) -> bool,
) -> Result<(), String> {
    let look =
        |host: &Host<FlawedMemory>, page| (host.memory().copy_out(page), host.memory().is_written(page));
    let mut pages = (0..before.memory().page_count()).map(PageNumber);
    match pages.find(|&page| !may_change(page) && look(before, page) != look(after, page)) {
        None => Ok(()),
        Some(page) => Err(format!("{page} was touched")),
    }
}

/// The records agree with each other and with the memory, and what is listed as due is due.
fn check_records(host: &Host<FlawedMemory>, page_count: u64) -> Result<(), String> {
    let present = |page| host.memory().is_present(page);
    let resident_agrees = |resident: &Resident| {
        let agrees = |(page, record): (PageNumber, &protocol::host::PageRecord)| {
            let here = record.location == Location::Here;
            here == present(page) && !(here && record.requested)
        };
        (0..).map(PageNumber).zip(&resident.pages).all(agrees)
    };
    let shadow_agrees = |shadow: &Shadow| {
        let demanded = |page| shadow.demands.iter().filter(|(demanded, _)| *demanded == page).count();
        (0..page_count).map(PageNumber).all(|page| {
            let owed = shadow.owed.contains(page);
            let served = shadow.served.contains(page);
            let kept = if owed { present(page) && !served } else { true };
            kept && demanded(page) <= usize::from(owed || served)
        })
    };
    let agrees = match host.role() {
        Role::Vacant => !(0..page_count).map(PageNumber).any(present),
        Role::Failed(fault) => return Err(format!("failed for good: {fault}")),
        Role::Source(Source::Shadow(shadow)) => shadow_agrees(shadow),
        Role::Destination(Destination::Receiving(receiving)) => {
            receiving.former.as_ref().is_none_or(shadow_agrees)
        }
        role => role.resident().is_none_or(resident_agrees),
    };
    if !agrees {
        return Err(format!("the records do not agree with the memory: {:?}", host.role()));
    }
    match host.tasks().find(|task| !host.is_due(task.work)) {
        None => Ok(()),
        Some(task) => Err(format!("{:?} is listed, and not due", task.work)),
    }
}
