//! Whether a deliberate defect can act at all: in this world, with so many pages, on this algorithm.
//!
//! A defect that changes no step of any reachable state leaves a sound protocol sound, and "everything is as expected" would
//! say nothing of whether the error would be caught.

use model::Migration;
use model::concrete::State;
use rustc_hash::FxHashSet;

use crate::setting::{Pages, Setting};

/// The most states that are compared; up to the order of pages.
const STATES_MAX: usize = 300_000;

/// Pages of the populations that stand for any number of them.
const PAGES_OF_ANY: usize = 2;

/// What is known of a defect's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Some reachable state has other steps with the defect than without.
    Acts,
    /// None has.
    None,
    /// None has among those that were compared, and there are more.
    Unknown,
}

/// What the setting's defect changes, with so many pages. Without a defect there is nothing to change.
pub fn effect(setting: &Setting, pages: Pages, goes_on: &dyn Fn() -> bool) -> Effect {
    let pages = match pages {
        Pages::Exactly(pages) => pages,
        Pages::Any => std::num::NonZeroUsize::MIN.saturating_add(PAGES_OF_ANY - 1),
    };
    let broken = setting.concrete(pages);
    let sound = Setting { defect: None, ..setting.clone() }.concrete(pages);
    let mut states: Vec<State<Migration>> = sound.initial().iter().map(State::<Migration>::sorted).collect();
    let mut known: FxHashSet<State<Migration>> = states.iter().cloned().collect();
    // Where all steps so far are the same, so are the states that both reach.
    while let Some(state) = states.pop() {
        let successors: FxHashSet<_> = sound.successors(&state).collect();
        if successors != broken.successors(&state).collect() {
            return Effect::Acts;
        }
        for (_, next) in successors {
            let next = next.sorted();
            if known.insert(next.clone()) {
                states.push(next);
            }
        }
        if known.len() > STATES_MAX || (known.len().is_multiple_of(64) && !goes_on()) {
            return Effect::Unknown;
        }
    }
    Effect::None
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::defects::DEFECTS;
    use model::{Defect, Disruptions, Hosts, Link, algorithms};

    fn of(name: &str, defect: Option<Defect>, disruptions: Disruptions) -> Effect {
        let strategy = algorithms::built_in(name).unwrap();
        let setting = Setting { strategy, hosts: Hosts::Two, link: Link::Fifo, defect, disruptions };
        effect(&setting, Pages::Exactly(std::num::NonZeroUsize::MIN), &|| true)
    }

    #[test]
    fn a_defect_acts_where_its_step_is_and_nowhere_else() {
        assert_eq!(of("post-copy", None, Disruptions::NONE), Effect::None);
        assert_eq!(of("post-copy", Some(Defect::NeverPush), Disruptions::NONE), Effect::Acts);
        assert_eq!(of("total-copy", Some(Defect::NeverPush), Disruptions::NONE), Effect::None);
        let cut = Disruptions::up_to(1, model::Disruption::Cut.into());
        assert_eq!(of("total-copy", Some(Defect::ResumeInDoubt), cut), Effect::Acts);
        assert_eq!(of("total-copy", Some(Defect::ResumeInDoubt), Disruptions::NONE), Effect::None);
        let setting = Setting {
            strategy: algorithms::GENERIC,
            hosts: Hosts::Two,
            link: Link::Fifo,
            defect: Some(Defect::StoreOlder),
            disruptions: Disruptions::NONE,
        };
        assert_eq!(effect(&setting, Pages::Any, &|| false), Effect::Unknown);
    }

    #[test]
    fn every_defect_acts_on_the_algorithm_that_it_names() {
        for entry in DEFECTS {
            let strategy = algorithms::built_in(entry.algorithm).unwrap();
            let (hosts, link, disruptions) = (entry.hosts, entry.link, entry.disruptions());
            let setting = Setting { strategy, hosts, link, defect: Some(entry.defect), disruptions };
            assert_eq!(effect(&setting, Pages::Any, &|| true), Effect::Acts, "{}", entry.defect);
        }
    }
}
