//! stateright as the second opinion: the same model, somebody else's engine.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use engine::explore;
use model::concrete::Step;
use model::system::Properties;
use model::{Migration, Stateright};
use stateright::{Checker, Model};

use super::concrete::empty;
use super::{Error, Options, violation};
use crate::report::{Actual, Run, Verdict};
use crate::setting::{Pages, Setting};

/// Judges the safety properties by stateright's breadth-first search on one thread, which is the only way
/// in which its counterexamples are shortest.
pub(super) fn judge(
    setting: &Setting,
    pages: NonZeroUsize,
    wanted: Properties,
    options: &Options<'_>,
) -> Run {
    let started = Instant::now();
    let builder = Stateright(setting.concrete(pages)).checker().threads(1);
    let transitions_max = options.states_max.and_then(|max| NonZeroUsize::new(usize::try_from(max).ok()?));
    let builder = match transitions_max {
        Some(max) => builder.target_state_count(max.get()),
        None => builder,
    };
    let checker = builder.spawn_bfs().join();
    // It stops there without a word, and would call whatever it has not found a pass.
    let cut = transitions_max.filter(|max| checker.state_count() >= max.get());
    let inconclusive = match cut {
        _ if options.interrupted.load(Relaxed) => Some("interrupted".to_owned()),
        Some(max) => Some(format!("there are more than {max} transitions")),
        None => None,
    };
    let mut found = checker.discoveries();
    let initial = setting.concrete(pages).initial().len() as u64;
    let safe = wanted.iter().filter(|property| property.is_safety());
    let verdicts = safe.map(|property| match found.remove(property.to_string().as_str()) {
        Some(path) => {
            let verdict = Verdict::new(setting, property, Actual::Fails);
            let (mut states, mut steps) = (Vec::new(), Vec::<Step<Migration>>::new());
            for (state, step) in path.into_vec() {
                states.push(state);
                steps.extend(step);
            }
            let mut states = states.into_iter();
            match states.next() {
                Some(initial) => {
                    let steps = steps.into_iter().zip(states).collect();
                    let trace = explore::Trace::<Migration> { initial, steps };
                    verdict.showing(violation(setting, property, trace))
                }
                None => verdict,
            }
        }
        None => match &inconclusive {
            Some(reason) => Verdict::new(setting, property, Actual::Inconclusive).noting(reason),
            None => Verdict::new(setting, property, Actual::Holds),
        },
    });
    Run {
        verdicts: verdicts.collect(),
        states: checker.unique_state_count() as u64,
        transitions: Some(checker.state_count() as u64 - initial),
        depth: checker.max_depth() as u64 - 1,
        seconds: started.elapsed().as_secs_f64(),
        engine: "stateright",
        inconclusive: inconclusive.clone(),
        ..empty(setting, Pages::Exactly(pages))
    }
}

/// Compares what both engines know: states, transitions, depth, and the verdicts on safety; of a search
/// that stateright did not complete, what it found.
pub(super) fn compare(native: &Run, stateright: &Run) -> Result<(), Error> {
    let differ = |what: &'static str, native: String, stateright: String| match native == stateright {
        true => Ok(()),
        false => Err(Error::Disagreement { what, native, stateright }),
    };
    let verdicts = |run: &Run, of: &[&Verdict]| -> String {
        let same = |verdict: &&Verdict| of.iter().any(|other| other.property == verdict.property);
        let verdicts = run.verdicts.iter().filter(same);
        verdicts
            .map(|verdict| format!("{} {:?}", verdict.property, verdict.actual))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let definite: Vec<&Verdict> =
        stateright.verdicts.iter().filter(|verdict| verdict.actual != Actual::Inconclusive).collect();
    differ("verdicts", verdicts(native, &definite), verdicts(stateright, &definite))?;
    if stateright.inconclusive.is_some() {
        return Ok(());
    }
    differ("states", native.states.to_string(), stateright.states.to_string())?;
    differ("transitions", format!("{:?}", native.transitions), format!("{:?}", stateright.transitions))?;
    differ("depth", native.depth.to_string(), stateright.depth.to_string())
}
