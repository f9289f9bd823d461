//! A region of memory moves between two machines over TCP while a program counts in it:
//! `cargo run -p sojourn --example region`.

use std::net::TcpListener;
use std::time::Duration;

use protocol::memory::Fault;
use protocol::policy::Policy;
use sojourn::aside::SessionId;
use sojourn::driver::{Driver, DriverSetup, LogTarget};
use sojourn::host::Machine;
use sojourn::layout::AddressSpaceLayout;
use sojourn::region::{Program, ProgramAccess, ProgramProgress, ProgramRegion, RegionBuilder};
use sojourn::status::HostPhase;
use steplog::page::PageNumber;

const PAGES: u64 = 256;
const STEPS: u64 = 200_000;

/// Adds one to a number in one page after the other: reads it in one step, writes it in the next.
struct Counter {
    step: u64,
    read: Option<u64>,
}

impl Program for Counter {
    fn step(&mut self, access: &mut ProgramAccess<'_>) -> Result<ProgramProgress, Fault> {
        if self.step == STEPS {
            return Ok(ProgramProgress::Idles);
        }
        let page = PageNumber(self.step % PAGES);
        match self.read {
            None => {
                let mut number = [0; 8];
                access.read(page, 0, &mut number)?;
                self.read = Some(u64::from_le_bytes(number));
            }
            Some(number) => {
                access.write(page, 0, &(number + 1).to_le_bytes())?;
                (self.read, self.step) = (None, self.step + 1);
            }
        }
        Ok(ProgramProgress::Goes)
    }

    fn registers(&self) -> Vec<u8> {
        // Read again what was read and not written: reading twice does no harm.
        self.step.to_le_bytes().to_vec()
    }
}

fn load(registers: &[u8]) -> Option<Box<dyn Program>> {
    let step = u64::from_le_bytes(registers.try_into().ok()?);
    Some(Box::new(Counter { step, read: None }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = RegionBuilder::new(load);
    let listen = || TcpListener::bind("127.0.0.1:0");
    let here = Machine::open(listen()?, DriverSetup::default(), Vec::new())?;
    let there = Machine::open(listen()?, DriverSetup::default(), vec![Box::new(builder.clone())])?;
    let layout = AddressSpaceLayout::plain(PAGES, 0, "none");
    let region = ProgramRegion::start(layout, Box::new(Counter { step: 0, read: None }), load);
    let driver = Driver::at_source(SessionId::random()?, Box::new(region), Policy::POST_COPY, here.setup())?;
    let source = here.take_on(driver);
    std::thread::sleep(Duration::from_millis(5));
    source.migrate(&there.address().to_string(), Policy::POST_COPY, LogTarget::None)?;
    let arrived = loop {
        let phases = there.statuses();
        if let Some(status) = phases.into_iter().find(|status| status.phase == HostPhase::Resting) {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let status = source.status.lock().clone();
    println!("{} pages moved, {} of them asked for", arrived.count("installed"), arrived.count("faulted"));
    println!("the program stood still for {:.2} ms", status.freeze_ns.unwrap_or(0) as f64 / 1e6);
    let region = builder.latest().ok_or("nothing was built")?;
    while region.registers() != Some(STEPS.to_le_bytes().to_vec()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    for page in 0..PAGES {
        let content = region.content(PageNumber(page)).ok_or("a page is missing")?;
        let number = content.as_slice().first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let due = STEPS / PAGES + u64::from(page < STEPS % PAGES);
        assert_eq!(number, Some(due), "page {page}");
    }
    println!("every page has what was counted in it");
    Ok(())
}
