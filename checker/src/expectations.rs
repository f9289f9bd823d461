//! What is expected of an algorithm: by the specification of a built-in one, by its author of any other.
//!
//! An algorithm of one's own is expected to keep every promise that applies to it. Where it is known not to, its
//! strategy file says so, and what it says is held to the verdicts as the specification is:
//!
//! ```toml
//! [expect]
//! L1 = "fails"
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

use enumset::EnumSet;
use model::property::UnknownProperty;
use model::{Expectation, Property, Strategy, StrategyFileError};
use serde::Deserialize;
use toml::Spanned;

use crate::report::{CheckRun, Expected};

/// What is expected of one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Whether the specification speaks of it.
    built_in: bool,
    said: BTreeMap<Property, Expected>,
}

/// One word on what is expected, as in `L1=fails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationWord {
    /// Of which property.
    pub property: Property,
    /// What.
    pub expected: Expected,
}

/// The text says nothing about a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// It has another form.
    #[error("say PROPERTY=holds or PROPERTY=fails, as in L1=fails")]
    Form,
    /// There is no such property.
    #[error(transparent)]
    Property(#[from] UnknownProperty),
}

impl FromStr for ExpectationWord {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (property, word) = text.split_once('=').ok_or(WordError::Form)?;
        let expected = match word.trim() {
            "holds" => Expected::Holds,
            "fails" => Expected::Fails,
            _ => return Err(WordError::Form),
        };
        Ok(ExpectationWord { property: property.trim().parse()?, expected })
    }
}

impl Expectations {
    /// What the specification says.
    pub fn of_specification() -> Self {
        Expectations { built_in: true, said: BTreeMap::new() }
    }

    /// Everything that applies, but for what is said.
    pub fn of_author(said: impl IntoIterator<Item = ExpectationWord>) -> Self {
        Expectations { built_in: false, ..Self::of_specification() }.and(said)
    }

    /// What a strategy file says, beside the strategy.
    ///
    /// # Errors
    /// It says something that is no expectation, in a line that is named.
    pub fn in_file(text: &str) -> Result<Self, StrategyFileError> {
        #[derive(Default, Deserialize)]
        struct File {
            #[serde(default)]
            expect: BTreeMap<String, Spanned<String>>,
        }
        let refuse = |start: usize, reason: String| {
            let line = text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1;
            StrategyFileError { line, field: Some("expect".to_owned()), reason }
        };
        let file: File = toml::from_str(text)
            .map_err(|error| refuse(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let words = file.expect.into_iter().map(|(property, word)| {
            let said = format!("{property}={}", word.get_ref());
            said.parse().map_err(|error: WordError| refuse(word.span().start, error.to_string()))
        });
        Ok(Self::of_author(words.collect::<Result<Vec<ExpectationWord>, _>>()?))
    }

    /// The line of a strategy file that says the same of a built-in algorithm; nothing where all is to hold.
    pub fn to_toml(strategy: &Strategy) -> String {
        let mut failing = String::new();
        for property in EnumSet::<Property>::all() {
            if strategy.expectation(property) == Expectation::Fails {
                let comma = if failing.is_empty() { "" } else { ", " };
                let _infallible = write!(failing, "{comma}{property} = \"fails\"");
            }
        }
        if failing.is_empty() { failing } else { format!("expect = {{ {failing} }}\n") }
    }

    /// With further words, the last of which counts.
    pub fn and(mut self, said: impl IntoIterator<Item = ExpectationWord>) -> Self {
        self.said.extend(said.into_iter().map(|word| (word.property, word.expected)));
        self
    }

    /// The properties of which something is said.
    pub fn said(&self) -> impl Iterator<Item = Property> {
        self.said.keys().copied()
    }

    /// What is expected of a property that applies.
    pub fn of(&self, strategy: &Strategy, property: Property) -> Expected {
        let default = match strategy.expectation(property) {
            Expectation::Fails if self.built_in => Expected::Fails,
            _ => Expected::Holds,
        };
        self.said.get(&property).copied().unwrap_or(default)
    }

    /// The run with its verdicts held to these expectations.
    pub fn hold(&self, mut run: CheckRun) -> CheckRun {
        for verdict in &mut run.verdicts {
            verdict.expected = self.of(&run.strategy, verdict.property);
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::algorithms::LAZY_COPY;

    #[test]
    fn an_author_is_taken_at_his_word_and_the_specification_at_its_own() {
        let (specified, own) = (Expectations::of_specification(), Expectations::of_author([]));
        assert_eq!(specified.of(&LAZY_COPY, Property::L1), Expected::Fails);
        assert_eq!(own.of(&LAZY_COPY, Property::L1), Expected::Holds);
        let word = |text: &str| text.parse::<ExpectationWord>().unwrap();
        let told = own.and([word("L1=fails"), word("S1 = holds")]);
        assert_eq!(told.of(&LAZY_COPY, Property::L1), Expected::Fails);
        assert_eq!(told.of(&LAZY_COPY, Property::S1), Expected::Holds);
        assert_eq!(told.of(&LAZY_COPY, Property::L2), Expected::Holds);
        assert_eq!(specified.and([word("L1=holds")]).of(&LAZY_COPY, Property::L1), Expected::Holds);
    }

    #[test]
    fn a_file_says_what_its_author_expects() {
        let file = LAZY_COPY.to_toml() + &Expectations::to_toml(&LAZY_COPY);
        assert_eq!(file.parse::<Strategy>().as_ref(), Ok(&LAZY_COPY));
        let said = Expectations::in_file(&file).unwrap();
        assert_eq!(said.said().collect::<Vec<_>>(), [Property::L1, Property::L2]);
        assert_eq!(said.of(&LAZY_COPY, Property::L2), Expected::Fails);
        let refused = |text: &str| Expectations::in_file(text).unwrap_err();
        let error = refused("name = \"x\"\n[expect]\nL1 = \"holds\"\nL2 = \"perhaps\"");
        assert_eq!((error.line, error.field.as_deref()), (4, Some("expect")));
        assert!(refused("[expect]\nL1 = 3").reason.contains("expected a string"));
        assert!(refused("[expect]\nX1 = \"fails\"").reason.contains("X1"));
    }

    #[test]
    fn other_words_are_refused() {
        assert_eq!("L1".parse::<ExpectationWord>(), Err(WordError::Form));
        assert_eq!("L1=perhaps".parse::<ExpectationWord>(), Err(WordError::Form));
        assert!(matches!("L99=fails".parse::<ExpectationWord>(), Err(WordError::Property(_))));
    }
}
