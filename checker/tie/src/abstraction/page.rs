//! A page's record.

use model::page::{Currency, DirtyLog, Holding, Kind, Neglect, Plan, Transit, WriteBack};
use model::paging::Aside;
use model::strategy::{Clean, Fallback, Freeze, LogReading, Pre};
use model::{Page, Phase};
use protocol::host::{Host, Location, PageRecord};
use protocol::memory::Memory;
use protocol::page::{PageBytes, PageKind};
use protocol::source::{Pass, Shadow};
use protocol::wire::{Channel, Message, Whereabouts};
use steplog::page::PageNumber;
use steplog::place::{HostId, Place};

use super::Unmapped;
use super::scene::{Scene, shadow};
use crate::network::{Flight, FlightFate};

/// A page in a scene.
struct Look<'s, 'a> {
    scene: &'s Scene<'a>,
    page: PageNumber,
    record: &'s PageRecord,
    plan: Plan,
}

pub(super) fn page(scene: &Scene<'_>, page: PageNumber) -> Result<Page, Unmapped> {
    let missing = || Unmapped(format!("{page} is missing from the process"));
    let record = scene.resident.pages.get(page.index()).ok_or_else(missing)?;
    // What is not read here is read below, through `Look`.
    let PageRecord { location: _, dirty: _, version: _, requested } = *record;
    let plan = plan(scene, page, record)?;
    let look = Look { scene, page, record, plan };
    let strategy = &scene.rig.migration.strategy;
    let mapped = strategy.tells_kinds_apart() && scene.rig.image.kind(page) == PageKind::FileMapped;
    let (content, older) = look.contents();
    let apart = !content.is_idle() && look.is_apart();
    Ok(Page {
        kind: if mapped { Kind::FileMapped } else { Kind::Private },
        source: look.at_source(),
        destination: look.at_destination(),
        third: look.at_third(),
        store: look.in_store(),
        dirty: strategy.tracks_dirty() && look.is_dirty(),
        log: look.log(),
        plan,
        sent: look.is_sent(),
        waiting: requested,
        request: look.request(),
        asked: look.is_asked(),
        content,
        older,
        echo: look.echo(|message| matches!(message, Message::Page { .. } | Message::Fetched { .. })),
        write_back: look.write_back()?,
        write_back_echo: look.echo(|message| matches!(message, Message::WriteBack { .. })),
        crossings: look.crossings(),
        stray: look.stray(),
        // An endpoint that keeps and answers its requests; one that does not is told by its steps.
        neglect: Neglect::None,
        aside: Aside { late: look.is_late(), pulled: look.is_pulled(), apart, ..Aside::NONE },
    })
}

/// The way to the page, from the plan on its way or from the destination's record.
fn plan(scene: &Scene<'_>, page: PageNumber, record: &PageRecord) -> Result<Plan, Unmapped> {
    let at = |host: HostId| match host {
        host if host == scene.source => Plan::FromSource,
        host if host == scene.destination => Plan::Travelled,
        _ => Plan::FromThird,
    };
    match scene.phase {
        Phase::Rest
        | Phase::Announced
        | Phase::Expected
        | Phase::PreCopy { .. }
        | Phase::Freeze
        | Phase::Forgotten => Ok(Plan::Undecided),
        Phase::Offered | Phase::Entrusted => {
            let entry = scene.offer.and_then(|offer| offer.plan.entries().nth(page.index()));
            match entry.map(|entry| entry.whereabouts) {
                Some(Whereabouts::Travelled(_)) => Ok(Plan::Travelled),
                // It has been pushed, and has overtaken the state.
                Some(Whereabouts::At(former, outdated)) if scene.has_overtaken(page, former, outdated) => {
                    Ok(Plan::Settled)
                }
                Some(Whereabouts::At(former, _)) => Ok(at(former.host)),
                Some(Whereabouts::FileServer | Whereabouts::LocalStore) => Ok(Plan::FromStore),
                None => Err(Unmapped(format!("{page} is not in the plan"))),
            }
        }
        _ => Ok(match record.location {
            Location::Here if scene.phase == Phase::Loading && is_pushed(scene, page) => Plan::Settled,
            Location::Here if matches!(scene.phase, Phase::Rebuilding | Phase::Loading) => Plan::Travelled,
            Location::Here => Plan::Settled,
            Location::At(..) if scene.awaited.is_some_and(|awaited| awaited.contains(page)) => {
                Plan::Travelled
            }
            Location::At(former, _) => at(former.host),
            Location::FileServer | Location::LocalStore => Plan::FromStore,
        }),
    }
}

/// Has the source sent the page although it stays there?
fn is_pushed(scene: &Scene<'_>, page: PageNumber) -> bool {
    scene.shadow.is_some_and(|shadow| shadow.served.contains(page))
}

impl Look<'_, '_> {
    fn currency(&self, content: &PageBytes) -> Currency {
        let newest = self.scene.rig.newest.get(self.page.index());
        if newest == Some(content) { Currency::Current } else { Currency::Stale }
    }

    /// The host's copy, as its memory has it.
    fn held(&self, host: HostId) -> Holding {
        let memory = self.scene.rig.host(host).map(Host::memory);
        let content = memory.and_then(|memory| memory.copy_out(self.page).ok());
        content.map_or(Holding::Absent, |content| Holding::Held(self.currency(&content)))
    }

    fn held_if(&self, has: bool, host: HostId) -> Holding {
        if has { self.held(host) } else { Holding::Absent }
    }

    /// A former host keeps the bytes of pages that it does not owe until it is told to destroy them; they are dead.
    fn at_source(&self) -> Holding {
        let Scene { phase, source, .. } = *self.scene;
        let has = match phase {
            Phase::Rebuilding | Phase::Accepted => true,
            Phase::Committed | Phase::Entrusted | Phase::Loading => {
                !(is_pushed(self.scene, self.page) && self.plan == Plan::Settled)
            }
            phase if phase.at_source() => self.record.location == Location::Here,
            _ => self.plan == Plan::FromSource,
        };
        self.held_if(has, source)
    }

    fn at_destination(&self) -> Holding {
        let Scene { phase, destination, receiving, .. } = *self.scene;
        let has = match phase {
            Phase::Rest | Phase::Announced | Phase::Expected => false,
            Phase::Forgotten => {
                shadow(self.scene.rig, destination).is_some_and(|former| former.owed.contains(self.page))
            }
            Phase::PreCopy { .. } | Phase::Freeze | Phase::Offered | Phase::Entrusted => receiving
                .is_some_and(|receiving| {
                    let arrived =
                        receiving.arrived.get(self.page.index()).is_some_and(|sequence| sequence.0 > 0);
                    let kept =
                        receiving.former.as_ref().is_some_and(|former| former.owed.contains(self.page));
                    arrived || kept
                }),
            _ => self.record.location == Location::Here,
        };
        self.held_if(has, destination)
    }

    fn at_third(&self) -> Holding {
        let Location::At(former, _) = self.record.location else { return Holding::Absent };
        let third = former.host != self.scene.source && former.host != self.scene.destination;
        self.held_if(third, former.host)
    }

    /// The backing store of the page: the file server, or the replica of the program image.
    fn in_store(&self) -> Currency {
        let rig = self.scene.rig;
        let strategy = &rig.migration.strategy;
        let served = strategy.freeze == Freeze::FlushModified
            || (strategy.pre == Pre::WriteBack && rig.image.kind(self.page) == PageKind::FileMapped);
        let content = match served {
            true => rig.file_server().stored(self.page).map(|stored| &stored.content),
            false => rig.image.content(self.page),
        };
        match content {
            Some(content) if strategy.tracks_dirty() => self.currency(content),
            _ => Currency::Current,
        }
    }

    fn is_dirty(&self) -> bool {
        let host = if self.scene.phase.at_source() { self.scene.source } else { self.scene.destination };
        let memory = self.scene.rig.host(host).map(Host::memory);
        let here = self.record.location == Location::Here;
        let written = here && memory.is_some_and(|memory| memory.is_written(self.page));
        self.record.dirty || written || self.is_nowhere()
    }

    /// Has the page's last write-back died with its source, so that the file server has only an older version?
    fn is_nowhere(&self) -> bool {
        let rig = self.scene.rig;
        let falls_back = rig.migration.strategy.real.fallback == Fallback::Store;
        let orphaned = self.plan == Plan::FromSource && rig.trouble.dead.contains(&self.scene.source);
        let stored = rig.file_server().stored(self.page).map(|stored| stored.version);
        falls_back && orphaned && stored < Some(self.record.version)
    }

    fn log(&self) -> DirtyLog {
        let memory = self.scene.rig.host(self.scene.source).map(Host::memory);
        let written = memory.is_some_and(|memory| memory.is_written(self.page));
        let sent = self.scene.sent.is_some_and(|sent| sent.in_step.contains(self.page));
        let left_to_store =
            self.scene.rig.migration.strategy.clean == Clean::LocalStore && !self.record.dirty;
        let in_step = (sent || left_to_store) && !written;
        match (self.scene.phase, self.scene.pass) {
            (Phase::PreCopy { .. }, Some(Pass { number: _, due, uncleared })) if due.contains(self.page) => {
                let by_pass = self.scene.rig.migration.strategy.real.log == LogReading::Pass;
                match (uncleared.contains(self.page), by_pass && written) {
                    (true, _) => DirtyLog::Uncleared,
                    (false, true) => DirtyLog::DueAgain,
                    (false, false) => DirtyLog::Due,
                }
            }
            (Phase::PreCopy { .. }, Some(_)) if !in_step => DirtyLog::Redirtied,
            (Phase::Freeze, _) if self.copies() && !in_step => DirtyLog::Redirtied,
            _ => DirtyLog::InStep,
        }
    }

    fn copies(&self) -> bool {
        matches!(self.scene.rig.migration.strategy.pre, Pre::Copy(_))
    }

    /// The host that the process gets the page from, and what it still knows of it.
    fn owner(&self) -> Option<&Shadow> {
        let Location::At(former, _) = self.record.location else { return None };
        if self.plan == Plan::Settled {
            return None;
        }
        shadow(self.scene.rig, former.host).filter(|shadow| shadow.route.epoch == former.epoch)
    }

    fn is_sent(&self) -> bool {
        match self.scene.phase {
            Phase::Freeze => !self.copies() && self.scene.sequence(self.page.index()) > 0,
            phase if phase.at_source() && !matches!(phase, Phase::Committed | Phase::Entrusted) => false,
            _ => self.owner().is_some_and(|owner| owner.served.contains(self.page)),
        }
    }

    fn is_asked(&self) -> bool {
        self.owner().is_some_and(|owner| owner.demands.contains(self.page))
    }

    /// The messages about the page that the model still counts.
    fn flights(&self) -> impl Iterator<Item = &Flight> {
        let flights = self.scene.rig.network.flights().iter();
        flights.filter(|flight| {
            flight.envelope.message.page() == Some(self.page)
                && matches!(flight.fate, FlightFate::Flying | FlightFate::Lost)
                && !self.scene.rig.is_stray(flight)
        })
    }

    /// What an aborted or forgotten attempt has left on the link: the oldest content stands for all.
    fn stray(&self) -> Holding {
        let strays = self.scene.rig.network.flights().iter().filter(|flight| {
            let arrives = matches!(flight.fate, FlightFate::Flying | FlightFate::Echo | FlightFate::Outlived);
            arrives && flight.envelope.message.page() == Some(self.page) && self.scene.rig.is_stray(flight)
        });
        let contents = strays.filter_map(|flight| match &flight.envelope.message {
            Message::Page { content, .. } => Some(Holding::Held(self.currency(content))),
            _ => None,
        });
        contents.fold(Holding::Absent, Holding::oldest)
    }

    /// Has the destination asked for it although nobody waits for it?
    fn is_pulled(&self) -> bool {
        self.scene.resident.pulled.contains(self.page)
    }

    /// Is there a thread that waits for it of which its host has not heard?
    fn is_late(&self) -> bool {
        self.scene.rig.late.contains(&self.page)
    }

    fn request(&self) -> Transit<()> {
        let asks = |flight: &&Flight| {
            matches!(flight.envelope.message, Message::Request { .. } | Message::Fetch { .. })
        };
        let mut fates = self.flights().filter(asks).map(|flight| flight.fate);
        match fates.next() {
            None if self.waits_for_store() => Transit::Lost(()),
            None => Transit::Idle,
            Some(FlightFate::Flying) => Transit::Flying(()),
            Some(_) if fates.any(|fate| fate == FlightFate::Flying) => Transit::Flying(()),
            Some(_) => Transit::Lost(()),
        }
    }

    /// Does the process wait for an answer of the file server that is not on its way? An outage has taken it.
    fn waits_for_store(&self) -> bool {
        let fetched = |flight: &Flight| matches!(flight.envelope.message, Message::Fetched { .. });
        let PageRecord { requested, location, .. } = *self.record;
        requested && location == Location::FileServer && !self.flights().any(fetched)
    }

    /// The newest content on its way to where it is missing, and the number of older ones.
    fn contents(&self) -> (Transit<Currency>, u8) {
        // What a dead source had sent and the destination lacks has gone with it.
        let dead = self.scene.rig.trouble.dead.contains(&self.scene.source);
        let lacked = self.scene.awaited.is_some_and(|awaited| awaited.contains(self.page));
        if self.scene.phase == Phase::Loading && dead && lacked {
            return (Transit::Lost(Currency::Current), 0);
        }
        let (mut newest, mut older) = (Transit::Idle, 0);
        for flight in self.flights() {
            let content = match &flight.envelope.message {
                Message::Page { content, .. } if self.is_newest(flight) => content,
                Message::Page { .. } => {
                    older += 1;
                    continue;
                }
                Message::Fetched { content, .. } if self.lacks() => content,
                _ => continue,
            };
            let currency = self.currency(content);
            newest = match flight.fate {
                FlightFate::Lost => Transit::Lost(currency),
                _ => Transit::Flying(currency),
            };
        }
        (newest, older)
    }

    /// Does the process wait for it because it is missing?
    fn lacks(&self) -> bool {
        self.record.requested && self.record.location != Location::Here
    }

    /// Is the newest content on its way over the connection for answers?
    fn is_apart(&self) -> bool {
        let apart = |flight: &Flight| flight.envelope.channel == Channel::Demand;
        let content = |flight: &Flight| matches!(flight.envelope.message, Message::Page { .. });
        self.flights().any(|flight| content(flight) && self.is_newest(flight) && apart(flight))
    }

    fn is_newest(&self, flight: &Flight) -> bool {
        let Message::Page { sequence, .. } = flight.envelope.message else { return false };
        match (self.plan, self.scene.offer, self.record.location) {
            (Plan::Undecided | Plan::Travelled, ..) => sequence.0 == self.scene.sequence(self.page.index()),
            (Plan::FromSource, Some(_), _) if self.scene.phase == Phase::Offered => false,
            (Plan::FromSource | Plan::FromThird, _, Location::At(former, outdated)) => {
                let (from, epoch) = (Place::Host(former.host), former.epoch);
                (from, epoch) == (flight.envelope.from, flight.envelope.epoch) && sequence > outdated
            }
            _ => false,
        }
    }

    fn echo(&self, concerns: impl Fn(&Message) -> bool) -> Holding {
        let flights = self.scene.rig.network.flights().iter();
        let echoes =
            flights.filter(|flight| flight.fate == FlightFate::Echo && !self.scene.rig.is_stray(flight));
        let mut messages = echoes.map(|flight| &flight.envelope.message);
        let found = messages.find(|message| message.page() == Some(self.page) && concerns(message));
        match found {
            Some(
                Message::Page { content, .. }
                | Message::Fetched { content, .. }
                | Message::WriteBack { content, .. },
            ) => Holding::Held(self.currency(content)),
            _ => Holding::Absent,
        }
    }

    /// From the messages. The hosts' notes must say the same, unless an outage has taken the messages.
    fn write_back(&self) -> Result<WriteBack, Unmapped> {
        let rig = self.scene.rig;
        let stored = rig.file_server().stored(self.page).map(|stored| stored.version);
        let mut found = WriteBack::Idle;
        for flight in self.flights() {
            let arrives = flight.fate != FlightFate::Lost;
            let next = match &flight.envelope.message {
                // Said again, although only the answer was lost.
                Message::WriteBack { version, .. } if rig.is_disrupted() && Some(*version) <= stored => {
                    WriteBack::Acknowledged(arrives)
                }
                Message::WriteBack { content, .. } if arrives => {
                    WriteBack::Sent(Transit::Flying(self.currency(content)))
                }
                Message::WriteBack { content, .. } => WriteBack::Sent(Transit::Lost(self.currency(content))),
                Message::WriteBackDone { .. } => WriteBack::Acknowledged(arrives),
                _ => continue,
            };
            if found != WriteBack::Idle {
                return Err(Unmapped(format!("two write-backs of {} are on their way", self.page)));
            }
            found = next;
        }
        match (rig.outstanding(self.page), found) {
            (None, WriteBack::Idle) => Ok(WriteBack::Idle),
            (Some(noted), WriteBack::Idle) if rig.is_disrupted() => Ok(match Some(noted.version) <= stored {
                true => WriteBack::Acknowledged(false),
                false => WriteBack::Sent(Transit::Lost(self.currency(&noted.content))),
            }),
            (Some(_), WriteBack::Sent(_) | WriteBack::Acknowledged(_)) => Ok(found),
            _ => Err(Unmapped(format!("the note about the write-back of {} is wrong", self.page))),
        }
    }

    /// The model's count: saturated above what the algorithm allows, none where it allows any number.
    fn crossings(&self) -> u8 {
        let Some(bound) = self.scene.rig.migration.strategy.crossings_max() else { return 0 };
        if matches!(self.scene.phase, Phase::Rest | Phase::Announced | Phase::Expected | Phase::Forgotten) {
            return 0;
        }
        let bound = bound + self.scene.rig.migration.disruptions.budget();
        let count = self.scene.rig.crossings.get(self.page.index()).copied().unwrap_or(0);
        u8::try_from(count).unwrap_or(u8::MAX).min(bound + 1)
    }
}
