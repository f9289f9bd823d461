//! Bytes from a peer: decoded or refused, never more than arrived is read, and what was decoded survives another round.
//!
//! Hardly any bytes have a right checksum, so each input is tried as it is, with a right header but for kind and epoch, as by
//! a peer that knows the format and means harm, and with its payload as a plan ahead of a state.

use protocol::wire::{Message, WIRE_VERSION, decode, encode};

use crate::FuzzFinding;

/// Least bytes of a run of the plan on the wire: number of pages, whereabouts, version.
const RUN_LEN_MIN: usize = 1 + 1 + 1;

/// The bytes of two kinds of frame.
const STATE: u8 = 2;
const PLAN_AHEAD: u8 = 16;

/// Bytes of the shortest state: three lengths of nothing.
const STATE_LEN_MIN: usize = 4 + 1 + 4;

/// Decodes the input.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    check(input)?;
    let Some((kind, epoch, payload)) = parts(input) else { return Ok(()) };
    check(&frame(kind, epoch, payload))?;
    check(&with_plan_ahead(epoch, payload))
}

fn check(input: &[u8]) -> Result<(), FuzzFinding> {
    let Ok((frame, read)) = decode(input) else { return Ok(()) };
    if read > input.len() {
        return Err(FuzzFinding(format!("{read} of {} bytes were read", input.len())));
    }
    if let Message::State(state) = &frame.message
        && state.plan.runs().len() > input.len() / RUN_LEN_MIN
    {
        return Err(FuzzFinding(format!("{} bytes became {} runs", input.len(), state.plan.runs().len())));
    }
    let again = encode(frame.epoch, &frame.message)
        .map_err(|error| FuzzFinding(format!("decoded, but cannot be encoded: {error}")))?;
    match decode(&again) {
        Ok((same, _)) if same == frame => Ok(()),
        other => Err(FuzzFinding(format!("{frame:?} came back as {other:?}"))),
    }
}

/// Kind, epoch and payload of an input, whatever its version, length and checksum.
fn parts(input: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&[_, kind], rest) = input.split_first_chunk()?;
    let (epoch, rest) = short(rest)?;
    let (_, rest) = short(rest)?;
    Some((kind, epoch, rest.get(4..)?))
}

/// A short number of any length, without what is too much of it, and what follows.
fn short(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let bits = |byte: &u8| u64::from(byte & 0x7f);
    let number = bytes[..=last].iter().rev().fold(0u64, |number, byte| number << 7 | bits(byte));
    Some((number, &bytes[last + 1..]))
}

fn put_short(frame: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        frame.push(number as u8 | 0x80);
        number >>= 7;
    }
    frame.push(number as u8);
}

/// A frame with the header that it should have.
fn frame(kind: u8, epoch: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![WIRE_VERSION, kind];
    put_short(&mut frame, epoch);
    put_short(&mut frame, payload.len() as u64);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame);
    hasher.update(payload);
    frame.extend(hasher.finalize().to_le_bytes());
    frame.extend(payload);
    frame
}

/// A payload as the beginning of a plan, and a state without registers, former hosts or more of the plan.
fn with_plan_ahead(epoch: u64, payload: &[u8]) -> Vec<u8> {
    [frame(PLAN_AHEAD, epoch, payload), frame(STATE, epoch, &[0; STATE_LEN_MIN])].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or what is tried would be refused for its header, and nothing would be tried.
    #[test]
    fn a_mended_header_is_right() {
        let input = [0, 3, 0x85, 0x01, 7, 1, 2, 3, 4];
        assert_eq!(parts(&input), Some((3, 133, &[][..])));
        assert!(decode(&frame(3, 133, &[])).is_ok());
        let frames = with_plan_ahead(133, &[1, 0, 0, 0, 1, 3, 0]);
        let Ok((frame, read)) = decode(&frames) else { panic!("{:?}", decode(&frames)) };
        let Message::State(state) = frame.message else { panic!("{frame:?}") };
        assert_eq!((frame.epoch.0, state.plan.page_count(), read), (133, 1, frames.len()));
    }
}
