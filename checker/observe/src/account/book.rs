//! What is known of each page, in a few bytes.

use super::Place;
use crate::fact::{FactOrigin, InputSource, PageRange, SeenContent};

pub(super) struct Book {
    pages: Vec<Page>,
    suspended: bool,
    owed: u64,
}

#[derive(Clone, Copy)]
struct Page {
    digest: u64,
    /// Where it was sent last.
    position: u64,
    /// How often it was sent.
    sent: u32,
    /// The pass in which it was sent last.
    pass: u16,
    input: u8,
    flags: u8,
    /// The number under which it was sent that has arrived last.
    arrived: u32,
    /// The same, of what is in place.
    installed: u32,
}

mod flag {
    /// The digest is known.
    pub const DIGEST: u8 = 1;
    /// It is to be sent after the suspension.
    pub const OWED: u8 = 2;
    /// It was sent before the suspension.
    pub const BEFORE: u8 = 4;
    /// It was sent since the suspension.
    pub const SINCE: u8 = 8;
    /// It is in place at the destination.
    pub const INSTALLED: u8 = 16;
    /// It has arrived and is not in place.
    pub const ARRIVED: u8 = 32;
    /// The destination has said that it has it.
    pub const CONFIRMED: u8 = 64;
    /// It was to be forgotten at the destination, and was not so far.
    pub const OUTDATED: u8 = 128;
}

impl Book {
    pub fn new(pages: u32) -> Self {
        let page =
            Page { digest: 0, position: 0, sent: 0, pass: 0, input: 0, flags: 0, arrived: 0, installed: 0 };
        Self { pages: vec![page; pages as usize], suspended: false, owed: 0 }
    }

    /// From now on, what was not sent is owed.
    pub fn suspend(&mut self) {
        self.suspended = true;
        for page in &mut self.pages {
            match page.sent {
                0 => page.flags |= flag::OWED,
                _ => page.flags |= flag::BEFORE,
            }
        }
        self.owed = self.pages.iter().filter(|page| page.flags & flag::OWED != 0).count() as u64;
    }

    /// These are to be forgotten at the destination, and sent again.
    pub fn outdate(&mut self, pages: PageRange) {
        for page in pages.iter() {
            self.set_owed(page, true);
            self.pages[page as usize].flags |= flag::OUTDATED;
        }
    }

    /// The first page that was to be forgotten and is not, and how many are not.
    pub fn outdated(&self) -> Option<(u32, u64)> {
        let is_outdated = |page: &&Page| page.flags & flag::OUTDATED != 0;
        let first = self.pages.iter().position(|page| is_outdated(&page))?;
        Some((first as u32, self.pages.iter().filter(is_outdated).count() as u64))
    }

    /// The destination has the page or it has not. Is a page owed again that had been sent?
    pub fn settle(&mut self, page: u32, arrived: bool) -> bool {
        let was_owed = self.is_owed(page);
        self.set_owed(page, !arrived);
        if arrived {
            self.pages[page as usize].flags |= flag::CONFIRMED;
        }
        !arrived && !was_owed
    }

    pub fn is_owed(&self, page: u32) -> bool {
        self.pages[page as usize].flags & flag::OWED != 0
    }

    /// The first page that is owed, and how many are.
    pub fn owed(&self) -> Option<(u32, u64)> {
        let first = self.pages.iter().position(|page| page.flags & flag::OWED != 0)?;
        Some((first as u32, self.owed))
    }

    pub fn was_sent_before(&self, page: u32) -> bool {
        self.pages[page as usize].flags & flag::BEFORE != 0
    }

    pub fn was_sent_since(&self, page: u32) -> bool {
        self.pages[page as usize].flags & flag::SINCE != 0
    }

    pub fn is_first_in_pass(&self, page: u32, pass: u32) -> bool {
        let page = &self.pages[page as usize];
        page.sent == 0 || page.pass != clamp(pass)
    }

    /// Where the page was sent last.
    pub fn last_sent(&self, page: u32) -> Option<FactOrigin> {
        let page = &self.pages[page as usize];
        (page.sent > 0).then(|| FactOrigin { input: unpack(page.input), position: page.position })
    }

    /// The digest of what was sent last, if it is known; and how often the page was sent.
    pub fn digest(&self, page: u32) -> (Option<u64>, u32) {
        let page = &self.pages[page as usize];
        ((page.flags & flag::DIGEST != 0).then_some(page.digest), page.sent)
    }

    /// Was the same content sent before, for nothing?
    pub fn send(&mut self, number: u32, content: SeenContent, place: Place, pass: u32) -> bool {
        let suspended = self.suspended;
        self.set_owed(number, false);
        let page = &mut self.pages[number as usize];
        let discarded_or_first = page.sent == 0 || suspended && page.flags & flag::BEFORE != 0;
        let known = page.flags & flag::DIGEST != 0;
        let unchanged = match content {
            SeenContent::Digest(digest) => {
                let same = known && digest == page.digest && !discarded_or_first;
                page.digest = digest;
                page.flags |= flag::DIGEST;
                same
            }
            SeenContent::Encoded | SeenContent::Unseen => {
                page.flags &= !flag::DIGEST;
                false
            }
        };
        page.sent += 1;
        page.pass = clamp(pass);
        page.position = place.origin.position;
        page.input = pack(place.origin.input);
        if suspended {
            page.flags |= flag::SINCE;
        }
        unchanged
    }

    pub fn arrive(&mut self, number: u32, sequence: u32) {
        let page = &mut self.pages[number as usize];
        page.arrived = sequence;
        page.flags |= flag::ARRIVED;
    }

    /// Had it arrived?
    pub fn install(&mut self, number: u32) -> bool {
        let page = &mut self.pages[number as usize];
        let had_arrived = page.flags & flag::ARRIVED != 0;
        page.installed = page.arrived;
        page.flags = page.flags & !flag::ARRIVED | flag::INSTALLED;
        had_arrived
    }

    pub fn is_installed(&self, page: u32) -> bool {
        self.pages[page as usize].flags & flag::INSTALLED != 0
    }

    pub fn forget(&mut self, pages: PageRange) {
        for page in pages.iter() {
            self.pages[page as usize].flags &= !(flag::INSTALLED | flag::ARRIVED | flag::OUTDATED);
        }
    }

    /// The first page that is not in place at the destination as it was sent last, and how many are not.
    pub fn missing(&self) -> Option<(u32, u64)> {
        let lacks = |page: &Page| {
            let here = page.flags & flag::INSTALLED != 0;
            let confirmed = page.flags & flag::CONFIRMED != 0 && here;
            !confirmed && (!here || page.installed != page.sent)
        };
        let first = self.pages.iter().position(lacks)?;
        Some((first as u32, self.pages.iter().filter(|page| lacks(page)).count() as u64))
    }

    /// The first page that was never sent, and how many were not.
    pub fn never_sent(&self) -> Option<(u32, u64)> {
        let first = self.pages.iter().position(|page| page.sent == 0)?;
        Some((first as u32, self.pages.iter().filter(|page| page.sent == 0).count() as u64))
    }

    fn set_owed(&mut self, number: u32, owed: bool) {
        let page = &mut self.pages[number as usize];
        let was_owed = page.flags & flag::OWED != 0;
        match (was_owed, owed) {
            (false, true) => (page.flags, self.owed) = (page.flags | flag::OWED, self.owed + 1),
            (true, false) => (page.flags, self.owed) = (page.flags & !flag::OWED, self.owed - 1),
            _ => {}
        }
    }
}

fn clamp(pass: u32) -> u16 {
    u16::try_from(pass).unwrap_or(u16::MAX)
}

/// Inputs in a byte: kinds in the upper bits, numbers in the lower.
fn pack(input: InputSource) -> u8 {
    let low = |number: u8| number.min(31);
    match input {
        InputSource::Stream(cuts) => low(cuts),
        InputSource::Channel(number) => 32 | low(number),
        InputSource::ReturnPath(cuts) => 64 | low(cuts),
        InputSource::SourceTrace => 96,
        InputSource::DestinationTrace => 97,
        InputSource::SourceEvents => 98,
        InputSource::DestinationEvents => 99,
    }
}

fn unpack(input: u8) -> InputSource {
    match input {
        0..32 => InputSource::Stream(input),
        32..64 => InputSource::Channel(input - 32),
        64..96 => InputSource::ReturnPath(input - 64),
        96 => InputSource::SourceTrace,
        97 => InputSource::DestinationTrace,
        98 => InputSource::SourceEvents,
        _ => InputSource::DestinationEvents,
    }
}
