//! Whatever arrives is decoded or refused, never more than arrived is read, and what was decoded survives
//! another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reference::wire::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let Ok((frame, read)) = decode(bytes) else { return };
    assert!(read <= bytes.len());
    let again = encode(frame.epoch, &frame.message).expect("what was decoded is within the limits");
    assert_eq!(decode(&again).expect("what was encoded decodes").0, frame);
});
