//! Bytes from a peer: decoded or refused, never more than arrived is read, and what was decoded survives another round.
//!
//! Hardly any bytes have a right checksum, so each input is tried as it is, with a right header but for kind and epoch, as by
//! a peer that knows the format and means harm, and with its payload as a plan ahead of a state.

use protocol::wire::{HEADER_LEN, Message, WIRE_VERSION, decode, encode};

use crate::FuzzFinding;

/// Least bytes of a run of the plan on the wire: number of pages, whereabouts, version.
const RUN_LEN_MIN: usize = 1 + 1 + 1;

/// The bytes of two kinds of frame.
const STATE: u8 = 2;
const PLAN_AHEAD: u8 = 16;

/// Bytes of the shortest state: three lengths of nothing.
const STATE_LEN_MIN: u32 = 4 + 1 + 4;

/// Decodes the input.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    check(input)?;
    let Some(frame) = mended(input) else { return Ok(()) };
    check(&frame)?;
    check(&with_plan_ahead(frame))
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

/// The input with the header that it should have; kind, epoch and payload are left as they are.
fn mended(input: &[u8]) -> Option<Vec<u8>> {
    let payload_len = u32::try_from(input.len().checked_sub(HEADER_LEN)?).ok()?;
    let mut frame = input.to_vec();
    frame[..4].copy_from_slice(b"SJRN");
    frame[4] = WIRE_VERSION;
    frame[6..8].fill(0);
    frame[16..20].copy_from_slice(&payload_len.to_le_bytes());
    seal(&mut frame);
    Some(frame)
}

/// The payload of a frame as the beginning of a plan, and a state without registers, former hosts or more of the plan.
fn with_plan_ahead(mut frame: Vec<u8>) -> Vec<u8> {
    frame[5] = PLAN_AHEAD;
    seal(&mut frame);
    let mut state = frame[..HEADER_LEN].to_vec();
    state[5] = STATE;
    state[16..20].copy_from_slice(&STATE_LEN_MIN.to_le_bytes());
    state.extend([0; STATE_LEN_MIN as usize]);
    seal(&mut state);
    frame.extend(state);
    frame
}

fn seal(frame: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..20]);
    hasher.update(&frame[HEADER_LEN..]);
    frame[20..24].copy_from_slice(&hasher.finalize().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or the mended input would be refused for its header, and nothing would be tried.
    #[test]
    fn a_mended_header_is_right() {
        let mut input = vec![0; HEADER_LEN];
        input[5] = 3;
        assert!(decode(&mended(&input).expect("long enough for a header")).is_ok());
        let mut ahead = input.clone();
        ahead.extend([1, 0, 0, 0, 1, 3, 0]);
        let frames = with_plan_ahead(mended(&ahead).expect("long enough for a header"));
        let Ok((frame, read)) = decode(&frames) else { panic!("{:?}", decode(&frames)) };
        let Message::State(state) = frame.message else { panic!("{frame:?}") };
        assert_eq!((state.plan.page_count(), read), (1, frames.len()));
    }
}
