//! The return path beside what the source says of it.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;

use super::super::return_path::{ReturnMessage, ReturnPath};
use super::{QemuInputs, open, wrong};
use crate::fact::{FactOrigin, InputSource, ObserveError, PageRange, Received};
use crate::layout::BlockLayout;

/// What the destination said, message by message, over one connection after the other.
pub(super) struct Answers<'a> {
    layout: &'a BlockLayout,
    paths: VecDeque<(u8, Option<PathBuf>)>,
    current: Option<(u8, PathBuf, ReturnPath<File>)>,
}

/// A message that matters here.
pub(super) enum Answer {
    Request(PageRange),
    Received(Vec<Received>),
    Done,
}

impl<'a> Answers<'a> {
    pub fn new(inputs: &QemuInputs, layout: &'a BlockLayout) -> Result<Self, ObserveError> {
        let first = (0, inputs.return_path.clone());
        let later = inputs.recoveries.iter().map(|recovery| recovery.return_path.clone());
        let paths = [first].into_iter().chain((1..).zip(later)).collect();
        let mut answers = Self { layout, paths, current: None };
        answers.reconnect()?;
        Ok(answers)
    }

    /// Is the current connection's return path recorded?
    pub fn is_recorded(&self) -> bool {
        self.current.is_some()
    }

    /// Goes on with the next connection.
    pub fn reconnect(&mut self) -> Result<(), ObserveError> {
        self.current = match self.paths.pop_front() {
            Some((cuts, Some(path))) => {
                let file = open(&path)?;
                Some((cuts, path, ReturnPath::new(file)))
            }
            Some((_, None)) | None => None,
        };
        Ok(())
    }

    /// The next message that matters; `None` at the end, or where it was cut.
    pub fn next(&mut self) -> Result<Option<(FactOrigin, Answer)>, ObserveError> {
        let Some((cuts, path, reader)) = &mut self.current else { return Ok(None) };
        loop {
            let (offset, message) = match reader.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(None),
                Err(error) if error.cut().is_some() => return Ok(None),
                Err(error) => return Err(wrong(path, error)),
            };
            let origin = FactOrigin { input: InputSource::ReturnPath(*cuts), position: offset };
            let unknown = |block: &str| ObserveError::Unaccounted {
                at: origin,
                what: format!("block '{block}', which was not announced, or less of it"),
            };
            let answer = match message {
                ReturnMessage::PagesRequested { block, page, count } => {
                    let pages = self.layout.block(&block).ok_or_else(|| unknown(&block))?;
                    let end = page.saturating_add(count);
                    let first = self.layout.page(pages, page).filter(|_| end <= u64::from(pages.count));
                    let first = first.ok_or_else(|| unknown(&block))?;
                    Answer::Request(PageRange { first, count: count as u32 })
                }
                ReturnMessage::Received { block, bitmap } => {
                    let pages = self.layout.block(&block).ok_or_else(|| unknown(&block))?;
                    if (bitmap.len() as u64) * 8 < u64::from(pages.count) {
                        return Err(unknown(&block));
                    }
                    Answer::Received(runs(pages, &bitmap))
                }
                ReturnMessage::Shut(_) => Answer::Done,
                ReturnMessage::Pong(_)
                | ReturnMessage::ResumeAcknowledged(_)
                | ReturnMessage::SwitchoverAcknowledged => {
                    continue;
                }
            };
            return Ok(Some((origin, answer)));
        }
    }
}

/// Pages in a row that have arrived, or have not.
fn runs(pages: PageRange, bitmap: &[u8]) -> Vec<Received> {
    let arrived = |page: u32| bitmap[page as usize / 8] & 1 << (page % 8) != 0;
    let mut runs: Vec<Received> = Vec::new();
    for page in 0..pages.count {
        match runs.last_mut() {
            Some(run) if run.arrived == arrived(page) => run.pages.count += 1,
            _ => {
                let first = PageRange { first: pages.first + page, count: 1 };
                runs.push(Received { pages: first, arrived: arrived(page) });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_runs() {
        let run = |first, count, arrived| Received { pages: PageRange { first, count }, arrived };
        let runs = runs(PageRange { first: 10, count: 10 }, &[0b0000_0111, 0b10]);
        assert_eq!(runs, [run(10, 3, true), run(13, 6, false), run(19, 1, true)]);
    }
}
