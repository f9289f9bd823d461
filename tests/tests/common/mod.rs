//! What several tests need: runs of the checker's library without bounds or progress.

#![allow(dead_code, reason = "not every test that includes this file needs all of it")]

pub mod programs;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use checker::judge::{Engine, JudgeOptions, judge};
use checker::report::CheckRun;
use checker::setting::{Pages, Setting};
use enumset::EnumSet;
use model::system::Properties;
use model::{Disruptions, Hosts, Link, Strategy, algorithms};

/// A number of pages.
pub fn exactly(pages: usize) -> Pages {
    Pages::Exactly(NonZeroUsize::new(pages).expect("a process has a page"))
}

/// An algorithm without defect.
pub fn sound(strategy: Strategy, hosts: Hosts, link: Link) -> Setting {
    Setting { strategy, hosts, link, defect: None, disruptions: Disruptions::NONE }
}

/// Built-in algorithms and their variants.
pub fn everything() -> impl Iterator<Item = Strategy> {
    algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS)
}

/// Judges the given properties.
pub fn run(setting: &Setting, pages: Pages, properties: Properties, engine: Engine) -> CheckRun {
    let options = JudgeOptions {
        properties,
        engine,
        threads: NonZeroUsize::new(2).expect("two"),
        symmetry: true,
        states_max: None,
        memory_bytes_max: None,
        timeout: None,
        interrupted: &AtomicBool::new(false),
        progress: &|_| {},
        checkpoint: None,
    };
    judge(setting, pages, &options).expect("the engines work")
}

/// The safety properties.
pub fn safety() -> Properties {
    EnumSet::all().iter().filter(|property: &model::Property| property.is_safety()).collect()
}
