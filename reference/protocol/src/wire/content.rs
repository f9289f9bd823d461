//! Page content on the wire: the shortest of three encodings.

use super::DecodeError;
use super::bytes::Reader;
use crate::page::{PAGE_SIZE, PageBytes};

const ZERO: u8 = 0;
const RAW: u8 = 1;
const RUNS: u8 = 2;

/// Bytes of a run: its length and the byte that is repeated.
const RUN_LEN: usize = 3;

/// Most runs that are still shorter than the page itself.
const RUNS_MAX: usize = PAGE_SIZE / RUN_LEN;

pub(super) fn encode(content: &PageBytes, out: &mut Vec<u8>) {
    let bytes = content.as_slice();
    let borders = borders(bytes);
    if borders == 0 && bytes[0] == 0 {
        out.push(ZERO);
    } else if borders < RUNS_MAX {
        out.push(RUNS);
        for run in bytes.chunk_by(|a, b| a == b) {
            // A run is at most a page long, so its length fits.
            out.extend_from_slice(&(run.len() as u16).to_le_bytes());
            out.push(run[0]);
        }
    } else {
        out.push(RAW);
        out.extend_from_slice(bytes);
    }
}

/// How often a byte differs from the one before, counted until there are too many for runs. Without a branch and in bytes, so
/// that many are compared at once.
fn borders(bytes: &[u8]) -> usize {
    const BLOCK_LEN: usize = 128;
    let (before, behind) = (&bytes[..bytes.len() - 1], &bytes[1..]);
    let blocks = before.chunks(BLOCK_LEN).zip(behind.chunks(BLOCK_LEN));
    // A block is too short for its count to overflow: a check of that would take each byte by itself.
    let differ = |(before, behind): (&[u8], &[u8])| {
        let bytes = before.iter().zip(behind);
        usize::from(bytes.fold(0u8, |count, (before, behind)| count.wrapping_add(u8::from(before != behind))))
    };
    let counted = blocks.map(differ).try_fold(0, |count, more| match count + more {
        enough @ RUNS_MAX.. => Err(enough),
        count => Ok(count),
    });
    counted.unwrap_or_else(|enough| enough)
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<PageBytes, DecodeError> {
    match reader.u8()? {
        ZERO => Ok(PageBytes::zeroed()),
        RAW => {
            let bytes = reader.take(PAGE_SIZE)?.first_chunk::<PAGE_SIZE>();
            bytes.map(|bytes| PageBytes::from(*bytes)).ok_or(DecodeError::PayloadTruncated)
        }
        RUNS => decode_runs(reader),
        _ => Err(DecodeError::Malformed("page encoding")),
    }
}

fn decode_runs(reader: &mut Reader<'_>) -> Result<PageBytes, DecodeError> {
    let mut content = PageBytes::zeroed();
    let mut rest = content.as_mut_slice();
    while !rest.is_empty() {
        let length = usize::from(reader.u16()?);
        let byte = reader.u8()?;
        if length == 0 || length > rest.len() {
            return Err(DecodeError::Malformed("run length"));
        }
        let (run, after) = rest.split_at_mut(length);
        run.fill(byte);
        rest = after;
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn round_trip(content: &PageBytes) -> (usize, PageBytes) {
        let mut bytes = Vec::new();
        encode(content, &mut bytes);
        let mut reader = Reader::new(&bytes);
        let decoded = decode(&mut reader).unwrap();
        reader.finish().unwrap();
        (bytes.len(), decoded)
    }

    quickcheck! {
        fn any_content_survives_and_is_at_most_a_byte_longer(content: PageBytes) -> bool {
            let (len, decoded) = round_trip(&content);
            decoded == content && len <= PAGE_SIZE + 1
        }
    }

    #[test]
    fn zeroes_take_a_byte_and_a_constant_page_four() {
        assert_eq!(round_trip(&PageBytes::zeroed()).0, 1);
        assert_eq!(round_trip(&PageBytes::from([9; PAGE_SIZE])).0, 1 + RUN_LEN);
    }

    #[test]
    fn the_shortest_encoding_is_taken_up_to_the_last_run() {
        // As many runs as given, the last one as long as is left.
        let page = |runs: usize| {
            PageBytes::from(std::array::from_fn(|at| if at < runs { at as u8 } else { (runs - 1) as u8 }))
        };
        for (runs, len) in
            [(1, 1), (2, 1 + 2 * RUN_LEN), (RUNS_MAX, 1 + RUNS_MAX * RUN_LEN), (RUNS_MAX + 1, 1 + PAGE_SIZE)]
        {
            assert_eq!(round_trip(&page(runs)), (len, page(runs)), "{runs} runs");
        }
    }

    #[test]
    fn runs_that_pay_no_longer_are_not_used() {
        let mut content = PageBytes::zeroed();
        content.as_mut_slice().iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
        let (len, decoded) = round_trip(&content);
        assert_eq!((len, decoded), (PAGE_SIZE + 1, content));
    }

    #[test]
    fn runs_must_cover_the_page_exactly() {
        let too_long = [RUNS, 0x01, 0x10, 7];
        assert_eq!(decode(&mut Reader::new(&too_long)), Err(DecodeError::Malformed("run length")));
        let empty = [RUNS, 0, 0, 7];
        assert_eq!(decode(&mut Reader::new(&empty)), Err(DecodeError::Malformed("run length")));
        let too_short = [RUNS, 0xff, 0x0f, 7];
        assert_eq!(decode(&mut Reader::new(&too_short)), Err(DecodeError::PayloadTruncated));
        assert_eq!(decode(&mut Reader::new(&[9])), Err(DecodeError::Malformed("page encoding")));
    }
}
