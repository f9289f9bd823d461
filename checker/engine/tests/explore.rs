//! The explorer against a naive one, on random systems, under limits, and across interruptions.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::explore::{
    Checkpoint, CheckpointError, Exploration, ExploreError, ExploreOptions, ExploreOutcome, Found,
    LimitReason, explore, find,
};
use engine::testing::naive::{Naive, assert_replays};
use engine::testing::toy::Toy;
use engine::testing::{RandomCondition, RandomProperty, RandomSystem, Shape};
use enumset::EnumSet;
use population::concrete::Concrete;
use population::system::{ControlMove, Judged, PageMove, System, Verdict};
use proptest::prelude::*;

fn random(seed: u64, pages: usize) -> Concrete<RandomSystem> {
    // With more pages fewer moves, so that not all spaces are either tiny or everything; and long ways as
    // well as wide levels.
    let shape = Shape {
        controls: 2 + (seed % 5) as u8,
        initial_pages: 1 + (seed % 2) as u8,
        moves: 45 - 4 * pages as u8,
        ..Shape::default()
    };
    Concrete { system: RandomSystem::new(seed, shape), pages }
}

fn with<'a>(threads: usize, symmetry: bool) -> ExploreOptions<'a, RandomProperty> {
    ExploreOptions { threads: NonZeroUsize::new(threads).unwrap(), symmetry, ..ExploreOptions::default() }
}

/// Everything but time and memory, which are nobody's promise.
fn summary(exploration: &Exploration<RandomSystem>) -> String {
    let summary = (
        (exploration.outcome, exploration.states, exploration.transitions),
        (exploration.states_unreduced, exploration.transitions_unreduced, exploration.depth),
        &exploration.control_steps,
        &exploration.page_steps,
        &exploration.violations,
    );
    format!("{summary:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_a_naive_exploration(seed: u64, pages in 0usize..=4, threads in 1usize..=3) {
        let concrete = random(seed, pages);
        let unreduced = Naive::explore(&concrete, false);
        for symmetry in [false, true] {
            let naive = if symmetry { Naive::explore(&concrete, true) } else { unreduced.clone() };
            let exploration = explore(&concrete, with(threads, symmetry)).unwrap();
            prop_assert_eq!(exploration.outcome, ExploreOutcome::Complete);
            prop_assert_eq!(exploration.states, naive.states);
            prop_assert_eq!(exploration.transitions, naive.transitions);
            prop_assert_eq!(exploration.depth, naive.depth);
            prop_assert_eq!(exploration.states_unreduced, unreduced.states);
            prop_assert_eq!(exploration.transitions_unreduced, unreduced.transitions);
            prop_assert_eq!(&exploration.control_steps, &unreduced.control_steps);
            prop_assert_eq!(&exploration.page_steps, &unreduced.page_steps);
            let lengths = exploration.violations.iter().map(|(property, trace)| (*property, trace.steps.len()));
            prop_assert_eq!(lengths.collect::<Vec<_>>(), unreduced.violations.clone().into_iter().collect::<Vec<_>>());
            for (property, trace) in &exploration.violations {
                assert_replays(&concrete, *property, trace);
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_threads(seed: u64, pages in 3usize..=5, symmetry: bool, states_max in 1u64..400) {
        let concrete = random(seed, pages);
        for states_max in [None, Some(states_max)] {
            let options = |threads| ExploreOptions { states_max, ..with(threads, symmetry) };
            let one = explore(&concrete, options(1)).unwrap();
            for threads in [2, 3] {
                prop_assert_eq!(summary(&explore(&concrete, options(threads)).unwrap()), summary(&one));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_inconclusive(seed: u64, pages in 0usize..=4, symmetry: bool, threads in 1usize..=2, cut: prop::sample::Index) {
        let concrete = random(seed, pages);
        let whole = explore(&concrete, with(threads, symmetry)).unwrap();
        let initial = Naive::initial(&concrete, symmetry);
        let options = |states_max| ExploreOptions { states_max: Some(states_max), ..with(threads, symmetry) };

        let uncut = explore(&concrete, options(whole.states)).unwrap();
        prop_assert_eq!(summary(&uncut), summary(&whole));

        let states_max = cut.index(whole.states as usize) as u64;
        let cut = explore(&concrete, options(states_max)).unwrap();
        prop_assert_eq!(cut.outcome, ExploreOutcome::Inconclusive(LimitReason::States(states_max)));
        prop_assert!(cut.states <= states_max.max(initial));
        // What is found in time is a violation with a shortest trace all the same.
        for (property, trace) in &cut.violations {
            assert_replays(&concrete, *property, trace);
            prop_assert_eq!(trace.steps.len(), whole.violations[property].steps.len());
        }
    }

    #[test]
    fn a_stop_ends_after_the_level_of_the_violations(seed: u64, pages in 1usize..=3) {
        let concrete = random(seed, pages);
        let whole = explore(&concrete, with(1, true)).unwrap();
        for (property, trace) in &whole.violations {
            let options = ExploreOptions { stop_at: (*property).into(), ..with(2, true) };
            let stopped = explore(&concrete, options).unwrap();
            prop_assert_eq!(&stopped.violations[property], trace);
            // One level more is closed by then; if it is empty, everything was explored.
            prop_assert!(!matches!(stopped.outcome, ExploreOutcome::Inconclusive(_)));
            prop_assert!(stopped.states <= whole.states && stopped.depth <= trace.steps.len() + 1);
        }
        let absent = EnumSet::all() - whole.violations.keys().copied().collect::<EnumSet<_>>();
        let options = ExploreOptions { stop_at: absent, ..with(1, true) };
        prop_assert_eq!(explore(&concrete, options).unwrap().outcome, ExploreOutcome::Complete);
    }

    #[test]
    fn finds_a_shortest_path(seed: u64, pages in 1usize..=3) {
        let concrete = random(seed, pages);
        let initial = concrete.initial();
        for (property, length) in Naive::explore(&concrete, false).violations {
            let violates = |state| concrete.judge(state).contains(property);
            if initial.iter().any(violates) {
                continue;
            }
            let found = find(&concrete, &initial, usize::MAX, |step, before, after| {
                concrete.judge_step(before, *step).contains(property) || concrete.judge(after).contains(property)
            });
            let Found::Trace(trace) = found else { panic!("{property} is violated") };
            prop_assert_eq!(trace.steps.len(), length);
            assert_replays(&concrete, property, &trace);
        }
        prop_assert!(matches!(find(&concrete, &initial, usize::MAX, |_, _, _| false), Found::None));
    }
}

proptest! {
    // Each case waits for the disk many times.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn an_interrupted_exploration_goes_on_to_the_same_end(
        seed: u64, pages in 0usize..=4, symmetry: bool, cuts in prop::collection::vec(1u64..200, 1..4),
    ) {
        let concrete = random(seed, pages);
        let whole = explore(&concrete, with(1, symmetry)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut resume = false;
        let mut states_max = 0;
        for cut in cuts {
            states_max += cut;
            let options = ExploreOptions { states_max: Some(states_max), ..with(2, symmetry) };
            explore(&concrete, saving(options, directory.path(), resume)).unwrap();
            let interrupted = AtomicBool::new(true);
            let options = ExploreOptions { interrupted: Some(&interrupted), ..with(1, symmetry) };
            let halted = explore(&concrete, saving(options, directory.path(), true)).unwrap();
            prop_assert_ne!(halted.outcome, ExploreOutcome::Stopped);
            resume = true;
        }
        for _ in 0..2 {
            // The second time, all that is left to do is to read the result.
            let end = explore(&concrete, saving(with(2, symmetry), directory.path(), true)).unwrap();
            prop_assert_eq!(summary(&end), summary(&whole));
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn saving<'a>(
    options: ExploreOptions<'a, RandomProperty>,
    directory: &'a Path,
    resume: bool,
) -> ExploreOptions<'a, RandomProperty> {
    saving_every(Duration::ZERO, options, directory, resume)
}

fn saving_every<'a>(
    every: Duration,
    options: ExploreOptions<'a, RandomProperty>,
    directory: &'a Path,
    resume: bool,
) -> ExploreOptions<'a, RandomProperty> {
    let checkpoint = Checkpoint { directory, system: "random", every, resume };
    ExploreOptions { checkpoint: Some(checkpoint), ..options }
}

#[test]
fn limits_hold_on_any_number_of_threads() {
    let concrete = random(1, 4);
    for threads in [1, 2, 3] {
        let timeout = Some(Duration::ZERO);
        let end = explore(&concrete, ExploreOptions { timeout, ..with(threads, false) }).unwrap();
        assert_eq!(end.outcome, ExploreOutcome::Inconclusive(LimitReason::Timeout(Duration::ZERO)));
        assert_eq!(end.states, end.states_unreduced);

        let end =
            explore(&concrete, ExploreOptions { memory_bytes_max: Some(1), ..with(threads, true) }).unwrap();
        assert_eq!(end.outcome, ExploreOutcome::Inconclusive(LimitReason::Memory(1)));

        let interrupted = AtomicBool::new(true);
        let end =
            explore(&concrete, ExploreOptions { interrupted: Some(&interrupted), ..with(threads, true) })
                .unwrap();
        assert_eq!(end.outcome, ExploreOutcome::Inconclusive(LimitReason::Interrupted));
        assert_eq!((end.states, end.states_unreduced), (5, 16));
    }
}

/// The memory that is told, and held to the limit, is what the states must take, or a few times that.
#[test]
fn memory_is_that_of_the_states() {
    let toy = Concrete { system: Toy::default(), pages: 8 };
    let options = || ExploreOptions { symmetry: false, ..ExploreOptions::default() };
    let whole = explore(&toy, options()).unwrap();
    let (least, told) = (12 * whole.states, whole.memory_bytes_peak);
    assert!(whole.states > 50_000 && (least..6 * least).contains(&told), "{told} for {}", whole.states);
    let within =
        |max| explore(&toy, ExploreOptions { memory_bytes_max: Some(max), ..options() }).unwrap().outcome;
    assert_eq!(within(told), ExploreOutcome::Complete);
    assert_eq!(within(told - 1), ExploreOutcome::Inconclusive(LimitReason::Memory(told - 1)));
}

#[test]
fn too_many_pages_are_refused() {
    let concrete = Concrete { system: RandomSystem::new(0, Shape::default()), pages: 13 };
    assert!(matches!(explore(&concrete, ExploreOptions::default()), Err(ExploreError::TooManyPages(13))));
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_by_name() {
    let concrete = random(7, 4);
    let directory = tempfile::tempdir().unwrap();
    let options = ExploreOptions { states_max: Some(30), ..with(1, true) };
    explore(&concrete, saving(options, directory.path(), false)).unwrap();
    let resume = |concrete: &Concrete<RandomSystem>, symmetry, system| {
        let checkpoint =
            Checkpoint { directory: directory.path(), system, every: Duration::ZERO, resume: true };
        // The limit keeps a success from saving anything new.
        let options =
            ExploreOptions { checkpoint: Some(checkpoint), states_max: Some(30), ..with(1, symmetry) };
        explore(concrete, options).map(|_| ())
    };
    let refused_by = |result: Result<(), ExploreError>| match result {
        Err(ExploreError::Checkpoint(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(()) => panic!("accepted"),
    };
    resume(&concrete, true, "random").unwrap();

    for foreign in [
        resume(&concrete, true, "another"),
        resume(&concrete, false, "random"),
        resume(&random(7, 3), true, "random"),
    ] {
        assert!(matches!(refused_by(foreign), CheckpointError::Foreign { .. }));
    }
    let mut files: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for at in [0, whole.len() / 3, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&file, &flipped).unwrap();
            let error = refused_by(resume(&concrete, true, "random"));
            assert!(matches!(&error, CheckpointError::Damaged { path, .. } if *path == file), "{error}");
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        let resumed = resume(&concrete, true, "random");
        if file.ends_with("manifest") {
            // Without one nothing has been saved to its end, and the exploration begins.
            resumed.unwrap();
        } else {
            let error = refused_by(resumed);
            assert!(matches!(&error, CheckpointError::Io { path, .. } if *path == file), "{error}");
        }
        std::fs::write(&file, &whole).unwrap();
    }
    resume(&concrete, true, "random").unwrap();
}

#[test]
fn an_unusable_directory_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let result = explore(&random(7, 2), saving(with(1, true), &file.path().join("under"), false));
    assert!(matches!(result, Err(ExploreError::Checkpoint(CheckpointError::Io { .. }))));
}

/// All pages go through many records in step, and so does the control: few states, but wide ones.
struct Wide;

const RECORDS: u16 = 700;

impl System for Wide {
    type Control = u16;
    type Page = u16;
    type ControlStep = ();
    type PageStep = ();
    type Condition = RandomCondition;

    fn initial_control(&self) -> u16 {
        0
    }

    fn initial_pages(&self) -> Vec<u16> {
        vec![0]
    }

    fn conditions(&self, _page: &u16) -> EnumSet<RandomCondition> {
        EnumSet::all()
    }

    fn control_steps(&self) -> &[()] {
        &[()]
    }

    fn control_move(&self, (): (), control: &u16) -> Option<ControlMove<u16, RandomCondition>> {
        (*control + 1 < RECORDS)
            .then_some(ControlMove { requires: RandomCondition::C1.into(), control: control + 1 })
    }

    fn carry(&self, (): (), control: &u16, page: &u16) -> u16 {
        assert_eq!(control, page);
        page + 1
    }

    fn page_steps(&self) -> &[()] {
        &[]
    }

    fn page_move(&self, (): (), _control: &u16, _page: &u16) -> Option<PageMove<u16, u16, RandomCondition>> {
        None
    }
}

impl Judged for Wide {
    type Property = RandomProperty;

    fn judge_control(&self, _control: &u16) -> EnumSet<RandomProperty> {
        EnumSet::empty()
    }

    fn judge_page(&self, _control: &u16, page: &u16) -> EnumSet<RandomProperty> {
        if page + 1 == RECORDS { RandomProperty::S2.into() } else { EnumSet::empty() }
    }

    fn judge_control_move(
        &self,
        (): (),
        _before: &u16,
        _after: &ControlMove<u16, RandomCondition>,
    ) -> EnumSet<RandomProperty> {
        EnumSet::empty()
    }

    fn judge_page_move(
        &self,
        (): (),
        _control: &u16,
        _page: &u16,
        _after: &PageMove<u16, u16, RandomCondition>,
    ) -> Verdict<RandomCondition, RandomProperty> {
        Verdict::default()
    }

    fn may_end(&self, _control: &u16) -> bool {
        false
    }
}

#[test]
fn states_that_outgrow_their_word_go_on_in_a_wider_one() {
    for pages in [5, 6, 10] {
        for symmetry in [false, true] {
            let concrete = Concrete { system: Wide, pages };
            let directory = tempfile::tempdir().unwrap();
            for (states_max, resume) in [(Some(300), false), (None, true)] {
                let options = ExploreOptions { states_max, ..with(1, symmetry) };
                let end = explore(&concrete, saving_every(HOUR, options, directory.path(), resume)).unwrap();
                if states_max.is_none() {
                    assert_eq!((end.states, end.depth), (u64::from(RECORDS), usize::from(RECORDS) - 1));
                    assert_eq!(end.violations[&RandomProperty::S2].steps.len(), usize::from(RECORDS) - 1);
                    assert_eq!(end.violations[&RandomProperty::S10].steps.len(), usize::from(RECORDS) - 1);
                }
            }
        }
    }
    let concrete = Concrete { system: Wide, pages: 12 };
    assert!(matches!(explore(&concrete, with(1, true)), Err(ExploreError::TooWide { pages: 12, .. })));
}
