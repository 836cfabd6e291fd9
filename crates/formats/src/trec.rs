//! Runs and judgements of retrieval, in the text formats of `trec_eval`.
//!
//! A run says what a system retrieved, a document a line: `query Q0 document
//! rank score tag`. Judgements (qrels) say how relevant a document is: `query 0
//! document grade`, or in three columns with a heading, `query-id corpus-id
//! score`, as BEIR's. Fields are separated by spaces or tabs.
//!
//! The order of a run is by score and not by the rank column, as `trec_eval`
//! has it: scores are rounded to `f32` first, and where these are equal the
//! document whose name is later in byte order stands first.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::Error;

/// What a system retrieved.
#[derive(Clone, Debug, PartialEq)]
pub struct Run<'a> {
    /// Invariant: in rising order of name, each name once.
    pub queries: Vec<Retrieved<'a>>,
}

/// The documents that were retrieved for one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieved<'a> {
    /// Name of the query.
    pub query: &'a str,
    /// Name and score, the best first; no name occurs twice.
    pub documents: Vec<(&'a str, f32)>,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qrels<'a> {
    /// Invariant: in rising order of name, each name once.
    pub queries: Vec<Judged<'a>>,
}

/// The documents that were judged for one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'a> {
    /// Name of the query.
    pub query: &'a str,
    /// Name and grade in rising order of name; no name occurs twice.
    pub documents: Vec<(&'a str, i32)>,
}

impl Judged<'_> {
    /// The grade of a document, if it was judged.
    pub fn grade(&self, document: &str) -> Option<i32> {
        let found = self.documents.binary_search_by(|(name, _)| (*name).cmp(document));
        found.ok().map(|index| self.documents[index].1)
    }
}

impl<'a> Run<'a> {
    /// Reads a run. A document that occurs twice for a query, a score that is
    /// no number or NaN, and a line without six fields are errors.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut groups = Groups::default();
        for (line, fields) in lines(bytes)? {
            let [query, _, document, _, score, _] = exactly(line, fields, "a run")?;
            let value: f64 = score
                .parse()
                .ok()
                .filter(|score: &f64| !score.is_nan())
                .ok_or_else(|| no_number(line, "score", score))?;
            #[expect(clippy::cast_possible_truncation, reason = "the reference tool rounds so")]
            groups.push(query, (document, value as f32));
        }
        let mut queries = Vec::with_capacity(groups.lists.len());
        for (query, mut documents) in groups.lists {
            documents.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(a.0)));
            let mut names: Vec<&str> = documents.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            refuse_twins(query, names.into_iter())?;
            queries.push(Retrieved { query, documents });
        }
        queries.sort_by(|a, b| a.query.cmp(b.query));
        Ok(Self { queries })
    }

    /// The lines of the run, with ranks from 1. `tag` names the system.
    pub fn to_text(&self, tag: &str) -> String {
        let mut text = String::new();
        for Retrieved { query, documents } in &self.queries {
            for (rank, (document, score)) in (1_usize..).zip(documents) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{query} Q0 {document} {rank} {score} {tag}");
            }
        }
        text
    }

    /// What was retrieved for `query`.
    pub fn query(&self, query: &str) -> Option<&Retrieved<'a>> {
        let found = self.queries.binary_search_by(|one| one.query.cmp(query));
        found.ok().map(|index| &self.queries[index])
    }
}

impl<'a> Qrels<'a> {
    /// Reads judgements, in four columns or in three with or without a
    /// heading. A grade is a whole number; below 0 it means "not judged".
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut groups = Groups::default();
        for (line, fields) in lines(bytes)? {
            let ([query, _, document, grade] | [query, document, grade]) = *fields.as_slice()
            else {
                let (found, expected) = (fields.len(), 4);
                return Err(Error::TrecFields { line, kind: "judgements", found, expected });
            };
            match grade.parse::<i32>() {
                Ok(grade) => groups.push(query, (document, grade)),
                Err(_) if groups.lists.is_empty() && fields.len() == 3 && grade == "score" => {}
                Err(_) => return Err(no_number(line, "grade", grade)),
            }
        }
        let mut queries = Vec::with_capacity(groups.lists.len());
        for (query, mut documents) in groups.lists {
            documents.sort_by(|a, b| a.0.cmp(b.0));
            refuse_twins(query, documents.iter().map(|(name, _)| *name))?;
            queries.push(Judged { query, documents });
        }
        queries.sort_by(|a, b| a.query.cmp(b.query));
        Ok(Self { queries })
    }

    /// The judgements in four columns.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Judged { query, documents } in &self.queries {
            for (document, grade) in documents {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{query} 0 {document} {grade}");
            }
        }
        text
    }

    /// What was judged for `query`.
    pub fn query(&self, query: &str) -> Option<&Judged<'a>> {
        let found = self.queries.binary_search_by(|one| one.query.cmp(query));
        found.ok().map(|index| &self.queries[index])
    }
}

/// Entries by query, queries in the order of their first line.
struct Groups<'a, T> {
    lists: Vec<(&'a str, Vec<T>)>,
    place: HashMap<&'a str, usize>,
    last: usize,
}

impl<T> Default for Groups<'_, T> {
    fn default() -> Self {
        Self { lists: Vec::new(), place: HashMap::new(), last: 0 }
    }
}

impl<'a, T> Groups<'a, T> {
    fn push(&mut self, query: &'a str, entry: T) {
        // Lines of one query mostly stand together.
        if self.lists.get(self.last).is_none_or(|(name, _)| *name != query) {
            self.last = *self.place.entry(query).or_insert(self.lists.len());
            if self.last == self.lists.len() {
                self.lists.push((query, Vec::new()));
            }
        }
        self.lists[self.last].1.push(entry);
    }
}

/// Number from 1 and fields of each line that is not empty.
fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (u64, Vec<&str>)>, Error> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to() as u64;
        Error::NotUtf8 { field: "the text".to_owned(), offset }
    })?;
    let fields = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    Ok((1..).zip(fields).filter(|(_, fields)| !fields.is_empty()))
}

fn exactly<'a, const N: usize>(
    line: u64,
    fields: Vec<&'a str>,
    kind: &'static str,
) -> Result<[&'a str; N], Error> {
    fields.try_into().map_err(|fields: Vec<&str>| Error::TrecFields {
        line,
        kind,
        found: fields.len(),
        expected: N,
    })
}

fn no_number(line: u64, field: &'static str, value: &str) -> Error {
    Error::TrecNumber { line, field, value: value.to_owned() }
}

/// Fails if a name occurs twice in a list that is sorted.
fn refuse_twins<'a>(query: &str, sorted: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut before = None;
    for name in sorted {
        if before == Some(name) {
            let (query, document) = (query.to_owned(), name.to_owned());
            return Err(Error::TrecTwice { query, document });
        }
        before = Some(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_later_name_and_the_rank_column_is_ignored() {
        let text =
            b"q2 Q0 d1 1 0.5 x\nq1 Q0 a 1 1.0 x\nq1 Q0 c 3 1.00000001 x\nq1\tQ0\tb 2 2 x\n\n";
        let run = Run::parse(text).unwrap();
        let names: Vec<&str> = run.queries.iter().map(|query| query.query).collect();
        assert_eq!(names, ["q1", "q2"]);
        let order: Vec<&str> = run.queries[0].documents.iter().map(|(name, _)| *name).collect();
        // 1.00000001 is 1 as an `f32`: a tie with `a`.
        assert_eq!(order, ["b", "c", "a"]);
        assert_eq!(run.query("q2").unwrap().documents, [("d1", 0.5)]);
        assert_eq!(run.query("q3"), None);
    }

    #[test]
    fn judgements_are_read_in_three_and_four_columns() {
        let four = Qrels::parse(b"q1 0 d2 1\nq1 0 d1 -1\n").unwrap();
        let three = Qrels::parse(b"query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t-1\n").unwrap();
        assert_eq!(four, three);
        assert_eq!(four.query("q1").unwrap().grade("d1"), Some(-1));
        assert_eq!(four.query("q1").unwrap().grade("d3"), None);
    }

    #[track_caller]
    fn check_run(text: &str, want: &str) {
        assert_eq!(Run::parse(text.as_bytes()).unwrap_err().to_string(), want);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        check_run("q1 Q0 d1 1 0.5", "line 1 of a run has 5 fields, but 6 are needed");
        check_run("\nq1 Q0 d1 1 nan x", "line 2: the score is `nan`, which is not a number");
        check_run("q1 Q0 d1 1 x x", "line 1: the score is `x`, which is not a number");
        check_run("q1 Q0 d1 1 2 x\nq1 Q0 d1 2 1 x", "query `q1` has the document `d1` twice");
        let grade = Qrels::parse(b"q1 0 d1 yes").unwrap_err();
        assert_eq!(grade.to_string(), "line 1: the grade is `yes`, which is not a number");
        assert!(matches!(Qrels::parse(b"q1 0 d1"), Err(Error::TrecNumber { .. })));
        assert!(matches!(Qrels::parse(b"q1"), Err(Error::TrecFields { found: 1, .. })));
        assert!(matches!(Run::parse(b"q1 \xff"), Err(Error::NotUtf8 { offset: 3, .. })));
    }

    proptest! {
        #[test]
        fn outside_text_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Run::parse(&bytes), Qrels::parse(&bytes));
        }

        #[test]
        fn what_is_written_is_read_again(
            entries in prop::collection::btree_map(("q[0-3]", "d[a-f]"), -2_i32..4, 0..20),
        ) {
            let (mut run, mut qrels) = (String::new(), String::new());
            for ((query, document), grade) in &entries {
                run += &format!("{query} Q0 {document} 0 {} tag\n", f64::from(*grade) / 3.0);
                qrels += &format!("{query} 0 {document} {grade}\n");
            }
            let run = Run::parse(run.as_bytes()).unwrap();
            let text = run.to_text("tag");
            prop_assert_eq!(&run, &Run::parse(text.as_bytes()).unwrap());
            let qrels = Qrels::parse(qrels.as_bytes()).unwrap();
            let text = qrels.to_text();
            prop_assert_eq!(&qrels, &Qrels::parse(text.as_bytes()).unwrap());
        }
    }
}
