//! The options of `simulate`.

use std::path::PathBuf;
use std::str::FromStr;

use checker::simulate::sweep::{Parameter, Sweep};
use checker::simulate::units::{bits_per_second, bytes, nanoseconds};
use checker::simulate::{Setup, Share, Workload};
use clap::{Args, ValueEnum};
use protocol::policy::{Passes, Policy};

/// Values of a swept parameter.
const POINTS: usize = 9;

#[derive(Args, Debug)]
pub struct Simulate {
    /// Built-in algorithms, or paths of strategy files; all built-in ones by default
    #[arg(value_name = "ALGORITHM")]
    pub algorithms: Vec<String>,
    #[command(flatten)]
    pub setting: Setting,
    /// Reproduce the published tables: all cells from one set of constants, which are printed
    #[arg(long, conflicts_with_all = ["algorithms", "Setting", "sweep"])]
    pub paper: bool,
    /// Vary one parameter over a range, as in bandwidth=10Mbit/s..10Gbit/s
    #[arg(long, value_name = "PARAMETER=FROM..TO", value_parser = sweep)]
    pub sweep: Option<Sweep>,
    /// Draw a figure into this file: durations stacked by state, or the curves of a sweep
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    pub plot: Option<PathBuf>,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// What decides the cost. The defaults are those of the published tables.
#[derive(Args, Debug)]
pub struct Setting {
    /// Size of the address space, up to 64GiB in pages of 4096 bytes [default: 10MiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
    /// Size of a page [default: 4096]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub page_size: Option<u64>,
    /// What leaves a host or the file server in a second, as in 100Mbit/s [default: 109.18Mbit/s]
    #[arg(long, value_name = "RATE", value_parser = bits_per_second)]
    pub bandwidth: Option<u64>,
    /// Time from one place to another [default: 0.1ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub latency: Option<u64>,
    /// What may be queued at an interface [default: 640KiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub send_buffer: Option<u64>,
    /// Size of the state without pages [default: 56600]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub state: Option<u64>,
    /// Time for which a request keeps the place that serves it from sending [default: 0.205ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub request_pause: Option<u64>,
    /// Which pages the process touches; none is the best case, all the worst [default: uniform]
    #[arg(long)]
    pub workload: Option<WorkloadName>,
    /// Time from one access to the next [default: 0.34ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    pub access_interval: Option<u64>,
    /// Share of accesses that write, as in 0.5 or 50% [default: 0.5]
    #[arg(long, value_name = "F")]
    pub write_share: Option<Share>,
    /// Share of file-mapped pages [default: 0.5]
    #[arg(long, value_name = "F")]
    pub mapped_share: Option<Share>,
    /// Share of pages that are modified when the migration starts [default: 0.5]
    #[arg(long, value_name = "F")]
    pub dirty_share: Option<Share>,
    /// Accesses that the process does at least [default: 10000]
    #[arg(long, value_name = "N")]
    pub accesses: Option<u64>,
    /// Passes of an algorithm that copies ahead a bounded number of times [default: as the algorithm says]
    #[arg(long, value_name = "R|unbounded", value_parser = passes)]
    pub passes: Option<Passes>,
    /// Seed of everything that is left to chance [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkloadName {
    /// Any page, each as likely as the others
    Uniform,
    /// One page after the other, and again from the first
    Sequential,
    /// Few pages often, many rarely
    Zipf,
    /// Pages of a window that moves on from time to time
    WorkingSet,
    /// No page
    None,
    /// Every page at the worst moment
    All,
}

impl Setting {
    /// The setting for an algorithm.
    pub fn setup(&self, policy: Policy) -> Setup {
        let published = Setup::published(policy);
        let mut setup = Setup {
            memory_bytes: self.memory.unwrap_or(published.memory_bytes),
            page_size_bytes: self.page_size.unwrap_or(published.page_size_bytes),
            mapped_share: self.mapped_share.unwrap_or(published.mapped_share),
            dirty_share: self.dirty_share.unwrap_or(published.dirty_share),
            workload: self.workload.map_or(published.workload, WorkloadName::workload),
            access_interval_ns: self.access_interval.unwrap_or(published.access_interval_ns),
            write_share: self.write_share.unwrap_or(published.write_share),
            accesses_min: self.accesses.unwrap_or(published.accesses_min),
            bandwidth_bits_per_s: self.bandwidth.unwrap_or(published.bandwidth_bits_per_s),
            latency_ns: self.latency.unwrap_or(published.latency_ns),
            send_buffer_bytes: self.send_buffer.unwrap_or(published.send_buffer_bytes),
            state_bytes: self.state.unwrap_or(published.state_bytes),
            request_pause_ns: self.request_pause.unwrap_or(published.request_pause_ns),
            seed: self.seed.unwrap_or(published.seed),
            policy: published.policy,
        };
        if let Some(passes) = self.passes {
            setup.set_passes(passes);
        }
        setup
    }
}

impl WorkloadName {
    fn workload(self) -> Workload {
        match self {
            Self::Uniform => Workload::Uniform,
            Self::Sequential => Workload::Sequential,
            Self::Zipf => Workload::Zipf,
            Self::WorkingSet => Workload::WorkingSet,
            Self::None => Workload::None,
            Self::All => Workload::All,
        }
    }
}

fn passes(text: &str) -> Result<Passes, String> {
    if text == "unbounded" {
        return Ok(Passes::UntilInStep);
    }
    let passes = text.parse::<u32>().ok().filter(|passes| *passes > 0);
    passes.map(Passes::AtMost).ok_or_else(|| "passes are a number from 1, or unbounded".to_owned())
}

fn sweep(text: &str) -> Result<Sweep, String> {
    let form = || "a sweep is written PARAMETER=FROM..TO, as in memory=1MiB..1GiB".to_owned();
    let (parameter, range) = text.split_once('=').ok_or_else(form)?;
    let (from, to) = range.split_once("..").ok_or_else(form)?;
    let parameter =
        Parameter::ALL.into_iter().find(|each| each.to_string() == parameter).ok_or_else(|| {
            let all = Parameter::ALL.map(|each| each.to_string());
            format!("there is no parameter '{parameter}' to sweep, but {}", all.join(", "))
        })?;
    let [from, to] = [from, to].map(|value| parameter.unit().parse(value));
    Ok(Sweep { parameter, from: from?, to: to?, points: POINTS })
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from_str(text).unwrap_or_default();
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    is_svg.then_some(path).ok_or_else(|| "figures are drawn as SVG: FILE.svg".to_owned())
}
