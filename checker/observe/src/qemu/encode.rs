//! Writes migration streams, for tests and benchmarks: the layout that [`stream`](super::stream) reads.

use super::PAGE_BYTES;

/// A stream being written.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    last_block: Option<String>,
}

const RAM_SECTION: u32 = 2;

impl Encoder {
    /// Header and configuration.
    pub fn new(machine: &str) -> Self {
        let mut encoder = Self::resumed();
        encoder.put(b"QEVM").put(&3_u32.to_be_bytes());
        encoder.put(&[7]).put(&(machine.len() as u32).to_be_bytes()).put(machine.as_bytes());
        encoder
    }

    /// Without header: what goes over a new connection after a cut.
    pub fn resumed() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// A command.
    pub fn command(&mut self, number: u16, data: &[u8]) -> &mut Self {
        self.put(&[8]).put(&number.to_be_bytes()).put(&(data.len() as u16).to_be_bytes()).put(data)
    }

    /// The command to forget pages: `(first, how many)`.
    pub fn discard(&mut self, block: &str, ranges: &[(u64, u64)]) -> &mut Self {
        let mut data = vec![0, block.len() as u8];
        data.extend(block.as_bytes());
        data.push(0);
        for (page, count) in ranges {
            data.extend((page * PAGE_BYTES).to_be_bytes());
            data.extend((count * PAGE_BYTES).to_be_bytes());
        }
        self.command(6, &data)
    }

    /// The package of post-copy: listen, a device of so many bytes, ping, run.
    pub fn package(&mut self, device_bytes: usize) -> &mut Self {
        let mut inner = Self::resumed();
        inner.command(4, &[]).device("cpu", device_bytes);
        inner.command(2, &3_u32.to_be_bytes()).command(5, &[]);
        let inner = inner.finish();
        self.command(7, &(inner.len() as u32).to_be_bytes()).put(&inner)
    }

    /// The first section of memory, with its blocks: `(name, pages)`.
    pub fn start(&mut self, blocks: &[(&str, u64)]) -> &mut Self {
        self.section(1, "ram", 4);
        let total: u64 = blocks.iter().map(|(_, pages)| pages * PAGE_BYTES).sum();
        self.word(total | 0x004);
        for (name, pages) in blocks {
            self.put(&[name.len() as u8]).put(name.as_bytes()).word(pages * PAGE_BYTES);
        }
        self.end_part()
    }

    /// A later section of memory begins.
    pub fn part(&mut self, last: bool) -> &mut Self {
        self.put(&[if last { 3 } else { 2 }]).put(&RAM_SECTION.to_be_bytes())
    }

    /// A section of memory ends.
    pub fn end_part(&mut self) -> &mut Self {
        self.word(0x010).footer(RAM_SECTION)
    }

    /// A page of one byte all over.
    pub fn filled(&mut self, block: &str, page: u64, fill: u8) -> &mut Self {
        self.record(block, page, 0x002).put(&[fill])
    }

    /// A page with this content.
    pub fn page(&mut self, block: &str, page: u64, content: &[u8; PAGE_BYTES as usize]) -> &mut Self {
        self.record(block, page, 0x008).put(content)
    }

    /// What has changed of a page.
    pub fn changed(&mut self, block: &str, page: u64, change: &[u8]) -> &mut Self {
        self.record(block, page, 0x040).put(&[1]).put(&(change.len() as u16).to_be_bytes()).put(change)
    }

    /// A page that zlib has compressed.
    pub fn compressed(&mut self, block: &str, page: u64, data: &[u8]) -> &mut Self {
        self.record(block, page, 0x100).put(&(data.len() as u32).to_be_bytes()).put(data)
    }

    /// The mark for multifd channels.
    pub fn flush(&mut self) -> &mut Self {
        self.word(0x200)
    }

    /// A device's only section.
    pub fn device(&mut self, name: &str, length: usize) -> &mut Self {
        self.put(&[4]).put(&9_u32.to_be_bytes()).name(name).put(&[0; 4]).put(&1_u32.to_be_bytes());
        self.bytes.resize(self.bytes.len() + length, 0x5a);
        self.footer(9)
    }

    /// The end, with a description of the devices if there is one.
    pub fn end(&mut self, description: Option<&str>) -> &mut Self {
        self.put(&[0]);
        match description {
            Some(text) => self.put(&[6]).put(&(text.len() as u32).to_be_bytes()).put(text.as_bytes()),
            None => self,
        }
    }

    /// Bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Eight bytes.
    pub fn word(&mut self, word: u64) -> &mut Self {
        self.put(&word.to_be_bytes())
    }

    fn record(&mut self, block: &str, page: u64, flags: u64) -> &mut Self {
        if self.last_block.as_deref() == Some(block) {
            return self.word((page * PAGE_BYTES) | flags | 0x020);
        }
        self.last_block = Some(block.to_owned());
        self.word((page * PAGE_BYTES) | flags).name(block)
    }

    fn section(&mut self, kind: u8, name: &str, version: u32) -> &mut Self {
        self.put(&[kind]).put(&RAM_SECTION.to_be_bytes()).name(name).put(&[0; 4]).put(&version.to_be_bytes())
    }

    fn footer(&mut self, section: u32) -> &mut Self {
        self.put(&[0x7e]).put(&section.to_be_bytes())
    }

    fn name(&mut self, name: &str) -> &mut Self {
        self.put(&[name.len() as u8]).put(name.as_bytes())
    }
}
