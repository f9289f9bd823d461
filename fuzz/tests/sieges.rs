//! Hosts under siege by inputs that nobody chose: what a fuzzer would begin with.

use fuzz::siege::besiege;
use steplog::place::HostId;

/// Inputs for each of the two hosts that may be besieged.
const INPUTS: u64 = 5000;

/// Bytes of an input: enough for a migration or two, with what goes wrong in them.
const INPUT_LEN: usize = 700;

/// As arbitrary as it gets with a generator of three shifts.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..INPUT_LEN).map(|_| byte()).collect()
}

#[test]
fn arbitrary_sieges_find_nothing() {
    for (seed, host) in (1..=INPUTS).flat_map(|seed| [(seed, HostId(0)), (seed, HostId(1))]) {
        besiege(host, &bytes(seed))
            .unwrap_or_else(|finding| panic!("input {seed} against {host}: {finding}"));
    }
}
