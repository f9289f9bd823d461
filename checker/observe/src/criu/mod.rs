//! CRIU: a dump to a page server, and lazy pages afterwards.
//!
//! The destination pulls everything: a page that the process touched, and the rest in steps. There is no message that
//! hands the process over, and none that says that it was resumed: that a page is asked for is all that shows it.
//!
//! Where pages are fetched later, those that the dump has itself (of mapped files, mostly) are restored with the rest of
//! the process and cannot be told from it: they are a part of its state, and no pages of the run.

pub mod image;
pub mod log;
pub mod page_server;

use std::collections::{HashMap, HashSet, VecDeque};
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
    /// The log of the dump, which says what became of the process at the source.
    pub dump_log: Option<PathBuf>,
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
    let Surveyed { layout, places, with_state } = survey(inputs)?;
    let (daemon, faulted) = daemon(inputs, &places)?;
    let let_go = let_go(inputs)?;
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
        runs: [inputs.alive_at_source || let_go.is_some(), inputs.lazy_requests.is_some()],
    };
    let merge = Merge::new(
        Box::new(Wire::new(inputs, &places, faulted, let_go)?),
        Box::new(daemon),
        &layout,
        watched,
    );
    let task = ObserveTask {
        limits,
        dumps: Dumps::default(),
        unseen: unseen(inputs, with_state),
        // What its daemon asks for by itself counts as pushed: it asks also while the process waits, which `pull` never does.
        algorithms: ["total-copy", "criu-lazy+push=next"],
        without_go: inputs.are_pages_fetched(),
    };
    observation::tell(merge, &layout, known, task, log, progress)
}

fn unseen(inputs: &CriuInputs, with_state: u64) -> Vec<String> {
    let mut unseen = vec![
        "what the process reads and writes".to_owned(),
        "the hand-over and the resumption: CRIU has no message for them; they are told where the first page is \
         asked for, which is the latest that they can be"
            .to_owned(),
    ];
    if inputs.dump_log.is_none() && !inputs.alive_at_source {
        unseen.push("what became of the process at the source: no log of the dump".to_owned());
    }
    if with_state > 0 {
        unseen.push(format!("{with_state} pages in the dump, which are restored as a part of the state"));
    }
    if inputs.images.is_none() {
        unseen.push("which pages there are: no images".to_owned());
    }
    if inputs.lazy_log.is_none() {
        unseen.push("faults, arrivals and placements: no log of lazy-pages".to_owned());
    }
    unseen
}

impl CriuInputs {
    /// Are there pages that are fetched when the process has been restored?
    fn are_pages_fetched(&self) -> bool {
        self.lazy_requests.is_some() || self.lazy_answers.is_some()
    }
}

/// The pages that there are.
struct Surveyed {
    layout: BlockLayout,
    places: Places,
    /// So many more are a part of the state.
    with_state: u64,
}

/// Looks through everything for the pages that there are.
fn survey(inputs: &CriuInputs) -> Result<Surveyed, ObserveError> {
    let mut ranges = Ranges::default();
    let (mut kept, mut dumped) = (Vec::new(), Ranges::default());
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
            for entry in mapped {
                match inputs.are_pages_fetched() && !entry.lazy {
                    true => kept.push((path.clone(), space, entry)),
                    false => add(&path, space, entry.page, entry.pages)?,
                }
            }
        }
    }
    for input in [&inputs.page_server, &inputs.lazy_requests, &inputs.lazy_answers] {
        let Some(path) = input else { continue };
        let is_dump = inputs.are_pages_fetched() && std::ptr::eq(input, &inputs.page_server);
        anything = true;
        let mut stream = PageStream::new(open(path)?);
        loop {
            match stream.next_item() {
                Ok(Some((_, Item::Command { command: PageServerCommand::Add, pages, page, space })))
                    if is_dump =>
                {
                    dumped.add(space, page, pages);
                }
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
    if !anything {
        return Err(ObserveError::Nothing);
    }
    let (_, dumped) = dumped.layout(|_, _| String::new())?;
    let lost = |(_, space, entry): &&(PathBuf, u64, image::Mapped)| {
        entry.present
            && (entry.page..entry.page + entry.pages).any(|page| dumped.page(*space, page).is_none())
    };
    if let Some((path, space, entry)) = kept.iter().find(lost).filter(|_| inputs.page_server.is_some()) {
        let what = "has pages that were not sent to the page server";
        let error = format!("{} pages at {:#x} of process {space}: {what}", entry.pages, entry.page * 4096);
        return Err(ObserveError::Input { path: path.clone(), error: error.into() });
    }
    let (layout, places) =
        ranges.layout(|space, page| format!("process {space} from {:#x},", page * 4096))?;
    Ok(Surveyed { layout, places, with_state: kept.iter().map(|(.., entry)| entry.pages).sum() })
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
    /// The dump has pages that are a part of the state.
    are_pages_fetched: bool,
    let_go: Option<LetGo>,
    /// The pages that the process waited for; `None` where the destination does not tell of itself.
    faulted: Option<HashSet<u32>>,
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
    fn new(
        inputs: &CriuInputs,
        places: &'a Places,
        faulted: Option<HashSet<u32>>,
        let_go: Option<LetGo>,
    ) -> Result<Self, ObserveError> {
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
            are_pages_fetched: inputs.are_pages_fetched(),
            faulted,
            let_go,
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
        if self.are_pages_fetched && self.places.page(space, page).is_none() {
            return Ok(());
        }
        self.sent(origin, page, space, SeenContent::Digest(digest), 0)
    }

    fn request(&mut self, origin: FactOrigin, item: Item) -> Result<(), ObserveError> {
        self.hand_over(origin);
        match item {
            Item::Command { command: PageServerCommand::Get, page, pages, space } if pages > 0 => {
                let first = self.number(origin, page, space)?;
                // One page is what a fault asks for; more are the daemon's own wish.
                let is_fault = match &self.faulted {
                    Some(faulted) => pages == 1 && faulted.contains(&first),
                    None => pages == 1,
                };
                if is_fault && self.faulted.is_none() {
                    self.push(HostSide::Destination, origin, Fact::Faulted(first));
                }
                if is_fault {
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
            if self.faulted.is_none() {
                self.push(HostSide::Destination, origin, Fact::StateAccepted);
                self.push(HostSide::Destination, origin, Fact::Resumed);
            }
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
        match self.let_go {
            Some(LetGo { at, alive: true }) => self.push(HostSide::Source, at, Fact::RunsAtSource),
            Some(LetGo { at, alive: false }) if !self.closed => {
                self.push(HostSide::Source, at, Fact::Destroyed);
            }
            Some(_) => {}
            None if self.alive_at_source => self.push(HostSide::Source, origin, Fact::RunsAtSource),
            None => {}
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

/// What became of the process at the source.
#[derive(Clone, Copy)]
struct LetGo {
    at: FactOrigin,
    alive: bool,
}

/// What the dump's log says of it. Of several processes, one that lives is what matters.
fn let_go(inputs: &CriuInputs) -> Result<Option<LetGo>, ObserveError> {
    let Some(path) = &inputs.dump_log else { return Ok(None) };
    let mut told: Option<LetGo> = None;
    let tell = |line: log::LogLine| {
        if let CriuEvent::LetGo { alive } = line.event
            && told.is_none_or(|before| !before.alive)
        {
            let at = FactOrigin { input: InputSource::SourceTrace, position: line.number };
            told = Some(LetGo { at, alive });
        }
    };
    read_log(BufReader::new(open(path)?), tell).map_err(|error| wrong(path, error))?;
    Ok(told)
}

/// What the daemon's log says.
struct Daemon(VecDeque<ObservedFact>);

/// With the pages that the process is known to have waited for, if that is known.
fn daemon(inputs: &CriuInputs, places: &Places) -> Result<(Daemon, Option<HashSet<u32>>), ObserveError> {
    let (mut told, mut faulted) = (VecDeque::new(), HashSet::new());
    let Some(path) = &inputs.lazy_log else { return Ok((Daemon(told), None)) };
    let (mut error, mut resumed) = (None, false);
    let mut never_written = HashMap::new();
    let tell = |line: log::LogLine| {
        let origin = FactOrigin { input: InputSource::DestinationTrace, position: line.number };
        let space = line.pid.unwrap_or(0);
        let mut push = |fact| {
            told.push_back(ObservedFact { side: HostSide::Destination, at_us: line.at_us, origin, fact });
        };
        if !resumed {
            resumed = true;
            push(Fact::StateAccepted);
            push(Fact::Resumed);
        }
        let mut number = |page| {
            let page = places.page(space, page);
            if page.is_none() {
                let what = format!("a page of process {space} that there is not");
                error.get_or_insert(ObserveError::Unaccounted { at: origin, what });
            }
            page
        };
        match line.event {
            CriuEvent::Faulted { page } => match places.page(space, page) {
                Some(page) => {
                    faulted.insert(page);
                    push(Fact::Faulted(page));
                }
                // A page that was never written is not in the dump: it is zero, which has to be said.
                None => drop(never_written.insert((space, page), origin)),
            },
            CriuEvent::Copied { page, pages } => {
                for page in page..page.saturating_add(pages) {
                    let Some(page) = number(page) else { break };
                    push(Fact::Arrived { channel: 0, page: PageArrival::Page(page) });
                    push(Fact::Installed(PageRange { first: page, count: 1 }));
                }
            }
            CriuEvent::Zeroed { page } => drop(never_written.remove(&(space, page))),
            CriuEvent::Transferred { .. } | CriuEvent::LetGo { .. } => {}
        }
    };
    read_log(BufReader::new(open(path)?), tell).map_err(|error| wrong(path, error))?;
    if let Some((_, at)) = never_written.into_iter().min_by_key(|(_, origin)| origin.position) {
        let what = "the process waits for a page that the dump does not have".to_owned();
        error.get_or_insert(ObserveError::Unaccounted { at, what });
    }
    error.map_or(Ok((Daemon(told), Some(faulted))), Err)
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
