//! The file server: the global backing store. It only ever goes forward.
//!
//! Starts with the program image, each page in version 0. A write-back is stored if it is newer than what is held,
//! and acknowledged in any case: what is held then is at least as new.

use std::collections::VecDeque;
use std::sync::Arc;

use steplog::event::Event;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Version};

use crate::error::{Error, Misbehaviour, Refusal};
use crate::host::OUTBOX_MESSAGES_MAX_DEFAULT;
use crate::page::{Image, PageBytes};
use crate::running::context::misbehaved;
use crate::wire::{Channel, Envelope, Message};

/// The file server. Answers each message in the same step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileServer {
    pages: Vec<Stored>,
    outbox: VecDeque<Envelope>,
    outbox_messages_max: usize,
    events: VecDeque<(Epoch, Event)>,
}

/// A page as the file server holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which write-back it is from; 0 is the program image.
    pub version: Version,
    /// Its content.
    pub content: PageBytes,
}

impl FileServer {
    /// A file server that holds the program image.
    pub fn new(image: &Arc<Image>) -> Self {
        let stored =
            |page| image.content(page).cloned().map(|content| Stored { version: Version(0), content });
        let pages = image.page_numbers().filter_map(stored).collect();
        let outbox_messages_max = OUTBOX_MESSAGES_MAX_DEFAULT;
        Self { pages, outbox: VecDeque::new(), outbox_messages_max, events: VecDeque::new() }
    }

    /// Sets how many answers may wait for the driver.
    pub fn limit_outbox(&mut self, messages_max: usize) {
        self.outbox_messages_max = messages_max;
    }

    /// Handles a message from a host. An error leaves the file server as it was. What is refused because the outbox is full
    /// may be handed in again once messages have been taken from it.
    pub fn handle_message(&mut self, from: Place, epoch: Epoch, message: &Message) -> Result<(), Error> {
        let kind = message.kind();
        let page_count = self.pages.len() as u64;
        let Place::Host(host) = from else {
            return Err(misbehaved(from, Misbehaviour::NotThePeer { kind }));
        };
        let (Message::WriteBack { page, .. } | Message::Fetch { page } | Message::AskVersion { page }) =
            *message
        else {
            return Err(misbehaved(from, Misbehaviour::Unexpected { kind }));
        };
        let Some(stored) = self.pages.get_mut(page.index()) else {
            return Err(misbehaved(from, Misbehaviour::PageOutOfRange { page, page_count }));
        };
        if self.outbox.len() >= self.outbox_messages_max {
            return Err(Refusal::OutboxFull.into());
        }
        let (event, answer) = match message {
            Message::WriteBack { version, content, .. } => (
                stored.write_back(host, page, *version, content),
                Message::WriteBackDone { page, version: *version },
            ),
            Message::AskVersion { .. } => {
                let version = stored.version;
                (Event::VersionTold { page, version, to: host }, Message::VersionTold { page, version })
            }
            _ => stored.fetched(host, page),
        };
        self.events.push_back((epoch, event));
        let channel = Channel::Main;
        self.outbox.push_back(Envelope {
            from: Place::FileServer,
            to: from,
            channel,
            epoch,
            message: answer,
        });
        Ok(())
    }

    /// The next message to be sent.
    pub fn poll_message(&mut self) -> Option<Envelope> {
        self.outbox.pop_front()
    }

    /// The next event, with the migration it belongs to.
    pub fn poll_event(&mut self) -> Option<(Epoch, Event)> {
        self.events.pop_front()
    }

    /// What is held of a page.
    pub fn stored(&self, page: PageNumber) -> Option<&Stored> {
        self.pages.get(page.index())
    }
}

impl Stored {
    fn write_back(&mut self, from: HostId, page: PageNumber, version: Version, content: &PageBytes) -> Event {
        let held = self.version;
        if version <= held {
            return Event::WriteBackSuperseded { page, version, held, from };
        }
        *self = Self { version, content: content.clone() };
        Event::WriteBackStored { page, version, from }
    }

    fn fetched(&self, to: HostId, page: PageNumber) -> (Event, Message) {
        let Self { version, content } = self.clone();
        (Event::FetchServed { page, version, to }, Message::Fetched { page, version, content })
    }
}
