//! The fixed mapping from endpoints and messages to a state of the model.
//!
//! Protocol variables come from the endpoints' records and from the messages on their way; whether a content is
//! current is found by comparing its bytes with the newest content of the page. Reference records are taken
//! apart without `..`, so that a new field has to be classified here before anything compiles.
//!
//! Several situations of the reference are one state of the model: `proofs-notes/refinement.md` lists them.

mod aftermath;
mod control;
mod page;
mod scene;

use arrayvec::ArrayVec;
use model::concrete::State;
use model::disruption::{Aftermath, Leftover};
use model::page::{Currency, Holding, Plan, Transit};
use model::strategy::LogReading;
use model::{Configuration, Control, Migration, Page, Phase};
use steplog::place::HostId;

use super::rig::Rig;
use scene::Scene;

/// A situation that is no state of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no state of the model: {0}")]
pub struct Unmapped(pub String);

/// The state of the model that the rig is in.
///
/// # Errors
/// There is none: endpoints contradict each other, or messages are on their way that no state has.
pub fn abstraction(rig: &Rig) -> Result<State<Migration>, Unmapped> {
    let pages = rig.image.page_numbers();
    if let Some(control) = aftermath::end(rig) {
        return Ok(Configuration { control, pages: pages.map(|_| Page::GONE).collect() });
    }
    let state = match Scene::of(rig)? {
        Some(scene) => Configuration {
            control: control::control(&scene)?,
            pages: pages.map(|page| page::page(&scene, page)).collect::<Result<_, _>>()?,
        },
        None => {
            let pages: ArrayVec<_, _> = pages.map(|_| Page::GONE).collect();
            Configuration { control: control::gone(rig), pages }
        }
    };
    Ok(canonical(&rig.migration, state))
}

/// The host that has the part of the source.
///
/// # Errors
/// The situation is no state of the model.
pub fn source(rig: &Rig) -> Result<Option<HostId>, Unmapped> {
    Ok(Scene::of(rig)?.map(|scene| scene.source))
}

/// The representative of the states that the reference does not tell apart.
///
/// While the destination waits for the newest content of a page that travelled, nothing depends on whether it
/// still has an older one: the reference has thrown it away, the model keeps it until it is overwritten. While the
/// hosts have no connection, nothing depends on whether a request was lost on it: the destination's resync says again
/// what it waits for. When the source is dead, nobody can say whether it had heard *complete*, nor whether a page that is at a
/// destination which has not resumed the process was pushed.
pub fn canonical(migration: &Migration, mut state: State<Migration>) -> State<Migration> {
    let by_pass = migration.strategy.real.log == LogReading::Pass;
    let Control { phase, aftermath, .. } = state.control;
    if phase == Phase::Completing && aftermath.source_down {
        state.control.phase = Phase::Departing;
    }
    if phase == Phase::Forgotten {
        // What its source goes on with is in vain.
        state.control.switched = false;
    }
    if aftermath.leftover == Leftover::Expecting {
        // Nothing depends on whether anything could have been copied.
        state.control.aftermath.leftover = Leftover::Receiving;
    }
    if aftermath.source_down {
        // Nobody waits for the answer to *go* any more.
        state.control.unanswered = false;
    }
    if phase == Phase::Exiting {
        let Aftermath { source_down, destination_down, .. } = aftermath;
        let source_down = source_down || destination_down;
        state.control.aftermath = Aftermath { source_down, destination_down: false, ..aftermath };
    }
    for page in &mut state.pages {
        if phase == Phase::Loading && aftermath.source_down && page.plan == Plan::Settled {
            page.plan = Plan::Travelled;
        }
        if phase == Phase::Lost {
            *page = Page::GONE;
        }
        // A log that is read as a whole has a page sent again that has not been written to since: what has arrived of it is
        // what is on its way, or what the state has thrown away.
        // And what an attempt has left is dropped whatever it is.
        let again =
            matches!(page.content, Transit::Flying(Currency::Current) | Transit::Lost(Currency::Current));
        let copied =
            matches!(phase, Phase::PreCopy { .. } | Phase::Freeze | Phase::Offered | Phase::Entrusted);
        let left = matches!(phase, Phase::Offered | Phase::Entrusted) && page.plan == Plan::FromSource;
        if by_pass && page.stray.is_held() {
            page.stray = Holding::Held(Currency::Stale);
        }
        if by_pass && copied && (again || left) && page.destination == Holding::Held(Currency::Current) {
            page.destination = Holding::Held(Currency::Stale);
        }
        let to_host = !phase.at_source() && page.plan != Plan::FromStore;
        if to_host && !aftermath.is_connected() && page.request == Transit::Lost(()) {
            page.request = Transit::Idle;
        }
        let rebuilds = matches!(phase, Phase::Rebuilding | Phase::Loading);
        if rebuilds && page.plan == Plan::Travelled && !page.content.is_idle() {
            page.destination = Holding::Absent;
        }
    }
    state
}
