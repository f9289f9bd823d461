//! Bytes from a peer: decoded or refused, never more than arrived is read, and what was decoded survives another round.
//!
//! Hardly any bytes have a right checksum, so each input is tried twice: as it is, and with a right header but for kind
//! and epoch, as by a peer that knows the format and means harm.

use protocol::wire::{HEADER_LEN, Message, decode, encode};

use crate::Finding;

/// Least bytes of a run of the plan on the wire: number of pages, whereabouts, version.
const RUN_LEN_MIN: usize = 4 + 1 + 8;

/// Decodes the input.
pub fn run(input: &[u8]) -> Result<(), Finding> {
    check(input)?;
    mended(input).map_or(Ok(()), |frame| check(&frame))
}

fn check(input: &[u8]) -> Result<(), Finding> {
    let Ok((frame, read)) = decode(input) else { return Ok(()) };
    if read > input.len() {
        return Err(Finding(format!("{read} of {} bytes were read", input.len())));
    }
    if let Message::State(state) = &frame.message
        && state.plan.runs().len() > input.len() / RUN_LEN_MIN
    {
        return Err(Finding(format!("{} bytes became {} runs", input.len(), state.plan.runs().len())));
    }
    let again = encode(frame.epoch, &frame.message)
        .map_err(|error| Finding(format!("decoded, but cannot be encoded: {error}")))?;
    match decode(&again) {
        Ok((same, _)) if same == frame => Ok(()),
        other => Err(Finding(format!("{frame:?} came back as {other:?}"))),
    }
}

/// The input with the header that it should have; kind, epoch and payload are left as they are.
fn mended(input: &[u8]) -> Option<Vec<u8>> {
    let payload_len = u32::try_from(input.len().checked_sub(HEADER_LEN)?).ok()?;
    let mut frame = input.to_vec();
    frame[..5].copy_from_slice(b"SJRN\x01");
    frame[6..8].fill(0);
    frame[16..20].copy_from_slice(&payload_len.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..20]);
    hasher.update(&frame[HEADER_LEN..]);
    frame[20..24].copy_from_slice(&hasher.finalize().to_le_bytes());
    Some(frame)
}
