//! Addresses of TCP and of Unix sockets.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`, or `tcp:HOST:PORT` as QEMU writes it.
    Tcp(String),
    /// `unix:PATH`
    Unix(PathBuf),
}

/// It is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither HOST:PORT nor unix:PATH")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Unix(path.into())) };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        match (host.is_empty(), port.parse::<u16>()) {
            (false, Ok(_)) => Ok(Self::Tcp(address.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(&self) -> io::Result<SocketConnection> {
        Ok(match self {
            Self::Tcp(address) => SocketConnection::Tcp(tcp(TcpStream::connect(address)?)?),
            Self::Unix(path) => SocketConnection::Unix(UnixStream::connect(path)?),
        })
    }
}

/// Somebody who can be connected to.
#[derive(Debug)]
pub enum Listener {
    /// By TCP.
    Tcp(TcpListener),
    /// By a Unix socket.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(super) fn new(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
                Ok(Self::Tcp(TcpListener::bind(&addresses[..])?))
            }
            Address::Unix(path) => Ok(Self::Unix(UnixListener::bind(path)?, path.clone())),
        }
    }

    pub(super) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(listener) => Address::Tcp(listener.local_addr()?.to_string()),
            Self::Unix(_, path) => Address::Unix(path.clone()),
        })
    }

    /// The next connection, if there is one within the time.
    pub(super) fn accept(&self, within: Duration) -> io::Result<Option<SocketConnection>> {
        let descriptor = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        };
        if !is_ready(descriptor, PollFlags::IN, within)? {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::Tcp(listener) => SocketConnection::Tcp(tcp(listener.accept()?.0)?),
            Self::Unix(listener, _) => SocketConnection::Unix(listener.accept()?.0),
        }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // If it is gone already, all the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Is the descriptor ready within the time? A signal counts as not.
pub(super) fn is_ready(descriptor: BorrowedFd<'_>, flags: PollFlags, within: Duration) -> io::Result<bool> {
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    let mut descriptors = [PollFd::new(&descriptor, flags)];
    match poll(&mut descriptors, Some(&within)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Small messages, such as requests for pages, are not to wait for more.
fn tcp(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection.
#[derive(Debug)]
pub enum SocketConnection {
    /// By TCP.
    Tcp(TcpStream),
    /// By a Unix socket.
    Unix(UnixStream),
}

impl SocketConnection {
    /// Says that nothing more comes, or that nothing more is read.
    pub(super) fn shut(&self, how: Shutdown) {
        // A peer that is gone already needs not be told.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Cuts the connection: when it is closed, a peer that waits for room hears of it at once, not when TCP gives up.
    pub(super) fn cut(&self) {
        if let Self::Tcp(stream) = self {
            // Without it, the cut is noticed later, and is a cut all the same.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
        self.shut(Shutdown::Both);
    }
}

impl AsFd for SocketConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in ["localhost:4444", "[::1]:0", "unix:/run/a:b"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("tcp:127.0.0.1:1".parse::<Address>().unwrap().to_string(), "127.0.0.1:1");
        for text in ["", "localhost", ":80", "a:b", "a:70000", "unix:"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
