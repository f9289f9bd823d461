//! The source: what it sent, in the order of the connection, and what it wrote of itself.
//!
//! The trace leaves out zero pages, the stream leaves out everything that is not sent. Lines that say that something
//! is sent are *anchors*: they are one with something in the stream. What the stream has between two anchors was sent
//! between them; it is told right after the first, before the lines between the two, so that nothing is said to have
//! happened later than it may have.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use super::super::qmp::QmpKind;
use super::super::stream::Section;
use super::super::trace::{Name, QemuEvent, QemuState, QemuTrace, TraceLine};
use super::answers::{Answer, Answers};
use super::transmitted::{Sending, Transmitted, What};
use super::{QemuRun, lacks_recovery, open_lines, wrong};
use crate::fact::{
    self, Fact, FactOrigin, HostSide, Observations, ObserveError, ObservedFact, PageRange, SeenContent,
};
use crate::layout::BlockLayout;

pub(super) struct Source<'a> {
    layout: &'a BlockLayout,
    trace: Option<(PathBuf, QemuTrace<BufReader<File>>)>,
    transmitted: Transmitted<'a>,
    answers: Answers<'a>,
    ready: VecDeque<ObservedFact>,
    /// Lines that wait until the stream was told up to their anchor.
    lines: VecDeque<TraceLine>,
    anchor: Option<TraceLine>,
    /// Pages of the trace have lines, so pages of the stream must.
    pages_are_traced: bool,
    /// So have the sections that they are in.
    marks_are_traced: bool,
    /// Time of the last line.
    at_us: Option<u64>,
    last_request_block: Option<Name>,
    last_line: u64,
    phase: Phase,
    stop_us: Option<u64>,
    ending: VecDeque<ObservedFact>,
    over: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    started: bool,
    suspended: bool,
    /// A package is being put together.
    packing: bool,
    handed_over: bool,
    passes: u32,
}

impl<'a> Source<'a> {
    pub fn new(run: &'a QemuRun) -> Result<Self, ObserveError> {
        let trace = match &run.inputs.source_trace {
            Some(path) => Some((path.clone(), QemuTrace::new(open_lines(path)?))),
            None => None,
        };
        let mut source = Self {
            layout: &run.layout,
            trace,
            transmitted: Transmitted::new(&run.inputs, &run.layout)?,
            answers: Answers::new(&run.inputs, &run.layout)?,
            ready: VecDeque::new(),
            lines: VecDeque::new(),
            anchor: None,
            pages_are_traced: false,
            marks_are_traced: false,
            at_us: None,
            last_request_block: None,
            last_line: 0,
            phase: Phase::default(),
            stop_us: None,
            ending: VecDeque::new(),
            over: false,
        };
        if source.trace.is_none() {
            source.tell_events(run);
        }
        Ok(source)
    }

    /// Without a trace: the beginning and the end as the monitor tells them, or else the beginning of the stream.
    fn tell_events(&mut self, run: &QemuRun) {
        let stream = FactOrigin { input: fact::InputSource::Stream(0), position: 0 };
        let observed = |at_us, origin, fact| ObservedFact { side: HostSide::Source, at_us, origin, fact };
        let mut started = observed(None, stream, Fact::Started);
        for event in &run.events.source {
            let origin = FactOrigin { input: fact::InputSource::SourceEvents, position: event.number as u64 };
            let at_us = Some(event.at_us);
            match event.kind {
                QmpKind::State(QemuState::Setup) => started = observed(at_us, origin, Fact::Started),
                QmpKind::Stopped => self.stop_us = at_us,
                QmpKind::Resumed => self.ending.push_back(observed(at_us, origin, Fact::RunsAtSource)),
                QmpKind::State(QemuState::Completed) => {
                    if self.answers.is_recorded() {
                        self.ending.push_back(observed(at_us, origin, Fact::CompletionLearned));
                    }
                    self.ending.push_back(observed(at_us, origin, Fact::Destroyed));
                }
                QmpKind::State(QemuState::Cancelled) => {
                    self.ending.push_back(observed(at_us, origin, Fact::Cancelled))
                }
                QmpKind::State(QemuState::Failed) => {
                    self.ending.push_back(observed(at_us, origin, Fact::Failed))
                }
                QmpKind::State(_) | QmpKind::Pass(_) => {}
            }
        }
        self.phase.started = true;
        self.ready.push_back(started);
    }

    /// The next line, if there is a trace and it has one. Lines before the migration are none of it.
    fn line(&mut self) -> Result<Option<TraceLine>, ObserveError> {
        let Some((path, trace)) = &mut self.trace else { return Ok(None) };
        loop {
            let Some(line) = trace.next_line().map_err(|error| wrong(path, error))? else {
                return Ok(None);
            };
            self.last_line = line.number;
            let starts = line.event == QemuEvent::StateSet(QemuState::Setup);
            if starts && self.phase.started {
                let at = FactOrigin { input: fact::InputSource::SourceTrace, position: line.number };
                let what = "a second migration begins; give its part of the trace by itself".to_owned();
                return Err(ObserveError::Unaccounted { at, what });
            }
            if starts || self.phase.started {
                self.phase.started = true;
                return Ok(Some(line));
            }
        }
    }

    fn step(&mut self) -> Result<(), ObserveError> {
        if let Some(anchor) = self.anchor {
            return self.towards(anchor);
        }
        let line = self.line()?;
        // What a package holds is not sent by itself: from *listen* on, until the package is sent.
        match line.map(|line| line.event) {
            Some(QemuEvent::CommandSent { number: 4 }) => self.phase.packing = true,
            Some(QemuEvent::CommandSent { number: 7 }) => self.phase.packing = false,
            _ => {}
        }
        match line {
            Some(line) if self.is_anchor(&line.event) => self.anchor = Some(line),
            Some(line) => self.lines.push_back(line),
            None => return self.rest(),
        }
        Ok(())
    }

    /// Is this one with something in the stream?
    fn is_anchor(&self, event: &QemuEvent) -> bool {
        match event {
            QemuEvent::PageSaved { .. } | QemuEvent::RequestTaken { .. } => true,
            QemuEvent::SectionBegun { memory } | QemuEvent::SectionEnded { memory } => {
                *memory && self.transmitted.is_recorded()
            }
            QemuEvent::CommandSent { .. } => self.transmitted.is_recorded() && !self.phase.packing,
            QemuEvent::StateSet(
                QemuState::Completed | QemuState::Cancelled | QemuState::Failed | QemuState::PostcopyPaused,
            ) => true,
            QemuEvent::ShutReceived { .. } => true,
            _ => false,
        }
    }

    /// Tells what the stream has before the anchor, then the lines before it, then the anchor.
    fn towards(&mut self, anchor: TraceLine) -> Result<(), ObserveError> {
        let at = self.origin(&anchor);
        match anchor.event {
            QemuEvent::PageSaved { block, page } => {
                let page = self.page(at, block, page)?;
                self.pages_are_traced = true;
                self.towards_page(anchor, page, true)
            }
            QemuEvent::RequestTaken { block, page } => {
                let page = self.page(at, block, page)?;
                self.towards_page(anchor, page, false)
            }
            QemuEvent::SectionBegun { .. } => {
                self.marks_are_traced = true;
                self.towards_mark(anchor, |what| matches!(what, What::SectionBegun(_)))
            }
            QemuEvent::SectionEnded { .. } => {
                self.towards_mark(anchor, |what| matches!(what, What::SectionEnded))
            }
            QemuEvent::CommandSent { number } => self.towards_mark(
                anchor,
                |what| matches!(what, What::Command { number: sent, .. } if *sent == number),
            ),
            _ => match self.transmitted.take()? {
                Some(sending) => self.tell_between(sending),
                None => self.arrive(anchor, None),
            },
        }
    }

    /// A page that is written about: the next in the stream of those that are, or of the urgent ones.
    fn towards_page(&mut self, anchor: TraceLine, wanted: u32, saved: bool) -> Result<(), ObserveError> {
        if !self.transmitted.is_recorded() {
            return self.arrive(anchor, saved.then(|| self.unseen(&anchor, wanted)));
        }
        if saved && let Some(urgent) = self.transmitted.take_urgent(wanted)? {
            return self.arrive(anchor, Some(urgent));
        }
        let (is_it, is_other, origin) = match self.transmitted.peek()? {
            Some(Sending { origin, what: What::Page { page, traced, .. } }) => {
                (*page == wanted && (*traced || !saved), *traced && *page != wanted, *origin)
            }
            Some(Sending { origin, .. }) => (false, false, *origin),
            // What was sent last may not have got as far as the recording.
            None => return self.arrive(anchor, saved.then(|| self.unseen(&anchor, wanted))),
        };
        // A mark that has a line of its own comes after this line, so the page was left out.
        let is_behind = is_other || self.marks_are_traced && !self.transmitted.is_page_next()?;
        if saved && is_behind && self.transmitted.may_leave_out(wanted)? {
            return self.arrive(anchor, None);
        }
        if is_other && saved {
            let Some(Sending { what: What::Page { page, .. }, .. }) = self.transmitted.take()? else {
                return Ok(());
            };
            return Err(ObserveError::Contradiction {
                at: self.origin(&anchor),
                what: format!("{} is sent", self.layout.name(wanted)),
                against: origin,
                otherwise: format!("{} comes next", self.layout.name(page)),
            });
        }
        match (is_it, saved) {
            (true, true) => {
                let sending = self.transmitted.take()?;
                self.arrive(anchor, sending)
            }
            // The page itself follows in the stream, and in the trace if it is not zero.
            (true, false) => self.arrive(anchor, None),
            (false, false) if is_other => self.arrive(anchor, None),
            (false, _) => match self.transmitted.take()? {
                Some(sending) => self.tell_between(sending),
                None => Ok(()),
            },
        }
    }

    fn towards_mark(
        &mut self,
        anchor: TraceLine,
        is_mark: impl Fn(&What) -> bool,
    ) -> Result<(), ObserveError> {
        match self.transmitted.take()? {
            Some(sending) if is_mark(&sending.what) => self.arrive(anchor, Some(sending)),
            Some(sending) => self.tell_between(sending),
            // The recording ends before what was sent last.
            None => self.arrive(anchor, None),
        }
    }

    /// Tells something that no line is about.
    fn tell_between(&mut self, Sending { origin, what }: Sending) -> Result<(), ObserveError> {
        if let What::Page { page, traced: true, .. } = what
            && self.pages_are_traced
        {
            return Err(ObserveError::Contradiction {
                at: origin,
                what: format!("{} is sent", self.layout.name(page)),
                against: FactOrigin { input: fact::InputSource::SourceTrace, position: self.last_line },
                otherwise: "no line before this one says so".to_owned(),
            });
        }
        self.tell(origin, self.at_us, what)
    }

    /// Tells the lines before an anchor and the anchor.
    fn arrive(&mut self, anchor: TraceLine, sending: Option<Sending>) -> Result<(), ObserveError> {
        self.anchor = None;
        while let Some(line) = self.lines.pop_front() {
            self.tell_line(line)?;
        }
        self.at_us = anchor.at_us.or(self.at_us);
        match sending {
            Some(Sending { origin, what }) => self.tell(origin, self.at_us, what),
            None => self.tell_line(anchor),
        }
    }

    fn tell(&mut self, origin: FactOrigin, at_us: Option<u64>, what: What) -> Result<(), ObserveError> {
        match what {
            What::Page { fact, .. } => self.push(origin, at_us, fact),
            What::SectionBegun(Section::End) => self.must_be_suspended(origin, at_us)?,
            What::SectionBegun(_) | What::SectionEnded => {}
            What::Command { number, fact } => {
                if matches!(number, 6 | 7) {
                    self.must_be_suspended(origin, at_us)?;
                }
                if let Some(fact) = fact {
                    self.push(origin, at_us, fact);
                }
                match number {
                    7 => self.push(origin, at_us, Fact::HandedOver),
                    9 => self.resync(origin, at_us)?,
                    _ => {}
                }
            }
            What::DeviceState => {
                self.must_be_suspended(origin, at_us)?;
                self.push(origin, at_us, Fact::StateSent);
                self.push(origin, at_us, Fact::HandedOver);
            }
        }
        Ok(())
    }

    fn tell_line(&mut self, line: TraceLine) -> Result<(), ObserveError> {
        let origin = self.origin(&line);
        let fact = match line.event {
            QemuEvent::StateSet(QemuState::Setup) => Fact::Started,
            QemuEvent::StateSet(QemuState::Completed) => {
                // Without a stream, that it is completed is all that says that everything was sent.
                if !self.transmitted.is_recorded() && !self.phase.handed_over {
                    self.push(origin, line.at_us, Fact::StateSent);
                    self.push(origin, line.at_us, Fact::HandedOver);
                }
                Fact::Destroyed
            }
            QemuEvent::StateSet(QemuState::Cancelled) => Fact::Cancelled,
            QemuEvent::StateSet(QemuState::Failed) => Fact::Failed,
            QemuEvent::StateSet(QemuState::PostcopyPaused) => Fact::Disconnected,
            QemuEvent::StateSet(QemuState::PostcopyRecover) => {
                if self.transmitted.is_recorded() && !self.transmitted.has_later() {
                    return Err(lacks_recovery(origin));
                }
                self.transmitted.reconnect()?;
                self.answers.reconnect()?;
                self.last_request_block = None;
                Fact::Connected
            }
            QemuEvent::ProcessorsSet { run: true } => Fact::RunsAtSource,
            QemuEvent::ProcessorsSet { run: false } if self.phase.suspended => return Ok(()),
            QemuEvent::ProcessorsSet { run: false } => {
                self.phase.suspended = true;
                Fact::Suspended
            }
            QemuEvent::DirtyLogRead => {
                self.phase.passes += 1;
                if self.phase.passes == 1 || self.phase.suspended {
                    return Ok(());
                }
                Fact::PassBegun
            }
            QemuEvent::RequestReceived { block, page, count } => {
                self.last_request_block = block.or(self.last_request_block);
                let Some(block) = self.last_request_block else {
                    let what = "the block of the last request, but there was none".to_owned();
                    return Err(ObserveError::Unaccounted { at: origin, what });
                };
                let first = self.page(origin, block, page)?;
                self.page(origin, block, page.saturating_add(count.saturating_sub(1)))?;
                let pages = PageRange { first, count: count as u32 };
                self.check_request(origin, pages)?;
                Fact::RequestReceived(pages)
            }
            QemuEvent::RequestTaken { block, page } => Fact::RequestTaken(self.page(origin, block, page)?),
            QemuEvent::RequestVoid { block, page } => Fact::RequestVoid(self.page(origin, block, page)?),
            QemuEvent::BitmapReceived { .. } => match self.answers.next()? {
                Some((_, Answer::Received(received))) => Fact::ProgressLearned(received),
                Some((against, _)) => {
                    return Err(ObserveError::Contradiction {
                        at: origin,
                        what: "the destination's progress arrives".to_owned(),
                        against,
                        otherwise: "something else comes next".to_owned(),
                    });
                }
                None => Fact::ProgressLearned(Vec::new()),
            },
            QemuEvent::ShutReceived { result: 0 } => Fact::CompletionLearned,
            QemuEvent::CommandSent { number: 9 } if !self.transmitted.is_recorded() => Fact::ResyncCompleted,
            QemuEvent::CommandSent { number: 7 } if !self.transmitted.is_recorded() => {
                self.push(origin, line.at_us.or(self.at_us), Fact::StateSent);
                self.phase.handed_over = true;
                Fact::HandedOver
            }
            _ => return Ok(()),
        };
        self.push(origin, line.at_us.or(self.at_us), fact);
        Ok(())
    }

    /// What goes only once the process is stopped is sent. If no line said so, that is the latest moment for it.
    fn must_be_suspended(&mut self, origin: FactOrigin, at_us: Option<u64>) -> Result<(), ObserveError> {
        let stop = |line: &TraceLine| line.event == QemuEvent::ProcessorsSet { run: false };
        if let Some(index) = self.lines.iter().position(stop) {
            for line in self.lines.drain(..=index).collect::<Vec<_>>() {
                self.tell_line(line)?;
            }
        }
        if !self.phase.suspended {
            self.phase.suspended = true;
            self.push(origin, self.stop_us.or(at_us), Fact::Suspended);
        }
        Ok(())
    }

    /// The destination has said what it has, before the source goes on.
    fn resync(&mut self, origin: FactOrigin, at_us: Option<u64>) -> Result<(), ObserveError> {
        if self.trace.is_none() && !self.answers.is_recorded() {
            // It speaks of each block, and what it says was not recorded.
            for _ in 0..self.layout.blocks() {
                self.push(origin, at_us, Fact::ProgressLearned(Vec::new()));
            }
        } else if self.trace.is_none() {
            while let Some((origin, Answer::Received(received))) = self.answers.next()? {
                self.push(origin, at_us, Fact::ProgressLearned(received));
            }
        }
        self.push(origin, at_us, Fact::ResyncCompleted);
        Ok(())
    }

    /// The request is the next on the return path.
    fn check_request(&mut self, at: FactOrigin, pages: PageRange) -> Result<(), ObserveError> {
        let named = |pages: PageRange| {
            format!("{} pages from {} are requested", pages.count, self.layout.name(pages.first))
        };
        let (against, otherwise) = match self.answers.next()? {
            Some((_, Answer::Request(said))) if said == pages => return Ok(()),
            Some((against, Answer::Request(said))) => (against, named(said)),
            Some((against, _)) => (against, "something else comes next".to_owned()),
            None => return Ok(()),
        };
        Err(ObserveError::Contradiction { at, what: named(pages), against, otherwise })
    }

    /// The trace is at its end, or there was none: the rest of the stream, over all connections.
    fn rest(&mut self) -> Result<(), ObserveError> {
        if let Some(Sending { origin, what }) = self.transmitted.take()? {
            return self.tell(origin, self.at_us, what);
        }
        while let Some(line) = self.lines.pop_front() {
            self.tell_line(line)?;
        }
        if self.trace.is_none() && self.transmitted.has_later() {
            let origin = FactOrigin { input: fact::InputSource::Stream(0), position: 0 };
            self.push(origin, None, Fact::Disconnected);
            self.push(origin, None, Fact::Connected);
            self.transmitted.reconnect()?;
            return self.answers.reconnect();
        }
        self.ready.append(&mut self.ending);
        self.over = true;
        Ok(())
    }

    /// A page that went out but is not in the recording.
    fn unseen(&self, line: &TraceLine, page: u32) -> Sending {
        let fact = Fact::Sent { page, content: SeenContent::Unseen, channel: 0, bytes: 0 };
        Sending { origin: self.origin(line), what: What::Page { fact, page, traced: true } }
    }

    fn page(&self, at: FactOrigin, block: Name, within: u64) -> Result<u32, ObserveError> {
        let name = self.trace.as_ref().map_or("", |(_, trace)| trace.name(block));
        let page = self.layout.block(name).and_then(|block| self.layout.page(block, within));
        page.ok_or_else(|| ObserveError::Unaccounted {
            at,
            what: format!("page {within:#x} of block '{name}', which the guest does not have"),
        })
    }

    fn origin(&self, line: &TraceLine) -> FactOrigin {
        FactOrigin { input: fact::InputSource::SourceTrace, position: line.number }
    }

    fn push(&mut self, origin: FactOrigin, at_us: Option<u64>, fact: Fact) {
        self.ready.push_back(ObservedFact { side: HostSide::Source, at_us, origin, fact });
    }
}

impl Observations for Source<'_> {
    fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
        while self.ready.is_empty() && !self.over {
            self.step()?;
        }
        Ok(self.ready.pop_front())
    }
}
