//! Which messages of a trace were handled more than once.

use std::collections::HashSet;

use steplog::event::{Event, Step};
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place};

/// What tells a message from all others: receiver, sender, migration, kind, page, number.
type Name = (Place, Place, Epoch, MessageKind, Option<PageNumber>, Option<u64>);

/// Whether the message that a step handles is handled at another time as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeated {
    pub before: bool,
    pub later: bool,
}

/// For each step.
pub(super) fn repeats(steps: &[Step]) -> Vec<Repeated> {
    let mut seen = HashSet::new();
    let before: Vec<_> = steps.iter().map(|step| is_again(step, &mut seen)).collect();
    seen.clear();
    let later: Vec<_> = steps.iter().rev().map(|step| is_again(step, &mut seen)).collect();
    let both = before.into_iter().zip(later.into_iter().rev());
    both.map(|(before, later)| Repeated { before, later }).collect()
}

fn is_again(step: &Step, seen: &mut HashSet<Name>) -> bool {
    handled(step).is_some_and(|name| !seen.insert(name))
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
