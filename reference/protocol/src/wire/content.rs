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
    if bytes.iter().all(|&byte| byte == 0) {
        out.push(ZERO);
        return;
    }
    let runs: Vec<&[u8]> = bytes.chunk_by(|a, b| a == b).take(RUNS_MAX + 1).collect();
    if runs.len() > RUNS_MAX {
        out.push(RAW);
        out.extend_from_slice(bytes);
        return;
    }
    out.push(RUNS);
    for run in runs {
        // A run is at most a page long, so its length fits.
        out.extend_from_slice(&(run.len() as u16).to_le_bytes());
        out.push(run[0]);
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<PageBytes, DecodeError> {
    match reader.u8()? {
        ZERO => Ok(PageBytes::zeroed()),
        RAW => {
            let mut content = PageBytes::zeroed();
            content.as_mut_slice().copy_from_slice(reader.take(PAGE_SIZE)?);
            Ok(content)
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
