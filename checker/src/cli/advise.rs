//! `advise`: which algorithm does what is asked for, here.

use anyhow::{Context, Result, ensure};
use checker::report::Conclusion;
use checker::simulate::Fraction;
use checker::simulate::SimulationError;
use checker::simulate::advise::{Advice, Wish, advise, downtime_table};
use checker::simulate::report::{self, SimulationDocument};
use checker::simulate::summary::runs_by_default;
use checker::simulate::units::{bits_per_second, nanoseconds};
use clap::Args;
use model::algorithms;
use serde::Serialize;
use std::num::NonZeroU64;

use super::End;
use super::args::{Algorithms, TableFormat, Timeout};
use super::output::{remark, say_sheet};
use super::simulate::args::SimulateSetting;
use super::simulate::{Waiter, setups};
use super::subject::Subject;

#[derive(Args, Debug)]
pub struct Advise {
    #[command(flatten)]
    pub subjects: Algorithms,
    /// For how long the process may be frozen, as in 50ms; algorithms that copy ahead are given what it leaves as their
    /// downtime target
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub freeze: Option<u64>,
    /// By how much it may be slowed down apart from that, as in 10%
    #[arg(long, value_name = "F")]
    pub slowdown: Option<Fraction>,
    /// When it must be over
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub total: Option<u64>,
    /// Print how long pre-copy takes for each bandwidth and downtime target instead
    #[arg(long, conflicts_with_all = ["freeze", "slowdown", "total", "Algorithms"])]
    pub table: bool,
    /// The bandwidths of the table
    #[arg(long, value_name = "RATE", value_delimiter = ',', value_parser = bits_per_second, requires = "table", conflicts_with_all = ["freeze", "slowdown", "total"],
        default_value = "100Mbit/s,1Gbit/s,2.5Gbit/s,5Gbit/s,10Gbit/s,25Gbit/s,40Gbit/s,100Gbit/s")]
    pub bandwidths: Vec<u64>,
    /// The downtime targets of the table
    #[arg(long, value_name = "TIME", value_delimiter = ',', value_parser = nanoseconds, requires = "table", conflicts_with_all = ["freeze", "slowdown", "total"],
        default_value = "50ms,125ms,250ms,500ms,1s,5s")]
    pub downtimes: Vec<u64>,
    #[command(flatten)]
    pub setting: SimulateSetting,
    /// How many runs, of which the worst counts [default: up to 8, 1 of what is large]
    #[arg(long, value_name = "N")]
    pub runs: Option<NonZeroU64>,
    #[command(flatten)]
    pub timeout: Timeout,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
}

#[derive(Serialize)]
struct Advised<'a> {
    wish: &'a Wish,
    advice: &'a [Advice],
}

pub(super) fn run(args: &Advise) -> Result<End> {
    if args.table {
        return table(args);
    }
    let wish =
        Wish { freeze_ns: args.freeze, slowdown: args.slowdown.map(Fraction::as_f64), total_ns: args.total };
    ensure!(wish != Wish::default(), "say what is asked for: --freeze, --slowdown or --total, or --table");
    let setups = setups(args.subjects.asked_or(algorithms::BUILT_IN)?, &args.setting)?;
    let waiter = Waiter::start(args.timeout.timeout)?;
    let count = setups.len();
    let mut advice = Vec::new();
    for (strategy, setup) in setups {
        let name = setup.policy.name.to_string();
        waiter.begin(&setup);
        let runs = args.runs.map_or_else(|| runs_by_default(&setup), Into::into);
        match advise(&wish, (&strategy, setup), runs, &waiter) {
            Err(given_up @ SimulationError::OutOfTime { .. }) => {
                remark(format_args!("{name}: {given_up}"));
                break;
            }
            advised => advice.push(advised.with_context(|| name)?),
        }
    }
    waiter.teller.end();
    let document = || SimulationDocument::new(Advised { wish: &wish, advice: &advice });
    say_sheet(
        args.format,
        || report::advice_table(&wish, &advice),
        || report::advice_rows(&advice),
        document,
    )?;
    for each in &advice {
        for outside in &each.outside {
            let name = &each.setup.policy.name;
            remark(format_args!("{name}: {} is {}, which no run can have", outside.cost, outside.simulated));
        }
    }
    let met = advice.iter().any(|each| each.misses.is_empty());
    let sound = advice.iter().all(|each| each.outside.is_empty());
    let conclusion = if met && sound { Conclusion::AsExpected } else { Conclusion::Surprise };
    Ok(waiter.patience.end(conclusion, advice.len() == count))
}

fn table(args: &Advise) -> Result<End> {
    let (_, setup) = setups(vec![Subject::built_in(algorithms::PRE_COPY)], &args.setting)?.swap_remove(0);
    let waiter = Waiter::start(args.timeout.timeout)?;
    waiter.begin(&setup);
    let table = match downtime_table(&setup, &args.bandwidths, &args.downtimes, &waiter) {
        Err(given_up @ SimulationError::OutOfTime { .. }) => {
            remark(&given_up);
            return Ok(waiter.patience.end(Conclusion::AsExpected, false));
        }
        table => table?,
    };
    waiter.teller.end();
    let document = || SimulationDocument::new(&table);
    say_sheet(args.format, || report::downtime_table(&table), || report::downtime_rows(&table), document)?;
    Ok(waiter.patience.end(Conclusion::AsExpected, true))
}
