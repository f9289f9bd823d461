//! A story as a Mermaid sequence diagram.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Line, Manner, Place, Story};

pub(super) fn render(story: &Story) -> String {
    let lines = story.lines();
    let mut out = format!("---\ntitle: {}\n---\nsequenceDiagram\n", story.title.replace('\n', " "));
    let places: BTreeSet<Place> = lines.iter().flat_map(|line| [line.event.from, line.event.to]).collect();
    for place in places {
        let _ = writeln!(out, "    participant {} as {place}", id(place));
    }
    for (index, line) in lines.iter().enumerate() {
        if story.loop_from == Some(index) {
            out.push_str("    loop for ever\n");
        }
        out.push_str(&arrow(line));
    }
    if story.loop_from.is_some() {
        if story.loop_from == Some(lines.len()) {
            out.push_str("    loop for ever\n    Note over A: nothing more happens\n");
        }
        out.push_str("    end\n");
    }
    out
}

fn arrow(line: &Line) -> String {
    let event = &line.event;
    let (from, to) = (id(event.from), id(event.to));
    match event.manner {
        Manner::Local => format!("    Note over {from}: {}\n", event.text),
        Manner::Sent => format!("    {from}--){to}: {}\n", event.text),
        Manner::Arrived => format!("    {from}->>{to}: {}\n", event.text),
        Manner::Lost => format!("    {from}--x{to}: {}\n", event.text),
    }
}

fn id(place: Place) -> &'static str {
    match place {
        Place::A => "A",
        Place::B => "B",
        Place::C => "C",
        Place::FileServer => "FS",
    }
}
