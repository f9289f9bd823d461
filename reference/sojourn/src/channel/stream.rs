//! Bytes to and from a peer without waiting: plain TCP, or TLS over it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

/// A connection that never waits. Errors of kind `WouldBlock` mean: later.
pub enum Stream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Encrypted, and both ends are known to have the key.
    Tls(Box<rustls::Connection>, TcpStream),
}

impl Stream {
    /// The socket, to be polled.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) | Self::Tls(_, socket) => socket,
        }
    }

    /// Whether bytes that were taken from the socket wait to be read, or such that were taken to be sent wait for it.
    pub fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls, _) => tls.wants_write(),
        }
    }

    /// Hands what was taken to be sent to the socket.
    ///
    /// # Errors
    /// Of the socket; `WouldBlock`: not all of it.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Self::Tls(tls, socket) = self {
            while tls.wants_write() {
                tls.write_tls(socket)?;
            }
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(tls, socket) => loop {
                match tls.reader().read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
                if tls.read_tls(socket)? == 0 {
                    return Ok(0);
                }
                tls.process_new_packets()
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls, socket) => {
                while tls.wants_write() {
                    tls.write_tls(socket)?;
                }
                let taken = tls.writer().write(bytes)?;
                while tls.wants_write() {
                    match tls.write_tls(socket) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        done => done?,
                    };
                }
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Stream::flush(self)
    }
}
