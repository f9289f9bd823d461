//! Commands to the destination.

use std::io::Read;

use super::super::PAGE_BYTES;
use super::{DEVICE_STATE_MAX, Stream, StreamError, kind, text};
use crate::input::Input;

/// What the source asks of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamCommand {
    /// Open the return path.
    OpenReturnPath,
    /// Answer with this number.
    Ping(u32),
    /// Post-copy may come; page sizes of the source as a mask, and of the guest, where they are said.
    PostcopyAdvise(Option<(u64, u64)>),
    /// Be ready to serve faults.
    PostcopyListen,
    /// Run.
    PostcopyRun,
    /// Forget pages that were written after they were copied.
    PostcopyDiscard(Discard),
    /// A stream within the stream.
    Packaged(Package),
    /// Go on in lockstep; not followed further.
    EnableColo,
    /// Go on after a cut.
    PostcopyResume,
    /// Say what has arrived of this block.
    ReceivedBitmap {
        /// Its name.
        block: String,
    },
    /// The processors of the source have stopped (10.0 and later).
    SwitchoverStart,
}

/// Pages that are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// Of which block.
    pub block: String,
    /// Which of them.
    pub ranges: Vec<DiscardRange>,
}

/// Pages in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscardRange {
    /// The first.
    pub page: u64,
    /// How many.
    pub count: u64,
}

/// A stream within the stream: what the destination reads as a whole before it carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Bytes of it.
    pub length: u32,
    /// Bytes of device state in it.
    pub device_state: u64,
    /// Does it make the destination listen?
    pub listens: bool,
    /// Numbers that it asks to be answered.
    pub pings: Vec<u32>,
    /// Does it end with the command to run?
    pub runs: bool,
}

mod number {
    pub const OPEN_RETURN_PATH: u16 = 1;
    pub const PING: u16 = 2;
    pub const POSTCOPY_ADVISE: u16 = 3;
    pub const POSTCOPY_LISTEN: u16 = 4;
    pub const POSTCOPY_RUN: u16 = 5;
    pub const POSTCOPY_RAM_DISCARD: u16 = 6;
    pub const PACKAGED: u16 = 7;
    pub const ENABLE_COLO: u16 = 8;
    pub const POSTCOPY_RESUME: u16 = 9;
    pub const RECV_BITMAP: u16 = 10;
    pub const SWITCHOVER_START: u16 = 11;
}

impl<R: Read> Stream<R> {
    pub(super) fn command(&mut self, offset: u64) -> Result<StreamCommand, StreamError> {
        let (number, length) = (self.input.be16()?, self.input.be16()?);
        let malformed = StreamError::MalformedCommand { offset, number, length: length.into() };
        let command = match (number, length) {
            (number::OPEN_RETURN_PATH, 0) => StreamCommand::OpenReturnPath,
            (number::PING, 4) => StreamCommand::Ping(self.input.be32()?),
            (number::POSTCOPY_ADVISE, 0) => StreamCommand::PostcopyAdvise(None),
            (number::POSTCOPY_ADVISE, 16) => {
                let (host_pages, guest_page) = (self.input.be64()?, self.input.be64()?);
                if guest_page != PAGE_BYTES {
                    let what = format!("a page of {guest_page} bytes");
                    return Err(StreamError::Unsupported { offset, what });
                }
                self.known.page_sizes = Some(host_pages);
                StreamCommand::PostcopyAdvise(Some((host_pages, guest_page)))
            }
            (number::POSTCOPY_LISTEN, 0) => StreamCommand::PostcopyListen,
            (number::POSTCOPY_RUN, 0) => StreamCommand::PostcopyRun,
            (number::POSTCOPY_RAM_DISCARD, _) => {
                let data = self.input.bytes(length.into(), u16::MAX.into(), "ranges")?;
                let discard = discard(&data).ok_or(malformed)?;
                self.check(offset, &discard)?;
                StreamCommand::PostcopyDiscard(discard)
            }
            (number::PACKAGED, 4) => {
                let length = self.input.be32()?;
                let bytes = self.input.bytes(length.into(), DEVICE_STATE_MAX, "a package")?;
                let malformed = || StreamError::MalformedCommand { offset, number, length };
                StreamCommand::Packaged(package(&bytes).ok_or_else(malformed)?)
            }
            (number::ENABLE_COLO, 0) => StreamCommand::EnableColo,
            (number::POSTCOPY_RESUME, 0) => StreamCommand::PostcopyResume,
            (number::RECV_BITMAP, 1..) => {
                let block = self.name()?;
                if block.len() + 1 != usize::from(length) {
                    return Err(malformed);
                }
                StreamCommand::ReceivedBitmap { block }
            }
            (number::SWITCHOVER_START, 0) => StreamCommand::SwitchoverStart,
            (number::OPEN_RETURN_PATH..=number::SWITCHOVER_START, _) => return Err(malformed),
            _ => return Err(StreamError::UnknownCommand { offset, number, length }),
        };
        Ok(command)
    }

    /// Are the pages to be forgotten pages of a block?
    fn check(&self, offset: u64, Discard { block, ranges }: &Discard) -> Result<(), StreamError> {
        let wrong = |what: String| Err(StreamError::Inconsistent { offset, what });
        let Some(index) = self.known.block(block) else {
            return wrong(format!("block '{block}' was not announced"));
        };
        let pages = self.known.blocks[usize::from(index)].pages();
        match ranges.iter().find(|range| range.page.checked_add(range.count).is_none_or(|end| end > pages)) {
            Some(DiscardRange { page, count }) => {
                wrong(format!("{count} pages from {page:#x} of block '{block}', which has {pages:#x}"))
            }
            None => Ok(()),
        }
    }
}

/// `u8 version = 0, u8 length, name, u8 0, { be64 start, be64 length }*`, in bytes.
fn discard(data: &[u8]) -> Option<Discard> {
    let (&[0, length], rest) = data.split_first_chunk()? else { return None };
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&0, rest) = rest.split_first()? else { return None };
    let (pairs, []) = rest.as_chunks::<16>() else { return None };
    let ranges = pairs.iter().map(range).collect::<Option<Vec<_>>>()?;
    Some(Discard { block: text(name.to_vec()), ranges })
}

fn range(pair: &[u8; 16]) -> Option<DiscardRange> {
    let (start, length) = pair.split_at(8);
    let start = u64::from_be_bytes(start.try_into().ok()?);
    let length = u64::from_be_bytes(length.try_into().ok()?);
    let whole = start.is_multiple_of(PAGE_BYTES) && length.is_multiple_of(PAGE_BYTES);
    whole.then_some(DiscardRange { page: start / PAGE_BYTES, count: length / PAGE_BYTES })
}

/// A package: commands, device state of a length that nobody says, and commands again, of which the last is *run*.
/// So device state reaches from the first section to the commands at the end.
fn package(bytes: &[u8]) -> Option<Package> {
    let mut package = Package { length: u32::try_from(bytes.len()).ok()?, ..Package::default() };
    let mut input = Input::new(bytes);
    while input.peek().ok()? == Some(kind::COMMAND) {
        input.byte().ok()?;
        match (input.be16().ok()?, input.be16().ok()?) {
            (number::POSTCOPY_LISTEN, 0) => package.listens = true,
            (number::PING, 4) => package.pings.push(input.be32().ok()?),
            (number::POSTCOPY_RUN, 0) => package.runs = true,
            _ => return None,
        }
    }
    let mut state = &bytes[input.offset() as usize..];
    if let [rest @ .., kind::COMMAND, 0, 5, 0, 0] = state {
        (package.runs, state) = (true, rest);
    }
    let asked_before = package.pings.len();
    while let [rest @ .., kind::COMMAND, 0, 2, 0, 4, a, b, c, d] = state {
        package.pings.insert(asked_before, u32::from_be_bytes([*a, *b, *c, *d]));
        state = rest;
    }
    package.device_state = state.len() as u64;
    match state {
        [] => Some(package),
        [kind::FULL, .., kind::FOOTER, _, _, _, _] => Some(package),
        _ => None,
    }
}
