//! `observe`: what a foreign system really did, as a log of steps and a judgement.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use checker::report::Conclusion;
use clap::{Args, Subcommand, ValueEnum};
use observe::account::{CostLimits, Dumps};
use observe::cloud_hypervisor;
use observe::criu;
use observe::fact::ObserveError;
use observe::qemu::elide::elide;
use observe::qemu::run::{QemuInputs, QemuRun, Recovery};
use observe::qemu::stream::{Known, Stream};
use observe::report::Report;
use observe::report_text::{surroundings, text};

use super::End;
use super::output::{remark, say};
use super::progress::Teller;

/// `checker observe …`
#[derive(Args, Debug)]
pub struct Observe {
    /// Which system it was
    #[command(subcommand)]
    system: System,
}

#[derive(Debug, Subcommand)]
enum System {
    /// A migration of QEMU, from recorded connections, traces and events
    Qemu(Box<Qemu>),
    /// A migration of CRIU: page server, lazy pages, image folders, logs
    Criu(Criu),
    /// A migration of Cloud Hypervisor, from its recorded connections
    CloudHypervisor(CloudHypervisor),
}

/// What is made of it.
#[derive(Args, Debug)]
struct Output {
    /// Write the log of steps to a file, for `checker conform`
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How to print the judgement
    #[arg(long, default_value = "text")]
    format: Format,
    /// Call a freeze costly from here on, in milliseconds
    #[arg(long, value_name = "MS", default_value = "300")]
    downtime_limit_ms: u64,
    /// Call a request costly that waits so long while nothing else is sent, in milliseconds
    #[arg(long, value_name = "MS", default_value = "10")]
    wait_limit_ms: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Args, Debug)]
struct Qemu {
    /// A folder that `checker record` has filled; takes the place of all connections below
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["stream", "channel", "return_path", "recovery_stream"])]
    recording: Option<PathBuf>,
    /// The migration stream, as the source sent it
    #[arg(long, value_name = "FILE")]
    stream: Option<PathBuf>,
    /// A further connection of the same migration: multifd, or urgent pages of post-copy
    #[arg(long, value_name = "FILE", requires = "stream")]
    channel: Vec<PathBuf>,
    /// What the destination said on the same connection
    #[arg(long, value_name = "FILE")]
    return_path: Option<PathBuf>,
    /// The stream of a new connection after a cut; once for each
    #[arg(long, value_name = "FILE", requires = "stream")]
    recovery_stream: Vec<PathBuf>,
    /// What the destination said on it; once for each, in the same order
    #[arg(long, value_name = "FILE", requires = "recovery_stream")]
    recovery_return_path: Vec<PathBuf>,
    /// The source's trace
    #[arg(long, value_name = "FILE")]
    source_trace: Option<PathBuf>,
    /// The destination's trace
    #[arg(long, value_name = "FILE")]
    destination_trace: Option<PathBuf>,
    /// Events of the source's monitor, one JSON object a line, or of both as {"src": […], "dst": […]}
    #[arg(long, value_name = "FILE")]
    qmp: Option<PathBuf>,
    /// Events of the destination's monitor
    #[arg(long, value_name = "FILE")]
    destination_qmp: Option<PathBuf>,
    #[command(flatten)]
    memory: Memory,
    /// Only copy the streams to this folder without what the guest's pages held, to hand them on
    #[arg(long, value_name = "FOLDER", requires = "stream")]
    elide: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Dumps of memory.
#[derive(Args, Debug)]
struct Memory {
    /// The source's memory while the process was stopped there, as `pmemsave` writes it
    #[arg(long, value_name = "FILE")]
    source_memory: Option<PathBuf>,
    /// The destination's memory, before the process ran there or at the end
    #[arg(long, value_name = "FILE")]
    destination_memory: Option<PathBuf>,
    /// Which block of memory was dumped, from its beginning [default: the largest]
    #[arg(long, value_name = "NAME")]
    memory_block: Option<String>,
}

#[derive(Args, Debug)]
struct Criu {
    /// What the dump sent to the page server
    #[arg(long, value_name = "FILE")]
    page_server: Option<PathBuf>,
    /// What the destination asked of the lazy-pages source
    #[arg(long, value_name = "FILE")]
    lazy_requests: Option<PathBuf>,
    /// What the lazy-pages source answered
    #[arg(long, value_name = "FILE", requires = "lazy_requests")]
    lazy_answers: Option<PathBuf>,
    /// The folder of images at the destination
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// The log of `criu lazy-pages` at the destination (-v4)
    #[arg(long, value_name = "FILE")]
    lazy_log: Option<PathBuf>,
    /// The log of `criu dump` at the source (-v4), which says what became of the process there
    #[arg(long, value_name = "FILE")]
    dump_log: Option<PathBuf>,
    /// The process was seen alive at the source after it had been restored elsewhere
    #[arg(long)]
    alive_at_source: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Debug)]
struct CloudHypervisor {
    /// What the source sent on the main connection
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,
    /// What the destination answered there
    #[arg(long, value_name = "FILE")]
    responses: PathBuf,
    /// What the destination asked on the connection for faults
    #[arg(long, value_name = "FILE")]
    fault_requests: Option<PathBuf>,
    /// What the source answered there
    #[arg(long, value_name = "FILE", requires = "fault_requests")]
    fault_responses: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: &Observe) -> Result<End> {
    match &args.system {
        System::Qemu(args) => qemu(args),
        System::Criu(args) => {
            let inputs = criu::CriuInputs {
                page_server: args.page_server.clone(),
                lazy_requests: args.lazy_requests.clone(),
                lazy_answers: args.lazy_answers.clone(),
                images: args.images.clone(),
                lazy_log: args.lazy_log.clone(),
                dump_log: args.dump_log.clone(),
                alive_at_source: args.alive_at_source,
            };
            judged(&args.output, |limits, log, progress| criu::tell(&inputs, limits, log, progress))
        }
        System::CloudHypervisor(args) => {
            let inputs = cloud_hypervisor::CloudHypervisorInputs {
                requests: args.requests.clone(),
                responses: args.responses.clone(),
                fault_requests: args.fault_requests.clone(),
                fault_responses: args.fault_responses.clone(),
            };
            judged(&args.output, |limits, log, progress| {
                cloud_hypervisor::tell(&inputs, limits, log, progress)
            })
        }
    }
}

fn qemu(args: &Qemu) -> Result<End> {
    if let Some(folder) = &args.elide {
        return elided(args, folder);
    }
    let inputs = inputs(args)?;
    let Memory { source_memory, destination_memory, memory_block } = &args.memory;
    let dumps = Dumps {
        source: source_memory.clone(),
        destination: destination_memory.clone(),
        block: memory_block.clone(),
    };
    judged(&args.output, |limits, log, progress| QemuRun::survey(inputs)?.tell(limits, dumps, log, progress))
}

fn inputs(args: &Qemu) -> Result<QemuInputs> {
    let mut inputs = match &args.recording {
        Some(folder) => QemuInputs::of_recording(folder)?,
        None => QemuInputs {
            stream: args.stream.clone(),
            channels: args.channel.clone(),
            return_path: args.return_path.clone(),
            ..QemuInputs::default()
        },
    };
    let mut return_paths = args.recovery_return_path.iter();
    inputs.recoveries.extend(
        args.recovery_stream
            .iter()
            .map(|stream| Recovery { stream: stream.clone(), return_path: return_paths.next().cloned() }),
    );
    inputs.source_trace.clone_from(&args.source_trace);
    inputs.destination_trace.clone_from(&args.destination_trace);
    inputs.events.clone_from(&args.qmp);
    inputs.destination_events.clone_from(&args.destination_qmp);
    Ok(inputs)
}

/// Tells a run and prints what is said of it.
fn judged(
    output: &Output,
    tell: impl FnOnce(CostLimits, BufWriter<&File>, &mut dyn FnMut(u64)) -> Result<Report, ObserveError>,
) -> Result<End> {
    let limits = CostLimits {
        freeze_us_max: micros(output.downtime_limit_ms),
        wait_us_max: micros(output.wait_limit_ms),
    };
    let mut log = match &output.log {
        Some(path) => File::options().read(true).write(true).create(true).truncate(true).open(path),
        None => tempfile::tempfile(),
    }
    .with_context(|| output.log.as_ref().map_or("the log".to_owned(), |path| path.display().to_string()))?;
    let teller = Teller::new();
    teller.begin("observing".to_owned());
    let told = tell(limits, BufWriter::with_capacity(1 << 20, &log), &mut |steps| {
        teller.go_on(format!("{steps} steps"));
    });
    teller.end();
    let report = match told {
        Ok(report) => report,
        Err(error @ (ObserveError::Contradiction { .. } | ObserveError::Unaccounted { .. })) => {
            say(format!("rejected: the inputs do not go together\n{error}"))?;
            return Ok(End::Concluded(Conclusion::Surprise));
        }
        Err(error) => return Err(error.into()),
    };
    match output.format {
        Format::Json => say(serde_json::to_string_pretty(&report)?)?,
        Format::Text => {
            log.seek(SeekFrom::Start(0))?;
            let lines = surroundings(&report, BufReader::new(&log)).context("the log")?;
            say(text(&report, &lines).trim_end())?;
        }
    }
    if let Some(path) = &output.log {
        remark(format_args!("the log can be given to the model: checker conform {}", path.display()));
    }
    Ok(End::Concluded(conclusion(&report)))
}

fn conclusion(report: &Report) -> Conclusion {
    match (report.has_findings(), report.is_finished()) {
        (true, _) => Conclusion::Surprise,
        (false, false) => Conclusion::Inconclusive,
        (false, true) => Conclusion::AsExpected,
    }
}

fn micros(millis: u64) -> u64 {
    u64::try_from(Duration::from_millis(millis).as_micros()).unwrap_or(u64::MAX)
}

/// Copies streams without the contents of pages.
fn elided(args: &Qemu, folder: &Path) -> Result<End> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut known: Option<Known> = None;
    let streams = args.stream.iter().chain(&args.recovery_stream);
    for (number, path) in streams.enumerate() {
        let open = || File::open(path).with_context(|| path.display().to_string());
        let stream = match known.take() {
            Some(known) => Stream::resumed(open()?, known),
            None => Stream::new(open()?),
        };
        let name =
            if number == 0 { "stream.bin".to_owned() } else { format!("recovery-stream-{number}.bin") };
        let copy = folder.join(name);
        let to = BufWriter::new(File::create(&copy).with_context(|| copy.display().to_string())?);
        known = Some(elide(stream, BufReader::new(open()?), to).with_context(|| path.display().to_string())?);
        say(format!("{}: {} without the contents of pages", copy.display(), path.display()))?;
    }
    Ok(End::Concluded(Conclusion::AsExpected))
}
