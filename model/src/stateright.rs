//! The model as a [`stateright::Model`], so that everything in that ecosystem works on it.

use population::concrete::{Concrete, State, Step};
use stateright::{Model, Property as Named};

use crate::property::Property;
use crate::system::Judged;

/// A system with a number of pages, for stateright.
#[derive(Clone, Debug)]
pub struct Stateright<S>(pub Concrete<S>);

impl<S: Judged<Property = Property>> Model for Stateright<S> {
    type State = State<S>;
    type Action = Step<S>;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.initial()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        actions.extend(self.0.steps().filter(|step| self.0.apply(state, *step).is_some()));
    }

    fn next_state(&self, state: &Self::State, step: Self::Action) -> Option<Self::State> {
        self.0.apply(state, step)
    }

    /// The safety properties. One about steps is charged to the state from which the step is taken.
    fn properties(&self) -> Vec<Named<Self>> {
        let all = [
            Named::always("S1", |model, state| holds(model, state, Property::S1)),
            Named::always("S2", |model, state| holds(model, state, Property::S2)),
            Named::always("S3", |model, state| holds(model, state, Property::S3)),
            Named::always("S4", |model, state| holds(model, state, Property::S4)),
            Named::always("S5", |model, state| holds(model, state, Property::S5)),
            Named::always("S6", |model, state| holds(model, state, Property::S6)),
            Named::always("S7", |model, state| holds(model, state, Property::S7)),
            Named::always("S8", |model, state| holds(model, state, Property::S8)),
            Named::always("S9", |model, state| holds(model, state, Property::S9)),
            Named::always("S10", |model, state| holds(model, state, Property::S10)),
            Named::always("S11", |model, state| holds(model, state, Property::S11)),
            Named::always("S12", |model, state| holds(model, state, Property::S12)),
        ];
        let said = self.0.system.safety();
        all.into_iter()
            .filter(|named| said.iter().any(|property| property.to_string() == named.name))
            .collect()
    }
}

fn holds<S: Judged<Property = Property>>(
    Stateright(model): &Stateright<S>,
    state: &State<S>,
    property: Property,
) -> bool {
    match property {
        Property::S1 | Property::S2 | Property::S3 | Property::S5 | Property::S10 => {
            !model.judge(state).contains(property)
        }
        _ => model
            .steps()
            .filter(|step| model.apply(state, *step).is_some())
            .all(|step| !model.judge_step(state, step).contains(property)),
    }
}
