//! The options of `simulate`.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use checker::console::read_text;
use checker::simulate::figure::{
    AxisScale, FONT_SIZE, FigureMeasure, FigureNotation, FigureSize, FigureStyle,
};
use checker::simulate::sweep::{Parameter, Sweep};
use checker::simulate::units::{bits_per_second, bytes, nanoseconds, per_second};
use checker::simulate::workload_file::{self, WORKLOAD_BYTES_MAX};
use checker::simulate::{
    CostModel, DirtyMarks, Fraction, Framing, Intervals, Preset, SimulatedWorkload, SimulationSetup,
    SimulationSetupError, StopRule, Throttling,
};
use clap::{Args, ValueEnum};
use protocol::policy::{Passes, Policy};

use crate::cli::args::{Algorithms, Switch, TableFormat, Timeout};

/// Values of a swept parameter.
const POINTS: usize = 9;

#[derive(Args, Debug)]
pub struct Simulate {
    #[command(flatten)]
    pub subjects: Algorithms,
    #[command(flatten)]
    pub setting: SimulateSetting,
    /// How many runs, with seeds from --seed on: figures are their means [default: up to 8, 1 of what is large]
    #[arg(long, value_name = "N")]
    pub runs: Option<NonZeroU64>,
    #[command(flatten)]
    pub timeout: Timeout,
    /// Reproduce the published tables: all cells from one set of constants, which are printed
    #[arg(long, conflicts_with_all = ["Algorithms", "SimulateSetting", "sweep", "runs"])]
    pub paper: bool,
    /// Simulate what others have measured or predicted, next to their figures
    #[arg(long, conflicts_with_all = ["Algorithms", "SimulateSetting", "sweep", "runs", "paper", "plot"])]
    pub published: bool,
    /// Vary one parameter over a range, as in bandwidth=10Mbit/s..10Gbit/s
    #[arg(long, value_name = "PARAMETER=FROM..TO", value_parser = sweep)]
    pub sweep: Option<Sweep>,
    #[command(flatten)]
    pub figure: FigureArgs,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
}

/// A figure, and how it looks.
#[derive(Args, Debug)]
pub struct FigureArgs {
    /// Draw a figure into this file, as SVG or, for LaTeX, as TikZ: durations stacked by state, or the curves of a sweep
    #[arg(long, value_name = "FILE.svg|FILE.tex", value_parser = plot, help_heading = "The figure")]
    pub plot: Option<PathBuf>,
    /// Its size in pixels, 96 of them an inch [default: as large as what is in it needs]
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "plot", help_heading = "The figure")]
    pub plot_size: Option<FigureSize>,
    /// Its font: sans-serif, serif, monospace, or a name; in TikZ, a name leaves the font of the text
    #[arg(
        long,
        value_name = "FAMILY",
        default_value = "sans-serif",
        requires = "plot",
        help_heading = "The figure"
    )]
    pub font: String,
    /// How high titles of axes are, in pixels; the rest accordingly
    #[arg(long, value_name = "PIXELS", default_value_t = FONT_SIZE, value_parser = clap::value_parser!(u32).range(4..=100), requires = "plot", help_heading = "The figure")]
    pub font_size: u32,
    /// The axis of the swept parameter: by equal factors where the values grow so, or as said
    #[arg(long, default_value = "auto", requires = "plot", requires = "sweep", help_heading = "The figure")]
    pub x_axis: AxisName,
    /// The other axis: by equal factors where the largest value is twenty times the smallest, or as said
    #[arg(long, default_value = "auto", requires = "plot", requires = "sweep", help_heading = "The figure")]
    pub y_axis: AxisName,
    /// What is drawn against the parameter, a panel for each: freeze, total, faults, stall, slowdown, traffic
    #[arg(long, value_name = "MEASURE", value_delimiter = ',', default_value = "freeze,total,faults", value_parser = measure, requires = "plot", requires = "sweep", help_heading = "The figure")]
    pub panels: Vec<FigureMeasure>,
    /// Whether the setting stands below
    #[arg(long, value_name = "on|off", default_value = "on", requires = "plot", help_heading = "The figure")]
    pub caption: Switch,
}

impl FigureArgs {
    /// The file, and how it looks.
    pub fn asked(&self) -> Option<(&Path, FigureStyle)> {
        let path = self.plot.as_deref()?;
        let notation = if is_tex(path) { FigureNotation::Tikz } else { FigureNotation::Svg };
        let style = FigureStyle {
            notation,
            size: self.plot_size,
            font: self.font.clone(),
            font_size: self.font_size,
            x_axis: self.x_axis.scale(),
            y_axis: self.y_axis.scale(),
            panels: self.panels.clone(),
            caption: self.caption == Switch::On,
        };
        Some((path, style))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AxisName {
    /// As the range asks for
    Auto,
    /// Equal steps
    Linear,
    /// Equal factors
    Log,
}

impl AxisName {
    fn scale(self) -> AxisScale {
        match self {
            Self::Auto => AxisScale::Auto,
            Self::Linear => AxisScale::Linear,
            Self::Log => AxisScale::Logarithmic,
        }
    }
}

/// What decides the cost.
#[derive(Args, Debug, Default)]
pub struct SimulateSetting {
    /// Whose costs: what is not said below is as with this system [default: sojourn]
    #[arg(long, help_heading = "Costs")]
    pub preset: Option<PresetName>,
    /// Size of the address space, up to 64GiB in pages of 4096 bytes [default: 10MiB, or as measured]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "The process")]
    pub memory: Option<u64>,
    /// Size of a page [default: 4096, or as measured]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "The process")]
    pub page_size: Option<u64>,
    /// Which pages the process touches; none is the best case, all the worst [default: uniform]; or a file: QEMU's answer
    /// to query-dirty-rate, a CSV of after_ms,written,touched, a list of SECONDS PAGE r|w, or what `sojourn profile` wrote
    #[arg(long, value_name = "NAME|FILE", value_parser = workload, help_heading = "The process")]
    pub workload: Option<SimulatedWorkload>,
    /// Time from one access to the next, on average [default: 0.34ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, conflicts_with = "dirty_rate", help_heading = "The process")]
    pub access_interval: Option<u64>,
    /// How many different pages are written in a second, instead, as in 3000/s
    #[arg(long, value_name = "RATE", value_parser = per_second, help_heading = "The process")]
    pub dirty_rate: Option<f64>,
    /// Whether the time between accesses is drawn or always the same [default: drawn]
    #[arg(long, help_heading = "The process")]
    pub intervals: Option<IntervalsName>,
    /// How many threads do so [default: 1]
    #[arg(long, value_name = "N", help_heading = "The process")]
    pub threads: Option<u32>,
    /// Share of the pages that are touched at all, as in 0.88 or 88% [default: 1]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub touches: Option<Fraction>,
    /// Where they begin, as a share of the address space [default: 0]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub touches_from: Option<Fraction>,
    /// Share of accesses that write, as in 0.5 or 50% [default: 0.5]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub write_share: Option<Fraction>,
    /// Share of file-mapped pages [default: 0.5, or as measured]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub mapped_share: Option<Fraction>,
    /// Share of pages that are modified when the migration starts [default: 0.5, or as measured]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub dirty_share: Option<Fraction>,
    /// Share of pages that are all zero when the migration starts [default: 0, or as measured]
    #[arg(long, value_name = "F", help_heading = "The process")]
    pub zero_share: Option<Fraction>,
    /// Accesses that the process does at least [default: 10000]
    #[arg(long, value_name = "N", help_heading = "The process")]
    pub accesses: Option<u64>,
    /// Passes of an algorithm that copies ahead a bounded number of times [default: as the algorithm says]
    #[arg(long, value_name = "R|unbounded", value_parser = passes, help_heading = "When copying ahead ends")]
    pub passes: Option<Passes>,
    /// Suspend the process when what is left takes no longer than this: at the end of a pass, with --preset qemu also
    /// before; without --passes, however many passes it takes
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "When copying ahead ends")]
    pub downtime: Option<u64>,
    /// Suspend it at the end of the pass in which so much time is over
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "When copying ahead ends")]
    pub stop_after: Option<u64>,
    /// Where the target is missed, resume the process at once, and send what is left afterwards
    #[arg(long, help_heading = "When copying ahead ends")]
    pub switch_to_post_copy: bool,
    /// Slow the process down while copying makes no headway, as QEMU's auto-converge does: 20 % at first, 10 % more each
    /// pass, 99 % at most
    #[arg(long, help_heading = "When copying ahead ends")]
    pub throttle: bool,
    /// When a page's mark is taken: when it is sent, as by sojourn, or, as hypervisors do it, of all pages when a pass begins
    /// [default: pass; with --preset, as that system does]
    #[arg(long, help_heading = "When copying ahead ends")]
    pub log: Option<LogName>,
    /// How often it is looked which pages are marked, with --log page; with 0s every mark is known at once [default: as the
    /// preset has it]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "When copying ahead ends")]
    pub look_every: Option<u64>,
    /// What leaves a host or the file server in a second, as in 100Mbit/s: the rate of the line, of which frames take 6 %
    /// unless --framing says otherwise [default: 100Mbit/s]
    #[arg(long, value_name = "RATE", value_parser = bits_per_second, help_heading = "Costs")]
    pub bandwidth: Option<u64>,
    /// What a host or the file server receives in a second [default: as --bandwidth]
    #[arg(long, value_name = "RATE", value_parser = bits_per_second, help_heading = "Costs")]
    pub receive: Option<u64>,
    /// What frames take of --bandwidth: none, so that it is the rate of the payload, or Ethernet's, of 1500 or 9000 bytes
    /// [default: ethernet]
    #[arg(long, help_heading = "Costs")]
    pub framing: Option<FramingName>,
    /// Time from one place to another [default: 0.1ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub latency: Option<u64>,
    /// What a connection holds at the sender [default: as the preset has it; sojourn's own keeps what the link takes and
    /// two pages]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Costs")]
    pub send_buffer: Option<u64>,
    /// What may be under way or wait at the receiver, or unbounded [default: 6MiB]
    #[arg(long, value_name = "SIZE|unbounded", value_parser = unbounded_bytes, help_heading = "Costs")]
    pub window: Option<Bound>,
    /// What may be queued ahead of a page that nobody waits for [default: none, or as the preset has it]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Costs")]
    pub backlog: Option<u64>,
    /// Whether requested pages have a connection of their own, or share that of the others [default: as the preset has it]
    #[arg(long, help_heading = "Costs")]
    pub channel: Option<ChannelName>,
    /// How many connections share the pages [default: 1]
    #[arg(long, value_name = "N", help_heading = "Costs")]
    pub streams: Option<u32>,
    /// The most that is sent in a second before the suspension [default: what the line takes]
    #[arg(long, value_name = "RATE", value_parser = bits_per_second, help_heading = "Costs")]
    pub cap: Option<u64>,
    /// The most that is sent in a second after the resume [default: what the line takes]
    #[arg(long, value_name = "RATE", value_parser = bits_per_second, help_heading = "Costs")]
    pub post_cap: Option<u64>,
    /// To how much of its size a page is compressed, as in 0.4
    #[arg(long, value_name = "F", help_heading = "Costs")]
    pub compress: Option<Fraction>,
    /// Bytes that one stream compresses or encrypts in a second, as in 12Gbit/s
    #[arg(long, value_name = "RATE", value_parser = bits_per_second, help_heading = "Costs")]
    pub process_rate: Option<u64>,
    /// Size of the state without pages [default: as the preset has it]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Costs")]
    pub state: Option<u64>,
    /// Size of what describes the state and follows it, where no page is sent after the resume [default: as the preset has it]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Costs")]
    pub description: Option<u64>,
    /// Fixed time of a freeze
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub freeze_cost: Option<u64>,
    /// What a freeze takes longer where files of the file server are mapped
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub mapped_freeze_cost: Option<u64>,
    /// What a freeze takes longer where pages that were sent ahead are outdated
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub drop_cost: Option<u64>,
    /// Fixed time of a pass
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub pass_cost: Option<u64>,
    /// Time of the sender for a page
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub page_cost: Option<u64>,
    /// Time of the sender for a page that is all zero
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub zero_cost: Option<u64>,
    /// Time of the receiver for a page
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub install_cost: Option<u64>,
    /// Time of the receiver for a page after the resume
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub place_cost: Option<u64>,
    /// Time of the destination for a fault
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub fault_cost: Option<u64>,
    /// Time of the source for a request
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub serve_cost: Option<u64>,
    /// Time for which a request keeps the line of the place that serves it idle [default: none; the published tables imply
    /// 0.205ms]
    #[arg(long, value_name = "TIME", value_parser = nanoseconds, help_heading = "Costs")]
    pub request_pause: Option<u64>,
    /// Seed of everything that is left to chance [default: 1]
    #[arg(long, value_name = "N", help_heading = "The process")]
    pub seed: Option<u64>,
}

/// A size, or none.
#[derive(Clone, Copy, Debug)]
pub struct Bound(pub Option<u64>);

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
    /// Pages one after the other, then on from any page
    Local,
    /// No page
    None,
    /// Every page at the worst moment
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// What the published tables imply: an ideal pipe, software for nothing, a request idles the line
    Paper,
    /// One thread that fills the send buffer, requested pages among the others
    Qemu,
    /// A freeze that dumps and restores, pages asked for
    Criu,
    /// The reference's own on Linux
    Sojourn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IntervalsName {
    /// From an exponential distribution
    Drawn,
    /// Always the same
    Equal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogName {
    /// When it is sent
    Page,
    /// When a pass begins
    Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FramingName {
    /// The bandwidth is that of the payload
    None,
    /// Frames of 1500 bytes
    Ethernet,
    /// Frames of 9000 bytes
    Jumbo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelName {
    /// That of the other pages
    Shared,
    /// One of their own
    Own,
}

impl SimulateSetting {
    /// The setting for an algorithm.
    ///
    /// # Errors
    /// The workload cannot have the rate that is asked for.
    pub fn setup(&self, policy: Policy) -> Result<SimulationSetup, SimulationSetupError> {
        let preset = self.preset.map_or(Preset::default(), PresetName::preset);
        let mut setup = match preset {
            Preset::Paper => SimulationSetup::published(policy),
            _ => SimulationSetup::new(policy, preset),
        };
        self.set_process(&mut setup);
        setup.costs = self.costs(setup.costs, setup.page_size_bytes);
        self.set_stop(&mut setup);
        if let Some(rate) = self.dirty_rate {
            setup.set_dirty_rate(rate as u64)?;
        }
        Ok(setup)
    }

    fn set_process(&self, setup: &mut SimulationSetup) {
        if let Some(workload) = &self.workload {
            setup.workload = workload.clone();
            if let SimulatedWorkload::Measured(profile) = workload {
                setup.take_over(profile);
            }
        }
        set(&mut setup.memory_bytes, self.memory);
        set(&mut setup.page_size_bytes, self.page_size);
        set(&mut setup.mapped_share, self.mapped_share);
        if let Some(share) = self.dirty_share {
            (setup.dirty_share, setup.unsaved_share) = (share, None);
        }
        set(&mut setup.zero_share, self.zero_share);
        set(&mut setup.touched_share, self.touches);
        set(&mut setup.touched_from, self.touches_from);
        set(&mut setup.threads, self.threads);
        set(&mut setup.access_interval_ns, self.access_interval);
        set(&mut setup.write_share, self.write_share);
        set(&mut setup.accesses_min, self.accesses);
        set(&mut setup.seed, self.seed);
        set(
            &mut setup.intervals,
            self.intervals.map(|name| match name {
                IntervalsName::Drawn => Intervals::Drawn,
                IntervalsName::Equal => Intervals::Equal,
            }),
        );
        setup.log = match (self.log, self.preset) {
            (Some(LogName::Page), _) => DirtyMarks::Page,
            (Some(LogName::Pass), _) => DirtyMarks::Pass,
            (None, Some(_)) => setup.log,
            // Of no system in particular: as hypervisors do it.
            (None, None) => DirtyMarks::Pass,
        };
    }

    fn set_stop(&self, setup: &mut SimulationSetup) {
        setup.stop = StopRule {
            downtime_ns: None,
            look_every_ns: setup.stop.look_every_ns,
            timeout_ns: self.stop_after,
            switch_to_post_copy: self.switch_to_post_copy,
            throttle: self.throttle.then_some(Throttling::AUTO_CONVERGE),
        };
        if let Some(target_ns) = self.downtime {
            setup.aim_at_downtime(target_ns);
        }
        match self.passes {
            Some(passes) => setup.set_passes(passes),
            None if self.downtime.is_some() || self.stop_after.is_some() => setup.unbind_passes(),
            None => {}
        }
    }

    fn costs(&self, mut costs: CostModel, page_size_bytes: u64) -> CostModel {
        set(&mut costs.bandwidth_bits_per_s, self.bandwidth);
        costs.receive_bits_per_s = self.receive.or(costs.receive_bits_per_s);
        if let Some(framing) = self.framing {
            costs.framing = match framing {
                FramingName::None => None,
                FramingName::Ethernet => Some(Framing::ETHERNET),
                FramingName::Jumbo => Some(Framing::JUMBO),
            };
        }
        set(&mut costs.latency_ns, self.latency);
        costs.paced &= self.send_buffer.is_none();
        set(&mut costs.send_buffer_bytes, self.send_buffer);
        set(&mut costs.window_bytes, self.window.map(|Bound(window)| window));
        set(&mut costs.push_backlog_bytes, self.backlog);
        set(&mut costs.own_channel, self.channel.map(|channel| channel == ChannelName::Own));
        set(&mut costs.streams, self.streams);
        costs.copy_cap_bits_per_s = self.cap;
        costs.post_cap_bits_per_s = self.post_cap;
        costs.compressed = self.compress;
        set(&mut costs.state_bytes, self.state);
        set(&mut costs.description_bytes, self.description);
        set(&mut costs.freeze_ns, self.freeze_cost);
        set(&mut costs.mapped_freeze_ns, self.mapped_freeze_cost);
        set(&mut costs.drop_ns, self.drop_cost);
        set(&mut costs.pass_ns, self.pass_cost);
        set(&mut costs.page_ns, self.page_cost);
        set(&mut costs.zero_page_ns, self.zero_cost);
        set(&mut costs.install_ns, self.install_cost);
        set(&mut costs.place_ns, self.place_cost);
        set(&mut costs.fault_ns, self.fault_cost);
        set(&mut costs.serve_ns, self.serve_cost);
        set(&mut costs.request_pause_ns, self.request_pause);
        set(&mut costs.look_ns, self.look_every);
        if let Some(rate) = self.process_rate {
            let ns = u128::from(page_size_bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1));
            let ns = u64::try_from(ns).unwrap_or(u64::MAX);
            costs.page_ns = costs.page_ns.saturating_add(ns);
            costs.install_ns = costs.install_ns.saturating_add(ns);
            costs.place_ns = costs.place_ns.saturating_add(ns);
        }
        costs
    }
}

/// Where something is said, it is so.
fn set<T>(value: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *value = said;
    }
}

impl PresetName {
    fn preset(self) -> Preset {
        match self {
            Self::Paper => Preset::Paper,
            Self::Qemu => Preset::Qemu,
            Self::Criu => Preset::Criu,
            Self::Sojourn => Preset::Sojourn,
        }
    }
}

impl WorkloadName {
    fn workload(self) -> SimulatedWorkload {
        match self {
            Self::Uniform => SimulatedWorkload::Uniform,
            Self::Sequential => SimulatedWorkload::Sequential,
            Self::Zipf => SimulatedWorkload::Zipf,
            Self::WorkingSet => SimulatedWorkload::WorkingSet,
            Self::Local => SimulatedWorkload::Local,
            Self::None => SimulatedWorkload::None,
            Self::All => SimulatedWorkload::All,
        }
    }
}

/// A workload by name, or in a file.
fn workload(text: &str) -> Result<SimulatedWorkload, String> {
    if let Ok(name) = WorkloadName::from_str(text, false) {
        return Ok(name.workload());
    }
    let names = WorkloadName::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let names = names.map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(", ");
    let path = Path::new(text);
    let read = read_text(path, "a workload", WORKLOAD_BYTES_MAX);
    let read = read.map_err(|error| format!("neither {names}, nor a file: {error}"))?;
    workload_file::parse(&read).map_err(|error| error.to_string())
}

fn unbounded_bytes(text: &str) -> Result<Bound, String> {
    if text == "unbounded" { Ok(Bound(None)) } else { bytes(text).map(|bytes| Bound(Some(bytes))) }
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

fn measure(text: &str) -> Result<FigureMeasure, String> {
    let all = FigureMeasure::ALL;
    all.into_iter().find(|measure| measure.to_string() == text).ok_or_else(|| {
        format!("there is no measure '{text}', but {}", all.map(|measure| measure.to_string()).join(", "))
    })
}

fn plot(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    (is_svg || is_tex(&path))
        .then_some(path)
        .ok_or_else(|| "figures are drawn as SVG or TikZ: FILE.svg or FILE.tex".to_owned())
}

fn is_tex(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tex"))
}
