//! From sentences to claims: where a quote lies, and which quotes support what
//! a model wrote.

use std::ops::Range;

use plumb_text::{Analyzer, UnitKind, units};
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Citation, Claim, Dropped, Part, Wording};
use crate::select::is_dangling;
use crate::verify::{Evidence, Unsupported, support};

/// A retrieved passage with what a citation needs to know of its document.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) title: String,
    pub(crate) sha256: String,
    pub(crate) in_original: bool,
    /// The passage as a reader sees it.
    pub(crate) text: String,
    pub(crate) heading_path: Vec<String>,
    pub(crate) page: Option<u32>,
    pub(crate) part: Option<String>,
}

impl Source {
    /// Title and headings, as context of each sentence.
    pub(crate) fn context(&self) -> String {
        context(&self.title, &self.heading_path)
    }
}

/// `title` and headings on one line.
pub(crate) fn context(title: &str, heading_path: &[String]) -> String {
    let mut parts = vec![title];
    parts.extend(heading_path.iter().map(String::as_str));
    parts.dedup();
    parts.join(" > ")
}

/// A sentence chosen as evidence, with the bytes it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Quote {
    /// As a reader sees it: one line, no list marker.
    pub(crate) text: String,
    pub(crate) context: String,
    /// Everything but `number` and `score`, which depend on the claim.
    pub(crate) citation: Citation,
}

/// SHA-256 of all that `quotes` say, where it stands and of what.
pub(crate) fn evidence_hash(quotes: &[Quote]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for quote in quotes {
        let place = serde_json::to_string(&quote.citation)
            .expect("a citation has string keys and finite numbers");
        for text in [quote.text.as_str(), &quote.context, &place] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.finalize().into()
}

/// The ranges of the sentences of a document of `kind`, without list markers
/// and emphasis at either end. Headings and code are none; in tables and
/// records each line is one.
pub(crate) fn sentence_ranges(text: &str, kind: &str) -> Vec<Range<usize>> {
    const LINES: &[&str] = &["csv", "json", "jsonl", "spreadsheet"];
    if LINES.contains(&kind) {
        let line_range = |line: &str| {
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            trimmed(text, start..start + line.len())
        };
        return text.lines().filter_map(line_range).collect();
    }
    units(text)
        .into_iter()
        .filter(|unit| {
            matches!(unit.kind, UnitKind::Sentence | UnitKind::ListItem)
                || (unit.kind == UnitKind::TableRow && !heads_table(text, unit.range.end))
        })
        .filter_map(|unit| trimmed(text, unit.range))
        .collect()
}

/// True if the row that ends at `end` names the columns: a line of dashes
/// follows.
fn heads_table(text: &str, end: usize) -> bool {
    let next = text.get(end..).unwrap_or_default().lines().nth(1).unwrap_or_default().trim();
    next.contains("--") && next.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let sentence = text.get(range.clone())?;
    let body = sentence.trim_start();
    let body = strip_list_marker(body).trim_end();
    let start = range.start + (body.as_ptr() as usize - sentence.as_ptr() as usize);
    (!body.is_empty()).then(|| start..start + body.len())
}

/// `text` without a leading `- `, `* `, `+ `, `> ` or `12. `.
fn strip_list_marker(text: &str) -> &str {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = match text.as_bytes() {
        [b'-' | b'*' | b'+' | b'>', b' ', ..] => &text[1..],
        _ if (1..=3).contains(&digits)
            && text[digits..].starts_with(['.', ')'])
            && text[digits + 1..].starts_with(' ') =>
        {
            &text[digits + 1..]
        }
        _ => return text,
    };
    rest.trim_start()
}

/// `text` on one line, without Markdown emphasis.
pub(crate) fn readable(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = line.replace("**", "").replace("__", "");
    let mut readable = plain.trim().trim_matches('|').trim().to_owned();
    if !readable.is_empty() && !readable.ends_with(['.', '!', '?', '\u{3002}', ')', '"']) {
        readable.push('.');
    }
    readable
}

/// Claims that are the quotes themselves.
pub(crate) fn quoted(quotes: &[Quote]) -> Vec<Claim> {
    let claims = quotes
        .iter()
        .map(|quote| Claim {
            text: quote.text.clone(),
            wording: Wording::Quoted,
            citations: vec![Citation { score: 1.0, ..quote.citation.clone() }],
            parts: Vec::new(),
        })
        .collect();
    numbered(claims)
}

/// Holds one written `sentence` against every quote. `before` is the claim that
/// it follows, which is what a pronoun at its beginning may refer to.
///
/// A sentence that no quote supports as a whole may still join two statements:
/// its clauses are then held against the quotes one by one.
pub(crate) fn check(
    sentence: &str,
    before: Option<&Claim>,
    quotes: &[Quote],
    analyzer: &Analyzer,
) -> Result<Claim, Dropped> {
    let dropped = |reason: String| Dropped { text: sentence.to_owned(), reason };
    match best(sentence, quotes, analyzer) {
        Ok((score, quote)) => {
            if is_dangling(sentence) && !before.is_some_and(|claim| same_section(claim, quote)) {
                let why = "it refers to a sentence that is not part of the answer";
                return Err(dropped(why.to_owned()));
            }
            let wording = if sentence == quote.text { Wording::Quoted } else { Wording::Written };
            let citations = vec![Citation { score, ..quote.citation.clone() }];
            Ok(Claim { text: sentence.to_owned(), wording, citations, parts: Vec::new() })
        }
        Err(reason) => {
            by_clauses(sentence, quotes, analyzer).ok_or_else(|| dropped(reason.to_string()))
        }
    }
}

/// Holds `sentence`, as if a model had written it in the place of claim `place`,
/// against all that `answer` cites. Gives the reason why it would be dropped.
pub fn recheck(sentence: &str, answer: &Answer, place: usize) -> Result<(), Dropped> {
    let cited = answer.claims.iter().flat_map(|claim| &claim.citations);
    let quotes: Vec<Quote> = cited
        .map(|citation| {
            let text = citation.quote_text.clone().unwrap_or_else(|| readable(&citation.quote));
            let label = citation.label.as_ref().map(|label| format!(" {}", label.text));
            let context =
                context(&citation.title, &citation.heading_path) + &label.unwrap_or_default();
            Quote { text, context, citation: citation.clone() }
        })
        .collect();
    let before = place.checked_sub(1).and_then(|before| answer.claims.get(before));
    check(sentence, before, &quotes, &Analyzer::english()).map(|_| ())
}

/// The quote that supports `sentence` best, or why none does.
fn best<'q>(
    sentence: &str,
    quotes: &'q [Quote],
    analyzer: &Analyzer,
) -> Result<(f32, &'q Quote), Unsupported> {
    let mut best: Option<(f32, &Quote)> = None;
    let mut reason = Unsupported::Empty;
    for quote in quotes {
        let evidence = Evidence { quote: &quote.text, context: &quote.context };
        match support(sentence, evidence, analyzer) {
            Ok(score) if best.is_none_or(|(other, _)| score > other) => {
                best = Some((score, quote));
            }
            Ok(_) => {}
            Err(why) => reason = why,
        }
    }
    best.ok_or(reason)
}

/// `sentence` as a claim of several parts, if each is supported by a quote and
/// names its own subject.
fn by_clauses(sentence: &str, quotes: &[Quote], analyzer: &Analyzer) -> Option<Claim> {
    const MIN_TERMS: usize = 3;
    let spans = clauses(sentence);
    let is_short = |span: &Range<usize>| analyzer.terms(&sentence[span.clone()]).len() < MIN_TERMS;
    if spans.len() < 2 || spans.iter().any(is_short) {
        return None;
    }
    let mut citations = Vec::new();
    for span in &spans {
        let clause = &sentence[span.clone()];
        let (score, quote) = best(clause, quotes, analyzer).ok()?;
        if is_dangling(clause) || !opens_alike(clause, &quote.text, &quote.context, analyzer) {
            return None;
        }
        citations.push(Citation { score, ..quote.citation.clone() });
    }
    let parts = spans.into_iter().map(|span| Part { span: [span.start, span.end] }).collect();
    Some(Claim { text: sentence.to_owned(), wording: Wording::Written, citations, parts })
}

/// True if `clause` begins with the subject of the quote: its first term is the
/// quote's first, or one of the headings. A clause that shares its subject with
/// the one before cannot be checked alone.
pub(crate) fn opens_alike(clause: &str, quote: &str, context: &str, analyzer: &Analyzer) -> bool {
    let first = analyzer.terms(clause).into_iter().next();
    first.is_some_and(|first| {
        analyzer.terms(quote).first() == Some(&first) || analyzer.terms(context).contains(&first)
    })
}

/// The clauses of `sentence`, where it can be cut safely: at a semicolon, and at
/// a comma before a conjunction.
pub(crate) fn clauses(sentence: &str) -> Vec<Range<usize>> {
    const CUTS: &[&str] = &["; ", ", and ", ", but ", ", while ", ", whereas "];
    let mut spans = Vec::new();
    let mut start = 0;
    loop {
        let rest = &sentence[start..];
        let next = CUTS.iter().filter_map(|cut| Some((rest.find(cut)?, cut.len()))).min();
        let Some((at, length)) = next else { break };
        spans.push(start..start + at);
        start += at + length;
    }
    spans.push(start..sentence.len());
    spans
}

fn same_section(claim: &Claim, quote: &Quote) -> bool {
    claim.citations.iter().any(|citation| {
        citation.uri == quote.citation.uri && citation.heading_path == quote.citation.heading_path
    })
}

/// The quote that a dropped `sentence` tried to say: the one with most of its
/// words, if that is at least half of them.
pub(crate) fn meant<'q>(
    sentence: &str,
    quotes: &'q [Quote],
    analyzer: &Analyzer,
) -> Option<&'q Quote> {
    let said = analyzer.terms(sentence);
    let shared = |quote: &Quote| {
        let known = analyzer.terms(&quote.text);
        said.iter().filter(|term| known.contains(term)).count()
    };
    let best = quotes.iter().max_by_key(|quote| shared(quote))?;
    (2 * shared(best) >= said.len() && !said.is_empty()).then_some(best)
}

/// Numbers the citations from 1 in order of first use; the same place has the
/// same number.
pub(crate) fn numbered(mut claims: Vec<Claim>) -> Vec<Claim> {
    let mut places: Vec<(String, [u64; 2])> = Vec::new();
    for citation in claims.iter_mut().flat_map(|claim| claim.citations.iter_mut()) {
        let place = (citation.uri.clone(), citation.byte_range);
        let at = places.iter().position(|known| *known == place).unwrap_or_else(|| {
            places.push(place);
            places.len() - 1
        });
        citation.number = at + 1;
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(text: &str) -> Quote {
        Quote {
            text: text.into(),
            context: "Dropout".into(),
            citation: Citation {
                number: 0,
                uri: "file:///d.md".into(),
                title: "Dropout".into(),
                sha256: String::new(),
                byte_range: [0, text.len() as u64],
                in_original: true,
                quote: text.into(),
                quote_text: None,
                score: 0.0,
                heading_path: Vec::new(),
                page: None,
                part: None,
                label: None,
            },
        }
    }

    #[test]
    fn a_list_marker_is_not_part_of_the_sentence() {
        let text = "- Dropout sets units to zero.\n- It is cheap.\n";
        let found: Vec<&str> =
            sentence_ranges(text, "markdown").into_iter().map(|r| &text[r]).collect();
        assert_eq!(found, ["Dropout sets units to zero.", "It is cheap."]);
    }

    #[test]
    fn the_head_of_a_table_is_no_sentence() {
        let text = "| city | people |\n|---|---|\n| Geneva has | 200,000 people |\n";
        let found: Vec<&str> =
            sentence_ranges(text, "markdown").into_iter().map(|r| &text[r]).collect();
        assert_eq!(found.len(), 1 + usize::from(found.iter().any(|row| row.contains("--"))));
        assert!(found[0].contains("Geneva"));
    }

    #[test]
    fn a_written_sentence_cites_the_quote_that_supports_it_best() {
        let quotes = [quote("Cats sleep all day."), quote("Dropout sets random units to zero.")];
        let claim =
            check("Dropout sets units to zero.", None, &quotes, &Analyzer::english()).unwrap();
        assert_eq!(claim.citations[0].quote, "Dropout sets random units to zero.");
        assert_eq!(claim.wording, Wording::Written);
    }

    #[test]
    fn an_unsupported_sentence_is_dropped_with_its_reason() {
        let quotes = [quote("Dropout sets 50 units to zero.")];
        let dropped = check("Dropout sets 70 units to zero.", None, &quotes, &Analyzer::english());
        assert_eq!(dropped.unwrap_err().reason, "the number `70` is not in the source");
    }

    #[test]
    fn a_sentence_of_two_statements_cites_both_sources() {
        let quotes = [
            quote("Stemming cuts suffixes off words."),
            quote("Lemmatization looks up dictionary forms."),
        ];
        let analyzer = Analyzer::english();
        let sentence = "Stemming cuts suffixes off words, while lemmatization looks up \
                        dictionary forms.";
        let claim = check(sentence, None, &quotes, &analyzer).unwrap();
        let said: Vec<&str> =
            claim.parts.iter().map(|part| &sentence[part.span[0]..part.span[1]]).collect();
        assert_eq!(said[1], "lemmatization looks up dictionary forms.");
        assert_eq!(claim.citations[1].quote, "Lemmatization looks up dictionary forms.");
        // The second statement has no subject of its own.
        let sentence = "Stemming cuts suffixes off words, and looks up dictionary forms.";
        assert!(check(sentence, None, &quotes, &analyzer).is_err());
    }

    #[test]
    fn a_pronoun_needs_a_claim_of_the_same_section_before_it() {
        let quotes = [quote("Dropout sets random units to zero.")];
        let analyzer = Analyzer::english();
        let sentence = "This sets random units to zero.";
        assert!(check(sentence, None, &quotes, &analyzer).is_err());
        let before = quoted(&quotes).remove(0);
        assert!(check(sentence, Some(&before), &quotes, &analyzer).is_ok());
    }

    #[test]
    fn the_quote_that_a_dropped_sentence_meant_is_found() {
        let quotes = [quote("Cats sleep all day."), quote("Dropout sets 50 units to zero.")];
        let analyzer = Analyzer::english();
        let found = meant("Dropout sets 70 units to zero.", &quotes, &analyzer).unwrap();
        assert_eq!(found.text, "Dropout sets 50 units to zero.");
        assert!(meant("Paris is in France.", &quotes, &analyzer).is_none());
    }

    #[test]
    fn the_same_place_keeps_its_number() {
        let claims =
            quoted(&[quote("Dropout sets units to zero."), quote("Dropout sets units to zero.")]);
        let numbers: Vec<usize> = claims.iter().map(|claim| claim.citations[0].number).collect();
        assert_eq!(numbers, [1, 1]);
    }
}
