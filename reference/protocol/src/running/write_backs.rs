//! Write-backs that the file server has not acknowledged.

use std::collections::BTreeMap;

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, Place, Version};

use crate::error::{Misbehaviour, Refusal};
use crate::page::PageBytes;
use crate::running::context::{Context, Handled, Stepped, misbehaved};
use crate::wire::Message;
use crate::work::Work;

/// Write-backs that the file server has not acknowledged: at most one a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBacks(pub BTreeMap<PageNumber, WriteBack>);

/// A write-back that the file server has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// The migration in which it was sent.
    pub epoch: Epoch,
    /// Its version.
    pub version: Version,
    /// What was sent. Said again, a version has the same content, whatever has been written to the page since.
    pub content: PageBytes,
    /// Whether the connection to the file server was lost since, so that it is to be said again.
    pub again: bool,
}

impl WriteBacks {
    /// Whether a write-back of the page is under way.
    pub fn contains(&self, page: PageNumber) -> bool {
        self.0.contains_key(&page)
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends a page to the file server, and remembers it until that is acknowledged.
    pub(crate) fn send(
        &mut self,
        page: PageNumber,
        (epoch, version): (Epoch, Version),
        content: PageBytes,
        cx: &mut Context<'_>,
    ) {
        self.0.insert(page, WriteBack { epoch, version, content: content.clone(), again: false });
        cx.send(Place::FileServer, epoch, Message::WriteBack { page, version, content });
    }

    /// The file server's acknowledgement. `latest` is the last version of the page that was written back from here.
    pub(crate) fn done(
        &mut self,
        epoch: Epoch,
        (page, version): (PageNumber, Version),
        latest: Option<Version>,
    ) -> Handled {
        let outstanding = self.0.get(&page);
        if let Some(latest) =
            latest.or(outstanding.map(|write_back| write_back.version)).filter(|latest| version > *latest)
        {
            let (kind, number, latest) = (MessageKind::WriteBackDone, version.0, latest.0);
            return Err(misbehaved(
                Place::FileServer,
                Misbehaviour::NumberAhead { kind, page, number, latest },
            ));
        }
        if outstanding.is_none_or(|write_back| (write_back.epoch, write_back.version) != (epoch, version)) {
            return Ok(None);
        }
        self.0.remove(&page);
        Ok(Some((epoch, Event::WriteBackAcknowledged { page, version })))
    }

    /// The file server is there again: what it has not acknowledged it may never have got.
    pub(crate) fn say_again(&mut self) {
        self.0.values_mut().for_each(|write_back| write_back.again = true);
    }

    /// What is to be said again.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Work> + '_ {
        self.0.iter().filter(|(_, write_back)| write_back.again).map(|(page, _)| Work::Repeat(*page))
    }

    pub(crate) fn is_due(&self, page: PageNumber) -> bool {
        self.0.get(&page).is_some_and(|write_back| write_back.again)
    }

    /// Says it again: same version, same content.
    pub(crate) fn repeat(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        let write_back = self.0.get_mut(&page).filter(|write_back| write_back.again);
        let WriteBack { epoch, version, content, again } =
            write_back.ok_or(Refusal::NotDue(Work::Repeat(page)))?;
        *again = false;
        let (epoch, version, content) = (*epoch, *version, content.clone());
        cx.send(Place::FileServer, epoch, Message::WriteBack { page, version, content });
        Ok((epoch, Event::WriteBackRepeated { page, version }))
    }
}
