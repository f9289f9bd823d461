//! `explore`: the stateright Explorer.

use std::net::TcpListener;

use anyhow::{Context, Result, bail};
use checker::report::{Conclusion, counted};
use checker::setting::Pages;
use model::Stateright;
use stateright::Model;

use super::args::Explore;
use super::output::remark;
use super::{End, refuse_idle_defect, setting};

pub(super) fn run(args: &Explore) -> Result<End> {
    if !args.address.ip().is_loopback() {
        bail!("{} is no loopback address: the explorer has no access control", args.address);
    }
    let setting = setting(args.subject.asked()?.strategy, &args.world)?;
    refuse_idle_defect(&setting, Pages::Exactly(args.pages))?;
    let (name, address) = (&setting.strategy.name, args.address);
    // The explorer itself would panic.
    drop(TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?);
    let pages = counted(args.pages.get(), "page");
    remark(format_args!("{name} with {pages}: http://{address}/ (Ctrl-C ends it)"));
    Stateright(setting.concrete(args.pages)).checker().serve(args.address);
    Ok(End::Concluded(Conclusion::AsExpected))
}
