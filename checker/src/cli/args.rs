//! The command line, as a definition from which help and completions follow.

use std::fmt::Display;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use checker::bounds::Cost;
use checker::console::end;
use checker::expectations::ExpectationWord;
use checker::judge::Engine;
use checker::setting::Pages;
use checker::survival::{SurvivalOutcome, UnknownOutcome};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use colorchoice_clap::Color;
use enumset::EnumSet;
use model::disruption::{BUDGET_MAX, Strike};
use model::property::UnknownProperty;
use model::{
    Defect, Disruption, Disruptions, Hosts, Link, Property, Stage, algorithms, concrete::PAGES_MAX, defects,
};

use super::simulate::args::Simulate;

/// Which migration algorithm keeps which promise: judged exhaustively, for any number of pages where
/// possible, with a counterexample where it is broken.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; without it, `check` of everything within quick bounds
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub check: Check,
    #[command(flatten)]
    pub color: Color,
}

const EXIT_CODES: &str = "Exit codes: 0 every verdict is the expected one; 1 one is not; 2 usage or a bad \
                          input file; 3 inconclusive: a bound, time or memory ran out; 130 interrupted.";

const ADVICE_EXIT_CODES: &str = "Exit codes: 0 an algorithm meets what is asked for; 1 none does; 2 usage or a bad input \
                                 file; 3 inconclusive: time ran out; 130 interrupted.";

const COSTS: &str = "Costs: sent, page contents sent to the process's next host; frozen, page contents sent or \
                     flushed between suspension and commit; awaited, page contents that arrive while the \
                     process is suspended; resent, contents of pages that had been sent before in the same \
                     migration; faults, accesses to a missing page; fetched, page contents sent by the file \
                     server; written-back, page contents sent to the file server; bytes, page contents on any \
                     link. A migration reaches from the operator's start to the operator's next start.";

impl Cli {
    /// Reads the arguments of this process; ends it where they make no sense.
    pub fn read() -> Self {
        let mut command = Cli::command();
        let matches =
            command.try_get_matches_from_mut(std::env::args_os()).unwrap_or_else(|error| end(&error));
        if let Some((misplaced, subcommand)) = misplaced(&command, &matches) {
            let message = format!("{misplaced} does nothing before '{subcommand}': put it behind");
            command.error(ErrorKind::ArgumentConflict, message).exit();
        }
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// What was given before a subcommand and would have been meant for the check that is done without one.
fn misplaced(command: &clap::Command, matches: &ArgMatches) -> Option<(String, String)> {
    let subcommand = matches.subcommand_name()?;
    let given = |argument: &&clap::Arg| {
        !argument.is_global_set()
            && matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let misplaced = command.get_arguments().find(given)?;
    Some((misplaced.to_string(), subcommand.to_owned()))
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge algorithms and print a table, or a document
    #[command(after_help = EXIT_CODES)]
    Check(Box<Check>),
    /// List algorithms, properties and defects
    List(List),
    /// Show a shortest run that breaks a property, or one that shows it at work
    Trace(TraceArgs),
    /// The least and the most that one migration can cost, over all interleavings
    #[command(after_help = COSTS)]
    Bounds(BoundsArgs),
    /// Answer what the source text claims, row by row: holds, fails, or not checkable
    #[command(after_help = EXIT_CODES)]
    Claims(Claims),
    /// Walk through an algorithm's states in a browser, with the stateright Explorer, or print them as a graph
    Explore(Explore),
    /// What survives what: the end of a migration for every algorithm, disruption and stage
    #[command(after_help = EXIT_CODES)]
    Faults(FaultsArgs),
    /// Run the reference once, and write its step log to standard output
    #[command(after_help = EXIT_CODES)]
    Log(LogArgs),
    /// Validate the recorded step log of a real migration against the model
    #[command(after_help = EXIT_CODES)]
    Conform(Conform),
    /// Judge what QEMU, CRIU or Cloud Hypervisor really did, and write it as a step log
    #[command(after_help = EXIT_CODES)]
    Observe(super::observe::Observe),
    /// Store what passes between two hosts, as a proxy
    #[command(after_help = EXIT_CODES)]
    Record(super::record::RecordArgs),
    /// Run the reference through random migrations in which machines, links and the file server fail
    #[command(after_help = EXIT_CODES)]
    Storm(Storm),
    /// Simulate what a migration costs: time in each state, faults, pages and bytes
    Simulate(Box<Simulate>),
    /// Which algorithm freezes and slows down a process as little as is asked for, here, and what would help the others
    #[command(after_help = ADVICE_EXIT_CODES)]
    Advise(Box<super::advise::Advise>),
    /// Print the inductive invariant that proves an algorithm for any number of pages, as JSON
    Invariant(InvariantArgs),
    /// Write the invariant as SMT-LIB verification conditions, one file each
    Smt(Smt),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print this help, or that of a command
    Help {
        /// The command
        command: Option<String>,
    },
}

/// Which algorithms. Every command that is about several takes them so.
#[derive(Args, Clone, Debug, Default)]
pub struct Algorithms {
    /// Algorithms: built-in ones by name, as in post-copy+push=pull with other choices, your own as strategy files, `-` for
    /// one on standard input [default: all built-in ones]
    #[arg(value_name = "ALGORITHM", value_parser = AlgorithmParser)]
    pub algorithms: Vec<String>,
    /// An algorithm of your own, as a strategy file; `-` reads standard input; may be repeated
    #[arg(long, value_name = "FILE")]
    pub strategy: Vec<PathBuf>,
    /// What real systems do (`list` names them)
    #[arg(long)]
    pub profiles: bool,
}

/// Which algorithm. Every command that is about one takes it so.
#[derive(Args, Clone, Debug, Default)]
pub struct Algorithm {
    /// The algorithm: a built-in one by name, as in post-copy+push=pull with other choices, your own as a strategy file, `-`
    /// for one on standard input
    #[arg(value_name = "ALGORITHM", value_parser = AlgorithmParser, required_unless_present = "strategy")]
    pub algorithm: Option<String>,
    /// The algorithm as a strategy file, instead; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub strategy: Option<PathBuf>,
}

/// Takes any word, and suggests the names of built-in algorithms.
#[derive(Clone, Copy, Debug)]
struct AlgorithmParser;

impl TypedValueParser for AlgorithmParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(algorithms::all().map(|strategy| PossibleValue::new(strategy.name.into_owned()))))
    }
}

/// Which algorithm, in which world.
#[derive(Args, Clone, Debug, Default)]
pub struct World {
    /// How many hosts there are, beside the file server [default: 3, and 2 where disruptions
    /// strike]
    #[arg(long, value_parser = hosts())]
    pub hosts: Option<Hosts>,
    /// What links do to messages [default: fifo, for a defect what it needs]
    #[arg(long, value_parser = links())]
    pub link: Option<Link>,
    /// Build in a deliberate defect (`list` names them)
    #[arg(long, value_name = "NAME", value_parser = defects_by_name())]
    pub defect: Option<Defect>,
    #[command(flatten)]
    pub goes_wrong: WhatGoesWrong,
}

/// What goes wrong.
#[derive(Args, Clone, Debug, Default)]
pub struct WhatGoesWrong {
    /// Let these disruptions strike: cancel, refuse, suspect, cut, outage, crash-source, crash-destination [default:
    /// none; with --budget alone, any]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub disruptions: Vec<Disruption>,
    /// How many disruptions there may be in a run, up to 2 [default: 1 with --disruptions, for a defect what it needs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=BUDGET_MAX as i64))]
    pub budget: Option<u8>,
    /// Let the first one strike in these stages only: pre-migration, freeze, hand-over, post-migration, clean-up
    #[arg(long, value_name = "STAGE", value_delimiter = ',', requires = "disruptions")]
    pub stage: Vec<Stage>,
    /// Let one of these strike after the first
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        requires = "disruptions",
        conflicts_with = "budget"
    )]
    pub then: Vec<Disruption>,
}

impl WhatGoesWrong {
    /// What the options say; `None` if they say nothing.
    pub fn disruptions(&self) -> Option<Disruptions> {
        if self.disruptions.is_empty() && self.budget.is_none() {
            return None;
        }
        let some = |kinds: &[Disruption]| match kinds.is_empty() {
            true => EnumSet::all(),
            false => kinds.iter().copied().collect(),
        };
        let stages =
            if self.stage.is_empty() { EnumSet::all() } else { self.stage.iter().copied().collect() };
        let first = Strike { kinds: some(&self.disruptions), stages };
        let again = Strike { kinds: first.kinds, stages: EnumSet::all() };
        Some(match self.budget {
            Some(0) => Disruptions::NONE,
            Some(2) => Disruptions::two(first, again),
            _ if self.then.is_empty() => Disruptions::one(first),
            _ => Disruptions::two(first, Strike { kinds: some(&self.then), stages: EnumSet::all() }),
        })
    }

    /// The options again, for a command.
    pub fn to_options(&self) -> String {
        let list = |name: &str, values: Vec<String>| match values.is_empty() {
            true => String::new(),
            false => format!(" --{name} {}", values.join(",")),
        };
        let kinds = |kinds: &[Disruption]| kinds.iter().map(Disruption::to_string).collect();
        let budget = self.budget.map(|budget| format!(" --budget {budget}")).unwrap_or_default();
        list("disruptions", kinds(&self.disruptions))
            + &budget
            + &list("stage", self.stage.iter().map(Stage::to_string).collect())
            + &list("then", kinds(&self.then))
    }
}

#[derive(Args, Clone, Debug, Default)]
pub struct Check {
    #[command(flatten)]
    pub subjects: Algorithms,
    /// How many pages the process has: numbers, or `any` for a proof, as in 4,any [default: 3,any, and 2,any where
    /// disruptions strike]
    #[arg(long, value_name = "N|any", value_delimiter = ',', value_parser = pages)]
    pub pages: Vec<Pages>,
    /// Where --pages gives numbers alone, prove safety for any number beside it; not with a defect
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub proof: Switch,
    /// What to expect of an algorithm instead of what its specification or file says, as in L1=fails,L2=fails
    #[arg(long, value_name = "PROPERTY=WORD", value_delimiter = ',')]
    pub expect: Vec<ExpectationWord>,
    #[command(flatten)]
    pub world: World,
    /// Judge these properties only, as in S1,L2; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub property: Vec<Property>,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
    /// Which engine explores: ours, stateright's, or both to compare them
    #[arg(long, default_value = "native")]
    pub engine: EngineName,
    /// How many threads explore [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// Treat states that differ in the order of their pages alone as one
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub symmetry: Switch,
    #[command(flatten)]
    pub limits: LimitsArgs,
    /// Save explorations at level boundaries into this directory, which holds no others
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Go on with the explorations that the checkpoint directory holds, and begin those that it lacks
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
}

/// When to give up.
#[derive(Args, Clone, Debug, Default)]
pub struct LimitsArgs {
    /// Give up on more states than this [default: as memory allows for safety; 50000000 for liveness, which counts
    /// every order of pages]
    #[arg(long, value_name = "N")]
    pub max_states: Option<u64>,
    /// Give up when the exploration needs more memory than this, as in 500MB or 8GiB
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "8GiB")]
    pub max_memory: Option<u64>,
    /// Give up on a run after this time, as in 90s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// When to give up on a whole command.
#[derive(Args, Clone, Debug, Default)]
pub struct Timeout {
    /// Give up after this time, as in 90s or 5min, with what there is by then
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub struct List {
    /// Print one algorithm
    #[arg(long, value_name = "NAME", value_parser = algorithm_names())]
    pub algorithm: Option<String>,
    /// How to print it; toml, for one algorithm, is a strategy file
    #[arg(long, default_value = "text")]
    pub format: ListFormat,
}

#[derive(Args, Debug)]
#[command(allow_missing_positional = true)]
pub struct TraceArgs {
    #[command(flatten)]
    pub subject: Algorithm,
    /// The property; or, with --disruptions, an outcome: unaffected, carries-on, recovers or lost
    #[arg(value_name = "PROPERTY")]
    pub what: Sight,
    /// How many pages the process has
    #[arg(long, value_name = "N", default_value = "2", value_parser = page_count)]
    pub pages: NonZeroUsize,
    #[command(flatten)]
    pub world: World,
    /// What to expect instead of what the specification or the file says, as in L1=fails
    #[arg(long, value_name = "PROPERTY=WORD", value_delimiter = ',')]
    pub expect: Vec<ExpectationWord>,
    #[command(flatten)]
    pub limits: LimitsArgs,
    /// How to print it
    #[arg(long, default_value = "text")]
    pub format: TraceFormat,
}

/// What a trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A property, broken or at work.
    Property(Property),
    /// What comes of disruptions.
    Outcome(SurvivalOutcome),
}

impl FromStr for Sight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let property = text.parse().map(Sight::Property);
        property.or_else(|unknown: UnknownProperty| match text.parse() {
            Ok(outcome) => Ok(Sight::Outcome(outcome)),
            Err(UnknownOutcome(_)) => {
                let outcomes = SurvivalOutcome::ALL.map(|outcome| outcome.to_string()).join(", ");
                Err(format!("{unknown}, and outcomes of disruptions: {outcomes}"))
            }
        })
    }
}

#[derive(Args, Debug)]
pub struct FaultsArgs {
    #[command(flatten)]
    pub subjects: Algorithms,
    /// Two disruptions in a row
    #[arg(long)]
    pub pairs: bool,
    /// With each way to hand over: which of them lose a process where ready-go does not
    #[arg(long, conflicts_with_all = ["pairs", "defect"])]
    pub hand_overs: bool,
    /// Build in a deliberate defect, to see a process lost that need not be (`list` names them)
    #[arg(long, value_name = "NAME", value_parser = defects_by_name())]
    pub defect: Option<Defect>,
    #[command(flatten)]
    pub timeout: Timeout,
    /// How to print it
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
    /// How many threads explore [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Args, Debug)]
pub struct BoundsArgs {
    #[command(flatten)]
    pub subjects: Algorithms,
    /// How many pages the process has
    #[arg(long, value_name = "N", default_value = "3", value_parser = page_count)]
    pub pages: NonZeroUsize,
    #[command(flatten)]
    pub world: World,
    #[command(flatten)]
    pub timeout: Timeout,
    /// Show a cheapest and a dearest run of one algorithm, by this cost
    #[arg(long, value_name = "COST", value_parser = costs())]
    pub show: Option<Cost>,
    /// Give up on more states than this, counted up to the order of pages
    #[arg(long, value_name = "N", default_value_t = checker::bounds::STATES_MAX)]
    pub max_states: usize,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
}

#[derive(Args, Debug)]
pub struct Claims {
    /// Claims, C1 to C30 and N1 to N9, shown with all they rest on; all of them in a line each by default
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Ask about this algorithm of your own instead of the built-in one that it is called after, where a claim is held
    /// to the model; `-` reads standard input; may be repeated
    #[arg(long, value_name = "FILE")]
    pub strategy: Vec<PathBuf>,
    /// Build a deliberate defect into every algorithm, to see an answer change (`list` names them)
    #[arg(long, value_name = "NAME", value_parser = defects_by_name())]
    pub defect: Option<Defect>,
    #[command(flatten)]
    pub timeout: Timeout,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: TableFormat,
}

/// Larger graphs are drawn by nobody.
const GRAPH_STATES_MAX: usize = 10_000;

#[derive(Args, Debug)]
pub struct Explore {
    #[command(flatten)]
    pub subject: Algorithm,
    /// How many pages the process has
    #[arg(long, value_name = "N", default_value = "2", value_parser = page_count)]
    pub pages: NonZeroUsize,
    #[command(flatten)]
    pub world: World,
    /// Where to serve it: a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000", conflicts_with = "dot")]
    pub address: std::net::SocketAddr,
    /// Print all states and steps as a graph in DOT instead; states that differ in the order of pages alone are one
    #[arg(long)]
    pub dot: bool,
    /// Give up on more states than this
    #[arg(long, value_name = "N", default_value_t = GRAPH_STATES_MAX, requires = "dot")]
    pub max_states: usize,
}

#[derive(Args, Debug)]
pub struct LogArgs {
    /// The algorithm: a built-in one by name, your own as a strategy file, `-` for one on standard input
    #[arg(value_name = "ALGORITHM", value_parser = AlgorithmParser, required_unless_present_any = ["strategy", "scenario"])]
    pub algorithm: Option<String>,
    /// The algorithm as a strategy file, instead; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub strategy: Option<PathBuf>,
    /// How many pages the process has
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u64).range(1..=PAGES_OF_A_LOG_MAX))]
    pub pages: u64,
    /// How often it moves, between A and B in turn
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(0..=16))]
    pub moves: u8,
    /// What links do to messages
    #[arg(long, default_value = "fifo", value_parser = links())]
    pub link: Link,
    /// What is left to chance follows from this number
    #[arg(long, value_name = "S", default_value = "1")]
    pub seed: u64,
    /// All of that and more, from a file in TOML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "strategy", "pages", "moves", "link", "seed"])]
    pub scenario: Option<PathBuf>,
}

/// Pages of an address space of which `log` writes all steps: 64 MiB, some ten thousand lines.
pub const PAGES_OF_A_LOG_MAX: u64 = 1 << 14;

#[derive(Args, Debug)]
pub struct Conform {
    /// The step log, as NDJSON: a line that says what was run, then a line for each step. Several logs of one run, one
    /// a host, are merged
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,
    /// The algorithm that was run, as a strategy file; `-` reads standard input [default: the one that the trace names]
    #[arg(long, value_name = "FILE")]
    pub strategy: Option<PathBuf>,
    /// How to print the result
    #[arg(long, default_value = "text")]
    pub format: ReportFormat,
    /// Give up after this time, as in 90s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// A year.
const MINUTES_MAX: u64 = 366 * 24 * 60;

#[derive(Args, Debug)]
pub struct Storm {
    #[command(flatten)]
    pub subjects: Algorithms,
    /// How many runs [default: 10000, or as many as there is time for]
    #[arg(long, value_name = "N")]
    pub runs: Option<NonZeroU64>,
    /// What is left to chance follows from this number: same seed, same runs
    #[arg(long, value_name = "S", default_value = "1")]
    pub seed: u64,
    /// Begin no run after so many minutes, and be content
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    pub minutes: Option<u64>,
    #[command(flatten)]
    pub timeout: Timeout,
    /// How many threads run [default: all cores]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// Show one run, as a failure prints it, instead
    #[arg(long, value_name = "JSON", conflicts_with_all = ["runs", "minutes", "threads", "timeout", "algorithms", "strategy"])]
    pub replay: Option<String>,
    /// Write that run's step log to a file, for `checker conform`
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub trace: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct InvariantArgs {
    #[command(flatten)]
    pub subject: Algorithm,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
pub struct Smt {
    #[command(flatten)]
    pub subject: Algorithm,
    #[command(flatten)]
    pub world: World,
    /// The directory to write to; it is created if necessary, and must be empty
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For a terminal
    #[default]
    Text,
    /// One versioned document
    Json,
    /// As Markdown
    Markdown,
    /// As LaTeX
    Latex,
    /// For spreadsheets
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Text,
    Json,
    Toml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    Text,
    /// A sequence diagram
    Mermaid,
    /// The states as a graph
    Dot,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    #[default]
    Native,
    Stateright,
    Both,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    #[default]
    On,
    Off,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Native => Engine::Native,
            EngineName::Stateright => Engine::Stateright,
            EngineName::Both => Engine::Both,
        }
    }
}

fn algorithm_names() -> PossibleValuesParser {
    let names = algorithms::all().map(|strategy| strategy.name.into_owned());
    PossibleValuesParser::new(names.collect::<Vec<String>>())
}

fn defects_by_name() -> impl TypedValueParser<Value = Defect> {
    let names: Vec<String> = defects::DEFECTS.iter().map(|entry| entry.defect.to_string()).collect();
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Defect>())
}

fn hosts() -> impl TypedValueParser<Value = Hosts> {
    one_of([Hosts::Two, Hosts::Three])
}

fn links() -> impl TypedValueParser<Value = Link> {
    one_of(Link::ALL)
}

fn costs() -> impl TypedValueParser<Value = Cost> {
    one_of(Cost::ALL)
}

/// One of some values, each by the name it has everywhere.
fn one_of<T, const N: usize>(all: [T; N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Display + Send + Sync + 'static,
{
    let named =
        move |name: String| all.into_iter().find(|value| value.to_string() == name).ok_or("no such value");
    PossibleValuesParser::new(all.map(|value| value.to_string())).try_map(named)
}

fn pages(text: &str) -> Result<Pages, String> {
    if text == "any" { Ok(Pages::Any) } else { page_count(text).map(Pages::Exactly) }
}

fn page_count(text: &str) -> Result<NonZeroUsize, String> {
    let count: Option<NonZeroUsize> = text.parse().ok();
    count.filter(|count| count.get() <= PAGES_MAX).ok_or_else(|| {
        format!("a process has 1 to {PAGES_MAX} pages here; `check --pages any` proves the rest")
    })
}

/// More than any machine has cores, and no more than it can start.
const THREADS_MAX: usize = 1024;

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads: Option<NonZeroUsize> = text.parse().ok();
    threads
        .filter(|threads| threads.get() <= THREADS_MAX)
        .ok_or_else(|| format!("say a number from 1 to {THREADS_MAX}"))
}

/// A size as people write it: `800MB` is 800 · 10⁶, `8GiB` 8 · 2³⁰.
fn bytes(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64())
}
