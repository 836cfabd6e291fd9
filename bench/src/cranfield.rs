//! The Cranfield collection: abstracts on aerodynamics, questions, judgements.
//!
//! Three files: `cran.all.1400` and `cran.qry` are records of fields marked
//! `.I`, `.T`, `.A`, `.B`, `.W`; `cranqrel` has a line per judgement, which is
//! query, document and code. A query is named by its place in the file, not by
//! its `.I` number. Cleverdon's codes count down: 1 is a complete answer, 4 is
//! of minimum interest, and 5 or -1 of none; the gain is `5 - code`, or 0.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::read;

/// A test collection in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Collection {
    /// Title and text of each document; a document's number is its place.
    pub(crate) documents: Vec<Document>,
    pub(crate) queries: Vec<Query>,
}

/// One abstract.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// One question with the gains of the documents judged for it, by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) gains: BTreeMap<usize, f64>,
}

/// Reads the collection from its folder.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Collection> {
    let file = |name: &str| read(&folder.join(name));
    parse(&file("cran.all.1400")?, &file("cran.qry")?, &file("cranqrel")?)
}

fn parse(documents: &str, queries: &str, judgements: &str) -> anyhow::Result<Collection> {
    let numbers_and_fields = records(documents);
    for (place, (number, _)) in (1..).zip(&numbers_and_fields) {
        if *number != place.to_string() {
            bail!("document {place} is marked as `{number}`");
        }
    }
    let documents = numbers_and_fields
        .into_iter()
        .map(|(_, mut fields)| Document {
            title: fields.remove(&'T').unwrap_or_default(),
            text: fields.remove(&'W').unwrap_or_default(),
        })
        .collect::<Vec<_>>();
    let mut queries = records(queries)
        .into_iter()
        .map(|(_, mut fields)| Query {
            text: fields.remove(&'W').unwrap_or_default(),
            gains: BTreeMap::new(),
        })
        .collect::<Vec<_>>();
    for (number, line) in (1..).zip(judgements.lines()).filter(|(_, line)| !line.trim().is_empty())
    {
        let judged = judgement(line).with_context(|| format!("judgement in line {number}"))?;
        let (query, document, gain) = judged;
        let known =
            (1..=queries.len()).contains(&query) && (1..=documents.len()).contains(&document);
        if !known {
            bail!(
                "line {number} judges query {query} and document {document}, which are not there"
            );
        }
        queries[query - 1].gains.insert(document - 1, gain);
    }
    Ok(Collection { documents, queries })
}

/// Query, document and gain of one line.
fn judgement(line: &str) -> anyhow::Result<(usize, usize, f64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [query, document, code] = fields[..] else { bail!("`{line}` is not three numbers") };
    let gain = match code {
        "1" => 4.0,
        "2" => 3.0,
        "3" => 2.0,
        "4" => 1.0,
        "5" | "-1" => 0.0,
        _ => bail!("`{code}` is not a code of relevance"),
    };
    Ok((query.parse()?, document.parse()?, gain))
}

/// The records of a file: what stands after `.I`, and the fields by letter.
fn records(text: &str) -> Vec<(String, BTreeMap<char, String>)> {
    let mut records: Vec<(String, BTreeMap<char, String>)> = Vec::new();
    let mut field = None;
    for line in text.lines() {
        if let Some(number) = line.strip_prefix(".I ") {
            records.push((number.trim().to_owned(), BTreeMap::new()));
            field = None;
        } else if let Some(letter) = field_mark(line) {
            field = Some(letter);
        } else if let (Some((_, fields)), Some(letter)) = (records.last_mut(), field) {
            let text: &mut String = fields.entry(letter).or_default();
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(line.trim());
        }
    }
    records
}

fn field_mark(line: &str) -> Option<char> {
    let mut letters = line.trim_end().strip_prefix('.')?.chars();
    let letter = letters.next().filter(char::is_ascii_uppercase)?;
    letters.next().is_none().then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTS: &str =
        ".I 1\n.T\nwings\n.A\nan author\n.W\nlift and\n  drag .\n.I 2\n.T\nheat\n.W\n";
    const QUERIES: &str = ".I 001\n.W\nwhat lifts\n.I 004\n.W\nwhat heats\n";

    #[test]
    fn queries_are_named_by_their_place_and_codes_count_down() {
        let found = parse(DOCUMENTS, QUERIES, "1 1 1\n2 2 4 \n2 1 -1\n").unwrap();
        assert_eq!(found.documents[0].title, "wings");
        assert_eq!(found.documents[0].text, "lift and\ndrag .");
        assert_eq!(found.documents[1].text, "");
        assert_eq!(found.queries[0].gains, BTreeMap::from([(0, 4.0)]));
        assert_eq!(found.queries[1].text, "what heats");
        assert_eq!(found.queries[1].gains, BTreeMap::from([(0, 0.0), (1, 1.0)]));
    }

    #[test]
    fn judgements_of_nothing_are_refused() {
        for line in ["1 3 1", "3 1 1", "0 1 1", "1 1 7", "1 1"] {
            assert!(parse(DOCUMENTS, QUERIES, line).is_err(), "{line}");
        }
        assert!(parse(".I 7\n.T\nx\n", QUERIES, "").is_err());
    }
}
