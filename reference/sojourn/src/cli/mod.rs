//! The command line.
//!
//! Results go to stdout, progress to stderr. Exit codes: 0 as expected, 1 not moved or cannot be moved, 2 usage or bad input, 130
//! interrupted.

mod host;
mod measure;
mod migrate;
mod output;
mod profile;
mod run;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::key::{self, Key, Trust};

/// Moves running processes between machines.
#[derive(Parser)]
#[command(name = "sojourn", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The key that machines have to have in common wherever an address is not loopback.
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How much to say on stderr: a filter such as `info` or `sojourn=debug`.
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn", env = "SOJOURN_LOG")]
    logs: String,
}

#[derive(Subcommand)]
enum Command {
    /// A machine that takes processes.
    Host {
        /// Where others call it.
        #[arg(long, value_name = "ADDR")]
        listen: String,
        /// The file server.
        #[arg(long, value_name = "ADDR")]
        store: Option<String>,
    },
    /// The file server.
    Store {
        /// Where hosts call it.
        #[arg(long, value_name = "ADDR")]
        listen: String,
        /// What it serves.
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
    },
    /// Moves a process.
    Migrate(migrate::Migrate),
    /// Can it be moved? Every reason why not.
    Check {
        /// Which.
        pid: u32,
        /// How to say it.
        #[arg(long, value_enum, default_value_t)]
        format: OutputFormat,
    },
    /// Measures how a process uses its memory, as a workload for `checker simulate`.
    Profile(profile::Profile),
    /// Measures what moving processes costs, between network namespaces of this machine. Needs root.
    Measure(measure::Measure),
    /// Starts a program under the host of this machine, if there is one, so that what its algorithm does between migrations is done.
    Run {
        /// The algorithm by which it will move.
        #[arg(long, value_name = "NAME", default_value = "post-copy")]
        algorithm: String,
        /// The program and its arguments.
        #[arg(required = true, last = true, value_name = "PROGRAM")]
        program: Vec<std::ffi::OsString>,
    },
    /// What is here, and how far it is.
    Status {
        /// Only this process.
        pid: Option<u32>,
        /// Again and again.
        #[arg(long)]
        watch: bool,
        /// How to say it.
        #[arg(long, value_enum, default_value_t)]
        format: OutputFormat,
    },
    /// Calls a migration off: the process runs on where it is.
    Cancel {
        /// Which.
        pid: u32,
    },
    /// Says that the machine of a host is dead for certain, and what it had is lost: who waits for it goes on without.
    Fence {
        /// Where the host could be called, or the process that waits for hosts that do not answer.
        #[arg(value_name = "ADDR|PID")]
        whom: String,
    },
    /// Makes the key that machines have to have in common.
    Key {
        /// Where it goes; the usual place otherwise.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Completions for a shell.
    Completions {
        /// Which.
        shell: clap_complete::Shell,
    },
}

/// How to say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one versioned document.
    Json,
}

/// How a command ended that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    AsExpected,
    Not,
    Interrupted,
}

/// Runs the command.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return concluded(output::end(&error).map(|()| Ending::AsExpected)),
    };
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.logs);
    let Ok(filter) = filter else {
        anstream::eprintln!("error: '{}' is not a filter", arguments.logs);
        return ExitCode::from(2);
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    concluded(run(arguments))
}

fn concluded(ended: anyhow::Result<Ending>) -> ExitCode {
    match ended {
        Ok(Ending::AsExpected) => ExitCode::SUCCESS,
        Ok(Ending::Not) => ExitCode::from(1),
        Ok(Ending::Interrupted) => ExitCode::from(130),
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    let Arguments { command, key, .. } = arguments;
    match command {
        Command::Host { listen, store } => host::host(&listen, store, &trust(key)?),
        Command::Store { listen, root } => host::store(&listen, root, &trust(key)?),
        Command::Migrate(migrate) => migrate.run(&trust(key)?),
        Command::Check { pid, format } => check(pid, format),
        Command::Run { algorithm, program } => run::run(&algorithm, &program),
        Command::Profile(profile) => profile.run(),
        Command::Measure(measure) => measure.run(),
        Command::Status { pid, watch, format } => status::status(pid, watch, format),
        Command::Cancel { pid } => status::cancel(pid),
        Command::Fence { whom } => status::fence(&whom),
        Command::Key { out } => {
            let path =
                out.or(key).or_else(key::default_path).context("no place for a key: HOME is not set")?;
            Key::create(&path)?;
            output::say(path.display())?;
            anstream::eprintln!(
                "Copy this file to every machine that is to take part. Who has it can run programs there."
            );
            Ok(Ending::AsExpected)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sojourn", &mut script);
            output::say(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Ending::AsExpected)
        }
    }
}

/// The key that was named, or that is in the usual place.
fn trust(named: Option<PathBuf>) -> anyhow::Result<Trust> {
    let usual = key::default_path().filter(|path| path.exists());
    let key = named.or(usual).map(|path| Key::load(&path)).transpose()?;
    Ok(Trust::new(key))
}

fn check(pid: u32, format: OutputFormat) -> anyhow::Result<Ending> {
    let obstacles = crate::process::obstacles(pid)?;
    match format {
        OutputFormat::Json => {
            let document = serde_json::json!({ "version": 1, "pid": pid, "obstacles": obstacles });
            output::say(document)?;
        }
        OutputFormat::Text if obstacles.is_empty() => {
            output::say(format_args!("process {pid} can be moved"))?;
        }
        OutputFormat::Text => {
            output::say(format_args!("process {pid} cannot be moved:"))?;
            obstacles.iter().try_for_each(|obstacle| output::say(format_args!("  {obstacle}")))?;
        }
    }
    Ok(if obstacles.is_empty() { Ending::AsExpected } else { Ending::Not })
}
