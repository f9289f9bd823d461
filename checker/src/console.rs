//! How text leaves the programs of this package, and how small input files come in.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// The most bytes that a strategy file has: a hundred times the longest that is of any use.
pub const STRATEGY_BYTES_MAX: u64 = 64 * 1024;

/// The most bytes that a document has which is read whole: an invariant.
pub const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct CannotWrite(#[from] io::Error);

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no, or the text is not UTF-8.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is longer than its kind of text ever is.
    #[error("larger than {bytes_max} bytes, the most that {what} may have")]
    TooLong {
        /// What it should be, with its article.
        what: &'static str,
        /// The bound.
        bytes_max: u64,
    },
}

/// Writes a result to standard output, and a line end.
///
/// # Errors
/// It cannot be written. A reader who has seen enough is no error.
pub fn say(text: impl Display) -> Result<(), CannotWrite> {
    let mut out = anstream::stdout().lock();
    match out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a remark to standard error. There is nowhere to complain if that fails.
pub fn remark(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Ends a program whose arguments make no sense, or ask for help. Help and version are results like others: it is an error
/// if they cannot be written.
pub fn end(error: &clap::Error) -> ! {
    if !matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion) {
        error.exit();
    }
    std::process::exit(match say(error.render().ansi().to_string().trim_end()) {
        Ok(()) => 0,
        Err(CannotWrite(error)) => {
            remark(format_args!("error: cannot write to standard output: {error}"));
            2
        }
    })
}

/// Reads a text of bounded length from a file.
///
/// # Errors
/// It cannot be read, or is longer than that.
pub fn read_text(path: &Path, what: &'static str, bytes_max: u64) -> Result<String, ReadError> {
    read_from(File::open(path)?, what, bytes_max)
}

/// Reads a text of bounded length.
///
/// # Errors
/// It cannot be read, or is longer than that.
pub fn read_from(from: impl Read, what: &'static str, bytes_max: u64) -> Result<String, ReadError> {
    let mut text = String::new();
    // One byte more than it may have, to see that it has no more. Bytes first: a device without end may not be text either.
    let mut bytes = Vec::new();
    from.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLong { what, bytes_max });
    }
    bytes.as_slice().read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_greatest_length_is_read_and_a_longer_one_is_not() {
        let read = |text: &str| read_from(text.as_bytes(), "a text", 4);
        assert_eq!(read("four").unwrap(), "four");
        let error = read("fiver").unwrap_err();
        assert_eq!(error.to_string(), "larger than 4 bytes, the most that a text may have");
        assert!(matches!(read_from(io::repeat(0), "a text", 4), Err(ReadError::TooLong { .. })));
        assert!(matches!(read_from(&[0xff, 0xfe][..], "a text", 4), Err(ReadError::Io(_))));
    }
}
