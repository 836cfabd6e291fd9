//! Checking an answer again, from its JSON and its sources alone.
//!
//! An answer is its own certificate: it names every source by content hash and
//! range, and its digest covers every field. [`verify`] needs no model. It
//! recomputes the digest, compares each quote with the bytes of its source,
//! finds the headings that a claim rests on in that source, and holds each claim
//! against its quotes with the same check that let it into the answer.
//!
//! The digest is a checksum and no signature: it shows that bytes changed, and
//! whoever changes them can compute another. What nobody can compute is a source
//! with the same hash that says something else, and so a changed claim still
//! fails against the bytes that it cites.
//!
//! Not recomputed, because that takes the models: which passages were found, the
//! support of the question, and what the model wrote that was dropped.

use plumb_text::Analyzer;
use serde_json::Value;

use crate::answer::{Answer, Citation, Claim, Status, Wording, joined_text};
use crate::ask::ABSTENTION;
use crate::claims::{clauses, context, numbered, opens_alike, readable};
use crate::verify::{Evidence, Unsupported, support};

/// Finds the text that a citation's range counts in, if it can be had: that of a
/// document whose hash is the citation's. Whoever looks it up checks the hash.
pub type Library<'a> = dyn Fn(&Citation) -> Option<String> + 'a;

/// Why an answer does not verify.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("it is no answer of this version: {0}")]
    Form(String),
    #[error("it has no digest, so changes of it cannot be seen")]
    NoDigest,
    #[error("its digest is {stated} and that of its content {found}: something was edited")]
    Digest { stated: String, found: String },
    #[error("its id is {stated} and that of its content {found}")]
    Id { stated: String, found: String },
    #[error("the text of the answer is not that of its claims")]
    Text,
    #[error("the status does not fit the claims or the support")]
    Status,
    #[error("the numbers of the citations do not fit their places")]
    Numbering,
    #[error("it has {citations} citations for {parts} parts, or parts that are not its clauses")]
    Parts { citations: usize, parts: usize },
    #[error("the source {sha256} (`{uri}`) is at hand neither as a file nor in the store")]
    NoSource { uri: String, sha256: String },
    #[error("bytes {start}-{end} of `{uri}` are not the quote")]
    Quote { uri: String, start: u64, end: u64 },
    #[error("what is shown of the quote is not what its bytes say")]
    Shown,
    #[error("it is said to be quoted and differs from its quote")]
    NotQuoted,
    #[error("{0}")]
    Unsupported(Unsupported),
    #[error("its support is stated as {stated} and is {found}")]
    Score { stated: f32, found: f32 },
}

/// A fault, and the claim that has it: its place from 0, or none for the answer
/// as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub claim: Option<usize>,
    pub fault: Fault,
}

/// Checks the answer that `json` holds against the sources of `library`.
///
/// Gives the answer, if `json` is one, and everything that is wrong with it:
/// nothing, if it verifies.
pub fn verify(json: &str, library: &Library<'_>) -> (Option<Answer>, Vec<Finding>) {
    let whole = |fault| Finding { claim: None, fault };
    let answer: Answer = match serde_json::from_str(json) {
        Ok(answer) => answer,
        Err(error) => return (None, vec![whole(Fault::Form(error.to_string()))]),
    };
    let mut findings: Vec<Finding> = whole_faults(&answer, json).into_iter().map(whole).collect();
    let analyzer = Analyzer::english();
    for (place, claim) in answer.claims.iter().enumerate() {
        let faults = claim_faults(claim, library, &analyzer);
        findings.extend(faults.into_iter().map(|fault| Finding { claim: Some(place), fault }));
    }
    (Some(answer), findings)
}

/// What is wrong with the answer apart from what its claims say.
fn whole_faults(answer: &Answer, json: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(what) = foreign_content(answer, json) {
        faults.push(Fault::Form(what));
    }
    let found = answer.computed_digest();
    if answer.digest.is_empty() {
        faults.push(Fault::NoDigest);
    } else if answer.digest != found {
        faults.push(Fault::Digest { stated: answer.digest.clone(), found });
    }
    let found = answer.computed_id();
    if answer.answer_id != found {
        faults.push(Fault::Id { stated: answer.answer_id.clone(), found });
    }
    let (is_answered, expected) = match answer.status {
        Status::Answered => (true, joined_text(&answer.claims)),
        Status::Abstained => (false, ABSTENTION.to_owned()),
    };
    if answer.answer != expected {
        faults.push(Fault::Text);
    }
    let is_supported = answer.support.score >= answer.support.threshold;
    if is_answered == answer.claims.is_empty() || (is_answered && !is_supported) {
        faults.push(Fault::Status);
    }
    if numbered(answer.claims.clone()) != answer.claims {
        faults.push(Fault::Numbering);
    }
    faults
}

/// Content of `json` that the answer does not keep: fields that it does not have,
/// a field twice, digits beyond its precision. The digest does not see these.
fn foreign_content(answer: &Answer, json: &str) -> Option<String> {
    let Ok(given) = serde_json::from_str::<Value>(json) else { return None };
    let mut kept: Value = serde_json::from_str(&answer.canonical_json()).ok()?;
    if !answer.digest.is_empty() {
        kept["digest"] = Value::String(answer.digest.clone());
    }
    difference(&given, &kept, "")
}

/// The path of the first place where two values differ. Numbers are compared by
/// value: `1` is `1.0`.
fn difference(given: &Value, kept: &Value, path: &str) -> Option<String> {
    match (given, kept) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            names.into_iter().find_map(|name| match (a.get(name), b.get(name)) {
                (Some(a), Some(b)) => difference(a, b, &format!("{path}.{name}")),
                _ => Some(format!("the field `{path}.{name}` has no place in it")),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(place, (a, b))| difference(a, b, &format!("{path}[{place}]"))),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (a, b) if a == b => None,
        _ => Some(format!("the value of `{path}` has no place in it")),
    }
}

fn claim_faults(claim: &Claim, library: &Library<'_>, analyzer: &Analyzer) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut evidence = Vec::new();
    for citation in &claim.citations {
        let text = library(citation);
        faults.extend(source_fault(citation, text.as_deref()));
        evidence.push((shown(citation), proved_context(citation, text.as_deref())));
    }
    let statements = match statements(claim) {
        Ok(statements) => statements,
        Err(fault) => {
            faults.push(fault);
            return faults;
        }
    };
    for ((text, citation), (quote, context)) in
        statements.into_iter().zip(&claim.citations).zip(&evidence)
    {
        if claim.wording == Wording::Quoted {
            if text != quote {
                faults.push(Fault::NotQuoted);
            }
            continue;
        }
        let is_part = !claim.parts.is_empty();
        match support(text, Evidence { quote, context }, analyzer) {
            Ok(_) if is_part && !opens_alike(text, quote, context, analyzer) => {
                faults.push(Fault::Unsupported(Unsupported::Words));
            }
            Ok(found) if (found - citation.score).abs() > 1e-6 => {
                faults.push(Fault::Score { stated: citation.score, found });
            }
            Ok(_) => {}
            Err(why) => faults.push(Fault::Unsupported(why)),
        }
    }
    faults
}

/// What a claim states, one text for each of its citations.
fn statements(claim: &Claim) -> Result<Vec<&str>, Fault> {
    let (citations, parts) = (claim.citations.len(), claim.parts.len());
    let wrong = Fault::Parts { citations, parts };
    if parts == 0 {
        return if citations == 1 { Ok(vec![&claim.text]) } else { Err(wrong) };
    }
    let spans: Vec<[usize; 2]> =
        clauses(&claim.text).into_iter().map(|span| [span.start, span.end]).collect();
    let stated: Vec<[usize; 2]> = claim.parts.iter().map(|part| part.span).collect();
    if citations != parts || spans != stated {
        return Err(wrong);
    }
    Ok(spans.into_iter().map(|[start, end]| &claim.text[start..end]).collect())
}

/// The quote as a claim is held against it.
fn shown(citation: &Citation) -> String {
    citation.quote_text.clone().unwrap_or_else(|| readable(&citation.quote))
}

/// What is wrong with the places that `citation` names in `text`, its document.
fn source_fault(citation: &Citation, text: Option<&str>) -> Option<Fault> {
    let Some(text) = text else {
        let (uri, sha256) = (citation.uri.clone(), citation.sha256.clone());
        return Some(Fault::NoSource { uri, sha256 });
    };
    let label = citation.label.as_ref().map(|label| (&label.byte_range, &label.quote));
    for (range, quote) in [(&citation.byte_range, &citation.quote)].into_iter().chain(label) {
        if stretch(text, *range) != Some(quote.as_str()) {
            let [start, end] = *range;
            return Some(Fault::Quote { uri: citation.uri.clone(), start, end });
        }
    }
    let is_shown = |text: &str, quote: &str| letters(text) == letters(&without_markup(quote));
    let quote = citation.quote_text.as_ref().map(|text| (text, &citation.quote));
    let label = citation.label.as_ref().map(|label| (&label.text, &label.quote));
    let is_right = quote.into_iter().chain(label).all(|(text, quote)| is_shown(text, quote));
    (!is_right).then_some(Fault::Shown)
}

fn stretch(text: &str, [start, end]: [u64; 2]) -> Option<&str> {
    text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// Title, headings and label of `citation`, as far as its document has them: a
/// claim may not rest on a heading that somebody made up.
fn proved_context(citation: &Citation, text: Option<&str>) -> String {
    let known = text.map(|text| letters(&without_markup(text))).unwrap_or_default();
    let name = letters(citation.uri.rsplit('/').next().unwrap_or_default());
    let is_known = |heading: &str| {
        let heading = letters(heading);
        known.contains(&heading) || name.contains(&heading)
    };
    let title = if is_known(&citation.title) { citation.title.as_str() } else { "" };
    let headings: Vec<String> =
        citation.heading_path.iter().filter(|heading| is_known(heading)).cloned().collect();
    let context = context(title, &headings);
    match &citation.label {
        Some(label) => format!("{context} {}", label.text),
        None => context,
    }
}

/// The ASCII letters and digits of `text`: what markup, entities and white space
/// leave alone.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `text` without tags, comments, entities and the addresses of links.
fn without_markup(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&', ']']) {
        plain.push_str(&rest[..at]);
        let tail = &rest[at..];
        let length = match tail.as_bytes() {
            [b'<', b'!', b'-', b'-', ..] => tail.find("-->").map(|end| end + 3),
            [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!', ..] => {
                tail.find('>').map(|end| end + 1)
            }
            [b'&', ..] => tail.find(';').filter(|end| *end < 12).map(|end| end + 1),
            [b']', b'(', ..] => tail.find(')').map(|end| end + 1),
            _ => None,
        };
        rest = &tail[length.unwrap_or(1)..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Support;
    use std::collections::BTreeMap;

    const PAGE: &str = "# Dropout\n\nIt sets 50 random units to zero during training.\n\nThe \
                        method was proposed by Hinton in 2012.\n";

    fn citation(quote: &str, score: f32, number: usize) -> Citation {
        let start = PAGE.find(quote).unwrap() as u64;
        Citation {
            number,
            uri: "file:///d.md".into(),
            title: "Dropout".into(),
            sha256: "00".into(),
            byte_range: [start, start + quote.len() as u64],
            in_original: true,
            quote: quote.into(),
            quote_text: None,
            score,
            heading_path: vec!["Dropout".into()],
            page: None,
            part: None,
            label: None,
        }
    }

    fn claim(text: &str, wording: Wording, citation: Citation) -> Claim {
        Claim { text: text.into(), wording, citations: vec![citation], parts: Vec::new() }
    }

    fn answer() -> Answer {
        let quote = "It sets 50 random units to zero during training.";
        let written = "Dropout sets 50 random units to zero.";
        let evidence = Evidence { quote, context: "Dropout" };
        let score = support(written, evidence, &Analyzer::english()).unwrap();
        let second = "The method was proposed by Hinton in 2012.";
        let claims = vec![
            claim(written, Wording::Written, citation(quote, score, 1)),
            claim(second, Wording::Quoted, citation(second, 1.0, 2)),
        ];
        Answer {
            status: Status::Answered,
            question: "What is dropout?".into(),
            standalone_question: None,
            answer: joined_text(&claims),
            claims,
            dropped: Vec::new(),
            support: Support { score: 0.9, threshold: 0.5 },
            snapshot: "5a".into(),
            answer_id: String::new(),
            models: BTreeMap::new(),
            timings_ms: BTreeMap::from([("total".into(), 1.25)]),
            chunk_reuse: None,
            guarantee: None,
            cache: None,
            digest: String::new(),
        }
        .sealed()
    }

    fn faults(json: &str) -> Vec<Fault> {
        let library = |citation: &Citation| (citation.sha256 == "00").then(|| PAGE.to_owned());
        verify(json, &library).1.into_iter().map(|finding| finding.fault).collect()
    }

    fn json(answer: &Answer) -> String {
        serde_json::to_string(answer).unwrap()
    }

    #[test]
    fn an_answer_verifies_as_it_was_made_and_pretty_printed() {
        assert_eq!(faults(&json(&answer())), []);
        assert_eq!(faults(&serde_json::to_string_pretty(&answer()).unwrap()), []);
    }

    #[test]
    fn an_edit_of_any_byte_is_detected() {
        let json = json(&answer());
        for at in 0..json.len() {
            let mut bytes = json.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let edited = String::from_utf8(bytes).unwrap();
            assert!(!faults(&edited).is_empty(), "byte {at}: {edited}");
        }
    }

    #[test]
    fn what_is_taken_out_or_put_in_is_detected() {
        let json = json(&answer());
        for at in 0..json.len() {
            let taken = format!("{}{}", &json[..at], &json[at + 1..]);
            let put = format!("{}1{}", &json[..at], &json[at..]);
            assert!(!faults(&taken).is_empty(), "{taken}");
            assert!(!faults(&put).is_empty(), "{put}");
        }
        let twice = json.replacen("\"answer\":", "\"answer\":\"x\",\"answer\":", 1);
        assert!(!faults(&twice).is_empty());
        let more = json.replacen('{', "{\"note\":1,", 1);
        assert!(matches!(faults(&more)[..], [Fault::Form(_)]));
    }

    /// The fault of an edited answer whose editor computed its digest again.
    fn resealed(edit: impl Fn(&mut Answer)) -> Vec<Fault> {
        let mut answer = answer();
        edit(&mut answer);
        answer.answer = joined_text(&answer.claims);
        faults(&json(&answer.sealed()))
    }

    #[test]
    fn a_claim_that_its_source_does_not_support_fails_whatever_the_digest() {
        assert_eq!(resealed(|_| ()), []);
        let number = resealed(|answer| {
            answer.claims[0].text = "Dropout sets 70 random units to zero.".into();
        });
        assert_eq!(number, [Fault::Unsupported(Unsupported::Number("70".into()))]);
        let quoted = resealed(|answer| {
            answer.claims[1].text = "The method was proposed by LeCun in 2012.".into();
        });
        assert_eq!(quoted, [Fault::NotQuoted]);
        let score = resealed(|answer| answer.claims[0].citations[0].score = 1.0);
        assert!(matches!(score[..], [Fault::Score { .. }]), "{score:?}");
        let both = resealed(|answer| {
            answer.claims[1].text = "The method was proposed by LeCun in 2012.".into();
            answer.claims[1].citations[0].quote = answer.claims[1].text.clone();
        });
        assert!(matches!(both[..], [Fault::Quote { .. }]), "{both:?}");
    }

    #[test]
    fn a_made_up_heading_supports_nothing() {
        let made_up = resealed(|answer| {
            let claim = &mut answer.claims[0];
            claim.text = "Pooling sets 50 random units to zero.".into();
            claim.citations[0].title = "Pooling".into();
            claim.citations[0].heading_path = vec!["Pooling".into()];
        });
        assert!(matches!(made_up[..], [Fault::Unsupported(_)]), "{made_up:?}");
    }

    #[test]
    fn a_source_that_is_not_at_hand_is_a_fault() {
        let gone = resealed(|answer| answer.claims[0].citations[0].sha256 = "11".into());
        assert!(matches!(gone[..], [Fault::NoSource { .. }, ..]), "{gone:?}");
    }

    #[test]
    fn what_is_shown_of_markup_must_be_what_it_says() {
        let is_same = |shown: &str, quote: &str| letters(shown) == letters(&without_markup(quote));
        assert!(is_same("Drop units & more.", "Drop <b class=\"x\">units</b> &amp; more."));
        assert!(is_same("See the docs now", "See [the docs](https://x.example/y) now"));
        assert!(!is_same("Drop units.", "Do not drop <b>units</b>."));
        assert!(is_same("a < b", "a &lt; b"));
    }

    #[test]
    fn an_abstention_verifies_and_may_hold_no_claim() {
        let abstained = |claims: Vec<Claim>| Answer {
            status: Status::Abstained,
            answer: ABSTENTION.into(),
            support: Support { score: 0.2, threshold: 0.5 },
            claims,
            ..answer()
        };
        assert_eq!(faults(&json(&abstained(Vec::new()).sealed())), []);
        assert_eq!(faults(&json(&abstained(answer().claims).sealed())), [Fault::Status]);
    }
}
