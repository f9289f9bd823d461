//! Lines of a bounded length.

use std::io::BufRead;

use super::QemuTraceError;

const LENGTH_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0 }
    }

    /// Number of the last line.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end, and its number.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>, QemuTraceError> {
        self.line.clear();
        loop {
            let line = self.number + 1;
            let held = self.reader.fill_buf().map_err(|error| QemuTraceError::Io { line, error })?;
            if held.is_empty() && self.line.is_empty() {
                return Ok(None);
            }
            let end = held.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(held.len());
            if self.line.len() + taken > LENGTH_MAX {
                return Err(QemuTraceError::TooLong { line, length_max: LENGTH_MAX });
            }
            self.line.extend_from_slice(&held[..taken]);
            let over = end.is_some() || held.is_empty();
            self.reader.consume(taken + usize::from(end.is_some()));
            if over {
                break;
            }
        }
        self.number += 1;
        Ok(Some((self.number, self.line.strip_suffix(b"\r").unwrap_or(&self.line))))
    }
}
