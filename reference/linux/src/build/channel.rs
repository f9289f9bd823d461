//! Descriptors passed into another process.

use std::io::IoSlice;
use std::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::error::{Doing, Result};

/// Two ends; the second one is for the other process.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .doing(|| "make a socket pair".to_owned())
}

/// Descriptors in one message; the kernel's limit is 253.
pub(super) const BATCH: usize = 128;

/// Sends a byte and up to [`BATCH`] descriptors.
pub(super) fn send(socket: impl AsFd, word: u8, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&[word])], &mut ancillary, SendFlags::NOSIGNAL)
        .doing(|| format!("pass {} descriptors", descriptors.len()))?;
    Ok(())
}
