//! The fixed mapping from endpoints and messages to a state of the model.
//!
//! Protocol variables come from the endpoints' records and from the messages on their way; whether a content is
//! current is found by comparing its bytes with the newest content of the page. Reference records are taken
//! apart without `..`, so that a new field has to be classified here before anything compiles.
//!
//! Several situations of the reference are one state of the model: `proofs-notes/refinement.md` lists them.

mod control;
mod page;
mod scene;

use arrayvec::ArrayVec;
use model::concrete::State;
use model::page::{Holding, Plan};
use model::{Configuration, Control, Migration, Page, Phase};

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
    Ok(canonical(state))
}

/// The representative of the states that the reference does not tell apart.
///
/// While the destination waits for the newest content of a page that travelled, nothing depends on whether it
/// still has an older one: the reference has thrown it away, the model keeps it until it is overwritten.
pub fn canonical(mut state: State<Migration>) -> State<Migration> {
    let Control { phase, .. } = state.control;
    for page in &mut state.pages {
        if phase == Phase::Rebuilding && page.plan == Plan::Travelled && !page.content.is_idle() {
            page.destination = Holding::Absent;
        }
    }
    state
}
