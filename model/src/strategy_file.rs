//! Strategy files: a [`Strategy`] as TOML. Parsing names the line and the field at fault.

use std::fmt;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;

use crate::paging::{Channels, Mappings, Paging, Waking};
use crate::strategy::{
    Clean, Contradiction, Fallback, Freeze, HandOver, LogReading, Missing, Passes, Pre, Push, Real, Rest,
    Start, Stop, Strategy,
};

/// What is wrong with a strategy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyFileError {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// The field at fault, where one can be named.
    pub field: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for StrategyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "line {}: {}: {}", self.line, field, self.reason),
            None => write!(f, "line {}: {}", self.line, self.reason),
        }
    }
}

impl std::error::Error for StrategyFileError {}

impl FromStr for Strategy {
    type Err = StrategyFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            StrategyFileError {
                line: line_of(text, start),
                field: missing_field(error.message()).or_else(|| field_at(text, start)),
                reason: error.message().to_owned(),
            }
        })?;
        file.strategy().map_err(|contradiction| {
            let start = file.start_of(contradiction.field);
            StrategyFileError {
                line: line_of(text, start),
                field: Some(contradiction.field.to_owned()),
                reason: contradiction.reason,
            }
        })
    }
}

impl Strategy {
    /// The strategy as a strategy file that parses to the same strategy.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.to_file())
            .unwrap_or_else(|error| unreachable!("plain fields always serialise: {error}"))
    }

    fn to_file(&self) -> File {
        let (pre, passes) = match self.pre {
            Pre::None => (PreName::None, None),
            Pre::Copy(passes) => (PreName::Copy, Some(PassesField::from(passes))),
            Pre::WriteBack => (PreName::WriteBack, None),
        };
        File {
            name: unplaced(self.name.clone().into_owned()),
            pre: unplaced(pre),
            passes: passes.map(unplaced),
            freeze: unplaced(self.freeze),
            working_set: self.working_set.then(|| unplaced(true)),
            missing: unplaced(self.missing),
            push: unplaced(self.push),
            clean: unplaced(self.clean),
            rest: unplaced(self.rest),
            hand_over: unless_default(self.real.hand_over),
            log: unless_default(self.real.log),
            stop: unless_default(self.real.stop),
            start: unless_default(self.real.start),
            fallback: unless_default(self.real.fallback),
            wake: unless_default(self.paging.wake),
            pages: unless_default(self.paging.pages),
            channels: unless_default(self.paging.channels),
            _expect: IgnoredAny,
        }
    }
}

/// As the fields of a strategy file.
impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_file().serialize(serializer)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    pre: Spanned<PreName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passes: Option<Spanned<PassesField>>,
    freeze: Spanned<Freeze>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_set: Option<Spanned<bool>>,
    missing: Spanned<Missing>,
    push: Spanned<Push>,
    clean: Spanned<Clean>,
    rest: Spanned<Rest>,
    // What real systems have; as the nine algorithms have it where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hand_over: Option<Spanned<HandOver>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Spanned<LogReading>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Spanned<Stop>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Spanned<Start>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<Spanned<Fallback>>,
    // Choices about pages and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wake: Option<Spanned<Waking>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<Spanned<Mappings>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<Spanned<Channels>>,
    /// What its author expects of it is for the judge to read.
    #[serde(rename = "expect", default, skip_serializing)]
    _expect: IgnoredAny,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PreName {
    None,
    Copy,
    WriteBack,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged, expecting = "passes must be a number from 1 to 6, or \"unbounded\"")]
enum PassesField {
    Number(u8),
    Word(Unbounded),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unbounded {
    Unbounded,
}

impl From<Passes> for PassesField {
    fn from(passes: Passes) -> Self {
        match passes {
            Passes::AtMost(passes) => PassesField::Number(passes),
            Passes::Unbounded => PassesField::Word(Unbounded::Unbounded),
        }
    }
}

impl File {
    fn strategy(&self) -> Result<Strategy, Contradiction> {
        let refuse = |reason: &str| Err(Contradiction { field: "passes", reason: reason.to_owned() });
        let pre = match (self.pre.get_ref(), self.passes.as_ref().map(Spanned::get_ref)) {
            (PreName::Copy, Some(PassesField::Number(passes))) => Pre::Copy(Passes::AtMost(*passes)),
            (PreName::Copy, Some(PassesField::Word(_))) => Pre::Copy(Passes::Unbounded),
            (PreName::Copy, None) => return refuse("pre = \"copy\" needs it: a number, or \"unbounded\""),
            (_, Some(_)) => return refuse("only pre = \"copy\" has passes"),
            (PreName::None, None) => Pre::None,
            (PreName::WriteBack, None) => Pre::WriteBack,
        };
        Strategy {
            name: self.name.get_ref().clone().into(),
            pre,
            freeze: *self.freeze.get_ref(),
            working_set: self.working_set.as_ref().is_some_and(|on| *on.get_ref()),
            missing: *self.missing.get_ref(),
            push: *self.push.get_ref(),
            clean: *self.clean.get_ref(),
            rest: *self.rest.get_ref(),
            real: Real {
                hand_over: chosen(self.hand_over.as_ref()),
                log: chosen(self.log.as_ref()),
                stop: chosen(self.stop.as_ref()),
                start: chosen(self.start.as_ref()),
                fallback: chosen(self.fallback.as_ref()),
            },
            paging: Paging {
                wake: chosen(self.wake.as_ref()),
                pages: chosen(self.pages.as_ref()),
                channels: chosen(self.channels.as_ref()),
            },
        }
        .check()
    }

    fn start_of(&self, field: &str) -> usize {
        let span = match field {
            "name" => self.name.span(),
            "passes" => self.passes.as_ref().map_or(self.pre.span(), Spanned::span),
            "freeze" => self.freeze.span(),
            "working-set" => self.working_set.as_ref().map_or(self.freeze.span(), Spanned::span),
            "missing" => self.missing.span(),
            "push" => self.push.span(),
            "clean" => self.clean.span(),
            "rest" => self.rest.span(),
            "hand-over" => self.hand_over.as_ref().map_or(self.freeze.span(), Spanned::span),
            "log" => self.log.as_ref().map_or(self.pre.span(), Spanned::span),
            "stop" => self.stop.as_ref().map_or(self.pre.span(), Spanned::span),
            "start" => self.start.as_ref().map_or(self.push.span(), Spanned::span),
            "fallback" => self.fallback.as_ref().map_or(self.missing.span(), Spanned::span),
            "wake" => self.wake.as_ref().map_or(self.missing.span(), Spanned::span),
            "pages" => self.pages.as_ref().map_or(self.push.span(), Spanned::span),
            "channels" => self.channels.as_ref().map_or(self.missing.span(), Spanned::span),
            _ => self.pre.span(),
        };
        span.start
    }
}

fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

fn unless_default<T: Default + PartialEq>(value: T) -> Option<Spanned<T>> {
    (value != T::default()).then(|| unplaced(value))
}

fn chosen<T: Copy + Default>(field: Option<&Spanned<T>>) -> T {
    field.map_or_else(T::default, |field| *field.get_ref())
}

/// The field that a message of the TOML parser says is missing; the place it names is another field's.
fn missing_field(message: &str) -> Option<String> {
    let name = message.strip_prefix("missing field `")?.split('`').next()?;
    Some(name.to_owned())
}

/// The field whose value the line at this offset gives.
fn field_at(text: &str, offset: usize) -> Option<String> {
    let line = text.lines().nth(line_of(text, offset) - 1)?;
    let (field, _) = line.split_once('=')?;
    Some(field.trim().to_owned())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
