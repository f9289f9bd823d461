//! Strategy files: a [`Policy`] in the words in which an algorithm is checked, as TOML.
//!
//! The file that describes an algorithm to a checker describes it to the endpoints as well:
//!
//! ```
//! let file = r#"
//!     name = "my-post-copy"
//!     pre = "none"              # none, copy (with passes = 1, 2, … or "unbounded"), write-back
//!     freeze = "none"           # all, modified, not-in-step, flush-modified, none
//!     working-set = false       # may be left out
//!     missing = "source"        # nothing, source, store, split
//!     push = "next"             # none, next, pivot, pull
//!     clean = "travel"          # travel, local-store
//!     rest = "normal"           # normal, pre-migration
//!     hand-over = "ready-go"    # ready-go, one-shot, acknowledged, none; may be left out
//! "#;
//! let policy: protocol::policy::Policy = file.parse().expect("an algorithm");
//! assert_eq!(policy, protocol::policy::Policy { name: "my-post-copy".into(), ..protocol::policy::Policy::POST_COPY });
//! ```
//!
//! Where the source owes pages there are `channels` (`one`, `demand-apart`) as well, and `fallback` (`none`, `store`) if a backing
//! store may have some of them; both may be left out.
//! Where a page can be waited for there is `wake` (`with-page`, `apart`), which may be left out.
//! Where pages are copied ahead there are `stop` (`passes`, `target`, `switch`) and `log` (`page`, `pass`) as well; both may be left
//! out.
//!
//! This reader is written for the endpoints alone: two readings of one file that agree are worth more than one.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::policy::{
    Channels, Clean, Contradiction, Fallback, Freeze, HandOver, LogReading, Missing, Passes, Policy, Pre,
    Push, Rest, Start, Stop, Wake,
};

/// What is wrong with a strategy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct PolicyFileError {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// What is wrong there, with the field where one can be named.
    pub reason: String,
}

/// Why the fields of a file make no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.field(), self.reason())]
pub enum NoPolicy {
    /// They are no algorithm.
    Contradiction(#[from] Contradiction),
    /// There is nothing to call it.
    Name,
    /// Copying without saying for how long.
    PassesMissing,
    /// A number of passes of something that makes none.
    PassesWithoutCopy,
    /// Unmodified pages are in a store, and yet no page is missing.
    CleanPagesForgotten,
    /// Pages are to come from a store that nothing puts them into.
    NothingStored,
    /// The endpoints know the pages that the process was loaded with.
    PagesComeAndGo,
    /// The endpoints send what is not asked for over one connection.
    Striped,
}

impl NoPolicy {
    /// The field to change first.
    fn field(self) -> &'static str {
        match self {
            Self::Contradiction(contradiction) => contradiction.field(),
            Self::Name => "name",
            Self::PassesMissing | Self::PassesWithoutCopy => "passes",
            Self::CleanPagesForgotten | Self::NothingStored => "missing",
            Self::PagesComeAndGo => "pages",
            Self::Striped => "channels",
        }
    }

    fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Contradiction(contradiction) => return contradiction.to_string().into(),
            Self::Name => "must be printable, in one line, and not empty",
            Self::PassesMissing => "pre = \"copy\" needs it: a number, or \"unbounded\"",
            Self::PassesWithoutCopy => "only pre = \"copy\" has passes",
            Self::CleanPagesForgotten => "clean = \"local-store\" leaves pages to the store: say \"store\"",
            Self::NothingStored => "\"store\" needs freeze = \"flush-modified\" or clean = \"local-store\"",
            Self::PagesComeAndGo => "the endpoints move pages that stay: say \"fixed\", or leave it out",
            Self::Striped => "the endpoints have \"one\" and \"demand-apart\"",
        })
    }
}

/// The fields of a strategy file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct File {
    name: String,
    pre: PreName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passes: Option<PassesField>,
    freeze: FreezeName,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    working_set: bool,
    missing: MissingName,
    push: PushName,
    clean: Clean,
    rest: Rest,
    #[serde(default, skip_serializing_if = "is_default")]
    stop: StopName,
    #[serde(default, skip_serializing_if = "is_default")]
    hand_over: HandOver,
    #[serde(default, skip_serializing_if = "is_default")]
    log: LogReading,
    #[serde(default, skip_serializing_if = "is_default")]
    start: Start,
    #[serde(default, skip_serializing_if = "is_default")]
    fallback: Fallback,
    #[serde(default, skip_serializing_if = "is_default")]
    wake: Wake,
    // A choice of an algorithm that is checked which the endpoints do not have.
    #[serde(default, skip_serializing)]
    pages: PagesName,
    #[serde(default, skip_serializing_if = "is_default")]
    channels: ChannelsName,
    /// What its author expects of it is for a judge to read.
    #[serde(rename = "expect", default, skip_serializing)]
    _expect: IgnoredAny,
}

fn is_default<T: Default + PartialEq>(choice: &T) -> bool {
    *choice == T::default()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StopName {
    #[default]
    Passes,
    Target,
    Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PreName {
    None,
    Copy,
    WriteBack,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "passes must be a number, or \"unbounded\"")]
enum PassesField {
    Number(u32),
    Word(Unbounded),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unbounded {
    Unbounded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FreezeName {
    All,
    Modified,
    NotInStep,
    FlushModified,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MissingName {
    Nothing,
    Source,
    Store,
    Split,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PushName {
    None,
    Next,
    Pivot,
    Pull,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PagesName {
    #[default]
    Fixed,
    ComeAndGo,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChannelsName {
    #[default]
    One,
    DemandApart,
    Striped,
}

impl FromStr for Policy {
    type Err = PolicyFileError;

    fn from_str(text: &str) -> Result<Self, PolicyFileError> {
        let file: File = toml::from_str(text).map_err(|error| PolicyFileError {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        Self::try_from(file).map_err(|error| {
            // What is not there is missing from `pre`.
            let line = [error.field(), "pre"].into_iter().find_map(|field| line_of_field(text, field));
            PolicyFileError { line: line.unwrap_or(1), reason: error.to_string() }
        })
    }
}

impl Policy {
    /// The policy as a strategy file, which is read as the same policy again.
    pub fn to_toml(&self) -> String {
        // Plain fields always have a form.
        toml::to_string(&File::from(self.clone())).unwrap_or_default()
    }
}

impl TryFrom<File> for Policy {
    type Error = NoPolicy;

    fn try_from(file: File) -> Result<Self, NoPolicy> {
        let File { name, pre, passes, freeze, working_set, missing, push, clean, rest, .. } = file;
        let stop = match file.stop {
            StopName::Passes => Stop::Passes,
            StopName::Target => Stop::Target,
            StopName::Switch => Stop::Switch,
        };
        if file.pages != PagesName::Fixed {
            return Err(NoPolicy::PagesComeAndGo);
        }
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(NoPolicy::Name);
        }
        let pre = match (pre, passes) {
            (PreName::Copy, Some(PassesField::Number(passes))) => Pre::Copy(Passes::AtMost(passes)),
            (PreName::Copy, Some(PassesField::Word(Unbounded::Unbounded))) => Pre::Copy(Passes::UntilInStep),
            (PreName::Copy, None) => return Err(NoPolicy::PassesMissing),
            (PreName::None | PreName::WriteBack, Some(_)) => return Err(NoPolicy::PassesWithoutCopy),
            (PreName::None, None) => Pre::None,
            (PreName::WriteBack, None) => Pre::WriteBack,
        };
        let freeze = match freeze {
            FreezeName::All => Freeze::All,
            FreezeName::Modified => Freeze::Modified,
            FreezeName::NotInStep => Freeze::NotInStep,
            FreezeName::FlushModified => Freeze::Flush,
            FreezeName::None => Freeze::None,
        };
        let missing = match (missing, freeze, clean) {
            (MissingName::Nothing, _, Clean::Travel) => Missing::Never,
            (MissingName::Nothing, _, Clean::LocalStore) => return Err(NoPolicy::CleanPagesForgotten),
            (MissingName::Source, ..) => Missing::Source,
            (MissingName::Store, Freeze::Flush, _) => Missing::FileServer,
            // A page that is in the local backing store is not missing to the endpoints.
            (MissingName::Store, _, Clean::LocalStore) => Missing::Never,
            (MissingName::Store, _, Clean::Travel) => return Err(NoPolicy::NothingStored),
            (MissingName::Split, ..) => Missing::ByKind,
        };
        let push = match push {
            PushName::None => Push::None,
            PushName::Next => Push::NextMissing,
            PushName::Pivot => Push::Pivot,
            PushName::Pull => Push::Pull,
        };
        let (name, hand_over, log, start) = (name.into(), file.hand_over, file.log, file.start);
        let (fallback, wake) = (file.fallback, file.wake);
        let channels = match file.channels {
            ChannelsName::One => Channels::One,
            ChannelsName::DemandApart => Channels::DemandApart,
            ChannelsName::Striped => return Err(NoPolicy::Striped),
        };
        let policy = Self {
            name,
            pre,
            freeze,
            working_set,
            missing,
            push,
            clean,
            rest,
            stop,
            hand_over,
            log,
            start,
            fallback,
            channels,
            wake,
        };
        policy.check()?;
        Ok(policy)
    }
}

impl From<Policy> for File {
    fn from(policy: Policy) -> Self {
        let Policy {
            name,
            pre,
            freeze,
            working_set,
            missing,
            push,
            clean,
            rest,
            stop,
            hand_over,
            log,
            start,
            fallback,
            channels,
            wake,
        } = policy;
        let (pre, passes) = match pre {
            Pre::None => (PreName::None, None),
            Pre::Copy(Passes::AtMost(passes)) => (PreName::Copy, Some(PassesField::Number(passes))),
            Pre::Copy(Passes::UntilInStep) => (PreName::Copy, Some(PassesField::Word(Unbounded::Unbounded))),
            Pre::WriteBack => (PreName::WriteBack, None),
        };
        Self {
            name: name.into_owned(),
            pre,
            passes,
            freeze: match freeze {
                Freeze::All => FreezeName::All,
                Freeze::Modified => FreezeName::Modified,
                Freeze::NotInStep => FreezeName::NotInStep,
                Freeze::Flush => FreezeName::FlushModified,
                Freeze::None => FreezeName::None,
            },
            working_set,
            missing: match (missing, clean) {
                (Missing::Never, Clean::Travel) => MissingName::Nothing,
                (Missing::Never, Clean::LocalStore) | (Missing::FileServer, _) => MissingName::Store,
                (Missing::Source, _) => MissingName::Source,
                (Missing::ByKind, _) => MissingName::Split,
            },
            push: match push {
                Push::None => PushName::None,
                Push::NextMissing => PushName::Next,
                Push::Pivot => PushName::Pivot,
                Push::Pull => PushName::Pull,
            },
            clean,
            rest,
            stop: match stop {
                Stop::Passes => StopName::Passes,
                Stop::Target => StopName::Target,
                Stop::Switch => StopName::Switch,
            },
            hand_over,
            log,
            start,
            fallback,
            wake,
            pages: PagesName::default(),
            channels: match channels {
                Channels::One => ChannelsName::One,
                Channels::DemandApart => ChannelsName::DemandApart,
            },
            _expect: IgnoredAny,
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// The line that gives this field its value.
fn line_of_field(text: &str, field: &str) -> Option<usize> {
    let gives = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == field);
    text.lines().position(gives).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_algorithm_is_read_as_it_was_written() {
        for policy in Policy::ALL {
            let text = policy.to_toml();
            assert_eq!(text.parse::<Policy>().as_ref(), Ok(&policy), "{text}");
            assert_eq!(toml::from_str::<Policy>(&text).as_ref(), Ok(&policy), "{text}");
            for other in Policy::ALL.iter().filter(|other| other.name != policy.name) {
                assert_ne!(text.parse::<Policy>().as_ref(), Ok(other));
            }
        }
    }

    /// Post-copy, with one line in place of that of the same field.
    fn with(line: &str) -> Result<Policy, PolicyFileError> {
        let field = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let text = Policy::POST_COPY.to_toml();
        let mut lines: Vec<_> =
            text.lines().map(|old| if field(old) == field(line) { line } else { old }).collect();
        if !lines.contains(&line) {
            lines.push(line);
        }
        lines.join("\n").parse()
    }

    #[test]
    fn what_is_no_algorithm_is_refused_with_its_line() {
        assert_eq!(with("push = \"pivot\"").map(|policy| policy.push), Ok(Push::Pivot));
        let refused = |line: &str| with(line).map(drop).map_err(|error| (error.line, error.reason));
        let lines = [
            (1, "name = \" \"", "name: must be printable, in one line, and not empty"),
            (2, "pre = \"copy\"", "passes: pre = \"copy\" needs it: a number, or \"unbounded\""),
            (8, "passes = 2", "passes: only pre = \"copy\" has passes"),
            (
                4,
                "missing = \"store\"",
                "missing: \"store\" needs freeze = \"flush-modified\" or clean = \"local-store\"",
            ),
            (4, "missing = \"nothing\"", "missing: pages that do not travel need a place to come from"),
            (3, "freeze = \"flush\"", "unknown variant `flush`"),
            (8, "speed = 3", "unknown field `speed`"),
            (7, "rest = normal", ""),
        ];
        for (at, line, reason) in lines {
            let (found_at, found) = refused(line).expect_err(line);
            assert_eq!(found_at, at, "{line}: {found}");
            assert!(found.contains(reason), "{line}: {found}");
        }
        let total = |clean: &str, missing: &str| {
            let text = Policy::TOTAL_COPY_DIRTY.to_toml();
            let text = text.replace("local-store", clean).replace("\"store\"", missing);
            text.parse::<Policy>().map_err(|error| error.reason)
        };
        assert_eq!(total("local-store", "\"store\""), Ok(Policy::TOTAL_COPY_DIRTY));
        assert!(total("local-store", "\"nothing\"").is_err_and(|reason| reason.starts_with("missing:")));
        let copied = Policy::PRE_COPY.to_toml().replace("travel", "local-store").replace("nothing", "store");
        let modified_alone = Policy { clean: Clean::LocalStore, ..Policy::PRE_COPY };
        assert_eq!(copied.parse::<Policy>(), Ok(modified_alone));
        assert_eq!(with("fallback = \"store\"").map(|policy| policy.fallback), Ok(Fallback::Store));
    }
}
