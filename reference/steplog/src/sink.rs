//! Where a driver puts the steps of its endpoints, as they are taken.
//!
//! A driver is written once, with or without a log: [`LogWriter`] writes each step as a line, a vector keeps them, and
//! [`Unlogged`] takes no notice.

use std::io::{self, Write};

use crate::event::{Step, write_log};
use crate::header::Header;

/// Takes steps, in the order in which they are taken.
pub trait StepSink {
    /// Another step.
    ///
    /// # Errors
    /// It cannot be written.
    fn record(&mut self, step: Step) -> io::Result<()>;
}

/// Writes NDJSON: the header, then a line for each step.
#[derive(Debug)]
pub struct LogWriter<W>(W);

/// Takes no notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unlogged;

impl<W: Write> LogWriter<W> {
    /// A log that begins with this header.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(header: &Header, mut to: W) -> io::Result<Self> {
        serde_json::to_writer(&mut to, header)?;
        to.write_all(b"\n")?;
        Ok(Self(to))
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// What was written so far cannot be flushed.
    pub fn end(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> StepSink for LogWriter<W> {
    fn record(&mut self, step: Step) -> io::Result<()> {
        write_log([&step], &mut self.0)
    }
}

impl StepSink for Vec<Step> {
    fn record(&mut self, step: Step) -> io::Result<()> {
        self.push(step);
        Ok(())
    }
}

impl StepSink for Unlogged {
    fn record(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

impl<S: StepSink> StepSink for &mut S {
    fn record(&mut self, step: Step) -> io::Result<()> {
        (**self).record(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::header::LinkOrder;
    use crate::place::{Epoch, HostId};

    /// A driver that does not know where its steps go.
    fn drive(mut to: impl StepSink) -> io::Result<()> {
        let step = |event| Step { at_ns: 1, place: HostId(0).into(), epoch: Epoch(0), event };
        to.record(step(Event::ProcessExited))?;
        to.record(step(Event::HostCrashed))
    }

    #[test]
    fn what_is_written_is_what_is_kept() {
        let header = Header::new("post-copy", LinkOrder::Fifo, 1);
        let (mut kept, mut written, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
        drive(&mut kept).unwrap();
        let mut log = LogWriter::begin(&header, &mut written).unwrap();
        drive(&mut log).unwrap();
        log.end().unwrap();
        header.write_with(&kept, &mut at_once).unwrap();
        assert_eq!((kept.len(), &written), (2, &at_once));
        drive(Unlogged).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let header = Header::new("post-copy", LinkOrder::Fifo, 1);
        let room = serde_json::to_vec(&header).unwrap().len() + 1;
        let mut small = vec![0; room];
        let mut log = LogWriter::begin(&header, &mut small[..]).unwrap();
        assert!(drive(&mut log).is_err());
        assert!(LogWriter::begin(&header, &mut [0; 4][..]).is_err());
    }
}
