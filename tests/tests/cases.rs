//! What went wrong in real systems, as reported in public, and that the model can say it: each is caught by a property, with
//! a shortest run that a person can follow.
//!
//! Forks and memory shared between processes, what an orchestrator believes of hosts that it cannot see, and control messages
//! that cross each other stay outside (`proofs-notes/pages.md`).

mod common;

use checker::judge::Engine;
use checker::report::Actual;
use checker::setting::Setting;
use enumset::EnumSet;
use model::disruption::Strike;
use model::{Defect, Disruption, Disruptions, Hosts, Link, Property, Stage, Strategy, algorithms};

use common::{exactly, run};

/// More is no run to follow at once.
const STEPS_MAX: usize = 16;

struct Case {
    name: &'static str,
    algorithm: &'static str,
    defect: Option<Defect>,
    disruption: Option<(Disruption, Option<Stage>)>,
    caught_by: Property,
}

const fn case(name: &'static str, algorithm: &'static str, defect: Defect, caught_by: Property) -> Case {
    Case { name, algorithm, defect: Some(defect), disruption: None, caught_by }
}

const fn struck(case: Case, disruption: Disruption, stage: Option<Stage>) -> Case {
    Case { disruption: Some((disruption, stage)), ..case }
}

#[rustfmt::skip]
const CASES: [Case; 27] = {
    use Defect::*;
    use Disruption::{Cancel, CrashSource, Cut, Refuse};
    use Property::*;
    [
        case("The answer to a request is on a connection of its own, which is closed with it unread.",
            "post-copy-demand-apart", CompleteBeforeAnswers, S5),
        case("A hint clears the dirty bit of a page in use, which is never sent.",
            "pre-copy-mappings", HintInUse, S1),
        case("The destination asks for a page that a hint has exempted, and the source finds it not dirty.",
            "post-copy-mappings", RefuseExempt, L3),
        struck(case("The source loses its requests with the connection, and pushes other pages first.",
            "post-copy", ForgetDemandOnReconnect, L3), Cut, None),
        case("A request is dropped at the source; the page comes later, by chance.",
            "post-copy", ForgetDemand, L3),
        case("A page that was copied has become zero, and is counted as sent.",
            "pre-copy-mappings", ZeroUnsaid, S2),
        case("A page is counted as sent, and is not.",
            "pre-copy", MarkSentUnsent, S1),
        Case { name: "State and go came in one package, and the destination cannot load it.",
            algorithm: "qemu-pre-copy", defect: None, disruption: Some((Refuse, None)), caught_by: S12 },
        struck(case("The connection breaks as the destination starts, and the source resumes.",
            "pre-copy", ResumeAfterHandOver, S3), Cut, Some(Stage::HandOver)),
        struck(case("The process runs at the destination, serving pages fails, and the source resumes.",
            "post-copy", ResumeAfterHandOver, S3), Cut, Some(Stage::PostMigration)),
        case("A device writes a page that was copied.",
            "vmotion", UntrackedWriter, S2),
        case("A device writes a page that was sent, after the freeze.",
            "vmotion", WriterWhileFrozen, S2),
        struck(case("A late failure leaves the machine suspended.",
            "pre-copy", AbortLeavesFrozen, L4), Cancel, Some(Stage::Freeze)),
        case("From the second hop on only pages modified since the first are offered.",
            "pre-copy-from-local-store", ClearDirtyOnArrival, S1),
        struck(case("The destination refuses, and the retry offers later writes alone.",
            "total-copy-dirty", ConsumeDirtyBits, S1), Refuse, None),
        struck(case("The same of pages that a pass had copied.",
            "pre-copy", RetryTrustsLog, S1), Refuse, None),
        case("Pages are sent in the background before the hand-over is agreed.",
            "post-copy", PushWhileFrozen, S4),
        case("A page that is mapped between two passes counts as in step.",
            "pre-copy-mappings", BornInStep, S1),
        case("A balloon takes a page that is owed, and a later fault is served its old content.",
            "post-copy-mappings", ServeDiscarded, S2),
        case("A page is discarded, and what was on its way is installed.",
            "post-copy-mappings", InstallVoid, S2),
        case("Two threads fault on one page, and the second falls asleep after the first was woken.",
            "post-copy-threads", DropLateFault, L3),
        case("The migration succeeds, and the source goes on running.",
            "pre-copy", RunOnAtSource, S3),
        struck(case("All is at the destination, the source dies before it says so, and the process is given up.",
            "pre-copy", LostOnTimeOut, S12), CrashSource, Some(Stage::CleanUp)),
        case("No barrier between passes: an older copy on another connection overwrites a newer one.",
            "pre-copy-striped", NoPassBarrier, S1),
        case("A page that is not there is read as zeroes.",
            "post-copy-threads", MapBeforeFill, S2),
        case("Ready arrives and is ignored; both wait for ever.",
            "post-copy", CommitForgotten, S10),
        struck(case("A migration is cancelled before it begins, and its destination waits for ever.",
            "pre-copy-announced", CancelUnsaid, L2), Cancel, Some(Stage::Announced)),
    ]
};

/// Pre-copy of what was modified; the rest is loaded from the program's file.
fn strategy(name: &str) -> Strategy {
    let own = || {
        let text = algorithms::PRE_COPY.to_toml();
        let text = text.replace("\"pre-copy\"", "\"pre-copy-from-local-store\"");
        let text = text.replace("\"nothing\"", "\"store\"").replace("\"travel\"", "\"local-store\"");
        text.parse().expect("legal")
    };
    algorithms::built_in(name).unwrap_or_else(own)
}

#[test]
fn each_case_is_caught_by_a_run_that_a_person_can_follow() {
    let mut told = String::new();
    for Case { name, algorithm, defect, disruption, caught_by } in CASES {
        let disruptions = disruption.map_or(Disruptions::NONE, |(kind, stage)| {
            let stages = stage.map_or(EnumSet::all(), EnumSet::from);
            Disruptions::one(Strike { kinds: kind.into(), stages })
        });
        let strategy = strategy(algorithm);
        let setting = Setting { strategy, hosts: Hosts::Two, link: Link::Fifo, defect, disruptions };
        let caught = (1..=2).find_map(|pages| {
            let run = run(&setting, exactly(pages), caught_by.into(), Engine::Native);
            run.verdicts.into_iter().find(|verdict| verdict.actual == Actual::Fails)
        });
        let verdict = caught.unwrap_or_else(|| panic!("{caught_by} does not catch it: {name}"));
        let story = verdict.story.expect("a run that shows it");
        assert!(story.steps.len() <= STEPS_MAX, "{name}: {} steps", story.steps.len());
        told += &format!("# {name}\n\n{}\n", story.to_text());
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(told) });
}

/// Without the defect, or with the hand-over that the others have, nothing is caught.
#[test]
fn what_is_right_is_not_caught() {
    for Case { name, algorithm, disruption, caught_by, .. } in CASES {
        let kinds = disruption.map_or(Disruption::Cut, |(kind, _)| kind);
        let mut strategy = strategy(algorithm);
        strategy.real.hand_over = model::strategy::HandOver::ReadyGo;
        let disruptions = Disruptions::up_to(1, kinds.into());
        let setting = Setting { strategy, hosts: Hosts::Two, link: Link::Fifo, defect: None, disruptions };
        let run = run(&setting, exactly(1), caught_by.into(), Engine::Native);
        assert!(run.verdicts.iter().all(|verdict| verdict.actual != Actual::Fails), "{name}");
    }
}
