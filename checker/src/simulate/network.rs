//! The network between the places: lines of limited rate, connections with buffers and windows, receivers that take time.
//!
//! Each place has one line out and one in, and to each other place a connection for requested pages and one for the rest.
//! A message waits in its connection's send buffer, leaves when the line is free and the window open, arrives a latency
//! later as fast as the receiver's line takes it, and is handled when the receiver has handled what came before it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use protocol::wire::{Envelope, Message};
use steplog::message::MessageKind;

use super::{CostModel, MESSAGE_HEADER_BYTES, SimulationSetup};

const NS_PER_S: u128 = 1_000_000_000;

/// Bits that the state takes for each page: where it is, and whether it is dirty.
const MAP_BITS_PER_PAGE: u64 = 2;

/// Places, and connections of one place: two to each.
const PLACES: usize = 3;
const LINES: usize = 2 * PLACES;

/// Length of a message on the wire, of a page neither zero nor compressed. That of the state is modelled: so many bytes
/// without the map, and a bitmap; the runs of the wire format are shorter than that for an orderly map and longer for a
/// random one.
pub fn message_bytes(kind: MessageKind, setup: &SimulationSetup) -> u64 {
    let header = MESSAGE_HEADER_BYTES;
    match kind {
        MessageKind::Page | MessageKind::WriteBack | MessageKind::Fetched => {
            setup.costs.page_overhead_bytes + setup.page_size_bytes
        }
        MessageKind::State => {
            let pages = setup.memory_bytes.div_ceil(setup.page_size_bytes.max(1));
            let description_bytes = match setup.policy.has_post_migration() {
                true => 0,
                false => setup.costs.description_bytes,
            };
            header + setup.costs.state_bytes + description_bytes + (MAP_BITS_PER_PAGE * pages).div_ceil(8)
        }
        MessageKind::Request | MessageKind::Fetch | MessageKind::AskVersion => header + 8,
        MessageKind::WriteBackDone | MessageKind::VersionTold => header + 16,
        _ => header,
    }
}

/// Whether a message has a page in it.
pub(super) fn has_page(message: &Message) -> bool {
    matches!(message.kind(), MessageKind::Page | MessageKind::WriteBack | MessageKind::Fetched)
}

/// When something is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Now.
    Now,
    /// Then.
    At(u64),
    /// After something else has happened here.
    Later,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Frame {
    /// The message.
    pub envelope: Envelope,
    /// Its length.
    pub bytes: u64,
    /// Whether it counts as copied ahead.
    pub copied: bool,
    /// Whether the process runs at its destination.
    pub resumed: bool,
}

/// What one place has sent to another, by requests or not.
#[derive(Debug, Default)]
struct Connection {
    unsent: VecDeque<Frame>,
    unsent_bytes: u64,
    /// What is on the line or has left it: when it has left, and what it is.
    flying: VecDeque<(u64, Frame)>,
    /// Bytes for which there was room in the send buffer and whose acknowledgement has not come; the known ones with when.
    unacknowledged_bytes: u64,
    acknowledged: VecDeque<(u64, u64)>,
    /// The same for the window.
    windowed_bytes: u64,
    opened: VecDeque<(u64, u64)>,
    arriving: VecDeque<Envelope>,
    last_ns: u64,
}

/// The line on which a place sends.
#[derive(Debug, Default)]
struct Outward {
    connections: [Connection; LINES],
    /// When the last message has left: nanoseconds, and what is left of one.
    free_ns: u64,
    remainder: u128,
    /// Length of the message that is leaving.
    leaving_bytes: u64,
    /// The connection that was served last.
    last: usize,
    awake: bool,
}

/// The line on which a place receives, and the threads that handle what comes.
#[derive(Clone, Copy, Debug, Default)]
struct Inward {
    free_ns: u64,
    handled_ns: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Arrived { from: usize, line: usize },
    Reached { from: usize, line: usize },
    Free { from: usize },
}

/// All lines.
#[derive(Debug)]
pub(super) struct Network<'a> {
    setup: &'a SimulationSetup,
    outward: [Outward; PLACES],
    inward: [Inward; PLACES],
    due: BinaryHeap<Reverse<(u64, u64, Due)>>,
    order: u64,
    buffer_bytes: u64,
    /// When the last copied page has left.
    pub copied_ns: u64,
}

impl<'a> Network<'a> {
    pub fn new(setup: &'a SimulationSetup) -> Self {
        Self {
            setup,
            outward: Default::default(),
            inward: Default::default(),
            due: BinaryHeap::new(),
            order: 0,
            buffer_bytes: setup.costs.buffer_bytes(setup.page_size_bytes),
            copied_ns: 0,
        }
    }

    fn costs(&self) -> &'a CostModel {
        &self.setup.costs
    }

    /// On which connection of a place such a message travels.
    pub fn line(&self, to: usize, requested: bool) -> usize {
        2 * to + usize::from(requested && self.costs().own_channel)
    }

    /// Hands a message over.
    pub fn send(&mut self, now_ns: u64, from: usize, line: usize, frame: Frame) {
        let connection = &mut self.outward[from].connections[line];
        let bytes = frame.bytes;
        connection.unsent.push_back(frame);
        connection.unsent_bytes += bytes;
        connection.unacknowledged_bytes += bytes;
        self.transmit(now_ns, from);
    }

    /// When a connection takes so many bytes more. A message larger than the buffer goes into an empty one.
    pub fn room(&mut self, now_ns: u64, from: usize, line: usize, bytes: u64) -> When {
        let size = self.buffer_bytes;
        let connection = &mut self.outward[from].connections[line];
        connection.settle(now_ns);
        let mut held = connection.unacknowledged_bytes;
        if held == 0 || held + bytes <= size {
            return When::Now;
        }
        for &(at_ns, freed) in &connection.acknowledged {
            held -= freed;
            if held == 0 || held + bytes <= size {
                return When::At(at_ns);
            }
        }
        // When a message will have left is known only when its turn comes.
        When::Later
    }

    /// When a page may be sent that nobody waits for.
    pub fn idle(&self, now_ns: u64, from: usize) -> When {
        let outward = &self.outward[from];
        let unsent: u64 = outward.connections.iter().map(|connection| connection.unsent_bytes).sum();
        let leaving = if outward.free_ns > now_ns { outward.leaving_bytes } else { 0 };
        let backlog = self.costs().push_backlog_bytes;
        match unsent {
            0 if outward.free_ns <= now_ns => When::Now,
            0 if backlog == 0 => When::At(outward.free_ns),
            _ if backlog > 0 && unsent + leaving <= backlog => When::Now,
            _ => When::Later,
        }
    }

    /// Sends nothing for so long, from when the line is free.
    pub fn pause(&mut self, now_ns: u64, place: usize, pause_ns: u64) {
        if pause_ns > 0 {
            let outward = &mut self.outward[place];
            outward.free_ns = outward.free_ns.max(now_ns).saturating_add(pause_ns);
            self.wake(place);
        }
    }

    /// When something happens next.
    pub fn next_ns(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    /// It happens: perhaps a message is there to be handled.
    pub fn step(&mut self) -> Option<Envelope> {
        let Reverse((now_ns, _, due)) = self.due.pop()?;
        match due {
            Due::Free { from } => {
                self.outward[from].awake = false;
                self.transmit(now_ns, from);
                None
            }
            Due::Reached { from, line } => {
                self.reach(now_ns, from, line);
                None
            }
            Due::Arrived { from, line } => self.outward[from].connections[line].arriving.pop_front(),
        }
    }

    fn schedule(&mut self, at_ns: u64, due: Due) {
        self.order += 1;
        self.due.push(Reverse((at_ns, self.order, due)));
    }

    /// Looks again when the line is free.
    fn wake(&mut self, from: usize) {
        let outward = &mut self.outward[from];
        if !std::mem::replace(&mut outward.awake, true) {
            let at_ns = outward.free_ns;
            self.schedule(at_ns, Due::Free { from });
        }
    }

    /// Sends the next message, if the line is free and a window open.
    fn transmit(&mut self, now_ns: u64, from: usize) {
        if self.outward[from].free_ns > now_ns {
            return self.wake(from);
        }
        let window = self.costs().window_bytes.map(|bytes| bytes * u64::from(self.costs().streams.max(1)));
        let outward = &mut self.outward[from];
        let turns = (1..=LINES).map(|turn| (outward.last + turn) % LINES);
        let mut opens_ns: Option<u64> = None;
        let mut chosen = None;
        for line in turns {
            let connection = &mut outward.connections[line];
            let Some(frame) = connection.unsent.front() else { continue };
            let bytes = frame.bytes;
            connection.settle(now_ns);
            let held = connection.windowed_bytes;
            if window.is_none_or(|window| held == 0 || held + bytes <= window) {
                chosen = Some(line);
                break;
            }
            if let Some(&(at_ns, _)) = connection.opened.front() {
                opens_ns = Some(opens_ns.map_or(at_ns, |earlier| earlier.min(at_ns)));
            }
        }
        match chosen {
            Some(line) => self.leave(now_ns, from, line),
            None => {
                if let Some(at_ns) = opens_ns {
                    self.schedule(at_ns, Due::Free { from });
                }
            }
        }
    }

    fn leave(&mut self, now_ns: u64, from: usize, line: usize) {
        let costs = self.costs();
        let outward = &mut self.outward[from];
        let connection = &mut outward.connections[line];
        let Some(frame) = connection.unsent.pop_front() else { return };
        let bytes = frame.bytes;
        connection.unsent_bytes -= bytes;
        connection.windowed_bytes += bytes;
        // Nothing is rounded away between messages: sixteen million pages would make milliseconds of it.
        if outward.free_ns < now_ns {
            (outward.free_ns, outward.remainder) = (now_ns, 0);
        }
        let (bits, divisor) = line_bits(costs, &frame);
        let rate = u128::from(costs.bandwidth_bits_per_s.max(1)) * divisor;
        let scaled = bits * NS_PER_S + outward.remainder;
        outward.remainder = scaled % rate;
        outward.free_ns = outward.free_ns.saturating_add(u64::try_from(scaled / rate).unwrap_or(u64::MAX));
        (outward.leaving_bytes, outward.last) = (bytes, line);
        let left_ns = outward.free_ns;
        if frame.copied {
            self.copied_ns = left_ns;
        }
        if costs.window_bytes.is_none() {
            connection.acknowledged.push_back((left_ns, bytes));
        }
        connection.flying.push_back((left_ns, frame));
        let reaches_ns = now_ns.saturating_add(costs.latency_ns);
        self.schedule(reaches_ns, Due::Reached { from, line });
        self.wake(from);
    }

    /// The first bit of a message has come to the receiver's line.
    fn reach(&mut self, now_ns: u64, from: usize, line: usize) {
        let costs = self.costs();
        let to = line / 2;
        let connection = &mut self.outward[from].connections[line];
        let Some((left_ns, frame)) = connection.flying.pop_front() else { return };
        let inward = &mut self.inward[to];
        let (bits, divisor) = line_bits(costs, &frame);
        let receiving_ns = bits * NS_PER_S / (u128::from(costs.receive().max(1)) * divisor);
        let taken_ns = inward.free_ns.max(now_ns).saturating_add(receiving_ns as u64);
        let received_ns = taken_ns.max(left_ns.saturating_add(costs.latency_ns));
        inward.free_ns = taken_ns;
        let message = &frame.envelope.message;
        let thread = &mut inward.handled_ns[line % 2];
        let handled_ns = match message.kind() {
            _ if has_page(message) && Some(frame.bytes) != costs.zero_page_bytes => {
                let install_ns = if frame.resumed { costs.place_ns } else { costs.install_ns };
                *thread = received_ns.max(*thread).saturating_add(costs.shared(install_ns));
                *thread
            }
            MessageKind::Request | MessageKind::Fetch => received_ns.saturating_add(costs.serve_ns),
            _ => received_ns,
        };
        let handled_ns = handled_ns.max(connection.last_ns);
        connection.last_ns = handled_ns;
        if costs.window_bytes.is_some() {
            connection.acknowledged.push_back((received_ns.saturating_add(costs.latency_ns), frame.bytes));
        }
        connection.opened.push_back((handled_ns.saturating_add(costs.latency_ns), frame.bytes));
        connection.arriving.push_back(frame.envelope);
        self.schedule(handled_ns, Due::Arrived { from, line });
        if self.outward[from].connections[line].unsent_bytes > 0 {
            self.transmit(now_ns, from);
        }
    }
}

/// Bits of a message on the line: a page among others, any other message in a frame of its own.
fn line_bits(costs: &CostModel, frame: &Frame) -> (u128, u128) {
    match costs.framing {
        Some(framing) if !has_page(&frame.envelope.message) && frame.bytes < framing.payload_bytes => {
            let bits = u128::from(frame.bytes + framing.overhead_bytes) * 8;
            (bits * u128::from(framing.payload_bytes), u128::from(framing.payload_bytes))
        }
        _ => costs.wire_bits(frame.bytes),
    }
}

impl Connection {
    /// What is acknowledged and what the window has room for by now.
    fn settle(&mut self, now_ns: u64) {
        while let Some((_, bytes)) = self.acknowledged.front().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.unacknowledged_bytes -= bytes;
            self.acknowledged.pop_front();
        }
        while let Some((_, bytes)) = self.opened.front().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.windowed_bytes -= bytes;
            self.opened.pop_front();
        }
    }
}
