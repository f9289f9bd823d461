//! What foreign systems say on the wire and in files: read to the end or refused, without panic, and every item takes
//! bytes of the input, so that no more is made of it than has arrived.

use observe::cloud_hypervisor::connection::{ConnectionRole, Requests, Responses};
use observe::criu::image::read_pagemap;
use observe::criu::log::read_log;
use observe::criu::page_server::PageStream;
use observe::qemu::channel::{Multifd, Urgent};
use observe::qemu::qmp;
use observe::qemu::return_path::{ReturnMessage, ReturnPath};
use observe::qemu::stream::{Block, Known, Stream};
use observe::qemu::trace::QemuTrace;

use crate::FuzzFinding;

/// QEMU's migration stream; and the same bytes as they could go on after a cut.
pub fn qemu_stream(input: &[u8]) -> Result<(), FuzzFinding> {
    stream(Stream::new(input), input)?;
    stream(Stream::resumed(input, known()), input)
}

fn stream(mut stream: Stream<&[u8]>, input: &[u8]) -> Result<(), FuzzFinding> {
    let mut items = Items::new(input);
    while let Ok(Some(located)) = stream.next_item() {
        items.took(located.offset, stream.offset())?;
    }
    let names: usize = stream.known().blocks.iter().map(|block| block.name.len()).sum();
    let capabilities: usize = stream.known().capabilities.iter().map(String::len).sum();
    // What is not ASCII is shown with up to three bytes for one.
    match names + capabilities <= 3 * (input.len() + 32) {
        true => items.end(stream.offset()),
        false => Err(FuzzFinding(format!("{names} bytes of names of {} bytes", input.len()))),
    }
}

/// What a later connection may take for granted.
fn known() -> Known {
    let block = |name: &str, length| Block { name: name.to_owned(), length, host_page: None };
    Known {
        blocks: vec![block("pc.ram", 1 << 20), block("a", 1 << 13)],
        ram_section: Some(2),
        ..Known::default()
    }
}

/// QEMU's return path.
pub fn qemu_return_path(input: &[u8]) -> Result<(), FuzzFinding> {
    let (mut path, mut items) = (ReturnPath::new(input), Items::new(input));
    while let Ok(Some((offset, message))) = path.next_message() {
        items.took(offset, path.offset())?;
        if let ReturnMessage::Received { bitmap, .. } = message
            && bitmap.len() > input.len()
        {
            return Err(FuzzFinding(format!("{} bytes of a bitmap of {}", bitmap.len(), input.len())));
        }
    }
    items.end(path.offset())
}

/// QEMU's further connections: multifd packets, and urgent pages.
pub fn qemu_channels(input: &[u8]) -> Result<(), FuzzFinding> {
    let (mut multifd, mut items) = (Multifd::new(input), Items::new(input));
    while let Ok(Some(packet)) = multifd.next_packet() {
        items.took(packet.offset, multifd.offset())?;
    }
    items.end(multifd.offset())?;
    let (mut urgent, mut items) = (Urgent::new(input, known()), Items::new(input));
    while let Ok(Some(located)) = urgent.next_item() {
        items.took(located.offset, urgent.offset())?;
    }
    items.end(urgent.offset())
}

/// QEMU's trace, and events of its monitor.
pub fn qemu_text(input: &[u8]) -> Result<(), FuzzFinding> {
    let mut trace = QemuTrace::new(input);
    let mut lines = 0;
    while let Ok(Some(line)) = trace.next_line() {
        if line.number <= lines {
            return Err(FuzzFinding(format!("line {} after line {lines}", line.number)));
        }
        lines = line.number;
    }
    if let Ok(text) = std::str::from_utf8(input) {
        // Both forms are tried, and either may be refused.
        let _ = (qmp::Events::of_both(text), qmp::of_monitor(text));
    }
    Ok(())
}

/// CRIU's pages, page maps and logs.
pub fn criu(input: &[u8]) -> Result<(), FuzzFinding> {
    let (mut pages, mut items) = (PageStream::new(input), Items::new(input));
    while let Ok(Some((offset, _))) = pages.next_item() {
        items.took(offset, pages.offset())?;
    }
    items.end(pages.offset())?;
    let mut entries = 0;
    // Refused or not, what was told is counted.
    let _ = read_pagemap(input, |_| entries += 1);
    let _ = read_log(input, |_| {});
    match entries <= input.len() {
        true => Ok(()),
        false => Err(FuzzFinding(format!("{entries} entries of {} bytes", input.len()))),
    }
}

/// Cloud Hypervisor's connections, in every role.
pub fn cloud_hypervisor(input: &[u8]) -> Result<(), FuzzFinding> {
    for role in [ConnectionRole::Main, ConnectionRole::Memory, ConnectionRole::Faults] {
        let (mut requests, mut items) = (Requests::new(input, role), Items::new(input));
        while let Ok(Some((offset, _))) = requests.next_request() {
            items.took(offset, requests.offset())?;
        }
        items.end(requests.offset())?;
    }
    for contents in [true, false] {
        let (mut responses, mut items) = (Responses::new(input, contents), Items::new(input));
        while let Ok(Some((offset, _))) = responses.next_response() {
            items.took(offset, responses.offset())?;
            while let Ok(Some(_)) = responses.next_page() {}
        }
        items.end(responses.offset())?;
    }
    Ok(())
}

/// Items follow each other, and each has bytes of its own.
struct Items {
    length: u64,
    end: u64,
}

impl Items {
    fn new(input: &[u8]) -> Self {
        Self { length: input.len() as u64, end: 0 }
    }

    fn took(&mut self, begin: u64, end: u64) -> Result<(), FuzzFinding> {
        if begin < self.end || end <= begin || end > self.length {
            return Err(FuzzFinding(format!("an item from {begin} to {end}, after {}", self.end)));
        }
        self.end = begin + 1;
        Ok(())
    }

    fn end(&self, offset: u64) -> Result<(), FuzzFinding> {
        match offset <= self.length {
            true => Ok(()),
            false => Err(FuzzFinding(format!("{offset} of {} bytes were read", self.length))),
        }
    }
}
