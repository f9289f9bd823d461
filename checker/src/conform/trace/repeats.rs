//! Which messages of a trace were handled more than once.

use std::collections::HashSet;

use reference::event::{Event, Step};
use reference::page::PageNumber;
use reference::place::{Epoch, Place};
use reference::wire::MessageKind;

/// What tells a message from all others: receiver, sender, migration, kind, page, number.
type Name = (Place, Place, Epoch, MessageKind, Option<PageNumber>, Option<u64>);

/// For each step, whether the message that it handles is handled again later.
pub(super) fn repeats(steps: &[Step]) -> Vec<bool> {
    let mut later = HashSet::new();
    let mut repeats: Vec<bool> =
        steps.iter().rev().map(|step| handled(step).is_some_and(|name| !later.insert(name))).collect();
    repeats.reverse();
    repeats
}

fn handled(step: &Step) -> Option<Name> {
    let Step { place, epoch, ref event, .. } = *step;
    let name =
        |from: Place, kind, page: PageNumber, number| Some((place, from, epoch, kind, Some(page), number));
    match *event {
        Event::PageInstalled { page, sequence, from } => {
            name(from.into(), MessageKind::Page, page, Some(sequence.0))
        }
        Event::PageFetched { page, version } => {
            name(Place::FileServer, MessageKind::Fetched, page, Some(version.0))
        }
        Event::RequestAccepted { page, from } => name(from.into(), MessageKind::Request, page, None),
        Event::WriteBackStored { page, version, from }
        | Event::WriteBackSuperseded { page, version, from, .. } => {
            name(from.into(), MessageKind::WriteBack, page, Some(version.0))
        }
        Event::MessageIgnored { kind, page, number, from } => Some((place, from, epoch, kind, page, number)),
        _ => None,
    }
}
