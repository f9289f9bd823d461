//! Safety: what the invariant permits violates no property that it claims.

use std::collections::BTreeSet;

use enumset::{EnumSet, EnumSetType};
use population::concrete::{Move, Step};
use population::system::{Conditions, Judged, PropertyName};

use super::VerificationCondition;
use super::consecution::{Variant, before, declare_guards};
use super::script::{Script, and, or, symbol};
use super::vocabulary::{Vocabulary, meets_all};

/// Safety of states and of steps, for every claimed property. A step that no records let violate a
/// property has no condition.
pub(super) fn all<S: Judged>(vocabulary: &Vocabulary<'_, S>) -> Vec<VerificationCondition> {
    let mut conditions = Vec::new();
    for property in vocabulary.claims {
        conditions.push(of_states(vocabulary, property, Variant::PROOF));
        let of_step = |step| of_step(vocabulary, property, step, Variant::PROOF);
        conditions.extend(vocabulary.steps().filter_map(of_step));
    }
    conditions
}

pub(super) fn of_states<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    property: S::Property,
    variant: Variant,
) -> VerificationCondition {
    match property {
        property if property == S::Property::NO_DEADLOCK => progress(vocabulary, variant),
        _ => of_records(vocabulary, property, variant),
    }
}

/// `None` if the step violates the property under no records.
pub(super) fn of_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    property: S::Property,
    step: Step<S>,
    variant: Variant,
) -> Option<VerificationCondition> {
    match step {
        Move::Control(step) => of_control_step(vocabulary, property, step, variant),
        Move::Page(step, _) => of_page_step(vocabulary, property, step, variant),
    }
}

/// Every combination of a control record and a page record, permitted or not: that those which violate
/// something are not permitted is for the solver to see.
fn combinations<S: Judged>(vocabulary: &Vocabulary<'_, S>) -> impl Iterator<Item = (usize, usize)> {
    let records = vocabulary.records.len();
    (0..vocabulary.controls.len()).flat_map(move |control| (0..records).map(move |record| (control, record)))
}

fn of_records<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    property: S::Property,
    variant: Variant,
) -> VerificationCondition {
    let Vocabulary { system, controls, records, .. } = vocabulary;
    let bad =
        controls.iter().enumerate().filter(|(_, control)| system.judge_control(control).contains(property));
    let bad_control = or(bad.map(|(index, _)| format!("(= control c{index})")));
    let bad_pages = (0..controls.len()).map(|control| {
        let bad =
            |record: &usize| system.judge_page(&controls[control], &records[*record]).contains(property);
        let bad = or((0..records.len()).filter(bad).map(|record| format!("(= (record p) r{record})")));
        if bad == "false" { bad } else { and([format!("\n  (= control c{control})"), bad]) }
    });
    let mut script = before(vocabulary);
    let violated = or([bad_control, format!("(exists ((p Page)) {})", or(bad_pages))]);
    if variant.concluded {
        script
            .comment(format_args!("and {property} is not violated"))
            .assert(format_args!("(not {violated})"));
    } else {
        script.comment(format_args!("and {property} is violated")).assert(violated);
    }
    script.condition(
        &vocabulary.subject,
        format!("{}safety/{property}/states", variant.prefix),
        variant.expected,
    )
}

fn of_control_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    property: S::Property,
    step: S::ControlStep,
    variant: Variant,
) -> Option<VerificationCondition> {
    let system = vocabulary.system;
    let violating = |(index, control): (usize, &S::Control)| {
        let taken = system.control_move(step, control)?;
        let violated = system.judge_control_move(step, control, &taken);
        violated.contains(property).then(|| (index, variant.requires(taken.requires)))
    };
    let rows: Vec<_> = vocabulary.controls.iter().enumerate().filter_map(violating).collect();
    if rows.is_empty() {
        return None;
    }
    let mut script = before(vocabulary);
    script.comment(format_args!("the control takes step {} and violates {property}", symbol(&step)));
    let guards = declare_guards(&mut script, rows.iter().map(|(_, requires)| *requires), None);
    let rows = rows
        .iter()
        .map(|(control, requires)| and([format!("\n  (= control c{control})"), guards[requires].clone()]));
    script.assert(or(rows));
    let name = format!("{}safety/{property}/control/{}", variant.prefix, symbol(&step));
    Some(script.condition(&vocabulary.subject, name, variant.expected))
}

/// A page step under a pair of records violates a property, unless the others meet the conditions.
struct Violating<K: EnumSetType> {
    pair: (usize, usize),
    requires: EnumSet<K>,
    unless: Option<EnumSet<K>>,
}

fn of_page_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    property: S::Property,
    step: S::PageStep,
    variant: Variant,
) -> Option<VerificationCondition> {
    let violating = |pair: (usize, usize)| {
        let (control, page) = (&vocabulary.controls[pair.0], &vocabulary.records[pair.1]);
        let taken = vocabulary.system.page_move(step, control, page)?;
        let verdict = vocabulary.system.judge_page_move(step, control, page, &taken);
        let always = verdict.violated.contains(property);
        let unless = (!always).then_some(verdict.conditions);
        let violated = always || verdict.violated_unless.contains(property);
        violated.then(|| Violating { pair, requires: variant.requires(taken.requires), unless })
    };
    let rows: Vec<_> = combinations(vocabulary).filter_map(violating).collect();
    if rows.is_empty() {
        return None;
    }
    let mut script = before(vocabulary);
    script.comment(format_args!("a page, the stepper, takes step {} and violates {property}", symbol(&step)));
    script.line("(declare-const stepper Page)");
    let guards = declare_guards(&mut script, rows.iter().map(|row| row.requires), Some("stepper"));
    let unexcused = |unless: Conditions<S>| {
        format!("(exists ((q Page)) (and (distinct q stepper) (not {})))", meets_all(unless, "(record q)"))
    };
    let rows = rows.iter().map(|row| {
        let (control, record) = row.pair;
        let pair = format!("\n  (and (= control c{control}) (= (record stepper) r{record}))");
        let unless = row.unless.map_or("true".to_owned(), unexcused);
        and([pair, guards[&row.requires].clone(), unless])
    });
    script.assert(or(rows));
    let name = format!("{}safety/{property}/page/{}", variant.prefix, symbol(&step));
    Some(script.condition(&vocabulary.subject, name, variant.expected))
}

/// `S10`: a state where nothing is enabled is one that may end.
fn progress<S: Judged>(vocabulary: &Vocabulary<'_, S>, variant: Variant) -> VerificationCondition {
    let Vocabulary { system, controls, .. } = vocabulary;
    let mut script = before(vocabulary);
    let going_on = controls.iter().enumerate().filter(|(_, control)| !system.may_end(control));
    script.comment("and the state may not end");
    script.assert(or(going_on.map(|(index, _)| format!("(= control c{index})"))));
    if !variant.concluded {
        script.comment("and no step is enabled");
        no_control_step(vocabulary, &mut script);
        no_page_step(vocabulary, &mut script);
    }
    script.condition(&vocabulary.subject, format!("{}safety/S10/states", variant.prefix), variant.expected)
}

fn no_control_step<S: Judged>(vocabulary: &Vocabulary<'_, S>, script: &mut Script) {
    for step in vocabulary.system.control_steps() {
        for (index, control) in vocabulary.controls.iter().enumerate() {
            if let Some(taken) = vocabulary.system.control_move(*step, control) {
                let met = meets_all(taken.requires, "(record q)");
                script.assert(format_args!("(=> (= control c{index}) (exists ((q Page)) (not {met})))"));
            }
        }
    }
}

/// That a page's guarded step is not enabled means that *another* page fails the guard. So that no
/// quantifier depends on another, two constants stand for pages that fail it: either nobody would take such
/// a step, or one page fails the guard and would not take it, or two pages fail it.
fn no_page_step<S: Judged>(vocabulary: &Vocabulary<'_, S>, script: &mut Script) {
    for (nth, (requires, takers)) in takers(vocabulary).into_iter().enumerate() {
        let (takes, one, two) = (format!("takes{nth}"), format!("one{nth}"), format!("two{nth}"));
        let fails = |page: &str| format!("(not {})", meets_all(requires, &format!("(record {page})")));
        let takers = takers.into_iter();
        let takers = takers.map(|(control, record)| format!("\n  (and (= c c{control}) (= r r{record}))"));
        script.line(format_args!("(define-fun {takes} ((c Control) (r Record)) Bool {})", or(takers)));
        script.line(format_args!("(declare-const {one} Page)"));
        script.line(format_args!("(declare-const {two} Page)"));
        script.assert(or([
            format!("(forall ((p Page)) (not ({takes} control (record p))))"),
            and([fails(&one), format!("(not ({takes} control (record {one})))")]),
            and([format!("(distinct {one} {two})"), fails(&one), fails(&two)]),
        ]));
    }
}

/// Pairs of a control record and a page record, by index.
type Pairs = BTreeSet<(usize, usize)>;

/// For each requirement of page steps: the records under which a page has such a step.
fn takers<S: Judged>(vocabulary: &Vocabulary<'_, S>) -> Vec<(Conditions<S>, Pairs)> {
    let rows = || vocabulary.system.page_steps().iter().flat_map(|step| vocabulary.page_rows(*step));
    let required: BTreeSet<_> = rows().map(|row| row.requires).collect();
    let takers = |requires: Conditions<S>| {
        rows().filter(|row| row.requires == requires).map(|row| (row.control, row.record)).collect()
    };
    required.into_iter().map(|requires| (requires, takers(requires))).collect()
}
