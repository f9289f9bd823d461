//! Machines and a file server on loopback, a region of memory that moves between them, and a program in it that notices
//! every byte that is not as it should be.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::memory::Fault;
use protocol::policy::Policy;
use sojourn::aside::SessionId;
use sojourn::driver::{Driver, DriverSetup, Handle, LogTarget};
use sojourn::host::Machine;
use sojourn::key::Trust;
use sojourn::layout::AddressSpaceLayout;
use sojourn::recorder::{SharedLog, StepRecorder, Untangled, header};
use sojourn::region::{Program, ProgramAccess, ProgramProgress, ProgramRegion, RegionBuilder};
use sojourn::status::HostPhase;
use sojourn::store::Store;
use steplog::page::PageNumber;

pub const PAGES: u64 = 24;
const FILE_MAPPED: u64 = 6;

/// How long anything may take before a test gives up on it: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far programs may go, by the number that they have as their session.
static ALLOWED: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
static DONE: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Writes to and reads from pages in an order that looks random, and knows what each must hold: the number of the step
/// that wrote to it last.
#[derive(Clone)]
pub struct Scribbler {
    id: u8,
    step: u64,
    last: Vec<u64>,
}

impl Scribbler {
    fn new(id: u8) -> Self {
        Self { id, step: 0, last: vec![0; PAGES as usize] }
    }

    fn load(registers: &[u8]) -> Option<Box<dyn Program>> {
        let (id, numbers) = registers.split_first()?;
        let (numbers, []) = numbers.as_chunks::<8>() else { return None };
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let step = numbers.next()?;
        let last: Vec<_> = numbers.collect();
        (last.len() == PAGES as usize).then_some(Box::new(Self { id: *id, step, last }))
    }
}

impl Program for Scribbler {
    fn step(&mut self, access: &mut ProgramAccess<'_>) -> Result<ProgramProgress, Fault> {
        let id = usize::from(self.id);
        if self.step >= ALLOWED[id].load(Ordering::SeqCst) {
            return Ok(ProgramProgress::Idles);
        }
        let mixed = (self.step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let page = (mixed >> 33) % PAGES;
        let offset = (page * 8) as u16;
        if mixed >> 63 == 0 {
            access.write(PageNumber(page), offset, &(self.step + 1).to_le_bytes())?;
            self.last[page as usize] = self.step + 1;
        } else {
            let mut found = [0; 8];
            access.read(PageNumber(page), offset, &mut found)?;
            let (found, due) = (u64::from_le_bytes(found), self.last[page as usize]);
            assert_eq!(found, due, "page {page} at step {}", self.step);
        }
        self.step += 1;
        DONE[id].store(self.step, Ordering::SeqCst);
        Ok(ProgramProgress::Goes)
    }

    fn registers(&self) -> Vec<u8> {
        let numbers = [self.step].into_iter().chain(self.last.iter().copied());
        [self.id].into_iter().chain(numbers.flat_map(u64::to_le_bytes)).collect()
    }
}

/// Two machines, a file server, a region that starts on the first machine.
pub struct World {
    pub policy: Policy,
    pub log: SharedLog,
    pub root: tempfile::TempDir,
    pub store: Store,
    pub machines: Vec<Machine>,
    pub builders: Vec<RegionBuilder>,
    pub session: SessionId,
    id: u8,
    first: ProgramRegion,
}

impl World {
    pub fn new(policy: &Policy) -> Self {
        Self::with(policy, &Trust::default(), 2)
    }

    pub fn with(policy: &Policy, trust: &Trust, machines: usize) -> Self {
        let (log, root) = (SharedLog::default(), tempfile::tempdir().unwrap());
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let store = Store::open(listen(), root.path().to_owned(), trust.clone(), Some(log.clone())).unwrap();
        let id = NEXT.fetch_add(1, Ordering::SeqCst) as u8;
        let builders: Vec<_> = (0..machines).map(|_| RegionBuilder::new(Scribbler::load)).collect();
        let setup = DriverSetup {
            trust: trust.clone(),
            store: Some(store.address().to_string()),
            log: Some(log.clone()),
            ..DriverSetup::default()
        };
        let machines: Vec<_> = builders
            .iter()
            .map(|builder| Machine::open(listen(), setup.clone(), vec![Box::new(builder.clone())]).unwrap())
            .collect();
        let layout = AddressSpaceLayout::plain(PAGES, FILE_MAPPED, &format!("region-{id}"));
        let first = ProgramRegion::start(layout, Box::new(Scribbler::new(id)), Scribbler::load);
        let session = SessionId(u128::from(id));
        let driver =
            Driver::at_source(session, Box::new(first.clone()), policy.clone(), machines[0].setup()).unwrap();
        machines[0].take_on(driver);
        Self { policy: policy.clone(), log, root, store, machines, builders, session, id, first }
    }

    /// Lets the program make so many accesses, and waits until it has.
    pub fn work(&self, steps: u64) {
        self.allow(steps);
        self.await_work();
    }

    /// Lets the program make so many more accesses.
    pub fn allow(&self, steps: u64) {
        ALLOWED[usize::from(self.id)].fetch_add(steps, Ordering::SeqCst);
    }

    /// Waits until the program has made all its accesses.
    pub fn await_work(&self) {
        let id = usize::from(self.id);
        self.wait("the program has done its work", || {
            DONE[id].load(Ordering::SeqCst) == ALLOWED[id].load(Ordering::SeqCst)
        });
    }

    pub fn handle(&self, at: usize) -> Option<Handle> {
        self.machines[at].sessions().into_iter().find(|handle| handle.session() == self.session)
    }

    pub fn phase(&self, at: usize) -> HostPhase {
        self.handle(at).map_or(HostPhase::Vacant, |handle| handle.status.lock().phase)
    }

    pub fn begin(&self, from: usize, to: usize) {
        let address = self.machines[to].address().to_string();
        let log = LogTarget::Shared(self.log.clone());
        self.handle(from).expect("the process is here").migrate(&address, self.policy.clone(), log).unwrap();
    }

    /// Moves the region, and waits until it is at rest there, or as near to it as the algorithm gets.
    pub fn migrate(&self, from: usize, to: usize) {
        self.begin(from, to);
        self.await_arrival(from, to);
    }

    pub fn await_arrival(&self, from: usize, to: usize) {
        let lazy = self.policy.leaves_pages_behind();
        self.wait("the process is at rest there", || match lazy {
            true => matches!(self.phase(to), HostPhase::Post | HostPhase::Completing | HostPhase::Resting),
            false => self.phase(to) == HostPhase::Resting && self.phase(from) == HostPhase::Vacant,
        });
    }

    pub fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            if start.elapsed() > PATIENCE {
                let statuses: Vec<_> = (0..self.machines.len())
                    .map(|at| self.handle(at).map(|h| h.status.lock().clone()))
                    .collect();
                let log = self.log.steps();
                let tail: Vec<_> =
                    log.iter().rev().take(30).rev().map(|step| format!("{step:?}\n")).collect();
                panic!("{}: not in {PATIENCE:?}: {what}\n{statuses:#?}\n{}", self.policy.name, tail.concat());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Listens where a server has just ceased to.
    pub fn wait_for_listener(&self, address: std::net::SocketAddr) -> TcpListener {
        let mut listener = None;
        self.wait("the address is free", || {
            listener = TcpListener::bind(address).ok();
            listener.is_some()
        });
        listener.unwrap()
    }

    /// Every page, wherever it is, holds what the program last wrote to it, and only one program runs.
    pub fn check(&self) {
        let regions: Vec<_> = [self.first.clone()]
            .into_iter()
            .chain(self.builders.iter().filter_map(RegionBuilder::latest))
            .collect();
        let running = regions.iter().filter(|region| region.is_running()).count();
        assert_eq!(running, 1, "{}", self.policy.name);
    }
}

/// The model has the run. What is still on its way when a process rests is waited for: the log is judged once all of it is there.
pub fn conform(world: &World, policy: &Policy) {
    let start = Instant::now();
    loop {
        let (text, steps) = written_down(world, policy);
        match tie::trace::conform(&text[..], None) {
            Ok(accepted) => return assert_eq!(accepted.steps, steps),
            Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => {
                let path = std::env::temp_dir().join(format!("sojourn-{}.ndjson", policy.name));
                std::fs::File::create(&path).unwrap().write_all(&text).unwrap();
                panic!("{}: {error}\n{}", policy.name, path.display());
            }
        }
    }
}

/// The log so far, and how many steps it has.
fn written_down(world: &World, policy: &Policy) -> (Vec<u8>, usize) {
    let layout = AddressSpaceLayout::plain(PAGES, FILE_MAPPED, "f");
    let mut log = Untangled::new(SharedLog::default());
    world.log.steps().into_iter().for_each(|step| log.record(step));
    let steps = log.finish().unwrap().steps();
    let disrupted = steps.iter().any(|step| {
        serde_json::to_string(&step.event).unwrap().contains("peer-")
            || format!("{:?}", step.event).contains("Cancel")
    });
    let mut text = Vec::new();
    header(policy, &layout, disrupted, &[]).write_with(&steps, &mut text).unwrap();
    (text, steps.len())
}
