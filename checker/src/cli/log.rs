//! `log`: one run of the reference in which nothing goes wrong, as the log of its steps.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use checker::console::{STRATEGY_BYTES_MAX, read_text};
use checker::report::Conclusion;
use model::Link;
use steplog::place::HostId;
use world::net::{FrameOrder, LinkConfig};
use world::workload::{PageLayout, Pattern, Workload};
use world::{Ending, Scenario, World};

use super::End;
use super::args::{Algorithm, LogArgs, PAGES_OF_A_LOG_MAX};
use super::subject::Subject;

const JITTER_NS: u64 = 300_000;
const RETRANSMIT_AFTER_NS: u64 = 1_000_000;

pub(super) fn run(args: &LogArgs) -> Result<End> {
    let scenario = match &args.scenario {
        Some(path) => from_file(path)?,
        None => {
            let (algorithm, strategy) = (args.algorithm.clone(), args.strategy.clone());
            from_options(args, &Algorithm { algorithm, strategy }.asked()?)?
        }
    };
    let report = World::run(&scenario).context("the run")?;
    let out = BufWriter::new(anstream::stdout().lock());
    match write(&scenario, &report.log, out) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("cannot write to standard output")?,
    }
    Ok(End::Concluded(Conclusion::AsExpected))
}

fn write(scenario: &Scenario, steps: &[steplog::event::Step], mut out: impl Write) -> std::io::Result<()> {
    scenario.header(false).write_with(steps, &mut out)?;
    out.flush()
}

fn from_file(path: &Path) -> Result<Scenario> {
    let named = || path.display().to_string();
    let text = read_text(path, "a scenario", STRATEGY_BYTES_MAX).with_context(named)?;
    let scenario: Scenario = toml::from_str(&text).with_context(named)?;
    let pages = scenario.layout.pages;
    if pages > PAGES_OF_A_LOG_MAX {
        bail!("{}: layout: pages: {pages} are more than {PAGES_OF_A_LOG_MAX}", named());
    }
    Ok(scenario)
}

fn from_options(args: &LogArgs, subject: &Subject) -> Result<Scenario> {
    let order = match args.link {
        Link::Fifo => FrameOrder::Fifo,
        Link::Unordered => FrameOrder::Unordered { jitter_ns: JITTER_NS },
        Link::Lossy => FrameOrder::Lossy {
            jitter_ns: JITTER_NS,
            loss_percent: 10,
            duplicate_percent: 10,
            retransmit_after_ns: RETRANSMIT_AFTER_NS,
        },
    };
    Ok(Scenario {
        policy: tie::policy::policy(&subject.strategy).with_context(|| subject.place.to_string())?,
        layout: PageLayout {
            pages: args.pages,
            file_mapped_percent: 50,
            initially_dirty_percent: 50,
            noise_percent: 50,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 350_000 },
        link: LinkConfig { order, ..LinkConfig::FAST_ETHERNET },
        route: (0..=args.moves).map(|stay| HostId(u16::from(stay % 2))).collect(),
        accesses_per_stay: args.pages,
        registers_len: 8,
        ending: Ending::Idle,
        seed: args.seed,
    })
}
