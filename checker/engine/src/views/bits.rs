//! A growing set of small indices.

/// A set of record indices, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Adds the index; `true` if it was not there.
    pub fn insert(&mut self, index: usize) -> bool {
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    pub fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Bits) {
        self.words.truncate(other.words.len());
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Do the sets share an index?
    pub fn meets(&self, other: &Bits) -> bool {
        self.words.iter().zip(&other.words).any(|(one, other)| one & other != 0)
    }

    /// The indices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let ones = std::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)));
            ones.take_while(|rest| *rest != 0).map(move |rest| at * 64 + rest.trailing_zeros() as usize)
        })
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut bits = Bits::default();
        for index in indices {
            bits.insert(index);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_indices_behaves_like_a_set() {
        let mut bits: Bits = [3, 64, 200].into_iter().collect();
        assert!(!bits.insert(64));
        assert!(bits.insert(0));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 3, 64, 200]);
        assert!(bits.contains(200) && !bits.contains(201) && !bits.contains(10_000));

        let short: Bits = [3, 5].into_iter().collect();
        assert!(bits.meets(&short));
        bits.intersect(&short);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3]);
        bits.intersect(&Bits::default());
        assert!(bits.is_empty());
    }
}
