//! The file server, and hosts that say what they like: it only ever goes forward, touches one page at a time, answers
//! each request once, and never acknowledges what is newer than what it holds.

use arbitrary::{Arbitrary, Unstructured};
use protocol::error::Error;
use protocol::file_server::{FileServer, Stored};
use protocol::wire::{Channel, Envelope, Message};
use steplog::event::Event;
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place};

use crate::FuzzFinding;
use crate::bench::BenchSetup;
use crate::forgery::Forgery;

/// Messages of an input that are handled.
const MESSAGES_MAX: usize = 200;

/// The input is a setup and what the hosts say.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    let mut input = Unstructured::new(input);
    let Ok(setup) = BenchSetup::arbitrary(&mut input) else { return Ok(()) };
    let image = setup.image();
    let mut server = FileServer::new(&image);
    for _ in 0..MESSAGES_MAX {
        if input.is_empty() {
            break;
        }
        let Ok(forgery) = Forgery::arbitrary(&mut input) else { break };
        let current = Epoch(3);
        let (from, epoch) = (forgery.from(), forgery.epoch(current));
        let message = forgery.message(current, image.page_count());
        let before = held(&server, image.page_count());
        let handled = server.handle_message(from, epoch, &message);
        let after = held(&server, image.page_count());
        let said: Vec<_> = std::iter::from_fn(|| server.poll_message()).collect();
        let events: Vec<_> = std::iter::from_fn(|| server.poll_event()).collect();
        let judged = match handled {
            Err(Error::PeerMisbehaved { peer, .. }) if peer == from => {
                match (said.is_empty(), events.is_empty()) {
                    (true, true) if before == after => Ok(()),
                    _ => Err("what was refused had consequences".to_owned()),
                }
            }
            Err(error) => Err(format!("somebody else is blamed: {error}")),
            Ok(()) => check_answer((from, epoch, &message), &before, &after, &said, &events),
        };
        judged.map_err(|what| FuzzFinding(format!("{message:?} from {from}: {what}")))?;
    }
    Ok(())
}

fn held(server: &FileServer, page_count: u64) -> Vec<Stored> {
    (0..page_count).map(PageNumber).filter_map(|page| server.stored(page).cloned()).collect()
}

fn check_answer(
    (from, epoch, message): (Place, Epoch, &Message),
    before: &[Stored],
    after: &[Stored],
    said: &[Envelope],
    events: &[(Epoch, Event)],
) -> Result<(), String> {
    let (Message::WriteBack { page, .. } | Message::Fetch { page }) = *message else {
        return Err("it is not for the file server".to_owned());
    };
    let (was, is) = match (before.get(page.index()), after.get(page.index())) {
        (Some(was), Some(is)) => (was, is),
        _ => return Err(format!("there is no {page}")),
    };
    let others_changed =
        (0..).map(PageNumber).zip(before.iter().zip(after)).any(|(other, (a, b))| other != page && a != b);
    if others_changed {
        return Err("another page was touched".to_owned());
    }
    let [Envelope { from: Place::FileServer, to, channel: Channel::Main, epoch: answered, message: answer }] =
        said
    else {
        return Err(format!("answered by {said:?}"));
    };
    if (*to, *answered) != (from, epoch) || events.len() != 1 {
        return Err(format!("answered to {to} in {answered}, with {} events", events.len()));
    }
    let right = match (message, answer) {
        (
            Message::WriteBack { version, content, .. },
            Message::WriteBackDone { page: done, version: acknowledged },
        ) => {
            let newer = *version > was.version;
            let stored = if newer { is.version == *version && is.content == *content } else { is == was };
            stored && *done == page && acknowledged == version && is.version >= *acknowledged
        }
        (Message::Fetch { .. }, Message::Fetched { page: served, version, content }) => {
            is == was && *served == page && (version, content) == (&is.version, &is.content)
        }
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("it holds {is:?} after {was:?}, and answers {answer:?}")) }
}
