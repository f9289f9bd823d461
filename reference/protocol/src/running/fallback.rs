//! What a dead machine owed comes from a backing store, where that has its last content.
//!
//! ```text
//!   dirty map     write-back        word of the machine's death
//!   modified                        the process is lost: nobody else had the page
//!   unmodified    never             loaded from the local backing store
//!   unmodified    was under way     the file server is asked for its version: the last one, and the page comes from there;
//!                                   or an older one, and the process is lost
//! ```
//!
//! The process runs on meanwhile, and waits for such a page if it touches it. When none is left it is complete, and at rest if there
//! is nobody to be told.

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Version};

use super::context::{Context, Handled, Stepped, View, misbehaved};
use super::{Location, Resident};
use crate::error::Misbehaviour;
use crate::page::PageKind;
use crate::wire::Message;
use crate::work::Work;

impl Resident {
    /// Of the pages that are still needed from this host, how many no backing store can have.
    pub(crate) fn owed_by_alone(&self, host: HostId, view: View<'_>) -> u64 {
        self.needed_from(host, view).filter(|&page| self.page(page).dirty).count() as u64
    }

    /// The host is dead, and nothing is lost yet: what it owed falls back.
    pub(crate) fn outlive(&mut self, host: HostId) {
        self.dead.extend(self.former_hosts.iter().filter(|former| former.host == host));
        self.former_hosts.retain(|former| former.host != host);
        let orphans: Vec<_> = self.owed.iter().filter(|&page| self.is_orphaned(page)).collect();
        for page in orphans {
            self.unpulled.remove(page);
        }
    }

    /// Whether pages that dead hosts owed have yet to come from a backing store.
    pub fn falls_back(&self) -> bool {
        !self.dead.is_empty() && self.owed.iter().any(|page| self.is_orphaned(page))
    }

    /// Whether the page is owed by a host that is dead.
    pub(crate) fn is_orphaned(&self, page: PageNumber) -> bool {
        matches!(self.page(page).location, Location::At(former, _) if self.dead.contains(&former))
    }

    pub(crate) fn fall_back_due(&self, page: PageNumber) -> bool {
        self.is_orphaned(page) && !self.asked.contains(&page)
    }

    /// What falls back, first what the process waits for.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = Work> + '_ {
        let falls = !self.dead.is_empty();
        let pages = falls.then(|| self.waits.iter().chain(self.owed.iter()));
        pages.into_iter().flatten().filter(|&page| self.fall_back_due(page)).map(Work::FallBack)
    }

    pub(crate) fn fall_back(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        if is_on_file_server(page, cx.view()) {
            cx.send(Place::FileServer, self.epoch, Message::AskVersion { page });
            self.asked.insert(page);
            return Ok((self.epoch, Event::VersionAsked { page }));
        }
        self.load_image(page, cx)?;
        Ok((self.epoch, Event::PageFellBack { page, version: None }))
    }

    /// The process has touched a page that falls back: where it waits for it, if it is not loaded at once.
    pub(super) fn touch_orphan(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        if is_on_file_server(page, cx.view()) {
            self.wait_for(page);
            return Ok((self.epoch, Event::PageFaulted { page, asked: Place::FileServer }));
        }
        self.load_image(page, cx)?;
        Ok((self.epoch, Event::PageLoaded { page }))
    }

    /// The file server says which version of a page it has.
    pub(crate) fn version_told(
        &mut self,
        epoch: Epoch,
        (page, version): (PageNumber, Version),
        cx: &mut Context<'_>,
    ) -> Handled {
        let (kind, latest) = (MessageKind::VersionTold, self.page(page).version);
        if version > latest {
            let (number, latest) = (version.0, latest.0);
            return Err(misbehaved(
                Place::FileServer,
                Misbehaviour::NumberAhead { kind, page, number, latest },
            ));
        }
        if epoch < self.epoch || !self.asked.remove(&page) {
            return Ok(None);
        }
        if version < latest {
            return Ok(Some((epoch, Event::PageLost { page, version })));
        }
        self.find_in_store(page);
        if self.page(page).requested {
            cx.send(Place::FileServer, self.epoch, Message::Fetch { page });
        }
        Ok(Some((epoch, Event::PageFellBack { page, version: Some(version) })))
    }
}

/// Whether the page's backing store is the file server.
pub(crate) fn is_on_file_server(page: PageNumber, view: View<'_>) -> bool {
    view.policy.writes_back() && view.image.kind(page) == PageKind::FileMapped
}
