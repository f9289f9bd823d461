//! The algorithms that a command is about: by name, as a strategy file, or on standard input.

use std::fmt;
use std::io::stdin;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use checker::console::{STRATEGY_BYTES_MAX, read_from, read_text};
use checker::expectations::Expectations;
use model::{Strategy, algorithms};

use super::args::{Algorithm, Algorithms};
use super::output::file_argument;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// An algorithm, where it comes from, and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub strategy: Strategy,
    pub place: Place,
    pub expectations: Expectations,
}

/// Where an algorithm comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    BuiltIn,
    File(PathBuf),
    StandardInput,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::BuiltIn => f.write_str("the built-in one"),
            Place::File(path) => write!(f, "the one in {}", path.display()),
            Place::StandardInput => f.write_str("the one on standard input"),
        }
    }
}

impl Subject {
    pub fn built_in(strategy: Strategy) -> Self {
        Subject { strategy, place: Place::BuiltIn, expectations: Expectations::of_specification() }
    }

    /// As the argument of a command has it. Of a built-in algorithm with other choices nothing is expected that fails.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(varied) = algorithms::varied(name) {
            let strategy = varied.with_context(|| name.to_owned())?;
            let expectations = Expectations::of_author([]);
            return Ok(Subject { strategy, place: Place::BuiltIn, expectations });
        }
        match algorithms::built_in(name) {
            Some(strategy) => Ok(Self::built_in(strategy)),
            None if name == STANDARD_INPUT || Path::new(name).exists() => Self::in_file(Path::new(name)),
            None => Err(anyhow!(
                "'{name}' is neither a built-in algorithm (see `checker list`) nor a strategy file"
            )),
        }
    }

    /// In a strategy file, or on standard input.
    pub fn in_file(path: &Path) -> Result<Self> {
        let what = "a strategy file";
        let (place, text) = match path == Path::new(STANDARD_INPUT) {
            true => (Place::StandardInput, read_from(stdin().lock(), what, STRATEGY_BYTES_MAX)),
            false => (Place::File(path.to_owned()), read_text(path, what, STRATEGY_BYTES_MAX)),
        };
        let name = match &place {
            Place::StandardInput => "standard input".to_owned(),
            _ => path.display().to_string(),
        };
        let text = text.with_context(|| name.clone())?;
        let strategy = text.parse().with_context(|| name.clone())?;
        let expectations = Expectations::in_file(&text).context(name)?;
        Ok(Subject { strategy, place, expectations })
    }

    /// How a command names it.
    pub fn argument(&self) -> String {
        match &self.place {
            Place::BuiltIn => self.strategy.name.clone().into_owned(),
            Place::File(path) => file_argument(path),
            Place::StandardInput => STANDARD_INPUT.to_owned(),
        }
    }
}

impl Algorithms {
    /// Those asked for, those in files last. Everything that is said names them, so no two have one name.
    pub(super) fn asked(&self) -> Result<Vec<Subject>> {
        let named = self.algorithms.iter().map(|name| Subject::named(name));
        let profiles =
            algorithms::PROFILES.into_iter().filter(|_| self.profiles).map(Subject::built_in).map(Ok);
        let subjects: Vec<Subject> = named
            .chain(profiles)
            .chain(self.strategy.iter().map(|path| Subject::in_file(path)))
            .collect::<Result<_>>()?;
        for (index, subject) in subjects.iter().enumerate() {
            let name = &subject.strategy.name;
            if let Some(other) = subjects[..index].iter().find(|other| other.strategy.name == *name) {
                bail!("two algorithms are called '{name}': {} and {}", other.place, subject.place);
            }
        }
        Ok(subjects)
    }

    /// Those asked for, or else these.
    pub(super) fn asked_or(&self, others: impl IntoIterator<Item = Strategy>) -> Result<Vec<Subject>> {
        let asked = self.asked()?;
        Ok(match asked.is_empty() {
            true => others.into_iter().map(Subject::built_in).collect(),
            false => asked,
        })
    }
}

impl Algorithm {
    /// The one asked for.
    pub(super) fn asked(&self) -> Result<Subject> {
        match (&self.algorithm, &self.strategy) {
            (Some(name), None) => Subject::named(name),
            (None, Some(path)) => Subject::in_file(path),
            (None, None) => bail!("say which algorithm: its name, or --strategy FILE"),
            (Some(name), Some(path)) => {
                bail!("one algorithm at a time: '{name}' or the one in {}", path.display())
            }
        }
    }
}
