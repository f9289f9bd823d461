//! stateright as the second opinion: the same model, somebody else's engine.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use engine::explore;
use model::concrete::Step;
use model::system::Properties;
use model::{Migration, Stateright};
use stateright::{Checker, Model};

use super::concrete::{empty, give_up};
use super::{JudgeError, JudgeOptions, JudgeProgress, violation};
use crate::report::{Actual, Basis, CheckRun, PropertyVerdict};
use crate::setting::{Pages, Setting};

/// Between two looks at whether it is done: from nothing for the smallest systems to what a person does not notice.
const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Judges the safety properties by stateright's breadth-first search on one thread, which is the only way
/// in which its counterexamples are shortest.
pub(super) fn judge(
    setting: &Setting,
    pages: NonZeroUsize,
    wanted: Properties,
    options: &JudgeOptions<'_>,
) -> CheckRun {
    let started = Instant::now();
    let builder = Stateright(setting.concrete(pages)).checker().threads(1);
    let transitions_max = options.states_max.and_then(|max| NonZeroUsize::new(usize::try_from(max).ok()?));
    let builder = match transitions_max {
        Some(max) => builder.target_state_count(max.get()),
        None => builder,
    };
    let mut checker = builder.spawn_bfs();
    let stopped = wait(&mut checker, options, started);
    // It stops at a bound without a word, and would call whatever it has not found a pass.
    let cut = transitions_max.filter(|max| checker.state_count() >= max.get());
    let inconclusive = match (stopped, cut) {
        (Some(reason), _) => Some(reason),
        (None, Some(max)) => Some(format!("there are more than {max} transitions")),
        (None, None) => None,
    };
    let mut found = checker.discoveries();
    let initial = setting.concrete(pages).initial().len() as u64;
    let safe = wanted.iter().filter(|property| property.is_safety());
    let verdicts = safe.map(|property| match found.remove(property.to_string().as_str()) {
        Some(path) => {
            let verdict = PropertyVerdict::new(setting, property, Actual::Fails);
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
            Some(reason) => PropertyVerdict::new(setting, property, Actual::Inconclusive)
                .resting_on(Basis::Cut(reason.clone())),
            None => PropertyVerdict::new(setting, property, Actual::Holds),
        },
    });
    CheckRun {
        verdicts: verdicts.collect(),
        states: checker.unique_state_count() as u64,
        transitions: Some((checker.state_count() as u64).saturating_sub(initial)),
        depth: (checker.max_depth() as u64).saturating_sub(1),
        seconds: started.elapsed().as_secs_f64(),
        engine: "stateright",
        inconclusive: inconclusive.clone(),
        ..empty(setting, Pages::Exactly(pages))
    }
}

/// Waits for its threads, and returns why it did not wait to their end: they cannot be told to stop, and end with the
/// program. (Its own time-out keeps its lock while it sleeps, and a single thread never looks at it.)
fn wait<M: Model>(
    checker: &mut impl Checker<M>,
    options: &JudgeOptions<'_>,
    started: Instant,
) -> Option<String> {
    let threads = checker.handles();
    let mut pause = PAUSE_MIN;
    while !threads.iter().all(JoinHandle::is_finished) {
        if let Err(reason) = give_up(options, started).and_then(|()| fits(options)) {
            return Some(reason);
        }
        (options.progress)(&JudgeProgress::Stateright {
            states: checker.unique_state_count() as u64,
            depth: checker.max_depth() as u64,
        });
        sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    for thread in threads {
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    give_up(options, started).err()
}

/// Does it need no more memory than it may? It does not say what it needs, so that is what the whole program has: with
/// what goes on behind it since it was not waited for.
fn fits(options: &JudgeOptions<'_>) -> Result<(), String> {
    match options.memory_bytes_max.filter(|max| resident_bytes().is_some_and(|bytes| bytes > *max)) {
        Some(max) => Err(explore::LimitReason::Memory(max).to_string()),
        None => Ok(()),
    }
}

/// What this program has in memory, where the operating system says so.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Compares what both engines know: states, transitions, depth, and the verdicts on safety; of a search
/// that stateright did not complete, what it found.
pub(super) fn compare(native: &CheckRun, stateright: &CheckRun) -> Result<(), JudgeError> {
    let differ = |what: &'static str, native: String, stateright: String| match native == stateright {
        true => Ok(()),
        false => Err(JudgeError::Disagreement { what, native, stateright }),
    };
    let verdicts = |run: &CheckRun, of: &[&PropertyVerdict]| -> String {
        let same = |verdict: &&PropertyVerdict| of.iter().any(|other| other.property == verdict.property);
        let verdicts = run.verdicts.iter().filter(same);
        verdicts
            .map(|verdict| format!("{} {:?}", verdict.property, verdict.actual))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let definite: Vec<&PropertyVerdict> =
        stateright.verdicts.iter().filter(|verdict| verdict.actual != Actual::Inconclusive).collect();
    differ("verdicts", verdicts(native, &definite), verdicts(stateright, &definite))?;
    if stateright.inconclusive.is_some() {
        return Ok(());
    }
    differ("states", native.states.to_string(), stateright.states.to_string())?;
    differ("transitions", format!("{:?}", native.transitions), format!("{:?}", stateright.transitions))?;
    differ("depth", native.depth.to_string(), stateright.depth.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Engine;
    use crate::judge::concrete::compared;
    use model::{Disruptions, Hosts, Link, Property, algorithms};

    fn run() -> CheckRun {
        let setting = Setting {
            strategy: algorithms::POST_COPY,
            hosts: Hosts::Two,
            link: Link::Fifo,
            defect: None,
            disruptions: Disruptions::NONE,
        };
        let options = JudgeOptions {
            properties: Property::S1 | Property::S7,
            engine: Engine::Stateright,
            threads: NonZeroUsize::MIN,
            symmetry: true,
            states_max: None,
            memory_bytes_max: None,
            timeout: None,
            interrupted: &std::sync::atomic::AtomicBool::new(false),
            progress: &|_| {},
            checkpoint: None,
        };
        judge(&setting, NonZeroUsize::MIN, options.properties, &options)
    }

    /// For each thing that is compared, a second opinion that differs in that alone.
    #[test]
    fn every_difference_between_two_engines_is_noticed() {
        let disagreement = |change: &dyn Fn(&mut CheckRun)| {
            let mut second = run();
            change(&mut second);
            match compared(run(), || second) {
                Err(JudgeError::Disagreement { what, .. }) => Some(what),
                Err(error) => panic!("{error}"),
                Ok(_) => None,
            }
        };
        assert_eq!(disagreement(&|_| ()), None);
        assert_eq!(disagreement(&|run| run.states += 1), Some("states"));
        assert_eq!(
            disagreement(&|run| run.transitions = run.transitions.map(|count| count + 1)),
            Some("transitions")
        );
        assert_eq!(disagreement(&|run| run.depth += 1), Some("depth"));
        assert_eq!(disagreement(&|run| run.verdicts[1].actual = Actual::Fails), Some("verdicts"));
        assert_eq!(disagreement(&|run| run.verdicts[0].actual = Actual::Fails), Some("verdicts"));
        // A second opinion that was cut short agrees on nothing but what it found.
        let cut = |run: &mut CheckRun| {
            run.inconclusive = Some("cut".to_owned());
            run.states = 1;
            run.verdicts[0].actual = Actual::Inconclusive;
        };
        assert_eq!(disagreement(&cut), None);
        assert_eq!(
            compared(run(), || CheckRun { inconclusive: Some("cut".to_owned()), ..run() })
                .ok()
                .and_then(|run| run.inconclusive),
            Some("stateright: cut".to_owned())
        );
        let cut_and_found = |run: &mut CheckRun| {
            cut(run);
            run.verdicts[1].actual = Actual::Fails;
        };
        assert_eq!(disagreement(&cut_and_found), Some("verdicts"));
    }
}
