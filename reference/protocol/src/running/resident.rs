//! The process on the host where it runs, or last ran: a record for each page.
//!
//! This is what all phases that have the process share: page faults, pages that arrive, write-back, exit.

use std::collections::BTreeSet;

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence, Version};

use super::WriteBacks;
use super::context::{Arrival, Context, Handled, Stepped, View, misbehaved};
use crate::error::{Error, LocalFault, Misbehaviour, Refusal};
use crate::page::{PageBytes, PageKind};
use crate::page_set::PageSet;
use crate::policy::{Policy, Pre, Push};
use crate::wire::FormerHost;
use crate::wire::Message;
use crate::work::Work;

/// Everything about the process but the content of its pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// The migration that brought the process here; 0 where it was started.
    pub epoch: Epoch,
    /// A record for every page.
    pub pages: Vec<PageRecord>,
    /// The pages that only a former host has.
    pub owed: PageSet,
    /// The pages that the process waits for: those whose record says that they are requested. Where waking is a step of its own
    /// some of them may be here.
    pub waits: PageSet,
    /// The pages that this host has asked a former one for although nobody waits for them.
    pub pulled: PageSet,
    /// The pages owed that this host has not asked for like that, so that the next one is found at once.
    pub unpulled: PageSet,
    /// The pages here whose record says that they are dirty, so that none has to look at all of them.
    pub unsaved: PageSet,
    /// The hosts that still keep something of the process.
    pub former_hosts: Vec<FormerHost>,
    /// Registers as they were when the process arrived; opaque.
    pub registers: Vec<u8>,
    /// Whether the process came straight back: from where it had gone when it last left this host.
    pub returned: bool,
    /// Whether it was still owed pages when its state arrived.
    pub was_owed: bool,
    /// Whether the process has ended.
    pub exited: bool,
    /// Write-backs that the file server has not acknowledged.
    pub write_backs: WriteBacks,
    /// Pages to ask the file server for again, because the connection to it was lost.
    pub fetches_again: BTreeSet<PageNumber>,
    /// Former hosts that have died while they owed pages, until the process is at rest.
    pub dead: Vec<FormerHost>,
    /// The pages among those of which the file server has been asked for its version.
    pub asked: BTreeSet<PageNumber>,
}

/// What the host knows about one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// Where its current content is.
    pub location: Location,
    /// Whether it differs from its backing store, not counting writes that the memory still keeps to itself.
    pub dirty: bool,
    /// The last version written back.
    pub version: Version,
    /// Whether the process waits for it, be it that it is missing or that who waits has yet to be woken.
    pub requested: bool,
}

/// Where the current content of a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the memory of this host.
    Here,
    /// At a former host. Content with a sequence number up to this one is outdated.
    At(FormerHost, Sequence),
    /// At the file server.
    FileServer,
    /// In the local backing store.
    LocalStore,
}

impl PageRecord {
    /// A page as it is loaded from the program image.
    pub(crate) fn loaded() -> Self {
        let location = Location::Here;
        Self { location, dirty: false, version: Version(0), requested: false }
    }

    /// Whether only a former host has it.
    pub(crate) fn is_owed(&self) -> bool {
        matches!(self.location, Location::At(..))
    }
}

impl Resident {
    /// The process as these records have it, where nothing else is known of it.
    pub(crate) fn with_pages(pages: Vec<PageRecord>) -> Self {
        let unsaved = PageSet::filled(pages.len() as u64, |page| {
            let record = &pages[page.index()];
            record.dirty && record.location == Location::Here
        });
        let owed = PageSet::filled(pages.len() as u64, |page| pages[page.index()].is_owed());
        let waits = PageSet::empty(pages.len() as u64);
        let (pulled, unpulled) = (waits.clone(), owed.clone());
        Self { pages, owed, waits, pulled, unpulled, unsaved, ..Self::default() }
    }

    /// The record of a page; the caller has checked that it exists.
    pub(crate) fn page(&self, page: PageNumber) -> &PageRecord {
        &self.pages[page.index()]
    }

    fn page_mut(&mut self, page: PageNumber) -> &mut PageRecord {
        &mut self.pages[page.index()]
    }

    pub(crate) fn numbered(&self) -> impl Iterator<Item = (PageNumber, &PageRecord)> {
        (0..).map(PageNumber).zip(&self.pages)
    }

    pub(crate) fn is_here(&self, page: PageNumber) -> bool {
        self.page(page).location == Location::Here
    }

    /// Whether pre-copy is to bring the page to the destination: not one that its backing store has.
    pub(crate) fn is_to_copy(&self, page: PageNumber, policy: &Policy) -> bool {
        self.is_here(page) && (self.page(page).dirty || !policy.leaves_to_store())
    }

    /// The host that the process came from last, while that host keeps something of it.
    pub fn came_from(&self) -> Option<HostId> {
        let last = self.former_hosts.iter().find(|former| former.epoch == self.epoch);
        last.map(|former| former.host)
    }

    /// Whether copying may begin: not while the process waits for a page.
    pub(crate) fn check_start(&self, policy: &Policy) -> Result<(), Refusal> {
        let copies = matches!(policy.pre, Pre::Copy(_)) && !self.exited;
        match self.outstanding_request().filter(|_| copies) {
            Some(page) => Err(Refusal::RequestOutstanding(page)),
            None => Ok(()),
        }
    }

    pub(crate) fn outstanding_request(&self) -> Option<PageNumber> {
        self.waits.first_from(PageNumber(0))
    }

    /// Number of pages that only this former host has and that are still needed: of a process that has exited, those
    /// that have to be written back.
    pub(crate) fn owed_by(&self, host: HostId, view: View<'_>) -> u64 {
        self.needed_from(host, view).count() as u64
    }

    pub(super) fn needed_from(&self, host: HostId, view: View<'_>) -> impl Iterator<Item = PageNumber> {
        let needed = move |page| {
            !self.exited || view.policy.writes_back() && view.image.kind(page) == PageKind::FileMapped
        };
        let of_host = move |page| matches!(self.page(page).location, Location::At(at, _) if at.host == host);
        self.owed.iter().filter(move |&page| of_host(page) && needed(page))
    }

    /// The former host that owes an answer: for a page that was requested, or, where pages are pushed, for any.
    pub(crate) fn awaited_host(&self, pushed: bool) -> Option<HostId> {
        let pages = if pushed { &self.owed } else { &self.waits };
        pages.iter().find_map(|page| match self.page(page).location {
            Location::At(former, _) if !self.dead.contains(&former) => Some(former.host),
            _ => None,
        })
    }

    /// The process dies with a host that had pages which nobody else has. What the file server has not acknowledged
    /// of it, and the former hosts, which are to be told.
    pub(crate) fn perish(&mut self) -> (WriteBacks, Vec<FormerHost>) {
        let Self { former_hosts, write_backs, .. } = std::mem::take(self);
        (write_backs, former_hosts)
    }

    /// What went to the file server and was not answered is to be said again.
    pub(crate) fn say_again(&mut self) {
        self.write_backs.say_again();
        self.asked.clear();
        let fetched = |page: &PageNumber| self.page(*page).location == Location::FileServer;
        self.fetches_again = self.waits.iter().filter(fetched).collect();
    }

    pub(crate) fn repeat_due(&self, page: PageNumber) -> bool {
        self.fetches_again.contains(&page) || self.write_backs.is_due(page)
    }

    /// What is to be said to the file server again.
    pub(crate) fn repeats(&self) -> impl Iterator<Item = Work> + '_ {
        self.fetches_again.iter().copied().map(Work::Repeat).chain(self.write_backs.candidates())
    }

    pub(crate) fn repeat(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        if !self.fetches_again.remove(&page) {
            return self.write_backs.repeat(page, cx);
        }
        cx.send(Place::FileServer, self.epoch, Message::Fetch { page });
        Ok((self.epoch, Event::FetchRepeated { page }))
    }

    /// The process touched a page that is not in memory.
    pub(crate) fn fault(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        if self.exited {
            return Err(Refusal::Exited.into());
        }
        let record = self.pages.get(page.index()).ok_or(Refusal::NotMissing(page))?;
        let here = record.location == Location::Here;
        if cx.policy.wakes_apart() && (here || record.requested) {
            let woken = here && !record.requested;
            return Ok((self.epoch, Event::FaultHeard { page, woken }));
        }
        if record.requested {
            return Err(Refusal::RequestOutstanding(page).into());
        }
        let asked = match record.location {
            Location::Here => return Err(Refusal::NotMissing(page).into()),
            Location::LocalStore => return self.load(page, cx),
            Location::At(..) if self.is_orphaned(page) => return self.touch_orphan(page, cx),
            _ if !cx.has_room() => return Err(Refusal::OutboxFull.into()),
            // It was asked for ahead.
            Location::At(former, _) if self.pulled.contains(page) => former.host.into(),
            Location::At(former, _) => {
                cx.send(former.host, former.epoch, Message::Request { page });
                former.host.into()
            }
            Location::FileServer => {
                cx.send(Place::FileServer, self.epoch, Message::Fetch { page });
                Place::FileServer
            }
        };
        self.wait_for(page);
        Ok((self.epoch, Event::PageFaulted { page, asked }))
    }

    pub(super) fn wait_for(&mut self, page: PageNumber) {
        self.page_mut(page).requested = true;
        self.waits.insert(page);
    }

    /// Whether somebody waits for a page that is here.
    pub(crate) fn wake_due(&self, page: PageNumber) -> bool {
        !self.exited && self.waits.contains(page) && self.is_here(page)
    }

    /// Whom to wake.
    pub(crate) fn wakes(&self, policy: &Policy) -> impl Iterator<Item = Work> + '_ {
        let waits = policy.wakes_apart().then(|| self.waits.iter());
        waits.into_iter().flatten().filter(|&page| self.wake_due(page)).map(Work::Wake)
    }

    pub(crate) fn wake(&mut self, page: PageNumber) -> Stepped {
        if !self.wake_due(page) {
            return Err(Refusal::NotDue(Work::Wake(page)).into());
        }
        self.wait_no_more(page);
        Ok((self.epoch, Event::ThreadsWoken { page }))
    }

    fn wait_no_more(&mut self, page: PageNumber) {
        self.page_mut(page).requested = false;
        self.waits.remove(page);
    }

    /// The file server has the page that a host owed which is dead.
    pub(super) fn find_in_store(&mut self, page: PageNumber) {
        self.page_mut(page).location = Location::FileServer;
        self.owed.remove(page);
        self.pulled.remove(page);
    }

    /// Whether to ask for a page that nobody waits for: not while the process waits for another one.
    pub(crate) fn pull_due(&self, page: PageNumber, policy: &Policy) -> bool {
        self.may_pull(policy) && self.unpulled.contains(page) && !self.waits.contains(page)
    }

    fn may_pull(&self, policy: &Policy) -> bool {
        let waits = || self.waits.iter().any(|page| self.page(page).is_owed());
        policy.push == Push::Pull && !self.exited && !waits()
    }

    pub(crate) fn pulls<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = Work> + 'a {
        let unpulled = self.may_pull(policy).then(|| self.unpulled.iter());
        unpulled.into_iter().flatten().filter(|&page| !self.waits.contains(page)).map(Work::Pull)
    }

    pub(crate) fn pull(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        let Location::At(former, _) = self.page(page).location else {
            return Err(Refusal::NotMissing(page).into());
        };
        if !cx.has_room() {
            return Err(Refusal::OutboxFull.into());
        }
        cx.send(former.host, former.epoch, Message::Request { page });
        self.pulled.insert(page);
        self.unpulled.remove(page);
        Ok((self.epoch, Event::PagePulled { page, asked: former.host }))
    }

    /// Over a new connection nothing comes that was asked for on the old one.
    pub(crate) fn pull_again(&mut self, peer: HostId) {
        let of_peer =
            |page: &PageNumber| matches!(self.page(*page).location, Location::At(at, _) if at.host == peer);
        let asked: Vec<_> = self.pulled.iter().filter(of_peer).collect();
        asked.into_iter().for_each(|page| {
            self.pulled.remove(page);
            self.unpulled.insert(page);
        });
    }

    fn load(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        self.load_image(page, cx)?;
        Ok((self.epoch, Event::PageLoaded { page }))
    }

    /// The page as it is in the local backing store.
    pub(super) fn load_image(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Result<(), Error> {
        let content = cx.image.content(page).ok_or(Refusal::NotMissing(page))?;
        Ok(self.install(page, content, cx)?)
    }

    pub(super) fn install(
        &mut self,
        page: PageNumber,
        content: &PageBytes,
        cx: &mut Context<'_>,
    ) -> Result<(), LocalFault> {
        cx.memory.install(page, content)?;
        self.owed.remove(page);
        if !cx.policy.wakes_apart() {
            self.wait_no_more(page);
        }
        self.pulled.remove(page);
        self.unpulled.remove(page);
        let record = self.page_mut(page);
        record.location = Location::Here;
        if record.dirty {
            self.unsaved.insert(page);
        }
        self.fetches_again.remove(&page);
        Ok(())
    }

    /// A page message from a host.
    pub(crate) fn page_arrived(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> Handled {
        let &Arrival { from, epoch, page, number, content } = arrival;
        match self.page(page).location {
            // What it had sent before it died is lost; another machine there does not have it.
            Location::At(..) if self.is_orphaned(page) => Ok(None),
            Location::At(former, outdated) if former == (FormerHost { host: from, epoch }) => {
                if number <= outdated.0 {
                    return Ok(None);
                }
                if number > outdated.0 + 1 {
                    return Err(arrival.number_ahead(MessageKind::Page, outdated.0 + 1));
                }
                self.install(page, content, cx)?;
                let sequence = Sequence(number);
                Ok(Some((epoch, Event::PageInstalled { page, sequence, from })))
            }
            Location::Here => Ok(None),
            _ if epoch < self.epoch => Ok(None),
            _ => Err(arrival.not_owed(MessageKind::Page)),
        }
    }

    /// The file server's answer to a fetch.
    pub(crate) fn page_fetched(
        &mut self,
        epoch: Epoch,
        (page, version): (PageNumber, Version),
        content: &PageBytes,
        cx: &mut Context<'_>,
    ) -> Handled {
        let (kind, record) = (MessageKind::Fetched, self.page(page));
        if record.location == Location::Here || epoch < self.epoch {
            return Ok(None);
        }
        let misbehaviour = if record.location != Location::FileServer || !record.requested {
            Some(Misbehaviour::NotOwed { kind, page })
        } else if version < record.version {
            Some(Misbehaviour::StoreWentBack { page, served: version.0, acknowledged: record.version.0 })
        } else if version > record.version {
            Some(Misbehaviour::NumberAhead { kind, page, number: version.0, latest: record.version.0 })
        } else {
            None
        };
        if let Some(what) = misbehaviour {
            return Err(misbehaved(Place::FileServer, what));
        }
        self.install(page, content, cx)?;
        Ok(Some((epoch, Event::PageFetched { page, version })))
    }

    /// The file server's acknowledgement of a write-back.
    pub(crate) fn write_back_done(&mut self, epoch: Epoch, page: PageNumber, version: Version) -> Handled {
        let latest = self.page(page).version;
        self.write_backs.done(epoch, (page, version), Some(latest))
    }

    /// Whether the page differs from its backing store, including writes that nobody has asked the memory for.
    pub(crate) fn is_dirty(&self, page: PageNumber, view: View<'_>) -> bool {
        self.page(page).dirty || view.memory.is_written(page)
    }

    /// Takes over from the memory that a page was written; true if it is here.
    pub(crate) fn note_written(&mut self, page: PageNumber) -> bool {
        let here = self.is_here(page);
        if here {
            self.page_mut(page).dirty = true;
            self.unsaved.insert(page);
        }
        here
    }

    /// Whether this host may send the page to the file server now.
    pub(crate) fn can_send_to_store(&self, page: PageNumber, view: View<'_>) -> bool {
        let record = self.page(page);
        record.location == Location::Here && !self.write_backs.contains(page) && self.is_dirty(page, view)
    }

    /// Whether the page is to be written back, in an algorithm that does so all along.
    pub(crate) fn write_back_due(&self, page: PageNumber, view: View<'_>) -> bool {
        view.policy.writes_back()
            && view.image.kind(page) == PageKind::FileMapped
            && self.can_send_to_store(page, view)
    }

    /// Sends a page to the file server. From here on it is clean, but not yet safe.
    pub(crate) fn send_to_store(
        &mut self,
        page: PageNumber,
        cx: &mut Context<'_>,
    ) -> Result<Version, LocalFault> {
        let counter = self.page(page).version.0.checked_add(1).ok_or(LocalFault::CounterExhausted(page))?;
        let version = Version(counter);
        cx.memory.take_written(page)?;
        let content = cx.memory.copy_out(page)?;
        let epoch = self.epoch;
        let record = self.page_mut(page);
        *record = PageRecord { dirty: false, version, ..*record };
        self.unsaved.remove(page);
        self.write_backs.send(page, (epoch, version), content, cx);
        Ok(version)
    }

    pub(crate) fn write_back(&mut self, page: PageNumber, cx: &mut Context<'_>) -> Stepped {
        let version = self.send_to_store(page, cx)?;
        Ok((self.epoch, Event::PageWrittenBack { page, version }))
    }

    pub(crate) fn exit(&mut self, cx: &mut Context<'_>) -> Stepped {
        if self.exited {
            return Err(Refusal::Exited.into());
        }
        cx.freeze()?;
        self.exited = true;
        Ok((self.epoch, Event::ProcessExited))
    }

    /// Whether nothing of an exited process is needed any more. Where file-mapped pages are written back, every
    /// write must be safe: those made here, and those whose page a former host still has to send.
    pub(crate) fn release_due(&self, view: View<'_>) -> bool {
        if !self.exited || !view.policy.writes_back() {
            return self.exited;
        }
        // A shared page is left at a former host only while it is modified or its write-back is under way, and only
        // that host knows when this is over; the page follows then.
        let file_mapped = |page| view.image.kind(page) == PageKind::FileMapped;
        self.write_backs.is_empty()
            && view.write_backs(self).next().is_none()
            && !self.owed.iter().any(file_mapped)
    }

    /// Frees everything and tells the former hosts, and the destination of a migration that has begun.
    pub(crate) fn release(&mut self, underway: Option<FormerHost>, cx: &mut Context<'_>) -> Stepped {
        cx.discard_all()?;
        let mut told: Vec<HostId> = Vec::new();
        for FormerHost { host, epoch } in self.former_hosts.drain(..).chain(underway) {
            cx.say_exit(FormerHost { host, epoch });
            told.push(host);
        }
        Ok((self.epoch, Event::ProcessReleased { told }))
    }
}
