//! From what was observed to the log of steps.
//!
//! A fact that the log has no word for leaves no line, and a line that needs what nobody saw is not written.

use std::collections::{HashMap, HashSet};

use steplog::event::{Bytes, Event, Step};
use steplog::fate::{Cause, Fate};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence};

use crate::account::{Account, SentRole};
use crate::fact::{Fact, HostSide, PageRange};
use crate::merge::MergedPage;

/// Writes steps.
#[derive(Debug, Default)]
pub struct Scribe {
    base_us: Option<u64>,
    at_us: u64,
    pass: u32,
    /// Pages that have arrived and are not in place.
    arrived: HashMap<u32, u32>,
    discarded: Vec<PageRange>,
    owed_again: Vec<PageNumber>,
    /// The destination has been told to expect a migration, as far as any line says.
    expected: bool,
    /// Pages that were asked for, and the request has not been heard.
    asked: HashSet<u32>,
    without_go: bool,
}

const SOURCE: HostId = HostId(0);
const DESTINATION: HostId = HostId(1);
const EPOCH: Epoch = Epoch(1);

impl Scribe {
    /// Of a run that has not begun; `without_go` as in [`ObserveTask`](crate::observation::ObserveTask::without_go).
    pub fn new(without_go: bool) -> Self {
        Self { without_go, ..Self::default() }
    }

    /// The steps that an observation makes, given to `write`; `account` has just taken it in.
    ///
    /// # Errors
    /// What `write` reports.
    pub fn tell<E>(
        &mut self,
        merged: &MergedPage,
        account: &Account<'_>,
        write: &mut dyn FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let observed = &merged.observed;
        if let Some(at_us) = observed.at_us {
            self.base_us.get_or_insert(at_us);
            self.at_us = at_us;
        }
        let at_ns = self.at_us.saturating_sub(self.base_us.unwrap_or(0)).saturating_mul(1000);
        let host = match observed.side {
            HostSide::Source => SOURCE,
            HostSide::Destination => DESTINATION,
        };
        let place = Place::Host(host);
        let step = |event, place| Step { at_ns, place, epoch: EPOCH, event };
        let mut write = |event, place| write(step(event, place));
        match &observed.fact {
            Fact::RequestReceived(pages) => {
                for page in pages.iter() {
                    // After a recovery what is still missing is asked for again, without another fault.
                    if self.asked.remove(&page) {
                        write(request(page, account), place)?;
                    }
                }
                Ok(())
            }
            // One that waits for a connection expects whatever comes.
            Fact::Started | Fact::Expected if !std::mem::replace(&mut self.expected, true) => {
                write(Event::MigrationExpected { from: SOURCE }, Place::Host(DESTINATION))?;
                self.event(merged, account).map_or(Ok(()), |event| write(event, place))
            }
            Fact::Installed(pages) => {
                for page in pages.iter() {
                    if let Some(sequence) = self.arrived.remove(&page) {
                        write(installed(page, sequence), place)?;
                    }
                }
                Ok(())
            }
            _ => self.event(merged, account).map_or(Ok(()), |event| write(event, place)),
        }
    }

    fn event(&mut self, merged: &MergedPage, account: &Account<'_>) -> Option<Event> {
        let &MergedPage { ref observed, page, sequence } = merged;
        Some(match observed.fact {
            Fact::Started => Event::MigrationStarted { to: DESTINATION },
            Fact::Expected => return None,
            Fact::PassBegun => {
                self.pass = self.pass.max(1) + 1;
                Event::PassBegun { pass: self.pass }
            }
            Fact::Suspended => Event::ProcessSuspended {
                registers: Bytes::default(),
                code_page: None,
                stack_page: None,
                switched: false,
            },
            Fact::Sent { page, .. } => self.sent(page, sequence, account.last_role()),
            Fact::StateSent => Event::StateSent { to: DESTINATION },
            Fact::HandedOver if self.without_go => return None,
            Fact::HandedOver => Event::ProcessHandedOver { to: DESTINATION },
            Fact::ReadinessDeclared => Event::ReadinessDeclared { to: SOURCE },
            Fact::ReadinessLearned => Event::ReadinessLearned { from: DESTINATION },
            Fact::CompletionLearned => Event::CompletionLearned { from: DESTINATION },
            Fact::Destroyed => Event::ImageDestroyed { told: None },
            Fact::Cancelled => Event::MigrationCancelled { to: DESTINATION },
            // Only what must not be: before the hand-over the process is simply still where it was.
            Fact::RunsAtSource if account.is_handed_over() => Event::ProcessResumed { from: SOURCE },
            Fact::Arrived { .. } => {
                if let Some(page) = page {
                    self.arrived.insert(page, sequence);
                }
                return None;
            }
            Fact::Discarded(pages) => {
                self.discarded.push(pages);
                return None;
            }
            Fact::StateAccepted => {
                let pages = std::mem::take(&mut self.discarded);
                let pages = pages.into_iter().flat_map(PageRange::iter);
                let copied = pages.filter(|page| account.was_sent_before_suspension(*page));
                let discarded = copied.map(|page| PageNumber(page.into())).collect();
                Event::StateAccepted { from: SOURCE, discarded }
            }
            Fact::Resumed => Event::ProcessResumed { from: SOURCE },
            Fact::Faulted(page) if account.faults_for_the_first_time(page) => {
                self.asked.insert(page);
                Event::PageFaulted { page: PageNumber(page.into()), asked: Place::Host(SOURCE) }
            }
            Fact::CompletionDeclared => Event::CompletionDeclared { told: vec![SOURCE] },
            Fact::Disconnected => Event::PeerDisconnected {
                peer: self.peer(observed.side),
                fate: account.is_suspended().then_some(Fate::Paused(Cause::ConnectionLost)),
            },
            Fact::Connected => Event::PeerConnected {
                peer: self.peer(observed.side),
                resync: (observed.side == HostSide::Destination).then_some(Progress::Running),
            },
            Fact::ProgressLearned(_) => {
                self.owed_again.extend(account.owed_again().iter().map(|page| PageNumber((*page).into())));
                return None;
            }
            Fact::ResyncCompleted => Event::ResyncAccepted {
                from: DESTINATION,
                progress: Progress::Running,
                owed_again: std::mem::take(&mut self.owed_again),
                // The source remembers what it was asked for over the old connection.
                requested: account
                    .requested_pages()
                    .into_iter()
                    .map(|page| PageNumber(page.into()))
                    .collect(),
            },
            _ => return None,
        })
    }

    fn sent(&self, page: u32, sequence: u32, role: SentRole) -> Event {
        let (page, sequence) = (PageNumber(page.into()), Sequence(sequence.into()));
        match role {
            SentRole::Copied => Event::PageCopied { page, sequence, pass: self.pass.max(1), to: DESTINATION },
            SentRole::Transferred => Event::PageTransferred { page, sequence, to: DESTINATION },
            SentRole::Served => Event::PageServed { page, sequence, to: DESTINATION },
            SentRole::Pushed => Event::PagePushed { page, sequence, to: DESTINATION },
        }
    }

    fn peer(&self, side: HostSide) -> Place {
        Place::Host(match side {
            HostSide::Source => DESTINATION,
            HostSide::Destination => SOURCE,
        })
    }
}

fn installed(page: u32, sequence: u32) -> Event {
    Event::PageInstalled { page: PageNumber(page.into()), sequence: Sequence(sequence.into()), from: SOURCE }
}

/// A request for a page that is on its way, or has been, changes nothing.
fn request(page: u32, account: &Account<'_>) -> Event {
    let page_number = PageNumber(page.into());
    match account.is_owed(page) {
        true => Event::RequestAccepted { page: page_number, from: DESTINATION },
        false => Event::MessageIgnored {
            kind: MessageKind::Request,
            page: Some(page_number),
            number: None,
            from: Place::Host(DESTINATION),
        },
    }
}
