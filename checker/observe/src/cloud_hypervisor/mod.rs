//! Cloud Hypervisor: a main connection on which every request is answered, and one for faults.
//!
//! *Ready* is the answer to the state, *go* is the request to complete, its answer is the resumption. The end of the
//! connection for faults counts as completion, whatever is still owed.

pub mod connection;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use self::connection::{
    ConnectionError, ConnectionRole, MemoryRange, Requests, Responses, VmmRequest, VmmResponse,
};
use crate::account::{CostLimits, Dumps, Knowledge};
use crate::fact::{
    Fact, FactOrigin, HostSide, InputSource, Observations, ObserveError, ObservedFact, PageArrival,
    PageRange, SeenContent,
};
use crate::layout::BlockLayout;
use crate::merge::{Merge, Watched};
use crate::observation::{self, ObserveTask};
use crate::ranges::{Places, Ranges};
use crate::report::Report;

/// What was recorded of one migration.
#[derive(Clone, Debug, Default)]
pub struct CloudHypervisorInputs {
    /// What the source sent on the main connection.
    pub requests: PathBuf,
    /// What the destination answered.
    pub responses: PathBuf,
    /// What the destination asked on the connection for faults.
    pub fault_requests: Option<PathBuf>,
    /// What the source answered there.
    pub fault_responses: Option<PathBuf>,
}

/// Tells a run, see [`observation::tell`].
///
/// # Errors
/// An input is not what it should be, inputs contradict each other, or the log cannot be written.
pub fn tell(
    inputs: &CloudHypervisorInputs,
    limits: CostLimits,
    log: impl Write + Seek,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ObserveError> {
    let Survey { layout, places, tables, described } = survey(inputs)?;
    let watched = Watched { source: true, records: true, destination: true, answers: true };
    let known = Knowledge {
        watched,
        requests: inputs.fault_requests.is_some(),
        passes: true,
        all_pages: described || tables > 0,
        arrivals: true,
        placements: true,
        freezes: true,
        runs: [false, true],
    };
    let wire = Wire::new(inputs, &places, tables)?;
    let merge = Merge::new(Box::new(wire), Box::new(Nobody), &layout, watched);
    let unseen = [
        "what the guest reads and writes",
        "when the processors of the source stop: told where its last memory is sent, or else its state",
        "further connections for memory",
        "whether the source goes on with the guest after a cut",
    ];
    let unseen = unseen.map(str::to_owned).to_vec();
    let task = ObserveTask {
        limits,
        dumps: Dumps::default(),
        unseen,
        // What comes without a fault counts as pushed: that it was asked for, and when, is not told.
        algorithms: ["pre-copy", "cloud-hypervisor-post-copy+push=next"],
        without_go: false,
    };
    observation::tell(merge, &layout, known, task, log, progress)
}

struct Survey {
    layout: BlockLayout,
    places: Places,
    /// Tables of memory on the main connection.
    tables: u32,
    /// Does the configuration say which memory there is?
    described: bool,
}

fn survey(inputs: &CloudHypervisorInputs) -> Result<Survey, ObserveError> {
    let (mut ranges, mut tables, mut described) = (Ranges::default(), 0, false);
    let mut add = |path: &Path, range: &MemoryRange| match ranges.add(0, range.page, range.pages) {
        true => Err(ObserveError::Input { path: path.to_owned(), error: "too many ranges of memory".into() }),
        false => Ok(()),
    };
    let mut main = Reading::requests(&inputs.requests, ConnectionRole::Main)?;
    while let Some((_, request)) = main.next()? {
        match request {
            VmmRequest::Memory(table) => {
                tables += 1;
                table.iter().try_for_each(|range| add(&inputs.requests, range))?;
            }
            VmmRequest::Config(config) => {
                let mapped = mappings(&config);
                described |= !mapped.is_empty();
                mapped.iter().try_for_each(|range| add(&inputs.requests, range))?;
            }
            _ => {}
        }
    }
    if let Some(path) = &inputs.fault_requests {
        let mut faults = Reading::requests(path, ConnectionRole::Faults)?;
        while let Some((_, request)) = faults.next()? {
            if let VmmRequest::PageFault(range) = request {
                add(path, &range)?;
            }
        }
    }
    let (layout, places) = ranges.layout(|_, page| format!("memory from {:#x},", page * 4096))?;
    Ok(Survey { layout, places, tables, described })
}

/// The memory that a configuration describes: objects with `gpa` and `size`, wherever they are.
fn mappings(config: &[u8]) -> Vec<MemoryRange> {
    fn look(value: &serde_json::Value, found: &mut Vec<MemoryRange>) {
        match value {
            serde_json::Value::Array(values) => values.iter().for_each(|value| look(value, found)),
            serde_json::Value::Object(fields) => {
                let number = |name: &str| fields.get(name).and_then(serde_json::Value::as_u64);
                if let (Some(address), Some(bytes)) = (number("gpa"), number("size")) {
                    found.push(MemoryRange { page: address / 4096, pages: bytes.div_ceil(4096) });
                }
                fields.values().for_each(|value| look(value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice(config) {
        look(&value, &mut found);
    }
    found
}

/// One direction with requests.
struct Reading {
    path: PathBuf,
    requests: Requests<File>,
}

impl Reading {
    fn requests(path: &Path, role: ConnectionRole) -> Result<Self, ObserveError> {
        Ok(Self { path: path.to_owned(), requests: Requests::new(open(path)?, role) })
    }

    fn next(&mut self) -> Result<Option<(u64, VmmRequest)>, ObserveError> {
        until_cut(&self.path, self.requests.next_request())
    }
}

/// One direction with responses.
struct Answers {
    path: PathBuf,
    responses: Responses<File>,
}

impl Answers {
    fn new(path: &Path, contents: bool) -> Result<Self, ObserveError> {
        Ok(Self { path: path.to_owned(), responses: Responses::new(open(path)?, contents) })
    }

    fn next(&mut self) -> Result<Option<(u64, VmmResponse)>, ObserveError> {
        until_cut(&self.path, self.responses.next_response())
    }

    fn next_page(&mut self) -> Result<Option<u64>, ObserveError> {
        until_cut(&self.path, self.responses.next_page())
    }
}

/// Everything on both connections: each request, then its answer.
struct Wire<'a> {
    places: &'a Places,
    main: Reading,
    answers: Answers,
    faults: Option<(Reading, Option<Answers>)>,
    tables_left: u32,
    tables: u32,
    /// Pages that were sent and are in place once their request is answered.
    sent: Vec<u32>,
    /// What is done when the answer comes.
    awaited: Option<Awaited>,
    ready: VecDeque<ObservedFact>,
    suspended: bool,
    resumed: bool,
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Start,
    Config,
    Memory,
    State,
    Complete,
    Abandon,
}

const MAIN: InputSource = InputSource::Stream(0);
const ANSWERS: InputSource = InputSource::ReturnPath(0);
const FAULTS: InputSource = InputSource::ReturnPath(1);
const FAULT_ANSWERS: InputSource = InputSource::Channel(1);

impl<'a> Wire<'a> {
    fn new(inputs: &CloudHypervisorInputs, places: &'a Places, tables: u32) -> Result<Self, ObserveError> {
        let faults = match &inputs.fault_requests {
            Some(path) => {
                let answers = inputs.fault_responses.as_deref();
                let answers = answers.map(|path| Answers::new(path, true)).transpose()?;
                Some((Reading::requests(path, ConnectionRole::Faults)?, answers))
            }
            None => None,
        };
        Ok(Self {
            places,
            main: Reading::requests(&inputs.requests, ConnectionRole::Main)?,
            answers: Answers::new(&inputs.responses, false)?,
            faults,
            tables_left: tables,
            tables,
            sent: Vec::new(),
            awaited: None,
            ready: VecDeque::new(),
            suspended: false,
            resumed: false,
            over: false,
        })
    }

    fn step(&mut self) -> Result<(), ObserveError> {
        match self.main.next()? {
            Some((offset, VmmRequest::Page { page, digest })) => {
                let origin = FactOrigin { input: MAIN, position: offset };
                self.page(origin, page, digest, 0)
            }
            Some((offset, request)) => {
                self.answered()?;
                self.request(FactOrigin { input: MAIN, position: offset }, request)
            }
            None if self.awaited.is_some() => self.answered(),
            None => self.fault(),
        }
    }

    fn request(&mut self, origin: FactOrigin, request: VmmRequest) -> Result<(), ObserveError> {
        let awaited = match request {
            VmmRequest::Start { .. } => {
                self.push(HostSide::Source, origin, Fact::Started);
                Awaited::Start
            }
            VmmRequest::Memory(_) => {
                self.tables_left -= 1;
                match (self.tables_left, self.tables) {
                    (0, 2..) => self.suspend(origin),
                    (left, tables) if left + 1 < tables => {
                        self.push(HostSide::Source, origin, Fact::PassBegun)
                    }
                    _ => {}
                }
                Awaited::Memory
            }
            VmmRequest::State { .. } => {
                self.suspend(origin);
                self.push(HostSide::Source, origin, Fact::StateSent);
                Awaited::State
            }
            VmmRequest::Complete | VmmRequest::CompletePaused => {
                self.push(HostSide::Source, origin, Fact::HandedOver);
                Awaited::Complete
            }
            VmmRequest::Abandon => {
                self.push(HostSide::Source, origin, Fact::Cancelled);
                Awaited::Abandon
            }
            VmmRequest::Config(_)
            | VmmRequest::MemoryDescriptor
            | VmmRequest::PageFault(_)
            | VmmRequest::Page { .. } => Awaited::Config,
        };
        self.awaited = Some(awaited);
        Ok(())
    }

    /// The answer to the last request, if there is one to come.
    fn answered(&mut self) -> Result<(), ObserveError> {
        let Some(awaited) = self.awaited.take() else { return Ok(()) };
        let Some((offset, response)) = self.answers.next()? else { return Ok(()) };
        let origin = FactOrigin { input: ANSWERS, position: offset };
        if response == VmmResponse::Error {
            self.push(HostSide::Destination, origin, Fact::Failed);
            return Ok(());
        }
        match awaited {
            Awaited::Start => self.push(HostSide::Destination, origin, Fact::Expected),
            Awaited::Memory => {
                for page in std::mem::take(&mut self.sent) {
                    self.install(origin, page, 0);
                }
            }
            Awaited::State => {
                self.push(HostSide::Destination, origin, Fact::StateAccepted);
                self.push(HostSide::Destination, origin, Fact::ReadinessDeclared);
                self.push(HostSide::Source, origin, Fact::ReadinessLearned);
            }
            Awaited::Complete => {
                self.resumed = true;
                self.push(HostSide::Destination, origin, Fact::Resumed);
                if self.faults.is_none() {
                    self.push(HostSide::Source, origin, Fact::Destroyed);
                }
            }
            Awaited::Config | Awaited::Abandon => {}
        }
        Ok(())
    }

    /// A fault and its answer; at the end of the connection, what that counts as.
    fn fault(&mut self) -> Result<(), ObserveError> {
        let Some((faults, answers)) = &mut self.faults else {
            self.over = true;
            return Ok(());
        };
        let Some((offset, request)) = faults.next()? else {
            let origin = FactOrigin { input: FAULTS, position: faults.requests.offset() };
            self.over = true;
            if self.resumed {
                self.push(HostSide::Source, origin, Fact::Destroyed);
            }
            return Ok(());
        };
        let origin = FactOrigin { input: FAULTS, position: offset };
        let VmmRequest::PageFault(range) = request else { return Ok(()) };
        let answer = match answers {
            Some(answers) => answers.next()?,
            None => None,
        };
        let first = self.number(origin, range.page)?;
        self.number(origin, range.page + range.pages - 1)?;
        let pages = PageRange { first, count: range.pages as u32 };
        pages.iter().for_each(|page| self.push(HostSide::Destination, origin, Fact::Faulted(page)));
        self.push(HostSide::Destination, origin, Fact::RequestSent);
        self.push(HostSide::Source, origin, Fact::RequestReceived(pages));
        let Some((offset, VmmResponse::Ok { length })) = answer else { return Ok(()) };
        let at = FactOrigin { input: FAULT_ANSWERS, position: offset };
        if length != range.pages * 4096 {
            return Err(ObserveError::Contradiction {
                at: origin,
                what: format!("{} pages are asked for", range.pages),
                against: at,
                otherwise: format!("the answer has {length:#x} bytes"),
            });
        }
        for page in pages.iter() {
            let digest = match &mut self.faults {
                Some((_, Some(answers))) => answers.next_page()?,
                _ => None,
            };
            let Some(digest) = digest else { return Ok(()) };
            let fact = Fact::Sent { page, content: SeenContent::Digest(digest), channel: 1, bytes: 4096 };
            self.push(HostSide::Source, at, fact);
            self.install(at, page, 1);
        }
        Ok(())
    }

    fn page(&mut self, origin: FactOrigin, page: u64, digest: u64, channel: u8) -> Result<(), ObserveError> {
        let page = self.number(origin, page)?;
        let fact = Fact::Sent { page, content: SeenContent::Digest(digest), channel, bytes: 4096 };
        self.push(HostSide::Source, origin, fact);
        self.sent.push(page);
        Ok(())
    }

    fn install(&mut self, origin: FactOrigin, page: u32, channel: u8) {
        self.push(HostSide::Destination, origin, Fact::Arrived { channel, page: PageArrival::Page(page) });
        self.push(HostSide::Destination, origin, Fact::Installed(PageRange { first: page, count: 1 }));
    }

    fn suspend(&mut self, origin: FactOrigin) {
        if !self.suspended {
            self.suspended = true;
            self.push(HostSide::Source, origin, Fact::Suspended);
        }
    }

    fn number(&self, at: FactOrigin, page: u64) -> Result<u32, ObserveError> {
        self.places.page(0, page).ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("memory at {:#x}, which there is not", page * 4096),
        })
    }

    fn push(&mut self, side: HostSide, origin: FactOrigin, fact: Fact) {
        self.ready.push_back(ObservedFact { side, at_us: None, origin, fact });
    }
}

impl Observations for Wire<'_> {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        while self.ready.is_empty() && !self.over {
            self.step()?;
        }
        Ok(self.ready.pop_front())
    }
}

struct Nobody;

impl Observations for Nobody {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        Ok(None)
    }
}

/// What was read; nothing where the connection was cut.
fn until_cut<T>(path: &Path, read: Result<Option<T>, ConnectionError>) -> Result<Option<T>, ObserveError> {
    match read {
        Ok(read) => Ok(read),
        Err(error) if error.cut().is_some() => Ok(None),
        Err(error) => Err(ObserveError::Input { path: path.to_owned(), error: Box::new(error) }),
    }
}

fn open(path: &Path) -> Result<File, ObserveError> {
    File::open(path).map_err(|error| ObserveError::Input { path: path.to_owned(), error: Box::new(error) })
}
