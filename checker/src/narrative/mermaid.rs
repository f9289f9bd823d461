//! A story as a Mermaid sequence diagram.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Manner, Story, StoryLine, StoryPlace};

pub(super) fn render(story: &Story) -> String {
    let lines = story.lines();
    // A title is YAML, in which JSON's strings are strings.
    let title = serde_json::Value::from(story.title.as_str());
    let mut out = format!("---\ntitle: {title}\n---\nsequenceDiagram\n");
    let places: BTreeSet<StoryPlace> =
        lines.iter().flat_map(|line| [line.event.from, line.event.to]).collect();
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

fn arrow(line: &StoryLine) -> String {
    let event = &line.event;
    let (from, to, text) = (id(event.from), id(event.to), escaped(&event.text));
    match event.manner {
        Manner::Local => format!("    Note over {from}: {text}\n"),
        Manner::Sent => format!("    {from}--){to}: {text}\n"),
        Manner::Arrived => format!("    {from}->>{to}: {text}\n"),
        Manner::Lost => format!("    {from}--x{to}: {text}\n"),
    }
}

/// A text in which nothing means anything to Mermaid: it ends a statement at `;`, begins a comment or an entity at `#`, and
/// takes markup for markup. Each such character is written by its number, which is Mermaid's own way.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            ';' | '#' | '"' | '\'' | '`' | '<' | '>' | '&' | '{' | '}' | '[' | ']' | '(' | ')' | '%'
            | '|' | '\\' | '$' => {
                let _ = write!(escaped, "#{};", u32::from(letter));
            }
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn id(place: StoryPlace) -> &'static str {
    match place {
        StoryPlace::A => "A",
        StoryPlace::B => "B",
        StoryPlace::C => "C",
        StoryPlace::FileServer => "FS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_means_anything_to_mermaid() {
        assert_eq!(escaped("go; resumes"), "go#59; resumes");
        assert_eq!(escaped("a # \"b\" <c> [d] (e)"), "a #35; #34;b#34; #60;c#62; #91;d#93; #40;e#41;");
        assert_eq!(escaped("one\ntwo"), "one two");
        assert_eq!(escaped("page 0, pushed: ✗"), "page 0, pushed: ✗");
    }
}
