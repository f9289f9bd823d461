//! `sojourn profile`: how a process uses its memory, as a workload for `checker simulate`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::Ending;
use super::output::say;
use crate::profile::measure;

/// What is asked for.
#[derive(Args)]
pub(super) struct Profile {
    /// Which process.
    pid: i32,
    /// For how long it is watched, in seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value = "10s", value_parser = seconds)]
    time: Duration,
    /// Where the workload goes; standard output otherwise.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `10`, `10s`, `0.5s` or `500ms`, up to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1e-3),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit_s);
    let seconds = seconds.filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{text:?} is no time from 1ms to a day, such as 10s"))
}

impl Profile {
    pub(super) fn run(&self) -> anyhow::Result<Ending> {
        let profile =
            measure(self.pid, self.time).with_context(|| format!("cannot measure process {}", self.pid))?;
        let text = profile.to_toml();
        match &self.out {
            Some(path) => {
                fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?
            }
            None => say(text.trim_end())?,
        }
        Ok(Ending::AsExpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(seconds("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        for wrong in ["", "soon", "0s", "-1s", "100000s", "NaN"] {
            assert!(seconds(wrong).is_err_and(|error| error.contains(wrong)), "{wrong}");
        }
    }
}
