//! Several logs of one run, one a host, made one.
//!
//! Each is in the order of its host. Between hosts the order is that of messages: one that is handled was sent before.
//! Clocks differ, so a time is a hint only: of the lines that could be next, the earliest is.

use std::collections::VecDeque;
use std::io::BufRead;

use model::paging::Channels;
use model::strategy::{Fallback, Real};
use model::{Strategy, algorithms};
use steplog::event::Step;
use steplog::header::Header;

use super::messages::{Ledger, Rules, sent};
use super::roster::Roster;
use super::{LINES_MAX_KEPT, TraceError, header, parse};

/// A line of one of several logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineOrigin {
    /// Which log, counted from 0.
    pub log: usize,
    /// Which of its lines, counted from 1.
    pub line: usize,
}

/// Several logs as one.
#[derive(Clone, Debug)]
pub struct MergedLog {
    /// What they all say of themselves.
    pub header: Header,
    /// Their steps, causes before effects.
    pub steps: Vec<Step>,
    /// Where each step comes from.
    pub origins: Vec<LineOrigin>,
}

/// Why logs are not of one run.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them is not a log.
    #[error("{error}")]
    Log {
        /// Which, counted from 0.
        log: usize,
        /// What is wrong with it.
        error: TraceError,
    },
    /// Their first lines differ.
    #[error("the first lines differ: they are not of one run")]
    Headers {
        /// Which differs from the first log's, counted from 0.
        log: usize,
    },
    /// A message is handled that, by the order of its sender's log, can only be sent later.
    #[error("a message is handled before it can have been sent")]
    Contradiction {
        /// The line that handles it.
        handled: LineOrigin,
        /// The line that sends it, if any does.
        sent: Option<LineOrigin>,
    },
}

/// Merges logs; `strategy` takes the place of the algorithm in their header.
///
/// # Errors
/// They are not well-formed, or not of one run.
pub fn merge<R: BufRead>(
    logs: impl IntoIterator<Item = R>,
    strategy: Option<&Strategy>,
) -> Result<MergedLog, MergeError> {
    let logs = logs
        .into_iter()
        .enumerate()
        .map(|(log, from)| read(from).map_err(|error| MergeError::Log { log, error }));
    let logs = logs.collect::<Result<Vec<_>, _>>()?;
    let Some((first, _)) = logs.first() else {
        let error = TraceError::Header("there is no log".to_owned());
        return Err(MergeError::Log { log: 0, error });
    };
    let header = first.clone();
    if let Some(log) = logs.iter().position(|(other, _)| *other != header) {
        return Err(MergeError::Headers { log });
    }
    let waiting = logs.into_iter().map(|(_, steps)| steps.into()).collect();
    let strategy = strategy.cloned().or_else(|| algorithms::built_in(header.algorithm.as_deref()?));
    let choices =
        strategy.map_or((Real::NONE, Channels::One), |strategy| (strategy.real, strategy.paging.channels));
    let (Real { hand_over, fallback, .. }, channels) = choices;
    let answers_apart = channels == Channels::DemandApart;
    let falls_back = fallback == Fallback::Store;
    let rules = Rules { falls_back, answers_apart, ..Rules::of(&header, hand_over) };
    let (roster, ledger) = (Roster::new(&header, hand_over), Ledger::new(rules));
    let merger = Merger { waiting, roster, ledger };
    merger.run(header)
}

fn read(from: impl BufRead) -> Result<(Header, Vec<(usize, Step)>), TraceError> {
    let mut lines = from.lines();
    let first = lines.next().ok_or_else(|| TraceError::Header("the trace is empty".to_owned()))??;
    let header = header(&first)?;
    let steps = lines.take(LINES_MAX_KEPT).enumerate().map(|(index, text)| {
        let line = index + 2;
        Ok((line, parse(line, &text?)?))
    });
    Ok((header, steps.collect::<Result<_, TraceError>>()?))
}

struct Merger {
    /// The lines of each log that have not had their turn.
    waiting: Vec<VecDeque<(usize, Step)>>,
    roster: Roster,
    ledger: Ledger,
}

impl Merger {
    fn run(mut self, header: Header) -> Result<MergedLog, MergeError> {
        let (mut steps, mut origins) = (Vec::new(), Vec::new());
        while let Some(log) = self.next()? {
            let Some((line, step)) = self.waiting[log].pop_front() else { break };
            // Whether the line is right is judged later.
            _ = self.ledger.take(&step, &self.roster);
            _ = self.roster.take(&step);
            steps.push(step);
            origins.push(LineOrigin { log, line });
        }
        Ok(MergedLog { header, steps, origins })
    }

    /// The log whose turn it is.
    fn next(&self) -> Result<Option<usize>, MergeError> {
        let heads = || {
            let heads = self.waiting.iter().enumerate();
            heads.filter_map(|(log, waiting)| waiting.front().map(|(line, step)| (log, *line, step)))
        };
        let ready = heads().filter(|(_, _, step)| self.ledger.is_missing(step).is_none());
        // What an operator or a machine does has no message for a cause; a line that nobody could take yet waits.
        let waits = |step: &Step| self.roster.clone().take(step).is_err();
        let next = ready.min_by_key(|(log, _, step)| (waits(step), step.at_ns, *log));
        let next = next.map(|(log, _, _)| log);
        match (next, heads().next()) {
            (Some(log), _) => Ok(Some(log)),
            (None, Some((log, line, step))) => {
                Err(MergeError::Contradiction { handled: LineOrigin { log, line }, sent: self.sender(step) })
            }
            (None, None) => Ok(None),
        }
    }

    /// The line that sends what this one handles.
    fn sender(&self, step: &Step) -> Option<LineOrigin> {
        let name = self.ledger.is_missing(step)?;
        self.waiting.iter().enumerate().find_map(|(log, waiting)| {
            let sends = |step: &Step| sent(step, &self.roster).contains(&name);
            let line = waiting.iter().find(|(_, step)| sends(step)).map(|(line, _)| *line)?;
            Some(LineOrigin { log, line })
        })
    }
}
