//! From observations to a log and a report.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};

use steplog::header::{Header, LinkOrder, Unseen, VERSION};

use crate::account::{Account, CostLimits, Dumps, Knowledge};
use crate::fact::ObserveError;
use crate::layout::BlockLayout;
use crate::merge::Merge;
use crate::report::Report;
use crate::scribe::Scribe;

/// What is to be done with a run.
#[derive(Clone, Debug, Default)]
pub struct ObserveTask {
    /// From when on something is called costly.
    pub limits: CostLimits,
    /// Dumps of memory to compare.
    pub dumps: Dumps,
    /// What was not recorded, in words.
    pub unseen: Vec<String>,
    /// The algorithm that the log is held to: what the system does without post-copy, and with it.
    pub algorithms: [&'static str; 2],
    /// Nobody says that the process may run elsewhere: that it was handed over is no step.
    pub without_go: bool,
}

/// Tells a run: writes its log and judges it. `progress` is told the number of steps now and then.
///
/// # Errors
/// An input is not what it should be, inputs contradict each other, or the log cannot be written.
pub fn tell(
    mut merge: Merge<'_>,
    layout: &BlockLayout,
    known: Knowledge,
    task: ObserveTask,
    mut log: impl Write + Seek,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ObserveError> {
    let begin = log.stream_position()?;
    // What kind of migration it was shows at the end; the first line keeps room for it.
    log.write_all(&[b' '; HEADER_BYTES - 1])?;
    log.write_all(b"\n")?;
    let mut account = Account::new(layout, known);
    let mut scribe = Scribe::new(task.without_go);
    // The header is line 1.
    let mut line = 2;
    while let Some(merged) = merge.next_merged()? {
        account.take(&merged, line);
        scribe.tell(&merged, &account, &mut |step| {
            serde_json::to_writer(&mut log, &step).map_err(as_io)?;
            log.write_all(b"\n")?;
            line += 1;
            if line % (1 << 16) == 0 {
                progress(line);
            }
            Ok::<_, ObserveError>(())
        })?;
    }
    write_header(&mut log, begin, layout, &account, task.algorithms)?;
    account.compare(&task.dumps)?;
    let mut report = account.finish(task.limits, task.unseen);
    report.steps = line - 2;
    Ok(report)
}

/// Bytes of the first line.
const HEADER_BYTES: usize = 256;

fn write_header(
    log: &mut (impl Write + Seek),
    begin: u64,
    layout: &BlockLayout,
    account: &Account<'_>,
    [without, with_post_copy]: [&str; 2],
) -> Result<(), ObserveError> {
    let algorithm = if account.is_post_copy() { with_post_copy } else { without };
    let header = Header {
        trace: VERSION,
        algorithm: Some(algorithm.to_owned()),
        // One connection, but what is read from it is carried out by several threads.
        link: LinkOrder::Unordered,
        pages: layout.pages().into(),
        file_mapped: BTreeSet::new(),
        disrupted: account.is_disrupted(),
        unseen: [Unseen::Writes, Unseen::Reads, Unseen::Departure].into(),
    };
    log.flush()?;
    let end = log.stream_position()?;
    log.seek(SeekFrom::Start(begin))?;
    serde_json::to_writer(&mut *log, &header).map_err(as_io)?;
    log.flush()?;
    log.seek(SeekFrom::Start(end))?;
    Ok(())
}

fn as_io(error: serde_json::Error) -> ObserveError {
    ObserveError::Log(error.into())
}
