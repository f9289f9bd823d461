//! Bytes to and from a peer without waiting: plain TCP, or TLS over it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::READ_LEN;

/// A connection that never waits. Errors of kind `WouldBlock` mean: later.
pub enum Stream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// Encrypted, and both ends are known to have the key.
    Tls(Box<rustls::Connection>, TcpStream, Arrived),
}

/// Bytes that were read from the socket and are still to be decrypted. `rustls` itself reads a page at once.
#[derive(Default)]
pub struct Arrived {
    bytes: Vec<u8>,
    taken: usize,
    len: usize,
}

impl Arrived {
    /// Hands on what there is; reads from the socket when there is nothing. False at the end of the stream.
    fn pass_on(&mut self, socket: &mut TcpStream, tls: &mut rustls::Connection) -> io::Result<bool> {
        if self.taken == self.len {
            self.bytes.resize(READ_LEN, 0);
            (self.taken, self.len) = (0, socket.read(&mut self.bytes)?);
            if self.len == 0 {
                return Ok(false);
            }
        }
        self.taken += tls.read_tls(&mut &self.bytes[self.taken..self.len])?;
        tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(true)
    }
}

impl Stream {
    /// The socket, to be polled.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) | Self::Tls(_, socket, _) => socket,
        }
    }

    /// Whether bytes that were taken from the socket wait to be read, or such that were taken to be sent wait for it.
    pub fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls, ..) => tls.wants_write(),
        }
    }

    /// Hands what was taken to be sent to the socket.
    ///
    /// # Errors
    /// Of the socket; `WouldBlock`: not all of it.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Self::Tls(tls, socket, _) = self {
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
            Self::Tls(tls, socket, arrived) => loop {
                match tls.reader().read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
                if !arrived.pass_on(socket, tls)? {
                    return Ok(0);
                }
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls, socket, _) => {
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
