//! How much of a summary is copied from its source: Grusky, Naaman and Artzi
//! 2018, doi:10.18653/v1/N18-1065.

use super::tokenize::{Buffers, Tokenizer};
use super::vocabulary::Vocabulary;

/// A summary beside its source. Words are those of the 13a tokeniser in lower
/// case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extractive {
    /// Share of the summary's words that are in copied fragments.
    pub coverage: f64,
    /// Mean length, over the summary's words, of the fragment that each is in.
    pub density: f64,
    /// Words of the source for each word of the summary.
    pub compression: f64,
}

/// Compares each summary with its source. `None` where a summary has no words.
pub fn extractive(summaries: &[&str], sources: &[&str]) -> Vec<Option<Extractive>> {
    let (mut words, mut buffers) = (Vocabulary::default(), Buffers::default());
    let pairs = summaries.iter().zip(sources);
    let each = pairs.map(|(summary, source)| {
        words.clear();
        let mut read = |text: &str| {
            let mut ids = Vec::new();
            Tokenizer::Mteval13a
                .each(&text.to_lowercase(), &mut buffers, |word| ids.push(words.id(word)));
            ids
        };
        let (summary, source) = (read(summary), read(source));
        let length = summary.len() as f64;
        let fragments = fragments(&summary, &source);
        let squares: usize = fragments.iter().map(|length| length * length).sum();
        (!summary.is_empty()).then(|| Extractive {
            coverage: fragments.iter().sum::<usize>() as f64 / length,
            density: squares as f64 / length,
            compression: source.len() as f64 / length,
        })
    });
    each.collect()
}

/// Lengths of the copied fragments: from the start of the summary, always the
/// longest stretch that the source has.
fn fragments(summary: &[u32], source: &[u32]) -> Vec<usize> {
    let words = summary.iter().chain(source).max().map_or(0, |most| *most as usize + 1);
    let mut places = vec![Vec::new(); words];
    for (place, word) in source.iter().enumerate() {
        places[*word as usize].push(place);
    }
    let (mut fragments, mut at) = (Vec::new(), 0);
    while at < summary.len() {
        let lengths = places[summary[at] as usize].iter().map(|place| {
            let same = summary[at..].iter().zip(&source[*place..]);
            same.take_while(|(own, other)| own == other).count()
        });
        let longest = lengths.max().unwrap_or(0);
        if longest > 0 {
            fragments.push(longest);
        }
        at += longest.max(1);
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_the_longest_from_the_left() {
        let source = "The quick brown fox jumps over the lazy dog. The fox is quick.";
        let found = extractive(&["A quick brown fox is quick!"], &[source])[0].unwrap();
        // quick brown fox | is quick, of a quick brown fox is quick !
        assert!((found.coverage - 5.0 / 7.0).abs() < 1e-12, "{found:?}");
        assert!((found.density - 13.0 / 7.0).abs() < 1e-12, "{found:?}");
        assert!((found.compression - 15.0 / 7.0).abs() < 1e-12, "{found:?}");
        assert_eq!(extractive(&[" "], &["x"]), [None]);
        assert_eq!(extractive(&["new"], &[""])[0].unwrap().coverage.to_bits(), 0);
    }
}
