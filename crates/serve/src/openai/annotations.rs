//! The text of an answer from documents, and where in it what is cited.

use plumb_answer::Claim;

use super::wire::{Annotation, UrlCitation};

/// An answer's text as it grows, a claim at a time.
#[derive(Debug, Default)]
pub(super) struct Cited {
    /// Characters so far.
    chars: usize,
}

impl Cited {
    /// What `claim` adds: its text with the numbers of its citations, after a
    /// space if it is not the first, and an annotation for each citation.
    pub(super) fn push(&mut self, claim: &Claim) -> (String, Vec<Annotation>) {
        let marks: String = claim.citations.iter().map(|c| format!("[{}]", c.number)).collect();
        let space = if self.chars == 0 { "" } else { " " };
        let text = format!("{space}{} {marks}", claim.text);
        let start_index = self.chars + space.len();
        self.chars += text.chars().count();
        let annotations = claim.citations.iter().map(|citation| Annotation {
            kind: "url_citation",
            url_citation: UrlCitation {
                start_index,
                end_index: self.chars,
                url: citation.uri.clone(),
                title: citation.title.clone(),
            },
        });
        (text, annotations.collect())
    }
}

#[cfg(test)]
mod tests {
    use plumb_answer::{Citation, Wording};

    use super::*;

    fn claim(text: &str, number: usize) -> Claim {
        let citation = Citation {
            number,
            uri: format!("file:///{number}.md"),
            title: String::new(),
            sha256: String::new(),
            byte_range: [0, 1],
            in_original: true,
            quote: String::new(),
            quote_text: None,
            score: 1.0,
            heading_path: Vec::new(),
            page: None,
            part: None,
        };
        Claim { text: text.to_owned(), wording: Wording::Quoted, citations: vec![citation] }
    }

    #[test]
    fn annotations_point_at_characters_not_bytes() {
        let mut cited = Cited::default();
        let (first, _) = cited.push(&claim("D\u{e9}j\u{e0} vu.", 1));
        let (second, annotations) = cited.push(&claim("Yes.", 2));
        let text: Vec<char> = format!("{first}{second}").chars().collect();
        let place = &annotations[0].url_citation;
        let cited: String = text[place.start_index..place.end_index].iter().collect();
        assert_eq!(cited, "Yes. [2]");
        assert_eq!(place.url, "file:///2.md");
    }
}
