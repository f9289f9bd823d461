//! `invariant` and `smt`: what proves an algorithm for any number of pages, for other programs to judge.

use std::fs;

use anyhow::{Context, Result, bail};
use checker::proof::document;
use checker::report::{Conclusion, counted};
use checker::setting::Pages;
use checker::smt::emit;
use checker::smt::manifest::{FILE_NAME, Manifest};
use engine::views::{ProofBounds, prove};

use super::args::{InvariantArgs, Smt};
use super::output::say;
use super::{End, refuse_idle_defect, setting};

pub(super) fn invariant(args: &InvariantArgs) -> Result<End> {
    let setting = setting(args.subject.asked()?.strategy, &args.world)?;
    refuse_idle_defect(&setting, Pages::Any)?;
    say(document(&setting).to_json()?)?;
    Ok(End::Concluded(Conclusion::AsExpected))
}

pub(super) fn smt(args: &Smt) -> Result<End> {
    let setting = setting(args.subject.asked()?.strategy, &args.world)?;
    refuse_idle_defect(&setting, Pages::Any)?;
    let migration = setting.migration();
    let mut proof = prove(&migration, ProofBounds::default());
    proof.invariant.subject = setting.fingerprint();
    let conditions = emit(&migration, &proof.invariant);
    let manifest = Manifest::new(&migration, &proof.invariant, &conditions);
    let directory = &args.output;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let mut used = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    if used.next().is_some() {
        bail!(
            "{} is not empty: what is there would be judged along with the conditions",
            directory.display()
        );
    }
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for condition in &conditions {
        write(&condition.file_name(), &condition.text)?;
    }
    // Last, so that a directory without it is known to be incomplete.
    write(FILE_NAME, &(serde_json::to_string_pretty(&manifest)? + "\n"))?;
    say(format_args!("{} in {}", counted(conditions.len(), "verification condition"), directory.display()))?;
    Ok(End::Concluded(Conclusion::AsExpected))
}
