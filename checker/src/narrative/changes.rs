//! What changes from one state to the next, variable by variable.

use model::Migration;
use model::concrete::State;
use serde::Serialize;
use serde_json::Value;

/// Every variable with another value afterwards, as `page 0: dirty no → yes`.
pub(super) fn between(before: &State<Migration>, after: &State<Migration>) -> Vec<String> {
    let mut lines = Vec::new();
    push(&mut lines, "", &before.control, &after.control);
    for (index, (before, after)) in before.pages.iter().zip(&after.pages).enumerate() {
        push(&mut lines, &format!("page {index}: "), before, after);
    }
    lines
}

fn push<T: Serialize + PartialEq>(lines: &mut Vec<String>, prefix: &str, before: &T, after: &T) {
    if before == after {
        return;
    }
    let fields = |record: &T| match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let changed =
        after.iter().filter(|(field, value)| before.get(*field) != Some(*value)).map(|(field, value)| {
            let old = before.get(field).map_or_else(|| without(field).to_owned(), word);
            format!("{} {old} → {}", field.replace('_', " "), word(value))
        });
    let settled = before.iter().filter(|(field, _)| !after.contains_key(*field));
    let settled = settled
        .map(|(field, value)| format!("{} {} → {}", field.replace('_', " "), word(value), without(field)));
    let changed: Vec<String> = changed.chain(settled).collect();
    lines.push(format!("{prefix}{}", changed.join(", ")));
}

/// Whether it says that there is nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => !yes,
        Value::String(word) => matches!(word.as_str(), "absent" | "idle" | "none" | "undecided"),
        Value::Number(number) => number.as_u64() == Some(0),
        value => value.is_null(),
    }
}

/// A record in words: its variables, but for those that say that there is nothing.
pub(super) fn record<T: Serialize>(record: &T) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(record) else { return String::new() };
    let words = fields.iter().filter(|(_, value)| !is_nothing(value)).map(|(field, value)| match value {
        Value::Bool(true) => field.replace('_', " "),
        value => format!("{} {}", field.replace('_', " "), word(value)),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What a variable is that is left out of the record while no disruption has touched it.
fn without(field: &str) -> &'static str {
    match field {
        "struck" | "recoveries" => "0",
        "connection" => "up",
        "leftover" => "none",
        "stray" => "absent",
        "life" => "used",
        _ => "no",
    }
}

/// A value as a person says it.
fn word(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.replace('-', " "),
        Value::Null => String::new(),
        Value::Object(fields) => {
            let parts: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{} {}", name.replace('-', " "), word(value)))
                .collect();
            parts.join(" ").trim_end().to_owned()
        }
        other => other.to_string(),
    }
}
