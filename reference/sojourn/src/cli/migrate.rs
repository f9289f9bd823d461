//! `sojourn migrate`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use protocol::policy::Policy;
use steplog::fate::Fate;

use super::output::say;
use super::status::line;
use super::{Ending, OutputFormat};
use crate::aside::SessionId;
use crate::control::{self, Desk, DeskAnswer, DeskQuestion};
use crate::driver::{Driver, DriverSetup, JudgeChoice, LogTarget};
use crate::judge;
use crate::key::Trust;
use crate::process::LiveProcess;
use crate::status::{HostPhase, Status};

/// How often to look how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How often to say so.
const SAY_INTERVAL: Duration = Duration::from_millis(500);

/// Moves a process.
#[derive(Args)]
pub(super) struct Migrate {
    /// Which.
    pid: u32,
    /// The host that is to take it.
    #[arg(long, value_name = "ADDR")]
    to: String,
    /// A built-in algorithm.
    #[arg(long, value_name = "NAME", default_value = "post-copy")]
    algorithm: String,
    /// An algorithm in a file.
    #[arg(long, value_name = "FILE", conflicts_with = "algorithm")]
    strategy: Option<PathBuf>,
    /// Where the log of steps goes, as `checker conform` reads it.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Have the model judge the migration while it goes on: one that leaves the model before the hand-over is called off. Needs
    /// the command `checker`.
    #[arg(long)]
    judge: bool,
    /// The command that judges [default: `checker` beside this command, or wherever commands are].
    #[arg(long, value_name = "FILE", requires = "judge")]
    checker: Option<PathBuf>,
    /// Call the migration off if the process has not been suspended after this time, as in 90s: an algorithm that waits until
    /// everything is in step may wait for ever.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    suspend_within: Option<Duration>,
    /// The file server.
    #[arg(long, value_name = "ADDR")]
    store: Option<String>,
    /// How to say what came of it.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl Migrate {
    pub(super) fn run(self, trust: &Trust) -> anyhow::Result<Ending> {
        let policy = self.policy()?;
        let here = |status: &Status| status.pid == Some(self.pid) && status.phase != HostPhase::Vacant;
        let there = control::all_statuses()?.into_iter().find(|(_, status)| here(status));
        match there {
            Some((desk, _)) => self.ask(&desk, policy),
            None => self.drive(policy, trust),
        }
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        if let Some(path) = &self.strategy {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let policy: Policy = toml::from_str(&text).with_context(|| path.display().to_string())?;
            policy.check().with_context(|| path.display().to_string())?;
            return Ok(policy);
        }
        named(&self.algorithm)
    }

    fn judge(&self) -> anyhow::Result<Option<JudgeChoice>> {
        if !self.judge {
            return Ok(None);
        }
        let strategy = self.strategy.clone().map(std::path::absolute).transpose()?;
        Ok(Some(JudgeChoice { checker: self.checker.clone().unwrap_or_else(judge::usual_command), strategy }))
    }

    /// A host has the process: it moves it.
    fn ask(&self, desk: &std::path::Path, policy: Policy) -> anyhow::Result<Ending> {
        let log = self.log.clone().map(std::path::absolute).transpose()?;
        let judge = self.judge()?;
        let question = DeskQuestion::Migrate {
            pid: self.pid,
            to: self.to.clone(),
            policy: Box::new(policy),
            log,
            judge,
        };
        if let DeskAnswer::Refused(reason) = control::ask(desk, &question)? {
            return self.not_moved(&reason);
        }
        let interrupted = catch_interrupts()?;
        let mut last = None;
        let pid = self.pid;
        let look = || match control::ask(desk, &DeskQuestion::Status) {
            // One that has gone is behind those that are here.
            Ok(DeskAnswer::Status(statuses)) => {
                statuses.into_iter().rev().find(|status| status.pid == Some(pid))
            }
            _ => None,
        };
        self.watch(
            &interrupted,
            || last_known(&mut last, look()),
            || {
                // What cannot be called off any more goes on.
                let _ = control::ask(desk, &DeskQuestion::Cancel { pid });
            },
        )
    }

    /// Nobody has the process yet: this command moves it, and stays until nothing of it is here.
    fn drive(&self, policy: Policy, trust: &Trust) -> anyhow::Result<Ending> {
        let process = LiveProcess::open(self.pid)?;
        let setup = DriverSetup {
            pid: Some(self.pid),
            store: self.store.clone(),
            trust: trust.clone(),
            ..DriverSetup::default()
        };
        let driver = match Driver::at_source(SessionId::random()?, Box::new(process), policy.clone(), setup) {
            Ok(driver) => driver,
            Err(error) => return self.not_moved(&error.to_string()),
        };
        let handle = driver.handle();
        let driving = std::thread::spawn(move || driver.run());
        let asked = handle.clone();
        let _desk = Desk::open(move |question| super::host::answer(std::slice::from_ref(&asked), question))?;
        let interrupted = catch_interrupts()?;
        let log = match (self.log.clone(), self.judge()?) {
            (None, None) => LogTarget::None,
            (file, judge) => LogTarget::Kept { file, judge },
        };
        if let Err(reason) = handle.migrate(&self.to, policy, log) {
            return self.not_moved(&reason);
        }
        self.watch(
            &interrupted,
            || (handle.status.lock().clone(), driving.is_finished()),
            || {
                // What cannot be called off any more goes on.
                let _ = handle.cancel();
            },
        )
    }

    fn watch(
        &self,
        interrupted: &AtomicBool,
        mut look: impl FnMut() -> (Status, bool),
        cancel: impl Fn(),
    ) -> anyhow::Result<Ending> {
        let began = Instant::now();
        let mut said = began;
        let mut too_long = false;
        loop {
            let (status, over) = look();
            if let Some(bound) = self.suspend_within.filter(|bound| !too_long && began.elapsed() > *bound)
                && status.phase == HostPhase::PreMigration
            {
                too_long = true;
                anstream::eprintln!(
                    "not suspended after {}: {} pages are not in step; calling the migration off",
                    humantime::format_duration(bound),
                    status.remaining
                );
                cancel();
            }
            if interrupted.swap(false, Ordering::SeqCst) {
                anstream::eprintln!("interrupted: calling the migration off, if it still can be");
                cancel();
            }
            let stays = matches!(status.fate, Some(Fate::CarriedOn(_))) && status.phase == HostPhase::Resting;
            if over || stays {
                return self.conclude(&status);
            }
            if said.elapsed() > SAY_INTERVAL {
                said = Instant::now();
                anstream::eprintln!("{}", line(&status));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn conclude(&self, status: &Status) -> anyhow::Result<Ending> {
        if self.format == OutputFormat::Json {
            say(serde_json::json!({ "version": 1, "process": status }))?;
        }
        let moved = matches!(status.fate, Some(Fate::Migrated));
        if self.format == OutputFormat::Text {
            let what = match status.fate {
                Some(Fate::Migrated) => "moved".to_owned(),
                Some(Fate::CarriedOn(cause)) => format!("not moved, it runs on here ({cause:?})"),
                Some(Fate::Lost(loss)) => format!("lost ({loss:?})"),
                other => format!("{other:?}"),
            };
            say(format_args!("{what}: {}", line(status)))?;
        }
        let objected = status.judged.as_ref().is_some_and(|judged| judged != "accepted");
        Ok(if moved && !objected { Ending::AsExpected } else { Ending::Not })
    }

    fn not_moved(&self, reason: &str) -> anyhow::Result<Ending> {
        match self.format {
            OutputFormat::Json => say(serde_json::json!({ "version": 1, "refused": reason }))?,
            OutputFormat::Text => say(format_args!("not moved: {reason}"))?,
        }
        Ok(Ending::Not)
    }
}

/// The built-in algorithm of that name.
pub(super) fn named(name: &str) -> anyhow::Result<Policy> {
    let names = || Policy::ALL.map(|policy| policy.name.into_owned()).join(", ");
    Policy::named(name).with_context(|| format!("no algorithm is called '{name}'; there are {}", names()))
}

/// The status as it last was, and whether there is none any more.
fn last_known(last: &mut Option<Status>, now: Option<Status>) -> (Status, bool) {
    let over = now.as_ref().is_none_or(|now| now.phase == HostPhase::Vacant);
    if now.is_some() {
        last.clone_from(&now);
    }
    let unknown = || Status::new(SessionId(0), None, "", 0);
    (last.clone().unwrap_or_else(unknown), over)
}

fn catch_interrupts() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupted);
    if ctrlc::set_handler(move || seen.store(true, Ordering::SeqCst)).is_err() {
        bail!("interrupts cannot be caught");
    }
    Ok(interrupted)
}
