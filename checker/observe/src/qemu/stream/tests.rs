use super::*;
use crate::qemu::encode::Encoder;

fn read(bytes: &[u8]) -> Result<Vec<Item>, StreamError> {
    items(&mut Stream::new(bytes))
}

fn items<R: Read>(stream: &mut Stream<R>) -> Result<Vec<Item>, StreamError> {
    let mut items = Vec::new();
    while let Some(located) = stream.next_item()? {
        items.push(located.item);
    }
    Ok(items)
}

fn record(block: u16, page: u64, content: RamContent) -> Item {
    Item::Record(RamRecord { block, page, content })
}

const BLOCKS: [(&str, u64); 2] = [("pc.ram", 8), ("pc.bios", 2)];

#[test]
fn a_pre_copy_of_every_kind_of_record() {
    let mut stream = Encoder::new("pc");
    stream.start(&BLOCKS).part(false).filled("pc.ram", 0, 0).page("pc.ram", 1, &[9; 4096]).flush();
    stream.changed("pc.bios", 1, &[1, 2]).compressed("pc.bios", 0, &[1, 2, 3]).end_part();
    stream.part(true).end_part().device("cpu", 100).device("disk", 10);
    stream.end(Some(r#"{"page_size": 4096, "devices": [{"name": "cpu"}, {"name": "disk"}]}"#));
    let devices = vec!["cpu".to_owned(), "disk".to_owned()];
    let expected = [
        Item::Header,
        Item::Configuration { machine: "pc".to_owned() },
        Item::SectionBegun(Section::Start),
        Item::BlocksAnnounced,
        Item::PartEnded,
        Item::SectionEnded(Section::Start),
        Item::SectionBegun(Section::Part),
        record(0, 0, RamContent::Filled(0)),
        record(0, 1, RamContent::Whole(digest(&[9; 4096]))),
        Item::MultifdFlushed,
        record(1, 1, RamContent::Changed { length: 2 }),
        record(1, 0, RamContent::Compressed { length: 3 }),
        Item::PartEnded,
        Item::SectionEnded(Section::Part),
        Item::SectionBegun(Section::End),
        Item::PartEnded,
        Item::SectionEnded(Section::End),
        Item::DeviceState { length: (17 + 3 + 100 + 5 + 17 + 4 + 10 + 5 + 1 - 2) as u64, devices },
    ];
    let items = read(&stream.finish()).unwrap();
    assert_eq!(items[..17], expected[..17]);
    let Item::DeviceState { devices, .. } = &items[17] else { panic!("{items:?}") };
    assert_eq!(devices, &["cpu", "disk"]);
}

fn post_copy() -> Encoder {
    let mut stream = Encoder::new("pc");
    stream
        .command(1, &[])
        .command(2, &[0, 0, 0, 1])
        .command(3, &[0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0]);
    stream.start(&BLOCKS).part(false).filled("pc.ram", 0, 0).end_part();
    stream.discard("pc.ram", &[(3, 2), (7, 1)]).package(50).part(false).filled("pc.ram", 3, 0);
    stream
}

#[test]
fn a_post_copy_with_its_package() {
    let mut stream = post_copy();
    stream.end_part().part(true).end_part().end(None);
    let items = read(&stream.finish()).unwrap();
    let ranges = vec![DiscardRange { page: 3, count: 2 }, DiscardRange { page: 7, count: 1 }];
    let discard = StreamCommand::PostcopyDiscard(Discard { block: "pc.ram".to_owned(), ranges });
    assert!(items.contains(&Item::Command(discard)));
    let package = items.iter().find_map(|item| match item {
        Item::Command(StreamCommand::Packaged(package)) => Some(package.clone()),
        _ => None,
    });
    let package = package.unwrap();
    assert!(package.listens && package.runs);
    assert_eq!((package.pings, package.device_state), (vec![3], 50 + 17 + 5));
    assert_eq!(items.last(), Some(&Item::Ended));
}

#[test]
fn what_goes_on_after_a_cut_knows_the_blocks_but_not_the_last_one() {
    let whole = post_copy().finish();
    let mut stream = Stream::new(&whole[..]);
    items(&mut stream).unwrap();
    let known = stream.known().clone();
    let mut again = Encoder::resumed();
    again.command(10, b"\x06pc.ram").command(9, &[]).part(false).filled("pc.ram", 5, 0).end_part();
    let again = again.finish();
    let items = items(&mut Stream::resumed(&again[..], known.clone())).unwrap();
    assert_eq!(items[0], Item::Command(StreamCommand::ReceivedBitmap { block: "pc.ram".to_owned() }));
    assert_eq!(items[3], record(0, 5, RamContent::Filled(0)));

    let mut continued = Encoder::resumed();
    continued.part(false).word(0x022).put(&[0]);
    let error = self::items(&mut Stream::resumed(&continued.finish()[..], known)).unwrap_err();
    assert!(error.to_string().contains("there was none"), "{error}");
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let mut whole = post_copy();
    whole.end_part().part(true).page("pc.ram", 1, &[3; 4096]).end_part().end(None);
    let whole = whole.finish();
    for length in 0..whole.len() {
        match read(&whole[..length]) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.cut(), Some(length as u64), "{error}"),
        }
    }
}

#[test]
fn what_is_not_known_ends_with_its_number_and_offset() {
    let fails = |stream: &mut Encoder, text: &str| {
        let error = read(&stream.clone().finish()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.cut(), None);
    };
    fails(Encoder::resumed().put(b"QEVN\0\0\0\x03"), "not a migration stream");
    fails(Encoder::resumed().put(b"QEVM\0\0\0\x02"), "version 2");
    fails(Encoder::new("pc").command(12, &[1]), "offset 0xf: unknown command 12 with 1 bytes");
    fails(Encoder::new("pc").command(2, &[1]), "command 2 does not have these 1 bytes");
    fails(Encoder::new("pc").put(&[9]), "offset 0xf: unknown kind of item 0x09");
    fails(Encoder::new("pc").start(&BLOCKS).part(false).word(0x400), "unknown flags 0x400");
    fails(Encoder::new("pc").start(&BLOCKS).part(false).word(0x00a), "unknown flags 0x00a");
    fails(Encoder::new("pc").start(&BLOCKS).part(false).word(0x080), "a hook of RDMA");
    fails(Encoder::new("pc").start(&BLOCKS).part(false).filled("other", 0, 0), "'other' was not announced");
    fails(Encoder::new("pc").start(&BLOCKS).part(false).filled("pc.bios", 2, 0), "address 0x2000");
    fails(Encoder::new("pc").start(&BLOCKS).put(&[2, 0, 0, 0, 3]), "section 3 was not begun");
    fails(Encoder::new("pc").start(&BLOCKS).discard("pc.bios", &[(1, 2)]), "2 pages from 0x1");
    fails(Encoder::new("pc").start(&BLOCKS).end(None).put(&[1]), "bytes after the end");
    fails(Encoder::new("pc").start(&[("a", u64::MAX >> 13)]), "bytes of memory are announced");
    fails(
        Encoder::new("pc").start(&BLOCKS).put(&[1]).put(&[0, 0, 0, 9, 5]).put(b"blocks").put(&[0; 8]),
        "'block'",
    );
}

#[test]
fn a_length_is_no_reason_to_take_memory() {
    let mut stream = Encoder::new("pc");
    stream.command(7, &u32::MAX.to_be_bytes());
    let error = read(&stream.finish()).unwrap_err();
    assert!(matches!(error, StreamError::Input(InputError::TooLong { .. })), "{error}");
}

#[test]
fn pages_of_the_host_are_told_from_names_and_records() {
    let mut stream = Encoder::new("pc");
    let sizes = [0, 0, 0, 0, 0, 0x20, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0];
    stream.command(3, &sizes).put(&[1, 0, 0, 0, 2, 3]).put(b"ram").put(&[0; 4]).put(&[0, 0, 0, 4]);
    stream.word(0x40_2000 | 0x004);
    stream.put(b"\x01a").word(0x20_0000).word(0x20_0000).put(b"\x01b").word(0x2000);
    stream.put(b"\x01c").word(0x20_0000).word(0x20_0000).end_part();
    let bytes = stream.finish();
    let mut stream = Stream::new(&bytes[..]);
    items(&mut stream).unwrap();
    let pages: Vec<_> = stream.known().blocks.iter().map(|block| block.host_page).collect();
    assert_eq!(pages, [Some(0x20_0000), None, Some(0x20_0000)]);
}
