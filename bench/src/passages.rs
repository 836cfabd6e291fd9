//! A test collection of passages, written by `bench/answers/passages.py`.
//!
//! `passages.jsonl` has `unit`, `page`, `header` and `text` a line, in the order in
//! which they stand; `queries.jsonl` has `text` and `units`, which answer it. What
//! is ranked are units: a unit stands where its best passage stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cranfield::{self, Document, Query};
use crate::read;

/// Passages and what is asked of them.
pub(crate) struct Passages {
    /// Header and text of each.
    pub(crate) documents: Vec<Document>,
    /// The number of the unit that each belongs to.
    pub(crate) units: Vec<usize>,
    /// The number of the page that each stands on.
    pub(crate) pages: Vec<usize>,
    /// With gains by the number of a unit.
    pub(crate) queries: Vec<Query>,
}

#[derive(Deserialize)]
struct PassageLine {
    unit: String,
    page: String,
    header: String,
    text: String,
}

#[derive(Deserialize)]
struct QueryLine {
    text: String,
    units: Vec<String>,
}

impl Passages {
    /// Reads such a folder, or that of the Cranfield collection.
    pub(crate) fn load(folder: &Path) -> anyhow::Result<Self> {
        if folder.join("cranqrel").exists() {
            let found = cranfield::load(folder)?;
            let places: Vec<usize> = (0..found.documents.len()).collect();
            let (documents, queries) = (found.documents, found.queries);
            return Ok(Self { documents, units: places.clone(), pages: places, queries });
        }
        let passages: Vec<PassageLine> = lines(&folder.join("passages.jsonl"))?;
        let asked: Vec<QueryLine> = lines(&folder.join("queries.jsonl"))?;
        let number = |names: BTreeSet<&str>| -> BTreeMap<String, usize> {
            names.into_iter().map(str::to_owned).zip(0..).collect()
        };
        let units = number(passages.iter().map(|passage| passage.unit.as_str()).collect());
        let pages = number(passages.iter().map(|passage| passage.page.as_str()).collect());
        let mut queries = Vec::new();
        for query in asked {
            let mut gains = BTreeMap::new();
            for unit in &query.units {
                let Some(unit) = units.get(unit) else {
                    bail!("`{}` is answered by `{unit}`, which has no passage", query.text);
                };
                gains.insert(*unit, 1.0);
            }
            queries.push(Query { text: query.text, gains });
        }
        Ok(Self {
            units: passages.iter().map(|passage| units[&passage.unit]).collect(),
            pages: passages.iter().map(|passage| pages[&passage.page]).collect(),
            documents: passages
                .into_iter()
                .map(|passage| Document { title: passage.header, text: passage.text })
                .collect(),
            queries,
        })
    }
}

fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let name = path.display();
    let text = read(path)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("`{name}`, line {number}"))
    };
    lines.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_of_a_unit_share_its_number_and_unknown_units_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let passage = |unit: &str, text: &str| {
            format!(
                "{{\"unit\": \"{unit}\", \"page\": \"p\", \"header\": \"h\", \"text\": \"{text}\"}}\n"
            )
        };
        let passages = passage("a", "one") + &passage("b", "two") + &passage("a", "three");
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("passages.jsonl", &passages);
        write("queries.jsonl", "{\"text\": \"which?\", \"units\": [\"a\"]}\n");
        let found = Passages::load(folder.path()).unwrap();
        assert_eq!((found.units, found.pages), (vec![0, 1, 0], vec![0, 0, 0]));
        assert_eq!(found.queries[0].gains, BTreeMap::from([(0, 1.0)]));
        write("queries.jsonl", "{\"text\": \"which?\", \"units\": [\"c\"]}\n");
        let error = Passages::load(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("`which?` is answered by `c`"), "{error}");
    }
}
