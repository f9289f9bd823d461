//! Two hosts, a file server and a process, in virtual time.

mod operator;

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::ensemble::Ensemble;
use protocol::error::Error;
use protocol::host::{Host, Task, Work};
use protocol::memory::{Accesses, Fault, Memory};
use protocol::page::{Image, PageKind};
use protocol::page_set::PageSet;
use protocol::policy::Pre;
use protocol::wire::{Envelope, Message};
use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};
use world::random::Random;

use super::costs::Costs;
use super::dirty_log::{DirtyMarks, Logged};
use super::network::{Frame, Network, When, has_page, message_bytes};
use super::outcome::Stalls;
use super::process::{Access, Process};
use super::setup::falls;
use super::{
    DESTINATION, Divergence, Patience, SOURCE, SimulatedWorkload, SimulationError, SimulationOutcome,
    SimulationSetup, Span,
};

/// The hosts, in the order of their lines. The file server's comes last.
const HOSTS: [HostId; 2] = [SOURCE, DESTINATION];

/// A byte for the process to write.
const BYTE: [u8; 1] = [1];

/// How many events pass between two looks at the clock.
const EVENTS_BETWEEN_LOOKS: u32 = 1 << 14;

/// A run in progress.
pub(super) struct World<'a, M> {
    setup: &'a SimulationSetup,
    image: &'a Image,
    now_ns: u64,
    ensemble: Ensemble<Logged<M>>,
    network: Network<'a>,
    /// When a host can send what it has found no room for, and until when its software is busy.
    room_ns: [Option<u64>; 2],
    busy_ns: [u64; 2],
    process: Process,
    /// Faults that the software has still to handle, and when it will have.
    faults: VecDeque<(u64, PageNumber)>,
    /// The pages that are all zero.
    zero: PageSet,
    /// The last file-mapped and the last private page that the process touched: where its code and its stack are.
    code_and_stack: (Option<PageNumber>, Option<PageNumber>),
    /// File-mapped pages that have to be written back before the process is suspended.
    write_backs_ahead: u64,
    /// When marks of written pages are looked for next, if there are any to be seen.
    marks_ns: Option<u64>,
    /// Since when the process stands still for what is found marked when it is to be suspended.
    held_ns: Option<u64>,
    /// When it was looked last during a pass whether the target is met.
    looked_ns: u64,
    /// Since when the process has been slowed down as much as it is.
    throttled_since_ns: u64,
    divergence: Option<Divergence>,
    costs: Costs,
}

/// Something that happens at a point in time. What stands first comes first among what happens at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Occurrence {
    Marks,
    Network,
    Room(usize),
    Fault,
    Access(usize),
}

impl<'a, M: Memory + Accesses> World<'a, M> {
    pub fn new(
        setup: &'a SimulationSetup,
        image: &'a Arc<Image>,
        [here, there]: [M; 2],
    ) -> Result<Self, SimulationError> {
        let logged: fn(M) -> Logged<M> = match setup.log {
            DirtyMarks::Pass if matches!(setup.policy.pre, Pre::Copy(_)) => Logged::by_pass,
            DirtyMarks::Page if setup.look_ns().is_some() => Logged::looked_for,
            _ => Logged::at_once,
        };
        let logged_there = if setup.look_ns().is_some() { logged } else { Logged::at_once };
        let (policy, pages) = (&setup.policy, image.page_count());
        let mut ensemble = Ensemble::new(policy.clone(), Arc::clone(image))?;
        ensemble.add_occupied(SOURCE, logged(here))?;
        ensemble.add_vacant(DESTINATION, logged_there(there))?;
        let mut of_kind = image.page_numbers();
        let code = of_kind.find(|&page| image.kind(page) == PageKind::FileMapped);
        let stack = image.page_numbers().next_back().filter(|&page| image.kind(page) == PageKind::Private);
        let first_zero = pages - setup.zero_share.of(pages).min(pages);
        let zero = PageSet::filled(pages, |page| page.0 >= first_zero);
        Ok(Self {
            setup,
            image,
            now_ns: 0,
            ensemble,
            network: Network::new(setup),
            room_ns: [None; 2],
            busy_ns: [0; 2],
            process: Process::new(setup, pages, &zero),
            faults: VecDeque::new(),
            zero,
            code_and_stack: (code, stack),
            write_backs_ahead: 0,
            marks_ns: None,
            held_ns: None,
            looked_ns: 0,
            throttled_since_ns: 0,
            divergence: None,
            costs: Costs::default(),
        })
    }

    /// Runs the migration to its end.
    pub fn run(mut self, patience: &dyn Patience) -> Result<SimulationOutcome, SimulationError> {
        self.start()?;
        let mut events = 0u32;
        loop {
            self.settle()?;
            if self.is_over() {
                return Ok(self.outcome());
            }
            events += 1;
            if events == EVENTS_BETWEEN_LOOKS {
                events = 0;
                if patience.is_out(self.now_ns, self.costs.pages.all_sent()) {
                    return Err(SimulationError::OutOfTime { now_ns: self.now_ns });
                }
            }
            let (at_ns, occurrence) = self.next().ok_or(SimulationError::Stuck { now_ns: self.now_ns })?;
            self.now_ns = at_ns;
            match occurrence {
                Occurrence::Marks => self.look_for_marks()?,
                Occurrence::Network => {
                    if let Some(envelope) = self.network.step() {
                        self.arrive(envelope)?;
                    }
                }
                Occurrence::Room(at) => self.room_ns[at] = None,
                Occurrence::Fault => self.ask()?,
                Occurrence::Access(thread) => self.access(thread)?,
            }
        }
    }

    /// The process has written what it has written; the operator starts the migration.
    fn start(&mut self) -> Result<(), SimulationError> {
        let mut random = Random::new(self.setup.seed);
        for page in self.image.page_numbers() {
            let share = self.setup.share_to_save(self.image.kind(page));
            if self.setup.workload == SimulatedWorkload::All || falls(share, &mut random) {
                self.ensemble.act(SOURCE, |host| host.write(page, 0, &BYTE))?;
                self.write_backs_ahead += u64::from(self.image.kind(page) == PageKind::FileMapped);
                self.ensemble.take();
            }
        }
        self.clear_log()?;
        self.look_for_marks()?;
        self.ensemble.start(SOURCE, DESTINATION)?;
        self.begin_pass()?;
        self.process.go_on(0);
        self.collect()
    }

    /// The host at which the process is at first.
    fn source(&self) -> Option<&Host<Logged<M>>> {
        self.ensemble.host(SOURCE)
    }

    /// Has a host do something.
    fn tell(
        &mut self,
        at_host: usize,
        what: impl FnOnce(&mut Host<Logged<M>>) -> Result<(), Error>,
    ) -> Result<(), SimulationError> {
        Ok(self.ensemble.tell(HOSTS[at_host], what)?)
    }

    fn next(&self) -> Option<(u64, Occurrence)> {
        let access = self.process.next().map(|(at_ns, thread)| (at_ns, Occurrence::Access(thread)));
        let mut next = access;
        let mut consider = |at_ns: Option<u64>, occurrence| {
            let Some(at_ns) = at_ns else { return };
            next = Some(next.map_or((at_ns, occurrence), |next| next.min((at_ns, occurrence))));
        };
        consider(self.marks_ns, Occurrence::Marks);
        consider(self.network.next_ns(), Occurrence::Network);
        (0..).zip(self.room_ns).for_each(|(at, room_ns)| consider(room_ns, Occurrence::Room(at)));
        consider(self.faults.front().map(|(at_ns, _)| *at_ns), Occurrence::Fault);
        next
    }

    /// Whether the migration and the process have come as far as they will.
    fn is_over(&self) -> bool {
        if self.divergence.is_some() {
            return true;
        }
        let settled = self.costs.at_rest_ns.is_some() || self.setup.policy.leaves_pages_behind();
        let through = !self.process.waits() && self.process.is_through(self.setup.accesses_min);
        self.costs.resumed_ns.is_some() && settled && through
    }

    fn arrive(&mut self, envelope: Envelope) -> Result<(), SimulationError> {
        self.ensemble.deliver(&envelope)?;
        if matches!(envelope.message.kind(), MessageKind::Request | MessageKind::Fetch) {
            self.network.pause(self.now_ns, index(envelope.to), self.setup.costs.request_pause_ns);
        }
        self.collect()
    }

    /// A thread does what it does next, until that takes time or it has to wait.
    fn access(&mut self, thread: usize) -> Result<(), SimulationError> {
        self.process.threads[thread].access_ns = None;
        let at = self.process.at;
        let runs = |world: &Self| world.ensemble.host(at).is_some_and(|host| host.is_running());
        while runs(self) && self.process.threads[thread].waits_for.is_none() {
            let Some(Access { page, writes }) = self.process.access(thread, self.setup) else {
                return Ok(());
            };
            let done = self.ensemble.act(at, |host| match writes {
                true => host.write(page, 0, &BYTE),
                false => host.read(page, 0, &mut [0]),
            });
            match done {
                Ok(_) => self.accessed(thread, page, writes),
                Err(Fault::Missing(page)) => self.fault(thread, index(at.into()), page)?,
                Err(fault) => return Err(fault.into()),
            }
            self.collect()?;
            if self.process.threads[thread].access_ns.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn accessed(&mut self, thread: usize, page: PageNumber, writes: bool) {
        if writes {
            self.note_write(page);
        }
        self.process.done(thread, self.now_ns, self.setup);
        match self.image.kind(page) {
            PageKind::FileMapped => self.code_and_stack.0 = Some(page),
            PageKind::Private => self.code_and_stack.1 = Some(page),
        }
        if self.process.count == self.setup.accesses_min {
            self.costs.run_time_ns = Some(self.now_ns);
        }
    }

    /// A page has been written: its mark will be seen in the next look.
    fn note_write(&mut self, page: PageNumber) {
        self.zero.remove(page);
        let next_ns = |every_ns: u64| (self.now_ns / every_ns + 1).saturating_mul(every_ns);
        self.marks_ns = self.marks_ns.or(self.setup.look_ns().map(next_ns));
    }

    /// Looks which pages were written since this was last done.
    fn look_for_marks(&mut self) -> Result<(), SimulationError> {
        self.marks_ns = None;
        for at_host in 0..HOSTS.len() {
            self.tell(at_host, |host| {
                host.memory_mut().look();
                Ok(())
            })?;
        }
        Ok(())
    }

    fn fault(&mut self, thread: usize, at_host: usize, page: PageNumber) -> Result<(), SimulationError> {
        let others_wait = self
            .process
            .threads
            .iter()
            .any(|other| other.waits_for.is_some_and(|(awaited, _)| awaited == page));
        self.process.threads[thread].waits_for = Some((page, self.now_ns));
        if others_wait && !self.setup.policy.wakes_apart() {
            return Ok(());
        }
        match self.setup.costs.fault_ns {
            0 => self.ask_for(at_host, page),
            fault_ns => {
                self.faults.push_back((self.now_ns.saturating_add(fault_ns), page));
                Ok(())
            }
        }
    }

    /// The software has handled a fault.
    fn ask(&mut self) -> Result<(), SimulationError> {
        let Some((_, page)) = self.faults.pop_front() else { return Ok(()) };
        let at_host = index(self.process.at.into());
        self.ask_for(at_host, page)?;
        self.collect()
    }

    fn ask_for(&mut self, at_host: usize, page: PageNumber) -> Result<(), SimulationError> {
        let is_present = |world: &Self| {
            world.ensemble.host(HOSTS[at_host]).is_some_and(|host| host.memory().is_present(page))
        };
        let every_one = self.setup.policy.wakes_apart();
        if every_one || !is_present(self) {
            self.tell(at_host, |host| host.fault(page))?;
        }
        // Who has been told of it says whom to wake.
        let resident = self.ensemble.host(HOSTS[at_host]).and_then(|host| host.role().resident());
        let awaited = resident.is_some_and(|resident| resident.waits.contains(page));
        if is_present(self) && !awaited {
            self.wake(page, 0);
        }
        Ok(())
    }

    /// Lets everybody do what is due and possible now.
    fn settle(&mut self) -> Result<(), SimulationError> {
        while self.operate()? || self.work(0)? || self.work(1)? {}
        Ok(())
    }

    /// A host does its most urgent work, if there is room for its page and its software is not busy.
    fn work(&mut self, at_host: usize) -> Result<bool, SimulationError> {
        let host = self.ensemble.host(HOSTS[at_host]);
        let Some(task) = host.and_then(|host| host.tasks().next()) else { return Ok(false) };
        match self.possible(at_host, task) {
            When::Now => {}
            // What is less urgent goes the same way, and needs as much room or more.
            When::At(at_ns) => {
                self.room_ns[at_host] = Some(at_ns);
                return Ok(false);
            }
            When::Later => return Ok(false),
        }
        self.tell(at_host, |host| host.perform(task.work))?;
        self.spend(at_host, task);
        self.collect()?;
        if task.work == Work::BeginPass {
            self.begin_pass()?;
        }
        Ok(true)
    }

    /// When a host may do this work.
    fn possible(&mut self, at_host: usize, task: Task) -> When {
        if task.page_to.is_none() && !matches!(task.work, Work::BeginPass | Work::SendState) {
            return When::Now;
        }
        if self.busy_ns[at_host] > self.now_ns {
            return When::At(self.busy_ns[at_host]);
        }
        let (Some(to), Some(page)) = (task.page_to, task.work.page()) else { return When::Now };
        if let Work::Push(_) | Work::WriteBack(_) = task.work {
            let idle = self.network.idle(self.now_ns, at_host);
            if idle != When::Now {
                return idle;
            }
        }
        let bytes = self.page_bytes(at_host, page);
        let line = self.network.line(index(to), matches!(task.work, Work::Serve(_)));
        self.network.room(self.now_ns, at_host, line, bytes)
    }

    /// The software of a host is busy with a page for a while, or held back by a cap.
    fn spend(&mut self, at_host: usize, task: Task) {
        let (Some(page), Some(_)) = (task.work.page(), task.page_to) else { return };
        let costs = &self.setup.costs;
        let software_ns = match self.is_zero(at_host, page) {
            true => costs.zero_page_ns,
            false => costs.page_ns,
        };
        let cap = match task.work {
            Work::Copy(_) => costs.copy_cap_bits_per_s,
            Work::Push(_) | Work::Serve(_) => costs.post_cap_bits_per_s,
            _ => None,
        };
        let capped_ns = cap.map_or(0, |cap| {
            let bits = u128::from(self.page_bytes(at_host, page)) * 8;
            u64::try_from(bits * 1_000_000_000 / u128::from(cap.max(1))).unwrap_or(u64::MAX)
        });
        let busy_ns = costs.shared(software_ns).max(capped_ns);
        self.busy_ns[at_host] = self.busy_ns[at_host].max(self.now_ns).saturating_add(busy_ns);
    }

    /// Reads and clears the log.
    fn begin_pass(&mut self) -> Result<(), SimulationError> {
        if matches!(self.setup.policy.pre, Pre::Copy(_)) {
            self.clear_log()?;
            let scanning_ns =
                u128::from(self.image.page_count()) * u128::from(self.setup.costs.scan_page_ps) / 1000;
            let pass_ns = self.setup.costs.pass_ns.saturating_add(scanning_ns as u64);
            self.busy_ns[0] = self.busy_ns[0].max(self.now_ns).saturating_add(pass_ns);
        }
        Ok(())
    }

    fn clear_log(&mut self) -> Result<(), SimulationError> {
        self.tell(0, |host| {
            host.memory_mut().begin_pass();
            Ok(())
        })
    }

    /// Whether a page is sent as one that is all zero.
    fn is_zero(&self, from: usize, page: PageNumber) -> bool {
        from == 0 && self.setup.costs.zero_page_bytes.is_some() && self.zero.contains(page)
    }

    /// Length of a message with this page.
    fn page_bytes(&self, from: usize, page: PageNumber) -> u64 {
        let costs = &self.setup.costs;
        match costs.zero_page_bytes {
            Some(bytes) if self.is_zero(from, page) => bytes,
            _ => {
                let page_bytes = self.setup.page_size_bytes;
                costs.page_overhead_bytes + costs.compressed.map_or(page_bytes, |share| share.of(page_bytes))
            }
        }
    }

    /// Takes what was said and done: events to the process and the accounts, then messages to the network.
    fn collect(&mut self) -> Result<(), SimulationError> {
        let mut served: Option<PageNumber> = None;
        while let Some((place, _, event)) = self.ensemble.poll_step() {
            if let Event::PageServed { page, .. } = event {
                served = Some(page);
            }
            self.costs.count(self.now_ns, &event);
            // The process may take a step in consequence.
            self.notice(place, &event)?;
        }
        while let Some(envelope) = self.ensemble.poll_message() {
            self.send(envelope, served);
        }
        Ok(())
    }

    fn send(&mut self, envelope: Envelope, served: Option<PageNumber>) {
        let place = index(envelope.from);
        let (from, to, kind) = (envelope.from, envelope.to, envelope.message.kind());
        let with_page = has_page(&envelope.message);
        let page = match envelope.message {
            Message::Page { page, .. } | Message::WriteBack { page, .. } | Message::Fetched { page, .. } => {
                Some(page)
            }
            _ => None,
        };
        let bytes = match page {
            Some(page) => self.page_bytes(place, page),
            None => message_bytes(kind, self.setup),
        };
        let copied = kind == MessageKind::Page && self.costs.suspended_ns.is_none();
        let line = self.network.line(index(to), page.is_some() && page == served);
        let resumed = self.process.at == DESTINATION;
        self.network.send(self.now_ns, place, line, Frame { envelope, bytes, copied, resumed });
        self.costs.send(from, to, u64::from(with_page), bytes);
    }

    /// What an event means for the process.
    fn notice(&mut self, place: Place, event: &Event) -> Result<(), SimulationError> {
        match *event {
            Event::ProcessResumed { .. } => {
                self.process.at = DESTINATION;
                self.process.go_on(self.now_ns);
            }
            Event::PageInstalled { page, .. } | Event::PageFetched { page, .. }
                if !self.setup.policy.wakes_apart() =>
            {
                self.wake(page, self.setup.costs.fault_ns);
            }
            Event::ThreadsWoken { page } => self.wake(page, self.setup.costs.fault_ns),
            // The worst moment for a write is right after the page has been sent.
            Event::PageCopied { page, .. } | Event::PageWrittenBack { page, .. }
                if place == SOURCE.into()
                    && self.setup.workload == SimulatedWorkload::All
                    && self.source().is_some_and(Host::is_running)
                    && self.held_ns.is_none() =>
            {
                self.ensemble.act(SOURCE, |host| host.write(page, 0, &BYTE))?;
                self.note_write(page);
            }
            _ => {}
        }
        Ok(())
    }

    /// The page is there for those who wait for it.
    fn wake(&mut self, page: PageNumber, after_ns: u64) {
        let Self { process, costs, now_ns, .. } = self;
        process.wake(page, *now_ns, after_ns, |stalled_ns| {
            if stalled_ns > 0 {
                costs.stall_ns += stalled_ns;
                costs.stalls_ns.push(stalled_ns);
                costs.last_stall_ns = now_ns.saturating_add(after_ns);
            }
        });
    }

    fn outcome(self) -> SimulationOutcome {
        let Self { setup, image, process, costs, divergence, network, now_ns, .. } = self;
        let since = |from: Option<u64>, to: Option<u64>| match (from, to) {
            (Some(from_ns), Some(to_ns)) => Span::Ns(to_ns - from_ns),
            (Some(_), None) => Span::Endless,
            (None, _) => Span::NotReached,
        };
        let post_migration = match setup.policy.has_post_migration() {
            true => since(costs.resumed_ns, costs.at_rest_ns),
            false => since(costs.resumed_ns, costs.resumed_ns),
        };
        SimulationOutcome {
            page_count: image.page_count(),
            pre_migration: since(Some(0), costs.suspended_ns),
            copying_ns: network.copied_ns,
            freeze: since(costs.suspended_ns, costs.resumed_ns),
            post_migration,
            accesses: process.count,
            run_time_ns: costs.run_time_ns,
            faults: costs.faults,
            stall_ns: costs.stall_ns,
            throttled_ns: costs.throttled_ns,
            threads: process.threads.len() as u32,
            end_ns: now_ns,
            last_stall_ns: costs.last_stall_ns,
            pages: costs.pages,
            passes: costs.passes,
            switched: false,
            sent: costs.sent(),
            stalls: Stalls::of(costs.stalls_ns),
            left_after_pass: costs.left_after_pass,
            divergence,
        }
    }
}

fn index(place: Place) -> usize {
    match place {
        Place::Host(SOURCE) => 0,
        Place::Host(_) => 1,
        Place::FileServer => 2,
    }
}
