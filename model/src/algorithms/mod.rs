//! The nine built-in algorithms, one file each: where it comes from, how it goes, and its choices.

mod assisted_post_copy;
mod choices;
mod flushing;
mod generic;
mod lazy_copy;
mod post_copy;
mod pre_copy;
mod precautions;
mod profiles;
mod total_copy;

pub use assisted_post_copy::ASSISTED_POST_COPY;
pub use choices::{
    ASSISTED_MAPPINGS, POST_COPY_DEMAND_APART, POST_COPY_MAPPINGS, POST_COPY_PULL, POST_COPY_THREADS,
    PRE_COPY_MAPPINGS, PRE_COPY_STRIPED,
};
pub use flushing::FLUSHING;
pub use generic::{GENERIC, GENERIC_WITHOUT_PREFETCH, GENERIC_WITHOUT_WORKING_SET};
pub use lazy_copy::LAZY_COPY;
pub use post_copy::POST_COPY;
pub use pre_copy::{PRE_COPY, PRE_COPY_UNBOUNDED};
pub use precautions::{
    ASSISTED_SPLIT, GENERIC_ANNOUNCED, GENERIC_FALLBACK, POST_COPY_FALLBACK, PRE_COPY_ANNOUNCED,
};
pub use profiles::{
    ACCENT, CLOUD_HYPERVISOR_POST_COPY, CRIU_LAZY, OPENMOSIX, QEMU_HYBRID, QEMU_POST_COPY, QEMU_PRE_COPY,
    SPRITE, V_SYSTEM, VMOTION,
};
pub use total_copy::{TOTAL_COPY, TOTAL_COPY_DIRTY};

use crate::strategy::Strategy;
use crate::strategy_file::StrategyFileError;

/// Every built-in algorithm, in the order of the taxonomy.
pub const BUILT_IN: [Strategy; 9] = [
    TOTAL_COPY,
    TOTAL_COPY_DIRTY,
    PRE_COPY,
    PRE_COPY_UNBOUNDED,
    LAZY_COPY,
    FLUSHING,
    POST_COPY,
    ASSISTED_POST_COPY,
    GENERIC,
];

/// Built-in algorithms with a switch turned off.
pub const VARIANTS: [Strategy; 2] = [GENERIC_WITHOUT_WORKING_SET, GENERIC_WITHOUT_PREFETCH];

/// Profiles of real systems.
pub const PROFILES: [Strategy; 10] = [
    QEMU_PRE_COPY,
    QEMU_POST_COPY,
    QEMU_HYBRID,
    CRIU_LAZY,
    CLOUD_HYPERVISOR_POST_COPY,
    V_SYSTEM,
    ACCENT,
    SPRITE,
    OPENMOSIX,
    VMOTION,
];

/// Built-in algorithms with a choice about pages and threads that they leave out.
pub const CHOICES: [Strategy; 7] = [
    POST_COPY_THREADS,
    PRE_COPY_MAPPINGS,
    POST_COPY_MAPPINGS,
    ASSISTED_MAPPINGS,
    POST_COPY_DEMAND_APART,
    PRE_COPY_STRIPED,
    POST_COPY_PULL,
];

/// Built-in algorithms with a precaution that they do not take.
pub const PRECAUTIONS: [Strategy; 5] =
    [PRE_COPY_ANNOUNCED, GENERIC_ANNOUNCED, POST_COPY_FALLBACK, GENERIC_FALLBACK, ASSISTED_SPLIT];

/// All that have a name: built-in, with a switch turned off, with another choice or a precaution, and profiles of real systems.
pub fn all() -> impl Iterator<Item = Strategy> {
    BUILT_IN.into_iter().chain(VARIANTS).chain(CHOICES).chain(PRECAUTIONS).chain(PROFILES)
}

/// The algorithm of that name, also with other choices.
pub fn built_in(name: &str) -> Option<Strategy> {
    let found = all().find(|strategy| strategy.name == name);
    found.or_else(|| varied(name).and_then(Result::ok))
}

/// A built-in algorithm that makes other choices, as in `post-copy+hand-over=one-shot+push=pull`; `None` where the name says
/// nothing of the sort.
///
/// # Errors
/// The choices are none, or do not go together: line and field are those of the strategy file.
pub fn varied(name: &str) -> Option<Result<Strategy, StrategyFileError>> {
    let (base, choices) = name.split_once('+')?;
    let choices: Option<Vec<(&str, &str)>> =
        choices.split('+').map(|choice| choice.split_once('=')).collect();
    let strategy = all().find(|strategy| strategy.name == base)?;
    let mut lines: Vec<String> = strategy.to_toml().lines().map(str::to_owned).collect();
    for (field, value) in [("name", name)].into_iter().chain(choices?) {
        lines.retain(|line| line.split(' ').next() != Some(field));
        let bare = value.parse::<u8>().is_ok() || value.parse::<bool>().is_ok();
        lines.push(if bare { format!("{field} = {value}") } else { format!("{field} = {value:?}") });
    }
    Some(lines.join("\n").parse())
}
