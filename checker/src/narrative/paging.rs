//! The steps of the choices about pages, threads and connections, in words.

use model::page::Transit;
use model::paging::Life;
use model::{Page, PageStep};

use super::event::{Manner, StoryEvent, local, message};
use super::hosts::StoryPlace;

/// What happens to a page, which may be `present`, at `here`, where the process is; `owner` may be asked for it. `None` for
/// other steps.
pub(super) fn tell_page(
    (here, owner, present): (StoryPlace, StoryPlace, bool),
    (before, after): (&Page, &Page),
    step: PageStep,
    name: &str,
) -> Option<StoryEvent> {
    let asks = after.request != Transit::Idle && before.request == Transit::Idle;
    Some(match step {
        PageStep::FaultAgain => {
            local(here, format!("another thread touches {name}; its fault is not heard yet"))
        }
        PageStep::HearFault if asks => message(
            Manner::Sent,
            (here, owner),
            format!("another thread's fault: request {name}, which is here"),
        ),
        PageStep::HearFault if present => {
            local(here, format!("hears another thread's fault: {name} is here, wakes it"))
        }
        PageStep::HearFault => local(here, format!("hears another thread's fault: it waits for {name} too")),
        PageStep::Wake => local(here, format!("wakes whoever waits for {name}")),
        PageStep::Discard => local(here, format!("{name} is discarded: zero from now on")),
        PageStep::Unmap => local(here, format!("unmaps {name}")),
        PageStep::Map => local(here, format!("maps {name}, which is zero")),
        PageStep::Exempt if after.aside.life == Life::Exempt => {
            local(here, format!("hint: the content of {name} is not needed"))
        }
        PageStep::Exempt => local(here, format!("takes an old hint for one about {name}, which is in use")),
        PageStep::Fault if before.aside.pulled => {
            local(here, format!("fault: waits for {name}, which was asked for ahead"))
        }
        PageStep::Pull => message(Manner::Sent, (here, owner), format!("request {name} ahead")),
        _ => return None,
    })
}
