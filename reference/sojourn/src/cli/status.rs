//! `sojourn status` and `sojourn cancel`.

use std::time::Duration;

use super::output::say;
use super::{Ending, OutputFormat};
use crate::control::{self, DeskAnswer, DeskQuestion};
use crate::status::Status;

/// How often a status is said again.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

pub(super) fn status(pid: Option<u32>, watch: bool, format: OutputFormat) -> anyhow::Result<Ending> {
    loop {
        let all = control::all_statuses()?.into_iter().map(|(_, status)| status);
        let shown: Vec<_> = all.filter(|status| pid.is_none() || status.pid == pid).collect();
        match format {
            OutputFormat::Json => {
                say(serde_json::json!({ "version": 1, "processes": shown }))?;
            }
            OutputFormat::Text => shown.iter().try_for_each(|status| say(line(status)))?,
        }
        if !watch {
            return Ok(if shown.is_empty() && pid.is_some() { Ending::Not } else { Ending::AsExpected });
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// A status on one line.
pub(super) fn line(status: &Status) -> String {
    let pid = status.pid.map_or("-".to_owned(), |pid| pid.to_string());
    let steps: Vec<_> = status.steps.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut line = format!(
        "{pid}  {}  {}  {} of {} pages left  {}",
        status.algorithm,
        status.phase,
        status.remaining,
        status.pages,
        steps.join(", ")
    );
    if status.bytes_per_s > 0 {
        line += &format!("  {:.1} MB/s", status.bytes_per_s as f64 / 1e6);
    }
    if let Some(expected_ns) = status.freeze_expected_ns {
        line += &format!("  freeze about {:.1} ms", expected_ns as f64 / 1e6);
    }
    if let Some(expected_ns) = status.total_expected_ns {
        line += &format!("  {:.1} s in all", expected_ns as f64 / 1e9);
    }
    if let Some(freeze_ns) = status.freeze_ns {
        line += &format!("  frozen for {:.2} ms", freeze_ns as f64 / 1e6);
    }
    if let Some(judged) = &status.judged {
        line += &format!("  judged: {judged}");
    }
    if let Some(error) = &status.error {
        line += &format!("  ({error})");
    }
    line
}

pub(super) fn cancel(pid: u32) -> anyhow::Result<Ending> {
    for (desk, status) in control::all_statuses()? {
        if status.pid == Some(pid) {
            return match control::ask(&desk, &DeskQuestion::Cancel { pid })? {
                DeskAnswer::Refused(reason) => {
                    say(format_args!("not called off: {reason}"))?;
                    Ok(Ending::Not)
                }
                _ => Ok(Ending::AsExpected),
            };
        }
    }
    say(format_args!("process {pid} is not about to move"))?;
    Ok(Ending::Not)
}

pub(super) fn fence(whom: &str) -> anyhow::Result<Ending> {
    let pid = whom.parse().ok();
    let question = DeskQuestion::Fence { address: pid.is_none().then(|| whom.to_owned()), pid };
    let mut ending = Ending::Not;
    for desk in control::desks()? {
        match control::ask(&desk, &question) {
            Ok(DeskAnswer::Done) => ending = Ending::AsExpected,
            Ok(DeskAnswer::Refused(reason)) => {
                tracing::info!(desk = %desk.display(), reason, "not concerned")
            }
            // One that was killed has left its socket behind.
            Ok(DeskAnswer::Status(_)) | Err(_) => {}
        }
    }
    if ending == Ending::Not {
        anstream::println!("nothing here waits for {whom}");
    }
    Ok(ending)
}
