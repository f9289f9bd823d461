//! What must be known before a run is told: blocks of memory and their pages.

use std::fs;

use super::super::qmp::{self, Events, QmpEvent, QmpKind};
use super::super::stream::{Item, Stream};
use super::super::trace::{QemuEvent, QemuState, QemuTrace};
use super::{QemuInputs, QemuRun, lacks_recovery, open, open_lines, wrong};
use crate::fact::{FactOrigin, InputSource, ObserveError};
use crate::layout::BlockLayout;

pub(super) fn survey(inputs: QemuInputs) -> Result<QemuRun, ObserveError> {
    if let (None, Some(recovery)) = (&inputs.stream, inputs.recoveries.first()) {
        let at = recovery.stream.display().to_string();
        let what = "a connection after a cut cannot be read without the stream of the first".to_owned();
        return Err(ObserveError::Lacking { at, what });
    }
    let events = events(&inputs)?;
    if inputs.stream.is_some() {
        all_recoveries_are_there(&inputs, InputSource::SourceEvents, &events.source)?;
        all_recoveries_are_there(&inputs, InputSource::DestinationEvents, &events.destination)?;
    }
    let layout = match (&inputs.stream, &inputs.destination_trace, &inputs.source_trace) {
        (Some(_), _, _) => of_stream(&inputs)?,
        (None, Some(_), _) | (None, None, Some(_)) => of_traces(&inputs)?,
        (None, None, None) => return Err(ObserveError::Nothing),
    };
    Ok(QemuRun { inputs, events, layout })
}

/// Each time that the migration went on over a new connection, there is its stream.
fn all_recoveries_are_there(
    inputs: &QemuInputs,
    input: InputSource,
    events: &[QmpEvent],
) -> Result<(), ObserveError> {
    let is_recovery = |event: &&QmpEvent| event.kind == QmpKind::State(QemuState::PostcopyRecover);
    match events.iter().filter(is_recovery).nth(inputs.recoveries.len()) {
        Some(event) => Err(lacks_recovery(FactOrigin { input, position: event.number as u64 })),
        None => Ok(()),
    }
}

fn events(inputs: &QemuInputs) -> Result<Events, ObserveError> {
    let mut events = Events::default();
    if let Some(path) = &inputs.events {
        let text = fs::read_to_string(path).map_err(|error| wrong(path, error))?;
        match Events::of_both(&text) {
            Ok(both) => events = both,
            Err(_) => events.source = qmp::of_monitor(&text).map_err(|error| wrong(path, error))?,
        }
    }
    if let Some(path) = &inputs.destination_events {
        let text = fs::read_to_string(path).map_err(|error| wrong(path, error))?;
        events.destination = qmp::of_monitor(&text).map_err(|error| wrong(path, error))?;
    }
    Ok(events)
}

/// Reads the stream up to the first page: blocks are announced before it.
fn of_stream(inputs: &QemuInputs) -> Result<BlockLayout, ObserveError> {
    let Some(path) = &inputs.stream else { return Err(ObserveError::Nothing) };
    let mut stream = Stream::new(open(path)?);
    loop {
        match stream.next_item() {
            Ok(Some(located)) if located.item == Item::BlocksAnnounced => break,
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) if error.cut().is_some() => break,
            Err(error) => return Err(wrong(path, error)),
        }
    }
    let blocks = &stream.known().blocks;
    let mut layout = BlockLayout::new(blocks.iter().map(|block| (block.name.as_str(), block.pages())))?;
    for (index, block) in blocks.iter().enumerate() {
        let together = block.host_page.map_or(1, |bytes| bytes / super::super::PAGE_BYTES);
        layout.join(index, u32::try_from(together).unwrap_or(u32::MAX));
    }
    Ok(layout)
}

/// Without a stream, a block has as many pages as are mentioned of it.
fn of_traces(inputs: &QemuInputs) -> Result<BlockLayout, ObserveError> {
    let mut blocks: Vec<(String, u64)> = Vec::new();
    for path in [&inputs.destination_trace, &inputs.source_trace].into_iter().flatten() {
        let mut trace = QemuTrace::new(open_lines(path)?);
        while let Some(line) = trace.next_line().map_err(|error| wrong(path, error))? {
            let (name, end) = match line.event {
                QemuEvent::BlockMapped { block, length, .. } => (block, length / super::super::PAGE_BYTES),
                QemuEvent::PageSaved { block, page } | QemuEvent::RequestTaken { block, page } => {
                    (block, page + 1)
                }
                QemuEvent::PageLoaded { block, page, .. } | QemuEvent::FaultSeen { block, page } => {
                    (block, page + 1)
                }
                QemuEvent::RequestReceived { block: Some(block), page, count } => {
                    (block, page.saturating_add(count))
                }
                _ => continue,
            };
            let name = trace.name(name);
            match blocks.iter_mut().find(|(known, _)| known == name) {
                Some((_, pages)) => *pages = (*pages).max(end),
                None => blocks.push((name.to_owned(), end)),
            }
        }
    }
    let blocks = blocks.iter().map(|(name, pages)| (name.as_str(), *pages));
    BlockLayout::new(blocks)
}
