//! `invariant` and `smt`: what proves an algorithm for any number of pages, for other programs to judge.

use std::fs;

use anyhow::{Context, Result};
use checker::report::{Conclusion, counted};
use checker::smt::emit;
use engine::views::{Bounds, prove};

use super::args::{Invariant, Smt};
use super::output::say;
use super::{End, algorithm, setting};

pub(super) fn invariant(args: &Invariant) -> Result<End> {
    let setting = setting(algorithm(&args.algorithm)?, &args.world)?;
    let mut proof = prove(&setting.migration(), Bounds::default());
    proof.invariant.subject = setting.fingerprint();
    say(proof.invariant.to_json()?)?;
    Ok(End::Concluded(Conclusion::AsExpected))
}

pub(super) fn smt(args: &Smt) -> Result<End> {
    let setting = setting(algorithm(&args.algorithm)?, &args.world)?;
    let migration = setting.migration();
    let proof = prove(&migration, Bounds::default());
    let conditions = emit(&migration, &proof.invariant);
    let directory = &args.output;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for condition in &conditions {
        let path = directory.join(condition.file_name());
        fs::write(&path, &condition.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(format_args!("{} in {}", counted(conditions.len(), "verification condition"), directory.display()))?;
    Ok(End::Concluded(Conclusion::AsExpected))
}
