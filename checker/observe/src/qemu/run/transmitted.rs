//! Everything that the source sent, over all its connections.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::PAGE_BYTES;
use super::super::channel::{Multifd, Packet, QemuChannel, Urgent};
use super::super::stream::{self, Item, Known, Located, RamRecord, Section, Stream, StreamCommand};
use super::{QemuInputs, open, wrong};
use crate::fact::{Fact, FactOrigin, InputSource, ObserveError, PageRange, SeenContent};
use crate::layout::BlockLayout;

/// One thing that was sent.
#[derive(Debug)]
pub(super) struct Sending {
    pub origin: FactOrigin,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A page; is it written about in the trace?
    Page { fact: Fact, page: u32, traced: bool },
    /// A section of memory begins.
    SectionBegun(Section),
    /// A section of memory ends.
    SectionEnded,
    /// A command.
    Command { number: u16, fact: Option<Fact> },
    /// The state of the devices, without a package around it.
    DeviceState,
}

/// Reads all connections; each has its own order.
pub(super) struct Transmitted<'a> {
    layout: &'a BlockLayout,
    cuts: u8,
    main: Option<(PathBuf, Stream<File>)>,
    head: Option<Sending>,
    later: VecDeque<PathBuf>,
    known: Known,
    urgent: Vec<UrgentChannel>,
    multifd: Vec<MultifdChannel>,
    /// Pages of multifd packets that come before the head.
    ahead: VecDeque<Sending>,
    /// Pages that went over the main connection.
    sent: Vec<bool>,
    /// Is a page sent as what has changed of it? Looked for when it matters.
    differences: Option<bool>,
    /// Is it said when multifd channels are to be waited for, or at every end of a part?
    flushes: bool,
    waiting: Vec<(u8, PathBuf)>,
}

struct UrgentChannel {
    number: u8,
    path: PathBuf,
    reader: Urgent<File>,
    head: Option<Sending>,
}

struct MultifdChannel {
    number: u8,
    path: PathBuf,
    reader: Multifd<File>,
}

impl<'a> Transmitted<'a> {
    pub fn new(inputs: &QemuInputs, layout: &'a BlockLayout) -> Result<Self, ObserveError> {
        let main = match &inputs.stream {
            Some(path) => Some((path.clone(), Stream::new(open(path)?))),
            None => None,
        };
        let mut transmitted = Self {
            layout,
            cuts: 0,
            main,
            head: None,
            later: inputs.recoveries.iter().map(|recovery| recovery.stream.clone()).collect(),
            known: Known::default(),
            urgent: Vec::new(),
            multifd: Vec::new(),
            ahead: VecDeque::new(),
            sent: vec![false; layout.pages() as usize],
            differences: None,
            flushes: false,
            waiting: (1..).zip(inputs.channels.iter().cloned()).collect(),
        };
        transmitted.open_multifd()?;
        Ok(transmitted)
    }

    /// Is there a recording of what was sent?
    pub fn is_recorded(&self) -> bool {
        self.main.is_some()
    }

    /// Are there new connections to come?
    pub fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    /// Goes on with the next connection.
    pub fn reconnect(&mut self) -> Result<(), ObserveError> {
        if let Some((_, stream)) = &self.main {
            self.known = stream.known().clone();
        }
        (self.cuts, self.head, self.differences) = (self.cuts + 1, None, None);
        self.main = match self.later.pop_front() {
            Some(path) => {
                let file = open(&path)?;
                Some((path, Stream::resumed(file, self.known.clone())))
            }
            None => None,
        };
        Ok(())
    }

    /// What comes next on the main connection, without taking it; with multifd pages that come before it.
    pub fn peek(&mut self) -> Result<Option<&Sending>, ObserveError> {
        if self.head.is_none() && self.ahead.is_empty() {
            self.head = self.read()?;
        }
        Ok(self.ahead.front().or(self.head.as_ref()))
    }

    /// Is a page next?
    pub fn is_page_next(&mut self) -> Result<bool, ObserveError> {
        Ok(matches!(self.peek()?, Some(Sending { what: What::Page { .. }, .. })))
    }

    /// Takes what [`peek`](Self::peek) shows.
    pub fn take(&mut self) -> Result<Option<Sending>, ObserveError> {
        self.peek()?;
        let taken = self.ahead.pop_front().or_else(|| self.head.take());
        if let Some(Sending { what: What::Page { page, .. }, .. }) = &taken {
            self.sent[*page as usize] = true;
        }
        Ok(taken)
    }

    /// May a page that is to be sent not be in the stream, since it is as it was sent before? So it is where pages are sent as
    /// what has changed of them (XBZRLE).
    ///
    /// # Errors
    /// The stream is not what it should be.
    pub fn may_leave_out(&mut self, page: u32) -> Result<bool, ObserveError> {
        if !self.sent[page as usize] {
            return Ok(false);
        }
        let Some((path, _)) = &self.main else { return Ok(false) };
        if self.differences.is_none() {
            self.differences = Some(has_differences(path, self.known.clone(), self.cuts > 0)?);
        }
        Ok(self.differences == Some(true))
    }

    /// Takes this page from a channel of urgent pages, if it is the next there.
    pub fn take_urgent(&mut self, wanted: u32) -> Result<Option<Sending>, ObserveError> {
        self.open_urgent()?;
        for channel in &mut self.urgent {
            channel.fill(self.layout)?;
            let is_it = matches!(&channel.head, Some(Sending { what: What::Page { page, .. }, .. }) if *page == wanted);
            if is_it {
                return Ok(channel.head.take());
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<Option<Sending>, ObserveError> {
        let Some((path, stream)) = &mut self.main else { return Ok(None) };
        loop {
            let begin = stream.offset();
            let Located { offset, item } = match stream.next_item() {
                Ok(Some(located)) => located,
                Ok(None) => return Ok(None),
                Err(error) if error.cut().is_some() => return Ok(None),
                Err(error) => return Err(wrong(path, error)),
            };
            let origin = FactOrigin { input: InputSource::Stream(self.cuts), position: offset };
            let bytes = (stream.offset() - begin) as u32;
            let what = match item {
                Item::Record(record) => page(self.layout, record, 0, bytes),
                Item::SectionBegun(section) => Some(What::SectionBegun(section)),
                Item::SectionEnded(_) => Some(What::SectionEnded),
                Item::Command(command) => Some(self::command(self.layout, command)),
                Item::DeviceState { .. } => Some(What::DeviceState),
                Item::MultifdFlushed => {
                    self.flushes = true;
                    self.ahead = synchronise(&mut self.multifd, self.layout)?;
                    None
                }
                Item::PartEnded if !self.flushes => {
                    self.ahead = synchronise(&mut self.multifd, self.layout)?;
                    None
                }
                Item::Header | Item::Configuration { .. } | Item::BlocksAnnounced => None,
                Item::PartEnded | Item::Ended => None,
            };
            let sending = what.map(|what| Sending { origin, what });
            if sending.is_some() || !self.ahead.is_empty() {
                return Ok(sending);
            }
        }
    }

    fn open_multifd(&mut self) -> Result<(), ObserveError> {
        let mut waiting = Vec::new();
        for (number, path) in std::mem::take(&mut self.waiting) {
            let mut begin = Vec::new();
            let read = open(&path)?.take(4).read_to_end(&mut begin);
            read.map_err(|error| wrong(&path, error))?;
            match QemuChannel::of(&begin) {
                QemuChannel::Multifd => {
                    let reader = Multifd::new(open(&path)?);
                    self.multifd.push(MultifdChannel { number, path, reader });
                }
                QemuChannel::Urgent => waiting.push((number, path)),
                QemuChannel::Main => {
                    let what = "a second migration stream".to_owned();
                    let at = FactOrigin { input: InputSource::Channel(number), position: 0 };
                    return Err(ObserveError::Unaccounted { at, what });
                }
            }
        }
        self.waiting = waiting;
        Ok(())
    }

    fn open_urgent(&mut self) -> Result<(), ObserveError> {
        let Some((_, stream)) = &self.main else { return Ok(()) };
        for (number, path) in self.waiting.drain(..) {
            let reader = Urgent::new(open(&path)?, stream.known().clone());
            self.urgent.push(UrgentChannel { number, path, reader, head: None });
        }
        Ok(())
    }
}

impl UrgentChannel {
    fn fill(&mut self, layout: &BlockLayout) -> Result<(), ObserveError> {
        while self.head.is_none() {
            let begin = self.reader.offset();
            let Located { offset, item } = match self.reader.next_item() {
                Ok(Some(located)) => located,
                Ok(None) => return Ok(()),
                Err(error) if error.cut().is_some() => return Ok(()),
                Err(error) => return Err(wrong(&self.path, error)),
            };
            let Item::Record(record) = item else { continue };
            let bytes = (self.reader.offset() - begin) as u32;
            let origin = FactOrigin { input: InputSource::Channel(self.number), position: offset };
            // Channel 1 is what the destination calls it, however many recordings there are.
            self.head = page(layout, record, 1, bytes).map(|what| Sending { origin, what });
        }
        Ok(())
    }
}

fn has_differences(path: &Path, known: Known, resumed: bool) -> Result<bool, ObserveError> {
    let file = open(path)?;
    let mut stream = if resumed { Stream::resumed(file, known) } else { Stream::new(file) };
    loop {
        match stream.next_item() {
            Ok(Some(Located { item: Item::Record(RamRecord { content, .. }), .. })) => {
                if matches!(content, stream::RamContent::Changed { .. }) {
                    return Ok(true);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(false),
            Err(error) if error.cut().is_some() => return Ok(false),
            Err(error) => return Err(wrong(path, error)),
        }
    }
}

/// Pages of all channels up to the next mark of each, in the order of the packets.
fn synchronise(
    channels: &mut [MultifdChannel],
    layout: &BlockLayout,
) -> Result<VecDeque<Sending>, ObserveError> {
    let mut packets: Vec<(u8, Packet)> = Vec::new();
    for channel in channels {
        loop {
            let packet = match channel.reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) if error.cut().is_some() => break,
                Err(error) => return Err(wrong(&channel.path, error)),
            };
            let last = packet.synchronises;
            if !packet.pages.is_empty() || !packet.zero.is_empty() {
                packets.push((channel.number, packet));
            }
            if last {
                break;
            }
        }
    }
    packets.sort_by_key(|(_, packet)| packet.number);
    let mut sendings = VecDeque::new();
    for (channel, packet) in packets {
        let origin = FactOrigin { input: InputSource::Channel(channel), position: packet.offset };
        let unknown = |page: u64| ObserveError::Unaccounted {
            at: origin,
            what: format!("page {page:#x} of block '{}', which was not announced", packet.block),
        };
        let block = layout.block(&packet.block).ok_or_else(|| unknown(0))?;
        let zero = packet.zero.iter().map(|page| (*page, SeenContent::Digest(stream::digest_filled(0)), 0));
        let whole = packet.pages.iter().map(|(page, digest)| {
            (*page, digest.map_or(SeenContent::Encoded, SeenContent::Digest), PAGE_BYTES as u32)
        });
        for (within, content, bytes) in whole.chain(zero) {
            let page = layout.page(block, within).ok_or_else(|| unknown(within))?;
            let fact = Fact::Sent { page, content, channel: 2 + channel, bytes };
            sendings.push_back(Sending { origin, what: What::Page { fact, page, traced: false } });
        }
    }
    Ok(sendings)
}

fn page(layout: &BlockLayout, record: RamRecord, channel: u8, bytes: u32) -> Option<What> {
    let block = layout.by_index(record.block.into())?;
    let page = layout.page(block, record.page)?;
    let (content, traced) = match record.content {
        stream::RamContent::Filled(byte) => (SeenContent::Digest(filled(byte)), false),
        stream::RamContent::Whole(digest) => (SeenContent::Digest(digest), true),
        stream::RamContent::Changed { .. } | stream::RamContent::Compressed { .. } => {
            (SeenContent::Encoded, true)
        }
    };
    Some(What::Page { fact: Fact::Sent { page, content, channel, bytes }, page, traced })
}

/// Nearly all of them are zero.
fn filled(byte: u8) -> u64 {
    static ZERO: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    match byte {
        0 => *ZERO.get_or_init(|| stream::digest_filled(0)),
        byte => stream::digest_filled(byte),
    }
}

fn command(layout: &BlockLayout, command: StreamCommand) -> What {
    let (number, fact) = match command {
        StreamCommand::OpenReturnPath => (1, None),
        StreamCommand::Ping(_) => (2, None),
        StreamCommand::PostcopyAdvise(_) => (3, None),
        StreamCommand::PostcopyListen => (4, None),
        StreamCommand::PostcopyRun => (5, None),
        StreamCommand::PostcopyDiscard(discard) => {
            let block = layout.block(&discard.block);
            let pages = block.map(|block| {
                let ranges = discard.ranges.iter();
                let pages = |range: &stream::DiscardRange| PageRange {
                    first: block.first + range.page as u32,
                    count: range.count as u32,
                };
                Fact::DiscardSent(ranges.map(pages).collect())
            });
            (6, pages)
        }
        StreamCommand::Packaged(_) => (7, Some(Fact::StateSent)),
        StreamCommand::EnableColo => (8, None),
        StreamCommand::PostcopyResume => (9, None),
        StreamCommand::ReceivedBitmap { .. } => (10, None),
        StreamCommand::SwitchoverStart => (11, None),
    };
    What::Command { number, fact }
}
