//! A recording without the contents of pages, to be handed on: a guest's memory is nobody else's business.
//!
//! Layout and length stay. A page's content becomes its digest, over and over, so that equal pages stay equal and
//! different ones different; changes and compressed pages become zeros. The state of devices stays as it is.

use std::io::{self, Read, Write};

use super::PAGE_BYTES;
use super::stream::{Item, Known, Located, RamContent, RamRecord, Stream, StreamError};

/// Why a recording cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum ElideError {
    /// It cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The copy cannot be read or written.
    #[error("the copy: {0}")]
    Copy(#[from] io::Error),
}

/// Copies a stream without contents of pages; `again` reads the same bytes as `stream`. A stream that was cut stays cut.
/// What the stream has told is returned, for the next connection of the same migration.
///
/// # Errors
/// The stream has something that is not known, or the copy cannot be written.
pub fn elide(
    mut stream: Stream<impl Read>,
    mut again: impl Read,
    mut to: impl Write,
) -> Result<Known, ElideError> {
    let mut copied = 0;
    loop {
        let located = match stream.next_item() {
            Ok(Some(located)) => located,
            Ok(None) => break,
            Err(error) if error.cut().is_some() => break,
            Err(error) => return Err(error.into()),
        };
        let Located { item: Item::Record(RamRecord { content, .. }), .. } = located else { continue };
        let filler: Box<dyn Iterator<Item = u8>> = match content {
            RamContent::Filled(_) => continue,
            RamContent::Whole(digest) => {
                Box::new(digest.to_be_bytes().into_iter().cycle().take(PAGE_BYTES as usize))
            }
            RamContent::Changed { length } => Box::new(std::iter::repeat_n(0, length.into())),
            RamContent::Compressed { length } => Box::new(std::iter::repeat_n(0, length as usize)),
        };
        let filler: Vec<u8> = filler.collect();
        let begin = stream.offset() - filler.len() as u64;
        io::copy(&mut again.by_ref().take(begin - copied), &mut to)?;
        io::copy(&mut again.by_ref().take(filler.len() as u64), &mut io::sink())?;
        to.write_all(&filler)?;
        copied = stream.offset();
    }
    io::copy(&mut again, &mut to)?;
    Ok(stream.known().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::encode::Encoder;

    fn small() -> Vec<u8> {
        let mut stream = Encoder::new("pc");
        stream.start(&[("a", 4), ("b", 2)]).part(false);
        stream.page("a", 0, &[7; 4096]).page("a", 1, &[7; 4096]).page("b", 0, &[8; 4096]).filled("b", 1, 0);
        stream.changed("a", 0, &[1, 2, 3]).compressed("a", 2, &[4, 5]).end_part().end(None);
        stream.finish()
    }

    #[test]
    fn layout_and_equality_stay_and_contents_go() {
        let whole = small();
        let mut copy = Vec::new();
        elide(Stream::new(&whole[..]), &whole[..], &mut copy).unwrap();
        assert_eq!(copy.len(), whole.len());
        let records = |bytes: &[u8]| {
            let (mut stream, mut records) = (Stream::new(bytes), Vec::new());
            while let Some(Located { offset, item }) = stream.next_item().unwrap() {
                if let Item::Record(record) = item {
                    records.push((offset, record));
                }
            }
            records
        };
        let (before, after) = (records(&whole[..]), records(&copy[..]));
        assert_eq!(before.len(), after.len());
        for ((offset, old), (same_offset, new)) in before.iter().zip(&after) {
            assert_eq!((offset, old.block, old.page), (same_offset, new.block, new.page));
            for ((_, other_old), (_, other_new)) in before.iter().zip(&after) {
                assert_eq!(old.content == other_old.content, new.content == other_new.content);
            }
        }
        assert!(before.iter().zip(&after).any(|(before, after)| before != after));
    }
}
