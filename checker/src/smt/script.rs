//! Terms and scripts as text.

use std::fmt::{Debug, Display, Write};

use super::{SolverAnswer, VerificationCondition};

/// A script under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    lines: String,
}

impl Script {
    pub fn line(&mut self, line: impl Display) -> &mut Self {
        let _infallible = writeln!(self.lines, "{line}");
        self
    }

    pub fn assert(&mut self, term: impl Display) -> &mut Self {
        self.line(format_args!("(assert {term})"))
    }

    /// Explains what follows.
    pub fn comment(&mut self, text: impl Display) -> &mut Self {
        self.line(format_args!("; {text}"))
    }

    /// The script with its head and its question.
    pub fn condition(&self, subject: &str, name: String, expected: SolverAnswer) -> VerificationCondition {
        let text = format!(
            "; {subject}: {name}\n(set-info :smt-lib-version 2.6)\n(set-info :status {expected})\n\
             (set-logic ALL)\n{}(check-sat)\n",
            self.lines
        );
        VerificationCondition { name, text, expected }
    }
}

pub(super) fn and(terms: impl IntoIterator<Item = String>) -> String {
    joined("and", "true", terms)
}

pub(super) fn or(terms: impl IntoIterator<Item = String>) -> String {
    joined("or", "false", terms)
}

fn joined(operator: &str, neutral: &str, terms: impl IntoIterator<Item = String>) -> String {
    let mut terms: Vec<_> = terms.into_iter().filter(|term| term != neutral).collect();
    match terms.len() {
        0 => neutral.to_owned(),
        1 => terms.remove(0),
        _ => format!("({operator} {})", terms.join(" ")),
    }
}

/// What a value is called in a symbol: its `Debug` form in lower case, words joined by hyphens.
pub(super) fn symbol(value: &impl Debug) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for letter in format!("{value:?}").chars() {
        let starts =
            !last.is_ascii_alphanumeric() || letter.is_ascii_uppercase() && !last.is_ascii_uppercase();
        if letter.is_ascii_alphanumeric() {
            if starts {
                words.push(String::new());
            }
            words.last_mut().into_iter().for_each(|word| word.push(letter.to_ascii_lowercase()));
        }
        last = letter;
    }
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_words_and_hyphens() {
        #[derive(Debug)]
        #[allow(dead_code)]
        enum Step {
            PushPage,
            Fault { by: Option<u8> },
        }
        assert_eq!(symbol(&Step::PushPage), "push-page");
        assert_eq!(symbol(&Step::Fault { by: Some(7) }), "fault-by-some-7");
    }

    #[test]
    fn neutral_terms_disappear() {
        assert_eq!(and(["true".to_owned()]), "true");
        assert_eq!(or(["a".to_owned(), "false".to_owned()]), "a");
        assert_eq!(and(["a".to_owned(), "b".to_owned()]), "(and a b)");
    }
}
