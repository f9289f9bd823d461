//! Trace events, as the log backend writes them: `THREAD@SECONDS.MICROSECONDS:EVENT ARGUMENTS`, or in newer versions
//! `YYYY-MM-DDTHH:MM:SS.MICROSECONDSZ EVENT ARGUMENTS`.
//!
//! Time and thread are missing where QEMU was run without `-msg timestamp=on`, from 8.0 on. Lines that are no trace
//! events, such as warnings in the same file, are counted and passed over; a known event with arguments that it cannot
//! have is an error. Source: the files `trace-events` of QEMU.

mod event;
mod lines;

use std::io::{self, BufRead};

use event::Names;
pub use event::{CommandName, Name, QemuEvent, QemuState};
use lines::Lines;

/// Reads a trace line by line.
#[derive(Debug)]
pub struct QemuTrace<R> {
    lines: Lines<R>,
    names: Names,
    strange: u64,
}

/// An event and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// Number of the line, from 1.
    pub number: u64,
    /// When, in microseconds since 1970, where it is said.
    pub at_us: Option<u64>,
    /// Which thread.
    pub thread: Option<u32>,
    /// What happened.
    pub event: QemuEvent,
}

/// Why a trace cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum QemuTraceError {
    /// It cannot be read.
    #[error("line {line}: {error}")]
    Io {
        /// Which line.
        line: u64,
        /// What the system says.
        error: io::Error,
    },
    /// A line is longer than QEMU writes any.
    #[error("line {line}: longer than {length_max} bytes")]
    TooLong {
        /// Which line.
        line: u64,
        /// The cap.
        length_max: usize,
    },
    /// A known event with arguments that it cannot have.
    #[error("line {line}: event {event} with other arguments than known: {arguments}")]
    Malformed {
        /// Which line.
        line: u64,
        /// Its name.
        event: String,
        /// What it has.
        arguments: String,
    },
    /// More names of blocks than any machine has.
    #[error("line {line}: more than {names_max} names of blocks")]
    TooManyNames {
        /// Which line.
        line: u64,
        /// The cap.
        names_max: usize,
    },
}

impl<R: BufRead> QemuTrace<R> {
    /// A trace from its beginning.
    pub fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), names: Names::default(), strange: 0 }
    }

    /// The next event that is of interest; `None` at the end.
    ///
    /// # Errors
    /// The trace cannot be read, or is not what QEMU writes.
    pub fn next_line(&mut self) -> Result<Option<TraceLine>, QemuTraceError> {
        loop {
            let Some((number, text)) = self.lines.next()? else { return Ok(None) };
            let Some((thread, at_us, name, arguments)) = split(text) else {
                self.strange += 1;
                continue;
            };
            match event::parse(name, arguments, &mut self.names) {
                Ok(Some(event)) => return Ok(Some(TraceLine { number, at_us, thread, event })),
                Ok(None) => {}
                Err(event::Refused::Arguments) => {
                    let shown =
                        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
                    return Err(QemuTraceError::Malformed {
                        line: number,
                        event: shown(name),
                        arguments: shown(arguments),
                    });
                }
                Err(event::Refused::Names) => {
                    return Err(QemuTraceError::TooManyNames { line: number, names_max: event::NAMES_MAX });
                }
            }
        }
    }

    /// What a name in an event stands for.
    pub fn name(&self, name: Name) -> &str {
        self.names.get(name)
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines.number()
    }

    /// Lines so far that were no trace events.
    pub fn strange(&self) -> u64 {
        self.strange
    }
}

type Split<'a> = (Option<u32>, Option<u64>, &'a [u8], &'a [u8]);

/// Thread, time, event, arguments.
fn split(text: &[u8]) -> Option<Split<'_>> {
    let (stamp, rest) = if let Some((thread, at_us, rest)) = stamp(text) {
        ((Some(thread), Some(at_us)), rest)
    } else if let Some((at_us, rest)) = date(text) {
        ((None, Some(at_us)), rest)
    } else {
        ((None, None), text)
    };
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let (name, arguments) = rest.split_at(end);
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let plausible = !name.is_empty() && name.iter().all(is_name);
    plausible.then_some((stamp.0, stamp.1, name, arguments.get(1..).unwrap_or_default()))
}

/// `THREAD@SECONDS.MICROSECONDS:`
fn stamp(text: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (thread, rest) = decimal(text)?;
    let (seconds, rest) = decimal(rest.strip_prefix(b"@")?)?;
    let (micros, rest) = decimal(rest.strip_prefix(b".")?)?;
    let rest = rest.strip_prefix(b":")?;
    let at_us = seconds.checked_mul(1_000_000)?.checked_add(micros)?;
    Some((u32::try_from(thread).ok()?, at_us, rest))
}

/// `YYYY-MM-DDTHH:MM:SS.MICROSECONDSZ `
fn date(text: &[u8]) -> Option<(u64, &[u8])> {
    const LENGTH: usize = "2026-11-30T14:53:21.713640Z".len();
    let (date, rest) = text.split_at_checked(LENGTH)?;
    let date = humantime::parse_rfc3339(std::str::from_utf8(date).ok()?).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((u64::try_from(at.as_micros()).ok()?, rest.strip_prefix(b" ")?))
}

fn decimal(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<TraceLine>, u64), QemuTraceError> {
        let (mut trace, mut lines) = (QemuTrace::new(text.as_bytes()), Vec::new());
        while let Some(line) = trace.next_line()? {
            lines.push(line);
        }
        Ok((lines, trace.strange()))
    }

    #[test]
    fn lines_have_thread_time_and_event() {
        let text = "26547@1795993805.329057:migrate_handle_rp_req_pages in (null) at 0x4af000 len 0x1000\n\
                    qemu-system-x86_64: warning: nothing of ours\n\
                    ram_save_page pc.ram: offset: 0x6000 host: 0x7ff187606000\n";
        let (lines, strange) = read(text).unwrap();
        assert_eq!(strange, 1);
        let request = QemuEvent::RequestReceived { block: None, page: 0x4af, count: 1 };
        let expected =
            TraceLine { number: 1, at_us: Some(1_795_993_805_329_057), thread: Some(26547), event: request };
        assert_eq!(lines[0], expected);
        assert_eq!((lines[1].number, lines[1].at_us), (3, None));
        assert!(matches!(lines[1].event, QemuEvent::PageSaved { page: 6, .. }));
    }

    #[test]
    fn newer_versions_write_the_date() {
        let (lines, strange) = read(
            "2026-11-30T14:53:23.005100Z migrate_handle_rp_req_pages in pc.ram at 0xc0000 len 0x1000\n\
             2026-13-30T14:53:23.005100Z migrate_handle_rp_req_pages in pc.ram at 0xc0000 len 0x1000\n",
        )
        .unwrap();
        assert_eq!(strange, 1, "there are 12 months");
        assert_eq!((lines[0].at_us, lines[0].thread), (Some(1_796_050_403_005_100), None));
        assert!(matches!(
            lines[0].event,
            QemuEvent::RequestReceived { block: Some(_), page: 0xc0, count: 1 }
        ));
    }

    #[test]
    fn a_known_event_with_strange_arguments_is_an_error() {
        let error = read("1@2.3:ram_save_page pc.ram: offset 0x6000\n").unwrap_err();
        assert!(matches!(error, QemuTraceError::Malformed { line: 1, .. }), "{error}");
        let error = read(&format!("ram_save_page {}", "a".repeat(100_000))).unwrap_err();
        assert!(matches!(error, QemuTraceError::TooLong { line: 1, .. }), "{error}");
    }
}
