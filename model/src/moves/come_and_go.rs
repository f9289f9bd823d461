//! `pages = "come-and-go"`: the process maps, unmaps and discards private pages, and says which it needs no more.
//!
//! ```text
//!           ┌──────── write ────────┐      the dirty map says of each page that it is zero, exempt or gone:
//!           ▼                       │      its content need not travel, and an older copy is discarded
//!         used ── discard, zero ──▶ zero ◀── map ── gone
//!           │                       ▲               ▲
//!           └── hint ──▶ exempt ────┘               └── unmap (any)
//! ```
//!
//! What is discarded or unmapped is so everywhere from then on. At the destination what the source still owes of it, or has
//! sent, is *void*: the source does not know, sends it as if it were needed, and it is dropped on arrival.

use super::{AfterPage, alone};
use crate::control::Control;
use crate::migration::Migration;
use crate::page::{Currency, DirtyLog, Holding, Kind, Page, Plan, Transit};
use crate::paging::{Aside, Life, Mappings};
use crate::step::{ControlStep, PageStep};

impl Migration {
    pub(crate) fn comes_and_goes(&self) -> bool {
        self.strategy.paging.pages == Mappings::ComeAndGo
    }

    /// The content is given up, by the process or by a balloon: it is zero from now on.
    pub(crate) fn discard(&self, control: &Control, page: &Page) -> AfterPage {
        let mapped = matches!(page.aside.life, Life::Used | Life::Exempt);
        if mapped { self.given_up(control, page, Life::Zero) } else { None }
    }

    /// The page leaves the address space.
    pub(crate) fn unmap(&self, control: &Control, page: &Page) -> AfterPage {
        if page.aside.life == Life::Gone { None } else { self.given_up(control, page, Life::Gone) }
    }

    /// A page comes into the address space, all zero.
    pub(crate) fn map(&self, control: &Control, page: &Page) -> AfterPage {
        if page.aside.life == Life::Gone { self.given_up(control, page, Life::Zero) } else { None }
    }

    /// A hint: the process says that it needs the content no more, until it writes to the page again.
    pub(crate) fn exempt(&self, control: &Control, page: &Page) -> AfterPage {
        let used = page.aside.life == Life::Used && page.kind == Kind::Private;
        if !used || !control.runs() || !control.phase.at_source() || !page.source.is_held() {
            return None;
        }
        let aside = Aside { life: Life::Exempt, ..page.aside };
        alone(control, Page { log: DirtyLog::InStep, aside, ..*page })
    }

    fn given_up(&self, control: &Control, page: &Page, life: Life) -> AfterPage {
        if !control.runs() || page.kind != Kind::Private {
            return None;
        }
        let at_source = control.phase.at_source();
        let missing = !self.copy_at_process(control, page).is_held() && page.aside.life != Life::Gone;
        let mut next = *page;
        next.outdate();
        let zero = if life == Life::Gone { Holding::Absent } else { Holding::Held(Currency::Current) };
        *self.copy_at_process_mut(control, &mut next) = zero;
        if self.strategy.tracks_dirty() {
            next.store = Currency::Stale;
        }
        let coming = page.request != Transit::Idle || !page.content.is_idle() || page.asked;
        let owed = !at_source && page.plan == Plan::FromSource;
        let waits_on = self.wakes_apart() && life != Life::Gone;
        next.aside = Aside {
            life,
            void: page.aside.void || (missing && (owed || coming)),
            late: page.aside.late && waits_on,
            ..page.aside
        };
        next.waiting &= waits_on;
        next.plan = if at_source { page.plan } else { Plan::Settled };
        alone(control, Page { dirty: false, log: DirtyLog::InStep, ..next })
    }

    /// Is there nothing to be sent, or to be asked for, of a page that is known to be zero, exempt or gone?
    pub(super) fn is_needless(&self, step: PageStep, page: &Page) -> bool {
        use PageStep::*;
        match step {
            Copy | SendFrozen | SendWorkingSet | SendInVain => page.aside.life != Life::Used,
            Fault | LoadLocal => page.aside.life == Life::Gone,
            _ => false,
        }
    }

    /// The page as its source takes it: it does not know that what it owes is void.
    pub(super) fn as_owed(&self, step: PageStep, page: &Page) -> Page {
        use PageStep::*;
        let unaware = matches!(step, Push | Serve | DeliverRequest | DuplicateRequest);
        let plan = if unaware && page.aside.void { Plan::FromSource } else { page.plan };
        Page { plan, ..*page }
    }

    /// What a step of another part does to what is known of a page's use.
    pub(super) fn live_on(&self, step: PageStep, control: &Control, before: &Page, next: &mut Page) {
        if before.aside.void {
            next.plan = before.plan;
            let arrives = matches!(step, PageStep::DeliverPage | PageStep::DuplicatePage);
            if arrives {
                *next = Page { echo: next.echo, ..*before };
                self.drop_void(control, next);
            }
        }
        if step == PageStep::Write {
            next.aside.life = Life::Used;
        }
    }

    /// What was void has come, or will not come any more.
    fn drop_void(&self, control: &Control, page: &mut Page) {
        let source = if control.phase.at_source() { page.source } else { Holding::Absent };
        let request = if let Transit::Lost(()) = page.request { Transit::Idle } else { page.request };
        let aside = Aside { void: false, ..page.aside };
        *page = Page { source, request, content: Transit::Idle, sent: false, asked: false, aside, ..*page };
    }

    /// What a control step does to a page beyond what it does to all.
    pub(super) fn carry_life(&self, step: ControlStep, control: &Control, before: &Page, next: &mut Page) {
        use ControlStep::*;
        let used = next.aside.life == Life::Used;
        match step {
            MigrateBack | MigrateOnward if !used => next.log = DirtyLog::InStep,
            // The dirty map says what the page is, which makes all copies on their way older ones.
            SendState if !used => {
                next.plan = Plan::Settled;
                next.older += u8::from(matches!(next.content, Transit::Flying(_)));
                next.content = Transit::Idle;
            }
            DeliverState if !used => {
                let zero = Holding::Held(Currency::Current);
                next.destination = if next.aside.life == Life::Gone { Holding::Absent } else { zero };
            }
            Resume if next.aside.life == Life::Exempt => next.aside.life = Life::Zero,
            // A request for a page that is gone by now dies with the connection.
            Finish | Fence if next.aside.life == Life::Gone && !before.aside.void => {
                next.request = Transit::Idle;
            }
            // The connection is closed, or the source hears what is still needed, or is dead.
            Finish | Fence | DeliverResync | CrashSource if before.aside.void => {
                let source = next.source;
                self.drop_void(control, next);
                next.request = Transit::Idle;
                if matches!(step, Finish | Fence) {
                    next.source = source;
                }
            }
            _ => {}
        }
    }
}
