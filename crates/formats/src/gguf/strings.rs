//! Many short strings in one piece of memory.

/// A list of strings, as long vocabularies are kept: a string takes its bytes
/// and one number, where a `String` of its own takes some fifty bytes more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    text: String,
    /// End of each string in `text`; it begins where the one before ends.
    ends: Vec<usize>,
}

impl Strings {
    /// Room for `count` strings.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { text: String::new(), ends: Vec::with_capacity(count) }
    }

    /// Adds a string at the end.
    pub fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.ends.push(self.text.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String number `index`, from 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.text[start..end])
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut all = Self::default();
        strings.into_iter().for_each(|string| all.push(string.as_ref()));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_come_back_as_they_were(strings in prop::collection::vec(".{0,4}", 0..9)) {
            let all: Strings = strings.iter().collect();
            prop_assert_eq!((all.len(), all.is_empty()), (strings.len(), strings.is_empty()));
            prop_assert!(all.iter().eq(strings.iter().map(String::as_str)));
            for (index, string) in strings.iter().enumerate() {
                prop_assert_eq!(all.get(index), Some(string.as_str()));
            }
            prop_assert_eq!(all.get(strings.len()), None);
        }
    }
}
