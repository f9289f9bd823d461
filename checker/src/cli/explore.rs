//! `explore`: the stateright Explorer, or the states as a graph.

use std::net::TcpListener;

use anyhow::{Context, Result, bail};
use checker::narrative::state_graph_to_dot;
use checker::report::{Conclusion, counted};
use checker::setting::Pages;
use engine::state_graph::{PageIdentity, StateGraph};
use model::Stateright;
use stateright::Model;

use super::args::Explore;
use super::output::{remark, say};
use super::patience::Patience;
use super::{End, refuse_idle_defect, setting};

pub(super) fn run(args: &Explore) -> Result<End> {
    if args.dot {
        return graph(args);
    }
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

fn graph(args: &Explore) -> Result<End> {
    let setting = setting(args.subject.asked()?.strategy, &args.world)?;
    refuse_idle_defect(&setting, Pages::Exactly(args.pages))?;
    let concrete = setting.concrete(args.pages);
    let patience = Patience::start(None)?;
    let goes_on = |_| !patience.is_out();
    match StateGraph::explore_while(&concrete, PageIdentity::Interchangeable, args.max_states, &goes_on) {
        Ok(graph) => {
            say(state_graph_to_dot(&graph).trim_end())?;
            Ok(End::Concluded(Conclusion::AsExpected))
        }
        Err(error) => {
            remark(format_args!("{} inconclusive: {error}", setting.strategy.name));
            Ok(patience.end(Conclusion::Inconclusive, true))
        }
    }
}
