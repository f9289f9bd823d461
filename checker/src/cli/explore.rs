//! `explore`: the stateright Explorer.

use anyhow::{Result, bail};
use checker::report::Conclusion;
use stateright::Model;

use super::args::Explore;
use super::{End, algorithm, setting};

pub(super) fn run(args: &Explore) -> Result<End> {
    if !args.address.ip().is_loopback() {
        bail!("{} is no loopback address: the explorer has no access control", args.address);
    }
    let setting = setting(algorithm(&args.algorithm)?, &args.world);
    let (name, address) = (&setting.strategy.name, args.address);
    anstream::eprintln!("{name} with {} pages: http://{address}/ (Ctrl-C ends it)", args.pages);
    setting.concrete(args.pages).checker().serve(args.address);
    Ok(End::Concluded(Conclusion::AsExpected))
}
