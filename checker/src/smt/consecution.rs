//! Initiation and consecution: the invariant holds at first, and after every step.

use std::collections::{BTreeMap, BTreeSet};

use enumset::{EnumSet, EnumSetType};
use population::concrete::{Move, Step};
use population::system::{ConditionName, Judged};

use super::script::{Script, and, or, symbol};
use super::vocabulary::{ControlRow, Vocabulary, meets_all};
use super::{SolverAnswer, VerificationCondition};

/// The condition itself, or a mutant of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    /// What its name starts with.
    pub prefix: &'static str,
    /// Are the guards of steps hypotheses?
    pub guarded: bool,
    /// Is the conclusion asserted, to see that the hypotheses allow something, or negated, to prove it?
    pub concluded: bool,
    pub expected: SolverAnswer,
}

impl Variant {
    pub const PROOF: Variant =
        Variant { prefix: "", guarded: true, concluded: false, expected: SolverAnswer::Unsat };

    pub fn requires<K: EnumSetType>(&self, required: EnumSet<K>) -> EnumSet<K> {
        if self.guarded { required } else { EnumSet::empty() }
    }
}

/// The terms of the state after a step.
const CONTROL_AFTER: &str = "control-after";

fn record(page: &str) -> String {
    format!("(record {page})")
}

fn record_after(page: &str) -> String {
    format!("(record-after {page})")
}

pub(super) fn initiation<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    variant: Variant,
) -> VerificationCondition {
    let mut script = vocabulary.prelude();
    let initial = vocabulary.system.initial_control();
    let controls = vocabulary.controls.iter().enumerate().filter(|(_, control)| **control == initial);
    let initial: BTreeSet<_> = vocabulary.system.initial_pages().into_iter().collect();
    let records = vocabulary.records.iter().enumerate().filter(|(_, record)| initial.contains(record));
    let records = or(records.map(|(index, _)| format!("(= (record p) r{index})")));
    script.comment("an initial state");
    script.assert(or(controls.map(|(index, _)| format!("(= control c{index})"))));
    script.assert(format_args!("(forall ((p Page)) {records})"));
    conclude(vocabulary, script, "initiation".to_owned(), "control", &record, variant)
}

/// Consecution of every step that some view allows.
pub(super) fn all<S: Judged>(vocabulary: &Vocabulary<'_, S>, variant: Variant) -> Vec<VerificationCondition> {
    let allowed = vocabulary.steps().filter(|step| match step {
        Move::Control(step) => !vocabulary.control_rows(*step).is_empty(),
        Move::Page(step, _) => !vocabulary.page_rows(*step).is_empty(),
    });
    allowed.map(|step| of_step(vocabulary, step, variant)).collect()
}

pub(super) fn of_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    step: Step<S>,
    variant: Variant,
) -> VerificationCondition {
    match step {
        Move::Control(step) => of_control_step(vocabulary, step, variant),
        Move::Page(step, _) => of_page_step(vocabulary, step, variant),
    }
}

fn of_control_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    step: S::ControlStep,
    variant: Variant,
) -> VerificationCondition {
    let rows = vocabulary.control_rows(step);
    let step = symbol(&step);
    let mut script = before(vocabulary);
    script.comment(format_args!("the control takes step {step}"));
    script.line(format_args!("(declare-const {CONTROL_AFTER} Control)"));
    script.line(format_args!("(define-fun carried ((c Control) (r Record)) Record\n  {})", carried(rows)));
    script.line("(define-fun record-after ((p Page)) Record (carried control (record p)))");
    let guards = declare_guards(&mut script, rows.iter().map(|row| variant.requires(row.requires)), None);
    let row = |row: &ControlRow<_>| {
        let from = format!("(= control c{})", row.control);
        let to = format!("(= {CONTROL_AFTER} c{})", row.control_after);
        and([from, to, guards[&variant.requires(row.requires)].clone()])
    };
    script.assert(or(rows.iter().map(row)));
    conclude(vocabulary, script, format!("consecution/control/{step}"), CONTROL_AFTER, &record_after, variant)
}

fn of_page_step<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    step: S::PageStep,
    variant: Variant,
) -> VerificationCondition {
    let rows = vocabulary.page_rows(step);
    let step = symbol(&step);
    let mut script = before(vocabulary);
    script.comment(format_args!("a page, the stepper, takes step {step}"));
    script.line("(declare-const stepper Page)");
    script.line(format_args!("(declare-const {CONTROL_AFTER} Control)"));
    script.line("(declare-const stepped Record)");
    script.line("(define-fun record-after ((p Page)) Record (ite (= p stepper) stepped (record p)))");
    let required = rows.iter().map(|row| variant.requires(row.requires));
    let guards = declare_guards(&mut script, required, Some("stepper"));

    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        let records = format!("(and (= (record stepper) r{}) (= stepped r{}))", row.record, row.record_after);
        let guard = &guards[&variant.requires(row.requires)];
        groups.entry((row.control, row.control_after, guard)).or_default().push(records);
    }
    let groups = groups.into_iter().map(|((control, after, guard), records)| {
        let from = format!("(= control c{control})");
        let to = format!("(= {CONTROL_AFTER} c{after})");
        format!("\n  {}", and([from, to, guard.clone(), or(records)]))
    });
    script.assert(or(groups));
    conclude(vocabulary, script, format!("consecution/page/{step}"), CONTROL_AFTER, &record_after, variant)
}

/// A state in which the invariant holds.
pub(super) fn before<S: Judged>(vocabulary: &Vocabulary<'_, S>) -> Script {
    let mut script = vocabulary.prelude();
    script.comment("the invariant holds");
    script.assert(vocabulary.invariant("control", &record));
    script
}

/// For each set of conditions a constant that implies that all pages, or all but one, meet them. A constant
/// keeps the quantifier at the top of an assertion.
pub(super) fn declare_guards<K: ConditionName>(
    script: &mut Script,
    required: impl Iterator<Item = EnumSet<K>>,
    except: Option<&str>,
) -> BTreeMap<EnumSet<K>, String> {
    let required: BTreeSet<_> = required.collect();
    let mut proxies = BTreeMap::new();
    for (index, required) in required.into_iter().enumerate() {
        if required.is_empty() {
            proxies.insert(required, "true".to_owned());
            continue;
        }
        let name = format!("guard{index}");
        let met = meets_all(required, "(record q)");
        let met = except.map_or(met.clone(), |page| format!("(=> (distinct q {page}) {met})"));
        script.line(format_args!("(declare-const {name} Bool)"));
        script.assert(format_args!("(=> {name} (forall ((q Page)) {met}))"));
        proxies.insert(required, name);
    }
    proxies
}

fn conclude<S: Judged>(
    vocabulary: &Vocabulary<'_, S>,
    mut script: Script,
    name: String,
    control: &str,
    record: &dyn Fn(&str) -> String,
    variant: Variant,
) -> VerificationCondition {
    let invariant = vocabulary.invariant(control, record);
    if variant.concluded {
        script.comment("and the invariant still holds").assert(invariant);
    } else {
        script.comment("and the invariant does not hold any more").assert(format_args!("(not {invariant})"));
    }
    script.condition(&vocabulary.subject, format!("{}{name}", variant.prefix), variant.expected)
}

/// What a control step makes of a page record, as nested choices; what it leaves alone comes last.
fn carried<K: EnumSetType>(rows: &[ControlRow<K>]) -> String {
    let mut changes = Vec::new();
    for row in rows {
        let mut by_target = BTreeMap::<_, Vec<_>>::new();
        for (record, after) in row.carried.iter().filter(|(record, after)| record != after) {
            by_target.entry(after).or_default().push(format!("(= r r{record})"));
        }
        for (after, records) in by_target {
            changes.push(format!("(ite {} r{after}", and([format!("(= c c{})", row.control), or(records)])));
        }
    }
    format!("{} r{}", changes.join(" "), ")".repeat(changes.len()))
}
