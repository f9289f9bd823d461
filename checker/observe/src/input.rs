//! Bytes from somebody else: read in order, with their offset, and never more held than has arrived.

use std::io::{self, Read};

/// A reader that knows where it is.
///
/// Numbers are read big-endian by `be*` and little-endian by `le*`. Whoever reads bytes of a length that the input
/// itself names checks it against a cap first, see [`Input::bytes`].
#[derive(Debug)]
pub struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    finished: bool,
}

/// Why no more can be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The input cannot be read.
    #[error("offset {offset:#x}: {error}")]
    Io {
        /// Where.
        offset: u64,
        /// What the system says.
        error: io::Error,
    },
    /// It ends within something.
    #[error("the input ends at offset {offset:#x}, {missing} bytes before what was begun is complete")]
    Ended {
        /// Where it ends.
        offset: u64,
        /// How many bytes are missing at least.
        missing: u64,
    },
    /// It announces more than is believed.
    #[error("offset {offset:#x}: {length} bytes of {what} are announced; there can be {length_max}")]
    TooLong {
        /// Where the length is.
        offset: u64,
        /// Of what.
        what: &'static str,
        /// How many are announced.
        length: u64,
        /// The cap.
        length_max: u64,
    },
}

/// Bytes held at once: large enough that the system is asked rarely.
const BUFFER: usize = 256 * 1024;

impl<R: Read> Input<R> {
    /// Reads from the beginning.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER], start: 0, end: 0, offset: 0, finished: false }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Is everything read?
    pub fn at_end(&mut self) -> Result<bool, InputError> {
        Ok(self.peek()?.is_none())
    }

    /// The next byte, which stays to be read.
    pub fn peek(&mut self) -> Result<Option<u8>, InputError> {
        if self.start == self.end && !self.finished {
            self.fill()?;
        }
        Ok((self.start < self.end).then(|| self.buffer[self.start]))
    }

    /// The next eight bytes, which stay to be read; `None` where there are fewer.
    pub fn peek_be64(&mut self) -> Result<Option<u64>, InputError> {
        while self.end - self.start < 8 && !self.finished {
            self.fill()?;
        }
        let held = &self.buffer[self.start..self.end];
        Ok(held.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)))
    }

    /// Fills the array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], InputError> {
        let mut array = [0; N];
        self.exactly(&mut array)?;
        Ok(array)
    }

    /// Fills the slice.
    pub fn exactly(&mut self, into: &mut [u8]) -> Result<(), InputError> {
        let mut filled = 0;
        while filled < into.len() {
            let held = self.held((into.len() - filled) as u64)?;
            let count = held.len();
            into[filled..filled + count].copy_from_slice(held);
            filled += count;
            self.consume(count);
        }
        Ok(())
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, length: u64) -> Result<(), InputError> {
        let mut left = length;
        while left > 0 {
            let count = self.held(left)?.len();
            left -= count as u64;
            self.consume(count);
        }
        Ok(())
    }

    /// So many bytes, which must not be more than `length_max`. Memory is taken as they arrive.
    pub fn bytes(&mut self, length: u64, length_max: u64, what: &'static str) -> Result<Vec<u8>, InputError> {
        if length > length_max {
            return Err(InputError::TooLong { offset: self.offset, what, length, length_max });
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let held = self.held(length - bytes.len() as u64)?;
            let count = held.len();
            bytes.extend_from_slice(held);
            self.consume(count);
        }
        Ok(bytes)
    }

    /// All that is left, which must not be more than `length_max`.
    pub fn rest(&mut self, length_max: u64, what: &'static str) -> Result<Vec<u8>, InputError> {
        let (begin, mut bytes) = (self.offset, Vec::new());
        while self.peek()?.is_some() {
            let held = &self.buffer[self.start..self.end];
            let length = (bytes.len() + held.len()) as u64;
            if length > length_max {
                return Err(InputError::TooLong { offset: begin, what, length, length_max });
            }
            bytes.extend_from_slice(held);
            self.consume(held.len());
        }
        Ok(bytes)
    }

    /// At least one of the next `wanted` bytes, as many as are held.
    fn held(&mut self, wanted: u64) -> Result<&[u8], InputError> {
        if self.peek()?.is_none() {
            return Err(InputError::Ended { offset: self.offset, missing: wanted });
        }
        let count = (self.end - self.start).min(usize::try_from(wanted).unwrap_or(usize::MAX));
        Ok(&self.buffer[self.start..self.start + count])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    fn fill(&mut self) -> Result<(), InputError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.finished = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(InputError::Io { offset: self.offset, error }),
            }
            return Ok(());
        }
    }
}

macro_rules! numbers {
    ($($name:ident: $number:ty, $from:ident, $text:literal;)*) => {
        impl<R: Read> Input<R> {
            $(#[doc = $text]
            pub fn $name(&mut self) -> Result<$number, InputError> {
                self.array().map(<$number>::$from)
            })*
        }
    };
}

numbers! {
    byte: u8, from_be_bytes, "One byte.";
    be16: u16, from_be_bytes, "Two bytes, big-endian.";
    be32: u32, from_be_bytes, "Four bytes, big-endian.";
    be64: u64, from_be_bytes, "Eight bytes, big-endian.";
    le16: u16, from_le_bytes, "Two bytes, little-endian.";
    le32: u32, from_le_bytes, "Four bytes, little-endian.";
    le64: u64, from_le_bytes, "Eight bytes, little-endian.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn however_bytes_arrive_they_are_read_in_order() {
        let mut input = Input::new(Drip(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
        assert_eq!(input.be16().unwrap(), 0x0102);
        assert_eq!(input.peek_be64().unwrap(), Some(0x0304_0506_0708_090a));
        assert_eq!(input.le32().unwrap(), 0x0605_0403);
        input.skip(2).unwrap();
        assert_eq!(input.bytes(2, 2, "letters").unwrap(), [9, 10]);
        assert_eq!((input.offset(), input.peek().unwrap()), (10, Some(11)));
        assert_eq!(input.rest(1, "letters").unwrap(), [11]);
        assert!(input.at_end().unwrap());
    }

    #[test]
    fn what_is_too_short_or_too_long_is_refused() {
        let short = Input::new(&[1, 2, 3][..]).be64();
        assert!(matches!(short, Err(InputError::Ended { offset: 3, missing: 5 })), "{short:?}");
        let long = Input::new(&[1, 2, 3][..]).bytes(3, 2, "letters");
        assert!(matches!(long, Err(InputError::TooLong { length: 3, length_max: 2, .. })), "{long:?}");
        let long = Input::new(&[1, 2, 3][..]).rest(2, "letters");
        assert!(matches!(long, Err(InputError::TooLong { length: 3, .. })), "{long:?}");
    }
}
