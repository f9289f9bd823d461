//! CRIU: a dump to a page server, and lazy pages afterwards.
//!
//! The destination pulls everything: a page that the process touched, and the rest in steps. There is no message that
//! hands the process over, and none that says that it was resumed: that a page is asked for is all that shows it.

pub mod image;
pub mod log;
pub mod page_server;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use self::log::{CriuEvent, read_log};
use self::page_server::{Item, PageServerCommand, PageStream};
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
pub struct CriuInputs {
    /// What the dump sent to the page server.
    pub page_server: Option<PathBuf>,
    /// What the destination asked for.
    pub lazy_requests: Option<PathBuf>,
    /// What the source answered.
    pub lazy_answers: Option<PathBuf>,
    /// The folder of images at the destination.
    pub images: Option<PathBuf>,
    /// The log of the daemon that puts pages in place.
    pub lazy_log: Option<PathBuf>,
    /// The process was seen alive at the source after it had been restored.
    pub alive_at_source: bool,
}

/// Tells a run, see [`observation::tell`].
///
/// # Errors
/// An input is not what it should be, inputs contradict each other, or the log cannot be written.
pub fn tell(
    inputs: &CriuInputs,
    limits: CostLimits,
    log: impl Write + Seek,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ObserveError> {
    let (layout, places) = survey(inputs)?;
    let daemon = daemon(inputs, &places)?;
    let watched = Watched {
        source: true,
        records: inputs.lazy_answers.is_some() || inputs.lazy_requests.is_none(),
        destination: inputs.lazy_log.is_some(),
        answers: false,
    };
    let known = Knowledge {
        watched,
        requests: false,
        passes: true,
        all_pages: inputs.images.is_some() && watched.records,
        arrivals: watched.destination,
        placements: watched.destination,
        freezes: true,
        runs: [inputs.alive_at_source, inputs.lazy_requests.is_some()],
    };
    let merge = Merge::new(Box::new(Wire::new(inputs, &places)?), Box::new(daemon), &layout, watched);
    let task =
        ObserveTask { limits, dumps: Dumps::default(), unseen: unseen(inputs), algorithms: ["criu-lazy"; 2] };
    observation::tell(merge, &layout, known, task, log, progress)
}

fn unseen(inputs: &CriuInputs) -> Vec<String> {
    let mut unseen = vec![
        "what the process reads and writes".to_owned(),
        "the hand-over and the resumption: CRIU has no message for them; they are told where the first page is \
         asked for, which is the latest that they can be"
            .to_owned(),
        "whether the source goes on with the process after a cut, unless --alive-at-source says so".to_owned(),
    ];
    if inputs.images.is_none() {
        unseen.push("which pages there are: no images".to_owned());
    }
    if inputs.lazy_log.is_none() {
        unseen.push("faults, arrivals and placements: no log of lazy-pages".to_owned());
    }
    unseen
}

/// Looks through everything for the pages that there are.
fn survey(inputs: &CriuInputs) -> Result<(BlockLayout, Places), ObserveError> {
    let mut ranges = Ranges::default();
    let mut anything = false;
    let mut add = |path: &Path, space, page, pages| match ranges.add(space, page, pages) {
        true => Err(ObserveError::Input { path: path.to_owned(), error: "too many ranges of pages".into() }),
        false => Ok(()),
    };
    if let Some(folder) = &inputs.images {
        for (space, path) in pagemaps(folder)? {
            anything = true;
            let mut mapped = Vec::new();
            image::read_pagemap(BufReader::new(open(&path)?), |entry| mapped.push(entry))
                .map_err(|error| wrong(&path, error))?;
            mapped.into_iter().try_for_each(|entry| add(&path, space, entry.page, entry.pages))?;
        }
    }
    for path in [&inputs.page_server, &inputs.lazy_requests, &inputs.lazy_answers].into_iter().flatten() {
        anything = true;
        let mut stream = PageStream::new(open(path)?);
        loop {
            match stream.next_item() {
                Ok(Some((_, Item::Command { command, pages, page, space }))) => {
                    if matches!(
                        command,
                        PageServerCommand::Add | PageServerCommand::Promise { .. } | PageServerCommand::Get
                    ) {
                        add(path, space, page, pages)?;
                    }
                }
                Ok(Some((_, Item::Page { .. }))) => {}
                Ok(None) => break,
                Err(error) if error.cut().is_some() => break,
                Err(error) => return Err(wrong(path, error)),
            }
        }
    }
    match anything {
        true => ranges.layout(|space, page| format!("process {space} from {:#x},", page * 4096)),
        false => Err(ObserveError::Nothing),
    }
}

/// `pagemap-PID.img`, by process.
fn pagemaps(folder: &Path) -> Result<Vec<(u64, PathBuf)>, ObserveError> {
    let entries = fs::read_dir(folder).map_err(|error| wrong(folder, error))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| wrong(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("pagemap-").and_then(|rest| rest.strip_suffix(".img"));
        if let Some(space) = number.and_then(|number| number.parse().ok()) {
            found.push((space, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The connections: first the dump to the page server, then requests and their answers.
struct Wire<'a> {
    places: &'a Places,
    dump: Option<(PathBuf, PageStream<File>)>,
    requests: Option<(PathBuf, PageStream<File>)>,
    answers: Option<(PathBuf, PageStream<File>)>,
    /// The request that is being answered, and how many of its pages have been.
    asked: Option<Asked>,
    ready: VecDeque<ObservedFact>,
    begun: bool,
    handed_over: bool,
    /// The destination has said that nothing is missing.
    closed: bool,
    over: bool,
    alive_at_source: bool,
}

#[derive(Clone, Copy)]
struct Asked {
    origin: FactOrigin,
    page: u64,
    pages: u64,
    space: u64,
}

const DUMP: InputSource = InputSource::Stream(0);
const REQUESTS: InputSource = InputSource::ReturnPath(0);
const ANSWERS: InputSource = InputSource::Channel(1);

impl<'a> Wire<'a> {
    fn new(inputs: &CriuInputs, places: &'a Places) -> Result<Self, ObserveError> {
        let reader = |path: &Option<PathBuf>| match path {
            Some(path) => Ok::<_, ObserveError>(Some((path.clone(), PageStream::new(open(path)?)))),
            None => Ok(None),
        };
        Ok(Self {
            places,
            dump: reader(&inputs.page_server)?,
            requests: reader(&inputs.lazy_requests)?,
            answers: reader(&inputs.lazy_answers)?,
            asked: None,
            ready: VecDeque::new(),
            begun: false,
            handed_over: false,
            closed: false,
            over: false,
            alive_at_source: inputs.alive_at_source,
        })
    }

    fn step(&mut self) -> Result<(), ObserveError> {
        if !self.begun {
            self.begun = true;
            let origin = FactOrigin { input: DUMP, position: 0 };
            self.push(HostSide::Source, origin, Fact::Started);
            self.push(HostSide::Destination, origin, Fact::Expected);
            // A dump is of a stopped process.
            self.push(HostSide::Source, origin, Fact::Suspended);
            return Ok(());
        }
        if let Some((offset, item)) = next(&mut self.dump)? {
            return self.dumped(FactOrigin { input: DUMP, position: offset }, item);
        }
        if let Some(asked) = self.asked {
            return self.answer(asked);
        }
        match next(&mut self.requests)? {
            Some((offset, item)) => self.request(FactOrigin { input: REQUESTS, position: offset }, item),
            None => {
                self.end();
                Ok(())
            }
        }
    }

    fn dumped(&mut self, origin: FactOrigin, item: Item) -> Result<(), ObserveError> {
        let Item::Page { page, space, digest } = item else { return Ok(()) };
        self.sent(origin, page, space, SeenContent::Digest(digest), 0)
    }

    fn request(&mut self, origin: FactOrigin, item: Item) -> Result<(), ObserveError> {
        self.hand_over(origin);
        match item {
            Item::Command { command: PageServerCommand::Get, page, pages, space } if pages > 0 => {
                let first = self.number(origin, page, space)?;
                // One page is what a fault asks for; more are the daemon's own wish.
                if pages == 1 {
                    self.push(HostSide::Source, origin, Fact::RequestReceived(PageRange { first, count: 1 }));
                }
                self.asked = Some(Asked { origin, page, pages, space });
            }
            Item::Command { command: PageServerCommand::Close, .. } => {
                self.closed = true;
                self.push(HostSide::Destination, origin, Fact::CompletionDeclared);
                self.push(HostSide::Source, origin, Fact::CompletionLearned);
                self.push(HostSide::Source, origin, Fact::Destroyed);
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers come in the order of the requests, for no other pages, and for no more.
    fn answer(&mut self, asked: Asked) -> Result<(), ObserveError> {
        let Some((offset, item)) = next(&mut self.answers)? else {
            self.asked = None;
            return Ok(());
        };
        let origin = FactOrigin { input: ANSWERS, position: offset };
        let contradiction = |otherwise: String| ObserveError::Contradiction {
            at: asked.origin,
            what: format!("{} pages at {:#x} are asked for", asked.pages, asked.page * 4096),
            against: origin,
            otherwise,
        };
        match item {
            Item::Command { command: PageServerCommand::Add, page, pages, space } => {
                if (page, space) != (asked.page, asked.space) || pages > asked.pages || pages == 0 {
                    return Err(contradiction(format!("the answer has {pages} pages at {:#x}", page * 4096)));
                }
                self.asked = Some(Asked { pages, ..asked });
                Ok(())
            }
            Item::Page { page, space, digest } => {
                self.asked =
                    (asked.pages > 1).then_some(Asked { page: page + 1, pages: asked.pages - 1, ..asked });
                self.sent(origin, page, space, SeenContent::Digest(digest), 0)
            }
            Item::Command { .. } => Err(contradiction("something else comes next".to_owned())),
        }
    }

    fn sent(
        &mut self,
        origin: FactOrigin,
        page: u64,
        space: u64,
        content: SeenContent,
        channel: u8,
    ) -> Result<(), ObserveError> {
        let page = self.number(origin, page, space)?;
        self.push(HostSide::Source, origin, Fact::Sent { page, content, channel, bytes: 4096 });
        Ok(())
    }

    /// A page is asked for: so the process was handed over and restored, at the latest.
    fn hand_over(&mut self, origin: FactOrigin) {
        if !self.handed_over {
            self.handed_over = true;
            self.push(HostSide::Source, origin, Fact::StateSent);
            self.push(HostSide::Source, origin, Fact::HandedOver);
            self.push(HostSide::Destination, origin, Fact::StateAccepted);
            self.push(HostSide::Destination, origin, Fact::Resumed);
        }
    }

    fn end(&mut self) {
        self.over = true;
        let position = self.requests.as_ref().map_or(0, |(_, requests)| requests.offset());
        let origin = FactOrigin { input: REQUESTS, position };
        if self.handed_over && !self.closed {
            // There is no other connection after this one.
            self.push(HostSide::Source, origin, Fact::Disconnected);
            self.push(HostSide::Destination, origin, Fact::Disconnected);
        }
        if self.alive_at_source {
            self.push(HostSide::Source, origin, Fact::RunsAtSource);
        }
    }

    fn number(&self, at: FactOrigin, page: u64, space: u64) -> Result<u32, ObserveError> {
        self.places.page(space, page).ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("a page at {:#x} of process {space}, which there is not", page * 4096),
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

fn next(stream: &mut Option<(PathBuf, PageStream<File>)>) -> Result<Option<(u64, Item)>, ObserveError> {
    let Some((path, reader)) = stream else { return Ok(None) };
    match reader.next_item() {
        Ok(item) => Ok(item),
        Err(error) if error.cut().is_some() => Ok(None),
        Err(error) => Err(wrong(path, error)),
    }
}

/// What the daemon's log says.
struct Daemon(VecDeque<ObservedFact>);

fn daemon(inputs: &CriuInputs, places: &Places) -> Result<Daemon, ObserveError> {
    let mut told = VecDeque::new();
    let Some(path) = &inputs.lazy_log else { return Ok(Daemon(told)) };
    let mut error = None;
    let tell = |line: log::LogLine| {
        let origin = FactOrigin { input: InputSource::DestinationTrace, position: line.number };
        let space = line.pid.unwrap_or(0);
        let mut push = |fact| {
            told.push_back(ObservedFact { side: HostSide::Destination, at_us: line.at_us, origin, fact });
        };
        let mut number = |page| {
            let page = places.page(space, page);
            if page.is_none() {
                let what = format!("a page of process {space} that there is not");
                error.get_or_insert(ObserveError::Unaccounted { at: origin, what });
            }
            page
        };
        match line.event {
            CriuEvent::Faulted { page } => {
                if let Some(page) = number(page) {
                    push(Fact::Faulted(page));
                }
            }
            CriuEvent::Copied { page, pages } => {
                for page in page..page.saturating_add(pages) {
                    let Some(page) = number(page) else { break };
                    push(Fact::Arrived { channel: 0, page: PageArrival::Page(page) });
                    push(Fact::Installed(PageRange { first: page, count: 1 }));
                }
            }
            CriuEvent::Zeroed { .. } | CriuEvent::Transferred { .. } => {}
        }
    };
    read_log(BufReader::new(open(path)?), tell).map_err(|error| wrong(path, error))?;
    error.map_or(Ok(Daemon(told)), Err)
}

impl Observations for Daemon {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        Ok(self.0.pop_front())
    }
}

fn open(path: &Path) -> Result<File, ObserveError> {
    File::open(path).map_err(|error| wrong(path, error))
}

fn wrong(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> ObserveError {
    ObserveError::Input { path: path.to_owned(), error: Box::new(error) }
}
