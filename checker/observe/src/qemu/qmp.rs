//! Events of QEMU's machine protocol.
//!
//! Two forms are read: `{"src": [event…], "dst": [event…]}`, and what comes out of one monitor's socket, one JSON
//! object a line, of which everything that is no event is passed over.

use serde::Deserialize;

use super::trace::QemuState;

/// Events of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Of the source.
    pub source: Vec<QmpEvent>,
    /// Of the destination.
    pub destination: Vec<QmpEvent>,
}

/// An event of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QmpEvent {
    /// Its place among the events of its side, from 1.
    pub number: usize,
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What happened.
    pub kind: QmpKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QmpKind {
    /// The migration is in another state.
    State(QemuState),
    /// Another pass over memory has begun.
    Pass(u64),
    /// The processors were stopped.
    Stopped,
    /// The processors run.
    Resumed,
}

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// It is not JSON, or an event lacks something.
    #[error("{place}: {error}")]
    Json {
        /// Which line, or the whole.
        place: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// A state of migration that is not known.
    #[error("event {number}: unknown state of migration '{state}'")]
    UnknownState {
        /// Which event of its side.
        number: usize,
        /// The state.
        state: String,
    },
}

#[derive(Deserialize)]
struct Both {
    src: Vec<Raw>,
    dst: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    timestamp: Timestamp,
    event: String,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
struct Timestamp {
    seconds: u64,
    microseconds: u64,
}

#[derive(Default, Deserialize)]
struct Data {
    status: Option<String>,
    pass: Option<u64>,
}

impl Events {
    /// Events of both sides, in the first form.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn of_both(text: &str) -> Result<Self, QmpError> {
        let both: Both = serde_json::from_str(text)
            .map_err(|error| QmpError::Json { place: "events".to_owned(), error })?;
        Ok(Self { source: events(both.src)?, destination: events(both.dst)? })
    }
}

/// Events of one side, in the second form.
///
/// # Errors
/// A line is not JSON, or an event lacks something.
pub fn of_monitor(text: &str) -> Result<Vec<QmpEvent>, QmpError> {
    let mut raw = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |error| QmpError::Json { place: format!("line {}", index + 1), error };
        let value: serde_json::Value = serde_json::from_str(line).map_err(wrong)?;
        if value.get("event").is_some() {
            raw.push(serde_json::from_value(value).map_err(wrong)?);
        }
    }
    events(raw)
}

fn events(raw: Vec<Raw>) -> Result<Vec<QmpEvent>, QmpError> {
    let mut events = Vec::new();
    for (index, Raw { timestamp, event, data }) in raw.into_iter().enumerate() {
        let number = index + 1;
        let kind = match (event.as_str(), data) {
            ("MIGRATION", Data { status: Some(state), .. }) => {
                let known = QemuState::of(&state);
                QmpKind::State(known.ok_or(QmpError::UnknownState { number, state })?)
            }
            ("MIGRATION_PASS", Data { pass: Some(pass), .. }) => QmpKind::Pass(pass),
            ("STOP", _) => QmpKind::Stopped,
            ("RESUME", _) => QmpKind::Resumed,
            _ => continue,
        };
        let at_us = timestamp.seconds.saturating_mul(1_000_000).saturating_add(timestamp.microseconds);
        events.push(QmpEvent { number, at_us, kind });
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: &str = r#"{"timestamp": {"seconds": 2, "microseconds": 3}, "event": "STOP"}"#;
    const STATE: &str = r#"{"timestamp": {"seconds": 2, "microseconds": 4}, "event": "MIGRATION", "data": {"status": "STATE"}}"#;

    #[test]
    fn both_forms_say_the_same() {
        let active = STATE.replace("STATE", "active");
        let both = Events::of_both(&format!(r#"{{"src": [{STOP}, {active}], "dst": []}}"#)).unwrap();
        let lines = of_monitor(&format!("{{\"return\": {{}}}}\n{STOP}\n\n{active}\n")).unwrap();
        assert_eq!(both, Events { source: lines.clone(), destination: Vec::new() });
        let expected = [
            QmpEvent { number: 1, at_us: 2_000_003, kind: QmpKind::Stopped },
            QmpEvent { number: 2, at_us: 2_000_004, kind: QmpKind::State(QemuState::Active) },
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = of_monitor(&STATE.replace("STATE", "hovering")).unwrap_err();
        assert!(error.to_string().contains("'hovering'"), "{error}");
        let error = of_monitor("{\"return\": {}}\n{").unwrap_err();
        assert!(error.to_string().starts_with("line 2"), "{error}");
    }
}
