//! The host that takes the process, under [`siege`](crate::siege) by where it comes from.

use steplog::place::HostId;

use crate::FuzzFinding;
use crate::siege::besiege;

/// The process has started on its way to the second host; the input is what goes on and what is forged.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    besiege(HostId(1), input)
}
