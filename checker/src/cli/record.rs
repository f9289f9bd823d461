//! `record`: a proxy between two hosts that stores what passes.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use checker::report::Conclusion;
use clap::Args;
use observe::record::{Address, Passed, ProxyRecorder};

use super::End;
use super::output::{remark, say};

/// `checker record …`
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Where the source is to connect to: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// Where the destination listens: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// The folder for the recording: bytes and times of each connection and direction
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// End after so many connections [default: at an interrupt]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroU32>,
}

pub(super) fn run(args: &RecordArgs) -> Result<End> {
    let recorder = ProxyRecorder::new(&args.listen, args.to.clone(), &args.output)?;
    remark(format_args!("listening at {}, for {}", recorder.address()?, args.to));
    let (stop, asked) = (recorder.stop(), recorder.stop());
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("cannot hear of interrupts")?;
    let passed = recorder.run(args.connections.map(NonZeroU32::get), |passed| {
        remark(format_args!("connection {} has ended", passed.connection));
    })?;
    for one in &passed {
        say(describe(one))?;
    }
    let whole =
        passed.iter().all(|one| one.forward.unrecorded.is_none() && one.backward.unrecorded.is_none());
    Ok(match (stop.load(Ordering::Relaxed), whole) {
        (_, false) => End::Concluded(Conclusion::Inconclusive),
        (true, true) => End::Interrupted,
        (false, true) => End::Concluded(Conclusion::AsExpected),
    })
}

fn describe(Passed { connection, forward, backward }: &Passed) -> String {
    let mut text = format!(
        "connection {connection}: {} bytes there, {} bytes back",
        forward.recorded, backward.recorded
    );
    for (way, outcome) in [("there", forward), ("back", backward)] {
        if let Some(why) = &outcome.broken {
            text += &format!("; the way {way} broke: {why}");
        }
        if let Some(why) = &outcome.unrecorded {
            text += &format!("; {} bytes {way} are not recorded: {why}", outcome.passed - outcome.recorded);
        }
    }
    text
}
