//! Logs of `criu lazy-pages -v4` and `criu dump -v4`.
//!
//! The former has `(SECONDS.MICROSECONDS) uffd: PID-DESCRIPTOR: #PF at 0x…`, and likewise `uffd_copy: 0x…/LENGTH`,
//! `zero page at 0x…`, `UFFD transferred pages: (n/m)`; the latter ends with `Unseizing PID into STATE`: 1 is a process that
//! runs, 2 one that is dead, 3 one that is stopped. Other lines are passed over.

use std::io::{self, BufRead};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Number of the line, from 1.
    pub number: u64,
    /// When, in microseconds since the program began.
    pub at_us: Option<u64>,
    /// Which process.
    pub pid: Option<u64>,
    /// What happened.
    pub event: CriuEvent,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CriuEvent {
    /// The process touched a page that is not there.
    Faulted {
        /// Which.
        page: u64,
    },
    /// Pages were put in place.
    Copied {
        /// The first.
        page: u64,
        /// How many.
        pages: u64,
    },
    /// A page of zeros was put in place.
    Zeroed {
        /// Which.
        page: u64,
    },
    /// The dump lets go of the process.
    LetGo {
        /// Is it a process still, or dead?
        alive: bool,
    },
    /// All is done, as far as the daemon says.
    Transferred {
        /// Pages that were put in place.
        done: u64,
        /// Pages that there are.
        all: u64,
    },
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be read.
    #[error("line {line}: {error}")]
    Io {
        /// Which line.
        line: u64,
        /// What the system says.
        error: io::Error,
    },
    /// A known line with numbers that it cannot have.
    #[error("line {line}: not understood: {text}")]
    Malformed {
        /// Which line.
        line: u64,
        /// What it says.
        text: String,
    },
}

const PAGE_BYTES: u64 = 4096;
const LENGTH_MAX: u64 = 64 * 1024;

/// Reads a log, and tells each line of interest.
///
/// # Errors
/// It cannot be read, or is not what CRIU writes.
pub fn read_log(mut reader: impl BufRead, mut tell: impl FnMut(LogLine)) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let mut limited = io::Read::take(&mut reader, LENGTH_MAX);
        let read = limited.read_until(b'\n', &mut bytes).map_err(|error| LogError::Io { line, error })?;
        if read == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        let malformed = || LogError::Malformed { line, text: text.trim_end().chars().take(200).collect() };
        if let Some(event) = event(&text) {
            let event = event.ok_or_else(malformed)?;
            tell(LogLine { number: line, at_us: at_us(&text), pid: pid(&text), event });
        }
    }
    Ok(())
}

/// The event of a line, if it has one of interest; that is `None` where its numbers are not understood.
fn event(text: &str) -> Option<Option<CriuEvent>> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    if let Some(rest) = after("#PF at ") {
        return Some(address(rest).map(|page| CriuEvent::Faulted { page }));
    }
    if let Some(rest) = after("uffd_copy: ") {
        let copied = rest.split_once('/').and_then(|(start, length)| {
            let bytes = number(length)?;
            Some(CriuEvent::Copied { page: address(start)?, pages: bytes.div_ceil(PAGE_BYTES) })
        });
        return Some(copied);
    }
    if let Some(rest) = after("zero page at ") {
        return Some(address(rest).map(|page| CriuEvent::Zeroed { page }));
    }
    if let Some(rest) = after("Unseizing ") {
        let state = rest.split_once(" into ").and_then(|(_, state)| number(state));
        return Some(match state {
            Some(1 | 3) => Some(CriuEvent::LetGo { alive: true }),
            Some(2) => Some(CriuEvent::LetGo { alive: false }),
            _ => None,
        });
    }
    let rest = after("UFFD transferred pages: (")?;
    let counts = rest
        .split_once('/')
        .and_then(|(done, all)| Some(CriuEvent::Transferred { done: number(done)?, all: number(all)? }));
    Some(counts)
}

fn address(text: &str) -> Option<u64> {
    let hex = text.trim_start().strip_prefix("0x")?;
    let end = hex.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(hex.len());
    Some(u64::from_str_radix(&hex[..end], 16).ok()? / PAGE_BYTES)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(_) => Some(address(text)?.checked_mul(PAGE_BYTES)?),
        None => {
            let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse().ok()
        }
    }
}

fn at_us(text: &str) -> Option<u64> {
    let (stamp, _) = text.strip_prefix('(')?.split_once(')')?;
    let (seconds, micros) = stamp.split_once('.')?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)
}

fn pid(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("uffd: ")?;
    rest.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_documented() {
        let text = "(00.000100) uffd: 42-7: #PF at 0x7f0000003000\n\
                    (00.000100) something else\n\
                    (01.000200) uffd: 42-7: uffd_copy: 0x7f0000003000/8192\n\
                    uffd: 42-7: zero page at 0x5000\n\
                    (01.000300) uffd: 42-7: UFFD transferred pages: (3/5)\n";
        let mut lines = Vec::new();
        read_log(text.as_bytes(), |line| lines.push(line)).unwrap();
        let line = |number, at_us, event| LogLine { number, at_us, pid: Some(42), event };
        let expected = [
            line(1, Some(100), CriuEvent::Faulted { page: 0x7_f000_0003 }),
            line(3, Some(1_000_200), CriuEvent::Copied { page: 0x7_f000_0003, pages: 2 }),
            line(4, None, CriuEvent::Zeroed { page: 5 }),
            line(5, Some(1_000_300), CriuEvent::Transferred { done: 3, all: 5 }),
        ];
        assert_eq!(lines, expected);
        let error = read_log(&b"\n(1.2) uffd: 1-2: #PF at nowhere\n"[..], |_| {}).unwrap_err();
        assert!(matches!(error, LogError::Malformed { line: 2, .. }), "{error}");
    }
}
