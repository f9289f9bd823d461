//! How a connection comes about: TCP, TLS where the address is not loopback, the greeting. All of it waits, but never
//! longer than a deadline, so it is done in threads of its own and not by the driver.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::aside::{
    ASIDE_HEADER_LEN, AsideError, DriverMessage, Hello, PeerRejection, Purpose, Welcome, peek,
};
use crate::channel::{Arrived, Stream};
use crate::key::{KeyError, Trust};

/// How long a stranger may take to show that it is none, and to say what it wants.
pub const GREETING_TIME: Duration = Duration::from_secs(10);

/// Bytes that are made room for at once, whatever the length that is announced.
const CHUNK_LEN: usize = 1 << 20;

/// A connection during the greeting. It waits, but not beyond its deadline.
pub struct GreetingConnection {
    socket: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    deadline: Instant,
}

/// Why a connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address is none.
    #[error("'{address}' is not an address: {error}")]
    Address {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// Nobody answers, or not as it should be.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("the other end took longer than {} s to introduce itself", GREETING_TIME.as_secs())]
    Late,
    /// The other end does not have the key, or this one has none.
    #[error("the other end does not have the same key: {0}")]
    Tls(#[from] rustls::Error),
    /// A key is needed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was said is not a greeting.
    #[error("not a greeting: {0}")]
    Greeting(#[from] AsideError),
    /// Something else was said than what was due.
    #[error("the other end said something else than a greeting")]
    Unexpected,
    /// The other end does not want this.
    #[error("refused there: {0}")]
    Rejected(#[from] PeerRejection),
}

/// Calls a place, and greets it.
///
/// # Errors
/// There is no connection.
pub fn dial(
    address: &str,
    trust: &Trust,
    hello: Hello,
    build: Option<Vec<u8>>,
) -> Result<(GreetingConnection, Welcome), DialError> {
    let (socket, address) = connect(address)?;
    greet(socket, address, trust, hello, build)
}

/// Asks a host what it has of what a process needs.
///
/// # Errors
/// There is no answer.
pub fn inquire(address: &str, trust: &Trust, hello: Hello, question: Vec<u8>) -> Result<Vec<u8>, DialError> {
    let (socket, address) = connect(address)?;
    let mut connection = introduce(socket, address, trust, hello, Some(question))?;
    match connection.hear()? {
        DriverMessage::Build(answer) => Ok(answer),
        DriverMessage::Rejected(rejection) => Err(rejection.into()),
        _ => Err(DialError::Unexpected),
    }
}

fn connect(address: &str) -> Result<(TcpStream, SocketAddr), DialError> {
    let addresses = address.to_socket_addrs();
    let addresses: Vec<_> =
        addresses.map_err(|error| DialError::Address { address: address.to_owned(), error })?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("'{address}' has no address"));
    for address in addresses {
        match TcpStream::connect_timeout(&address, GREETING_TIME) {
            Ok(socket) => return Ok((socket, address)),
            Err(error) => failure = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(failure.into())
}

fn introduce(
    socket: TcpStream,
    address: SocketAddr,
    trust: &Trust,
    hello: Hello,
    build: Option<Vec<u8>>,
) -> Result<GreetingConnection, DialError> {
    let tls = trust.key_for(address.ip())?.map(|key| key.call()).transpose()?;
    let mut connection = GreetingConnection::new(socket, tls)?;
    connection.say(&DriverMessage::Hello(Box::new(hello)))?;
    if let Some(build) = build {
        connection.say(&DriverMessage::Build(build))?;
    }
    Ok(connection)
}

fn greet(
    socket: TcpStream,
    address: SocketAddr,
    trust: &Trust,
    hello: Hello,
    build: Option<Vec<u8>>,
) -> Result<(GreetingConnection, Welcome), DialError> {
    let mut connection = introduce(socket, address, trust, hello, build)?;
    match connection.hear()? {
        DriverMessage::Welcome(welcome) => Ok((connection, welcome)),
        DriverMessage::Rejected(rejection) => Err(rejection.into()),
        _ => Err(DialError::Unexpected),
    }
}

/// Hears what somebody wants who calls, and the plan that comes with a migration.
///
/// # Errors
/// It is a stranger, or says what cannot be.
pub fn answer(socket: TcpStream, trust: &Trust) -> Result<(GreetingConnection, Hello, Vec<u8>), DialError> {
    let tls = trust.key_for(socket.peer_addr()?.ip())?.map(|key| key.answer()).transpose()?;
    let mut connection = GreetingConnection::new(socket, tls)?;
    let DriverMessage::Hello(hello) = connection.hear()? else { return Err(DialError::Unexpected) };
    let mut build = Vec::new();
    let expected = match &hello.purpose {
        Purpose::Migrate(proposal) => Some(proposal.build_len),
        Purpose::Inquire { .. } => None,
        Purpose::Resume { .. } | Purpose::Store(_) => return Ok((connection, *hello, build)),
    };
    match connection.hear()? {
        DriverMessage::Build(bytes) if expected.is_none_or(|len| bytes.len() as u64 == len) => build = bytes,
        _ => return Err(DialError::Unexpected),
    }
    Ok((connection, *hello, build))
}

impl GreetingConnection {
    fn new(socket: TcpStream, tls: Option<rustls::Connection>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, tls: tls.map(Box::new), deadline: Instant::now() + GREETING_TIME })
    }

    /// Answers a greeting.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn welcome(&mut self, welcome: Welcome) -> Result<(), DialError> {
        self.say(&DriverMessage::Welcome(welcome))
    }

    /// Answers a question.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn inform(&mut self, answer: Vec<u8>) -> Result<(), DialError> {
        self.say(&DriverMessage::Build(answer))
    }

    /// Answers a greeting: no. Whether that is heard does not matter.
    pub fn reject(mut self, rejection: PeerRejection) {
        if let Err(error) = self.say(&DriverMessage::Rejected(rejection)) {
            tracing::debug!(%error, "a rejection was not heard");
        }
        // What the other end is still saying would otherwise make it lose the answer.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let mut drain = [0; 4096];
        while matches!(self.socket.read(&mut drain), Ok(count) if count > 0) && Instant::now() < self.deadline
        {
        }
    }

    /// The other end.
    ///
    /// # Errors
    /// It is gone.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// The greeting is over.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn into_stream(self) -> io::Result<Stream> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)?;
        self.socket.set_nonblocking(true)?;
        let socket = mio::net::TcpStream::from_std(self.socket);
        Ok(match self.tls {
            None => Stream::Plain(socket),
            Some(tls) => Stream::Tls(tls, socket, Arrived::default()),
        })
    }

    /// The greeting is over, and this end goes on waiting, as long as it takes.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn without_deadline(mut self) -> io::Result<Self> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)?;
        self.deadline = Instant::now() + Duration::from_secs(u64::from(u32::MAX));
        Ok(self)
    }

    /// A second hold on the socket, to close it from elsewhere.
    ///
    /// # Errors
    /// The system has no room.
    pub fn socket(&self) -> io::Result<TcpStream> {
        self.socket.try_clone()
    }

    fn say(&mut self, aside: &DriverMessage) -> Result<(), DialError> {
        let mut frame = Vec::new();
        aside.encode(&mut frame)?;
        self.write_all(&frame).and_then(|()| self.flush()).map_err(classify)
    }

    fn hear(&mut self) -> Result<DriverMessage, DialError> {
        let mut frame = vec![0; ASIDE_HEADER_LEN];
        self.exactly(&mut frame)?;
        let (_, len) = peek(&frame)?;
        let needed = ASIDE_HEADER_LEN + len;
        while frame.len() < needed {
            let at = frame.len();
            frame.resize(needed.min(at + CHUNK_LEN), 0);
            self.exactly(&mut frame[at..])?;
        }
        Ok(DriverMessage::decode(&frame)?.0)
    }

    fn exactly(&mut self, into: &mut [u8]) -> Result<(), DialError> {
        self.read_exact(into).map_err(classify)
    }

    fn wait(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.socket.set_write_timeout(Some(left))
    }
}

/// What an error of a connection means.
fn classify(error: io::Error) -> DialError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (error.kind(), tls) {
        (_, Some(tls)) => DialError::Tls(tls.clone()),
        (io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock, _) => DialError::Late,
        _ => error.into(),
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Read for GreetingConnection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        let Self { socket, tls, .. } = self;
        let Some(tls) = tls else { return socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            while tls.wants_write() {
                tls.write_tls(socket)?;
            }
            if tls.read_tls(socket)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            if let Err(error) = processed {
                // The other end is to hear why.
                let _ = tls.write_tls(socket);
                return Err(invalid(error));
            }
        }
    }
}

impl Write for GreetingConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait()?;
        let Self { socket, tls, .. } = self;
        let Some(tls) = tls else { return socket.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        if tls.is_handshaking() {
            tls.complete_io(socket)?;
        }
        while tls.wants_write() {
            tls.write_tls(socket)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Self { socket, tls, .. } = self;
        if let Some(tls) = tls {
            while tls.wants_write() {
                tls.write_tls(socket)?;
            }
        }
        socket.flush()
    }
}
