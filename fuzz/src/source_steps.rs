//! The host that gives the process away, under [`siege`](crate::siege) by where the process goes.

use steplog::place::HostId;

use crate::FuzzFinding;
use crate::siege::besiege;

/// The first host has the process; the input is what goes on and what is forged.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    besiege(HostId(0), input)
}
