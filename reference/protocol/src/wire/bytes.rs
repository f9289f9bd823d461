//! Reading little-endian fields without ever reading past the end, and numbers that are mostly small.

use super::DecodeError;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::PayloadTruncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::PayloadTruncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number as [`put_short`] writes it, and no other way.
    pub(super) fn short(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & !CONTINUED);
            let ends = byte & CONTINUED == 0;
            let is_shortest = !ends || bits != 0 || shift == 0;
            if bits << shift >> shift != bits || !is_shortest {
                break;
            }
            number |= bits << shift;
            if ends {
                return Ok(number);
            }
        }
        Err(DecodeError::Malformed("a short number"))
    }

    /// Bytes not read yet: what a count in the payload may at most announce.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Malformed("bytes after the payload")) }
    }
}

/// Most bytes of a short number.
pub(super) const SHORT_LEN_MAX: usize = u64::BITS.div_ceil(7) as usize;

/// Set in each byte of a short number but the last.
const CONTINUED: u8 = 0x80;

/// Writes a number in as few bytes as it needs, seven bits in each, the lowest first.
pub(super) fn put_short(out: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(CONTINUED) {
        out.push(number as u8 | CONTINUED);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes that this takes.
pub(super) fn short_len(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(bytes);
        let number = reader.short()?;
        reader.finish()?;
        Ok(number)
    }

    #[test]
    fn short_numbers_are_read_as_they_were_written() {
        for number in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_short(&mut bytes, number);
            assert_eq!((read(&bytes), bytes.len()), (Ok(number), short_len(number)));
        }
        assert_eq!((short_len(0), short_len(127), short_len(128), short_len(u64::MAX)), (1, 1, 2, 10));
    }

    #[test]
    fn there_is_one_way_to_write_a_short_number() {
        let malformed = Err(DecodeError::Malformed("a short number"));
        assert_eq!(read(&[0x80, 0]), malformed, "zero at length");
        assert_eq!(read(&[0xff, 0x80, 0]), malformed);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), malformed, "65 bits");
        assert_eq!(read(&[0x80; 11]), malformed, "no end");
        assert_eq!(read(&[0x80]), Err(DecodeError::PayloadTruncated));
    }
}
