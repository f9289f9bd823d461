//! The inputs of the targets for foreign systems, changed a little and often: what a fuzzer would do first.

use fuzz::TARGETS;
use fuzz::corpus::{committed, home};

const CHANGES: u64 = 300;

#[test]
fn changed_inputs_are_read_or_refused() {
    let targets =
        ["qemu_stream", "qemu_return_path", "qemu_channels", "qemu_text", "criu", "cloud_hypervisor"];
    for name in targets {
        let (_, target) = TARGETS.into_iter().find(|(other, _)| *other == name).expect("a target");
        for (file, input) in committed(home(), name).unwrap_or_else(|error| panic!("{error}")) {
            for seed in 0..CHANGES {
                let changed = changed(&input, seed);
                target(&changed).unwrap_or_else(|finding| panic!("{name}: {file}, change {seed}: {finding}"));
            }
        }
    }
}

/// Up to four bytes become others, or the input is cut, or a part of it is doubled.
fn changed(input: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed + 1;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % bound.max(1)
    };
    let mut bytes = input.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    for _ in 0..=below(4) {
        // Nearly everything that matters is near the beginning: contents of pages are long.
        let reach = if below(2) == 0 { bytes.len() } else { bytes.len().min(64) };
        let at = below(reach);
        match below(4) {
            0 => bytes[at] = 0xff,
            1 => bytes[at] ^= 1 << below(8),
            2 => bytes[at] = below(256) as u8,
            _ => bytes[at] = 0,
        }
    }
    match below(4) {
        0 => bytes.truncate(below(input.len())),
        1 => {
            let (at, end) = (below(bytes.len()), below(bytes.len()));
            if at < end {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
        _ => {}
    }
    bytes
}
