//! The program that is moved: it works on pages of every kind, checks each that it reads, and notes how far it is and how long
//! it waited. It is a small program of its own, so that its address space is about what it was told to have.
//!
//! ```text
//! sojourn-exercise LOAD STOP-FILE AREA…     works until there is such a file, then says what it noted
//! sojourn-exercise receive ADDR BYTES       a plain TCP stream: says where it listens, then how long it took, in nanoseconds
//! sojourn-exercise send ADDR BYTES
//! ```
//!
//! An area is `private:PAGES`, `clean:PAGES:FILE` or `shared:PAGES:FILE`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linux::area::{AreaKind, MemoryArea, WORDS, close_inherited, thread_cpu_time};

use super::report::{Sample, Stall};

/// From an access to the next, as published.
pub const ACCESS_INTERVAL: Duration = Duration::from_micros(340);

/// How often it is noted how far it is.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// An access that takes longer has waited for something.
const STALL_MIN: Duration = Duration::from_micros(40);

/// Sleeping ends late; the rest is waited for awake.
const AWAKE: Duration = Duration::from_micros(80);

/// Rounds of computing that make a unit of work without a pause: about a tenth of a millisecond.
const ROUNDS: u32 = 100_000;

/// Of a hundred accesses of a program with a working set, those that stay in it; and of a hundred pages, those that are in it.
const LOCAL_ACCESSES: u64 = 90;
const LOCAL_PAGES: u64 = 10;

/// What the program does all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// It waits.
    Idle,
    /// It reads or writes a page at random after each [`ACCESS_INTERVAL`].
    Uniform,
    /// The same, but nine accesses of ten are to a tenth of the pages.
    Local,
    /// It writes a tenth of its pages in a second, each in its turn.
    Rewrite,
    /// It writes all its pages, one after the other and without a pause, every few milliseconds.
    Sweep,
    /// It computes without a pause and accesses a page at random now and then.
    Busy,
}

impl Load {
    const ALL: [Self; 6] = [Self::Idle, Self::Uniform, Self::Local, Self::Rewrite, Self::Sweep, Self::Busy];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Uniform => "uniform",
            Self::Local => "local",
            Self::Rewrite => "rewrite",
            Self::Sweep => "sweep",
            Self::Busy => "busy",
        }
    }

    /// From an access to the next, by a program with so many pages.
    fn interval(self, pages: u64) -> Duration {
        match self {
            Self::Idle => Duration::from_millis(5),
            Self::Uniform | Self::Local => ACCESS_INTERVAL,
            Self::Rewrite => Duration::from_secs(10) / u32::try_from(pages.max(1)).unwrap_or(u32::MAX),
            Self::Sweep | Self::Busy => Duration::ZERO,
        }
    }
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let load = Self::ALL.into_iter().find(|load| load.name() == text);
        load.ok_or_else(|| format!("{text:?} is no load"))
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Does what the arguments say.
///
/// # Errors
/// They say nothing that can be done, or a page does not hold what was written to it.
pub fn main(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["receive", address, bytes] => receive(address, number(bytes)?).map_err(|error| error.to_string()),
        ["send", address, bytes] => send(address, number(bytes)?).map_err(|error| error.to_string()),
        [load, stop, areas @ ..] if !areas.is_empty() => {
            close_inherited();
            let areas = areas.iter().map(|area| map(area)).collect::<Result<Vec<_>, _>>()?;
            Exercise::new(load.parse()?, areas).run(Path::new(stop))
        }
        _ => {
            Err("sojourn-exercise LOAD STOP-FILE AREA…, or receive ADDR BYTES, or send ADDR BYTES".to_owned())
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn map(area: &str) -> Result<MemoryArea, String> {
    let mut parts = area.splitn(3, ':');
    let (kind, pages, path) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
    let file = path.map(|path| File::options().read(true).write(true).open(path)).transpose();
    let file = file.map_err(|error| format!("{area}: {error}"))?;
    let kind = match (kind, &file) {
        (Some("private"), None) => AreaKind::Private,
        (Some("clean"), Some(file)) => AreaKind::Clean(file),
        (Some("shared"), Some(file)) => AreaKind::Shared(file),
        _ => return Err(format!("{area:?} is no area")),
    };
    MemoryArea::map(kind, number(pages)?).map_err(|error| error.to_string())
}

/// What the pages of a file of the exercise hold at first.
pub fn first_content(pages: u64) -> Vec<u8> {
    (0..pages).flat_map(|page| words(page).map(u64::to_le_bytes)).flatten().collect()
}

/// What a page holds at first. Nothing about it is short: it travels as it is.
fn words(page: u64) -> impl Iterator<Item = u64> {
    let mut random = (page + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let filling = std::iter::repeat_with(move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    });
    std::iter::once(word(page, 0)).chain(filling).take(WORDS as usize)
}

/// The first word of a page: which it is, and how often it was written.
fn word(page: u64, version: u32) -> u64 {
    (page + 1) << 32 | u64::from(version)
}

struct Exercise {
    load: Load,
    areas: Vec<MemoryArea>,
    /// How often each page was written.
    versions: Vec<Vec<u32>>,
    pages: u64,
    random: u64,
    /// The next page for loads that take them in turn.
    next: u64,
    units: u64,
    samples: Vec<Sample>,
    stalls: Vec<Stall>,
}

impl Exercise {
    fn new(load: Load, mut areas: Vec<MemoryArea>) -> Self {
        for area in &mut areas {
            for page in 0..area.page_count() {
                // One of a file has its content.
                if area.read(page, 0) == 0 {
                    (0..).zip(words(page)).for_each(|(at, word)| area.write(page, at, word));
                }
            }
        }
        let versions = areas.iter().map(|area| vec![0; area.page_count() as usize]).collect();
        let pages = areas.iter().map(MemoryArea::page_count).sum();
        Self {
            load,
            areas,
            versions,
            pages,
            random: 88_172_645_463_325_252,
            next: 0,
            units: 0,
            samples: Vec::with_capacity(1 << 13),
            stalls: Vec::with_capacity(1 << 14),
        }
    }

    fn run(mut self, stop: &Path) -> Result<(), String> {
        println!("begin");
        let interval = self.load.interval(self.pages);
        let mut sampled = Instant::now() - SAMPLE_INTERVAL;
        loop {
            if sampled.elapsed() >= SAMPLE_INTERVAL {
                sampled = Instant::now();
                let cpu_ns = nanoseconds(thread_cpu_time());
                self.samples.push(Sample { at_ns: now_ns(), units: self.units, cpu_ns });
                if stop.exists() {
                    break;
                }
            }
            self.unit()?;
            self.units += 1;
            await_instant(Instant::now() + interval);
        }
        self.say().map_err(|error| error.to_string())
    }

    fn unit(&mut self) -> Result<(), String> {
        match self.load {
            Load::Idle => Ok(()),
            Load::Uniform => {
                let (page, write) = (self.draw() % self.pages, self.draw().is_multiple_of(2));
                self.access(page, write)
            }
            Load::Local => {
                let part = if self.draw() % 100 < LOCAL_ACCESSES {
                    self.pages * LOCAL_PAGES / 100
                } else {
                    self.pages
                };
                let (page, write) = (self.draw() % part.max(1), self.draw().is_multiple_of(2));
                self.access(page, write)
            }
            Load::Rewrite => {
                // A step that shares no factor with the number of pages takes each in its turn, and hardly two neighbours.
                self.next = (self.next + 1_000_003) % self.pages;
                self.access(self.next, true)
            }
            Load::Sweep => {
                (0..self.pages).try_for_each(|page| self.access(page, true))?;
                std::thread::sleep(Duration::from_millis(5));
                Ok(())
            }
            Load::Busy => {
                for _ in 0..ROUNDS {
                    self.draw();
                }
                let (page, write) = (self.draw() % self.pages, self.draw().is_multiple_of(2));
                self.access(page, write)
            }
        }
    }

    fn access(&mut self, page: u64, write: bool) -> Result<(), String> {
        let mut at = page;
        let mut area = 0;
        while at >= self.areas[area].page_count() {
            at -= self.areas[area].page_count();
            area += 1;
        }
        let version = &mut self.versions[area][at as usize];
        let began = Instant::now();
        let found = if write {
            *version = version.wrapping_add(1);
            self.areas[area].write(at, 0, word(at, *version));
            None
        } else {
            Some(self.areas[area].read(at, 0))
        };
        let took = began.elapsed();
        if took >= STALL_MIN {
            self.stalls.push(Stall { at_ns: now_ns(), took_ns: nanoseconds(took) });
        }
        match found {
            Some(found) if found != word(at, *version) => {
                Err(format!("page {at} of area {area} holds {found:#x} and not {:#x}", word(at, *version)))
            }
            _ => Ok(()),
        }
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }

    fn say(&self) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.samples.iter().try_for_each(|sample| writeln!(out, "{sample}"))?;
        self.stalls.iter().try_for_each(|stall| writeln!(out, "{stall}"))?;
        writeln!(out, "end")?;
        out.flush()
    }
}

fn await_instant(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left > AWAKE {
        std::thread::sleep(left - AWAKE);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes that are sent and received at once.
const CHUNK_LEN: usize = 256 << 10;

fn receive(address: &str, bytes: u64) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    let (mut socket, _) = listener.accept()?;
    let began = Instant::now();
    let mut chunk = vec![0; CHUNK_LEN];
    let mut left = bytes;
    while left > 0 {
        match socket.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left = left.saturating_sub(read as u64),
        }
    }
    println!("{}", began.elapsed().as_nanos());
    socket.write_all(b"!")
}

fn send(address: &str, bytes: u64) -> io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    let chunk = vec![7; CHUNK_LEN];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(CHUNK_LEN as u64);
        socket.write_all(&chunk[..length as usize])?;
        left -= length;
    }
    socket.read_exact(&mut [0])
}
