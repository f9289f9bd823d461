//! A process as the memory of a host: pages read, put in and taken out.

use std::sync::mpsc::channel;
use std::time::Instant;

use linux::userfault::Installed;
use linux::{AddressRange, LinuxError, PAGE_SIZE};
use protocol::memory::{Memory, MemoryError};
use protocol::page::{PAGE_SIZE as PAGE_LEN, PageBytes};
use protocol::page_set::PageSet;
use steplog::page::PageNumber;

use super::events::{CHANGES, EVENTS_PATIENCE, EVENTS_PAUSE};
use super::stock::joined;
use super::{Body, LiveProcess};
use crate::subject::{Alarm, Subject as _};

impl LiveProcess {
    fn put(&self, place: u64, content: &PageBytes) -> Result<Installed, LinuxError> {
        let bytes = content.as_slice();
        let zero = bytes.iter().all(|byte| *byte == 0);
        match (&self.body, &self.memory) {
            (Body::Built(destination), _) => destination.put(place, bytes),
            (Body::Prepared(prepared), _) => prepared.put(place, bytes),
            (_, Some(memory)) if zero => memory.install_zero(place),
            (_, Some(memory)) => memory.install(place, bytes),
            _ => Ok(Installed::ProcessEnded),
        }
    }

    /// Puts in what has come and waits for more of it.
    pub(super) fn put_arrived(&mut self) -> Result<(), MemoryError> {
        let mut arrived = std::mem::take(&mut self.arrived);
        let together = match &self.body {
            Body::Built(destination) if !arrived.is_empty() => {
                matches!(destination.put(arrived.place(), arrived.bytes()), Ok(Installed::Done))
            }
            _ => false,
        };
        if !together {
            arrived.pages().try_for_each(|(page, content)| self.put_in(page, &content))?;
        }
        arrived.clear();
        self.arrived = arrived;
        Ok(())
    }

    fn put_in(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        let mut began = None;
        let mut arrived = false;
        // The process may change its address space at the same time: where the page is, and whether it is, is looked up each time.
        loop {
            if self.void.contains(page) {
                // Whoever asked before it was discarded goes on.
                self.wake(page);
                return Ok(());
            }
            let Some(place) = self.table.place_of(page) else {
                self.unplaced.insert(page, content.clone());
                return Ok(());
            };
            if !std::mem::replace(&mut arrived, true) {
                self.stored.note_arrived(page, content);
            }
            let error = match self.put(place, content) {
                Ok(Installed::NoSuchPlace) => {
                    return self.stored.put(page, content).map_err(|error| {
                        tracing::error!(%error, %page, "a page could not be put into its file");
                        MemoryError::Absent(page)
                    });
                }
                Ok(Installed::EventsFirst)
                    if began.get_or_insert_with(Instant::now).elapsed() < EVENTS_PATIENCE =>
                {
                    self.read_events();
                    std::thread::sleep(EVENTS_PAUSE);
                    continue;
                }
                Ok(Installed::EventsFirst) => LinuxError::CannotFollow(CHANGES.to_owned()),
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            tracing::error!(%error, %page, "a page could not be put in");
            return Err(MemoryError::Absent(page));
        }
    }
}

impl Memory for LiveProcess {
    fn page_count(&self) -> u64 {
        self.table.page_count()
    }

    fn is_present(&self, page: PageNumber) -> bool {
        self.present.contains(page)
    }

    fn is_written(&self, page: PageNumber) -> bool {
        self.written.contains(page)
    }

    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        self.written.first_from(from)
    }

    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        let written = self.written.remove(page);
        if written {
            // A mark of one page is taken when that page is about to be sent.
            self.stored.note_sent(page);
        }
        Ok(written)
    }

    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        if let Some(content) = self.stored.content(page) {
            return Ok(content);
        }
        let Some(place) = self.table.place_of(page) else { return Ok(PageBytes::zeroed()) };
        if let Some(content) = self.read_ahead(page, place) {
            return Ok(content);
        }
        let mut bytes = [0; PAGE_LEN];
        let read = match (&self.body, self.source()) {
            (_, Some(source)) => source.read(place * PAGE_SIZE, &mut bytes),
            (Body::Came(resumed), None) => resumed.read(place * PAGE_SIZE, &mut bytes),
            _ => return Err(MemoryError::Absent(page)),
        };
        // What is not mapped any more, or behind the end of its file, is nobody's content.
        if read.is_err() {
            bytes = [0; PAGE_LEN];
        }
        Ok(PageBytes::from(bytes))
    }

    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.written.remove(page);
        self.present.insert(page);
        match self.table.place_of(page) {
            Some(place) if matches!(self.body, Body::Built(_)) && !self.stored.contains(page) => {
                if !self.arrived.takes(page, place) {
                    self.put_arrived()?;
                }
                self.arrived.push(page, place, content);
                Ok(())
            }
            _ => self.put_in(page, content),
        }
    }

    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.put_arrived()?;
        let was_present = self.present.remove(page);
        self.written.remove(page);
        self.unplaced.remove(&page);
        let Some(place) = self.table.place_of(page).filter(|_| was_present) else { return Ok(()) };
        let range = AddressRange::of_page(place);
        let discarded = match &mut self.body {
            Body::Built(destination) => destination.discard(&[range]),
            Body::Prepared(prepared) => prepared.discard(&[range]),
            _ => Ok(()),
        };
        discarded.map_err(|error| {
            tracing::error!(%error, %page, "a page could not be taken out");
            MemoryError::Absent(page)
        })
    }

    fn written_pages(&self) -> Result<PageSet, MemoryError> {
        Ok(self.written.clone())
    }

    fn take_written_pages(&mut self) -> Result<PageSet, MemoryError> {
        let none = PageSet::empty(self.table.page_count());
        Ok(std::mem::replace(&mut self.written, none))
    }

    fn discard_all(&mut self) -> Result<(), MemoryError> {
        if !matches!(self.body, Body::Built(_) | Body::Prepared(_)) {
            // What holds them goes as a whole.
            self.present = PageSet::empty(self.table.page_count());
            return Ok(());
        }
        self.discard_all_but(&PageSet::empty(self.page_count()))
    }

    /// In one go: taking pages out uncovers their whole mapping for a moment, and covers it again.
    fn discard_all_but(&mut self, kept: &PageSet) -> Result<(), MemoryError> {
        self.put_arrived()?;
        let dropped: Vec<_> = self.present.iter().filter(|page| !kept.contains(*page)).collect();
        let mut places: Vec<_> = dropped.iter().filter_map(|page| self.table.place_of(*page)).collect();
        places.sort_unstable();
        let ranges = joined(places.into_iter().map(AddressRange::of_page));
        for page in &dropped {
            self.present.remove(*page);
            self.unplaced.remove(page);
        }
        for page in self.written.iter().filter(|page| !kept.contains(*page)).collect::<Vec<_>>() {
            self.written.remove(page);
        }
        let discarded = match &mut self.body {
            Body::Built(destination) => destination.discard(&ranges),
            Body::Prepared(prepared) => prepared.discard(&ranges),
            _ => Ok(()),
        };
        discarded.map_err(|error| {
            tracing::error!(%error, "pages could not be taken out");
            MemoryError::Absent(dropped.first().copied().unwrap_or(PageNumber(0)))
        })
    }

    /// It is frozen by [`stop`](crate::subject::Subject::stop), which also says its state.
    fn freeze(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.body = match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Frozen(frozen) => match frozen.thaw() {
                Ok(source) => Body::Here(source),
                Err(error) => {
                    tracing::error!(%error, "the process could not be let go again");
                    self.exited();
                    Body::Gone
                }
            },
            Body::Prepared(prepared) => {
                let (sender, going) = channel();
                let alarm = self.alarm.clone();
                // It may need pages to get going, which only the driver can get.
                std::thread::spawn(move || {
                    let resumed = prepared.go().map(|resumed| (resumed, Instant::now()));
                    if sender.send(resumed).is_ok() {
                        alarm.iter().for_each(Alarm::ring);
                    }
                });
                Body::Going(going)
            }
            other => other,
        };
        match self.body {
            Body::Gone => Err(MemoryError::ProcessGone),
            _ => Ok(()),
        }
    }
}
