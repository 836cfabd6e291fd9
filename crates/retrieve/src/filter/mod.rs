//! Which documents a search is about: `path ~ "guide/" and date >= 2024-01-01`.
//!
//! ```text
//! filter     = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" filter ")" | comparison
//! comparison = key ( "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">=" ) value
//! ```
//!
//! A key is `path`, `uri`, `kind`, `title`, `size` (bytes), `modified` (a
//! date), or any key of the metadata, that of the address before that of the
//! document. `path` is the address without `file://` and with `%20` and the
//! like resolved. A key with other signs than letters, digits, `_`, `-` and
//! `.` is put in quotes.
//!
//! A value in quotes is text. A bare one is a number if it reads as one, a date
//! if it is `2024-05`, `2024-05-31` or `2024-05-31T18:00:00Z`, and text
//! otherwise. Numbers compare with numbers and dates with dates, as far as the
//! filter's date goes: `date <= 2024-05` holds until the end of May. A year is
//! a number that also compares with dates. Text compares without regard to
//! case; `~` asks whether it is contained.
//!
//! A comparison with a key that is missing, or whose value is of another type,
//! is false, also with `!=` and `!~`.

mod date;
mod parse;

use plumb_store::{Binding, DocumentInfo};

use date::Date;
pub use parse::FilterError;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare { key: String, operator: Operator, value: Value },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    ContainsNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    /// In lower case.
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Number(f64),
    Date(Date),
}

/// What a filter can ask about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) binding: &'a Binding,
    pub(crate) document: &'a DocumentInfo,
}

impl Filter {
    /// Reads a filter, or says where it stops making sense.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self { root: parse::parse(text)? })
    }

    /// Whether a document found at an address passes.
    pub fn matches(&self, binding: &Binding, document: &DocumentInfo) -> bool {
        self.root.holds(&Facts { binding, document })
    }

    pub(crate) fn admits(&self, facts: &Facts<'_>) -> bool {
        self.root.holds(facts)
    }
}

impl Node {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(facts)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(facts)),
            Self::Not(node) => !node.holds(facts),
            Self::Compare { key, operator, value } => {
                facts.get(key).is_some_and(|stored| value.compare(*operator, &stored))
            }
        }
    }
}

impl Facts<'_> {
    fn get(&self, key: &str) -> Option<String> {
        Some(match key {
            "path" => path(&self.binding.uri),
            "uri" => self.binding.uri.clone(),
            "kind" => self.document.kind.clone(),
            "title" => self.document.title.clone(),
            "size" => self.binding.size.to_string(),
            "modified" if self.binding.mtime == 0 => return None,
            "modified" => Date::of_nanoseconds(self.binding.mtime).to_string(),
            _ => {
                let metadata = [&self.binding.metadata, &self.document.metadata];
                metadata.into_iter().find_map(|map| map.get(key))?.clone()
            }
        })
    }
}

/// The address as a person would write the path.
fn path(uri: &str) -> String {
    let encoded = uri.strip_prefix("file://").unwrap_or(uri).as_bytes();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Value {
    fn quoted(text: &str) -> Self {
        Self { text: text.to_lowercase(), kind: Kind::Text }
    }

    fn bare(text: &str) -> Self {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.filter(|_| text.bytes().any(|byte| byte.is_ascii_digit()));
        let kind = match (number, Date::parse(text)) {
            (Some(number), _) => Kind::Number(number),
            (None, Some(date)) => Kind::Date(date),
            (None, None) => Kind::Text,
        };
        Self { text: text.to_lowercase(), kind }
    }

    fn compare(&self, operator: Operator, stored: &str) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};

        let contains = || stored.to_lowercase().contains(&self.text);
        match operator {
            Operator::Contains => return contains(),
            Operator::ContainsNot => return !contains(),
            _ => {}
        }
        let Some(order) = self.order(stored) else { return false };
        match operator {
            Operator::Equal => order == Equal,
            Operator::NotEqual => order != Equal,
            Operator::Less => order == Less,
            Operator::LessOrEqual => order != Greater,
            Operator::Greater => order == Greater,
            Operator::GreaterOrEqual => order != Less,
            Operator::Contains | Operator::ContainsNot => false,
        }
    }

    /// How `stored` compares with this value; `None` if it is of another type.
    fn order(&self, stored: &str) -> Option<std::cmp::Ordering> {
        match self.kind {
            Kind::Text => Some(stored.to_lowercase().cmp(&self.text)),
            Kind::Date(date) => Date::parse(stored.trim())?.compare(date),
            Kind::Number(number) => match stored.trim().parse::<f64>() {
                Ok(stored) => stored.partial_cmp(&number),
                Err(_) => Date::parse(stored.trim())?.compare(Date::year(&self.text)?),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plumb_store::DocId;

    use super::*;

    #[track_caller]
    fn check(filter: &str, want: bool) {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let binding = Binding {
            uri: "file:///srv/my%20notes/guide/Intro.md".to_owned(),
            document: DocId([0; 32]),
            mtime: 1_717_200_000_000_000_000,
            size: 2048,
            metadata: map(&[("tag", "draft"), ("version", "3")]),
        };
        let document = DocumentInfo {
            sha256: [0; 32],
            kind: "pdf".to_owned(),
            title: "An Introduction".to_owned(),
            is_original: true,
            metadata: map(&[
                ("tag", "hidden"),
                ("date", "2024-05-31T18:30:00+02:00"),
                ("odd key", "x"),
                ("author", "Ålund"),
            ]),
        };
        assert_eq!(Filter::parse(filter).unwrap().matches(&binding, &document), want, "{filter}");
    }

    #[test]
    fn paths_are_compared_as_people_write_them() {
        check(r#"path ~ "my notes/guide/""#, true);
        check("path = /srv/my%20notes/guide/intro.md", false);
        check("path ~ guide/INTRO", true);
        check(r#"uri ~ "my%20notes""#, true);
        check(r#"path !~ "guide""#, false);
    }

    #[test]
    fn types_decide_how_values_compare() {
        check("kind = PDF", true);
        check("kind != docx", true);
        check("size > 999", true);
        check(r#"size > "999""#, false);
        check("version >= 3.0", true);
        check("version = 03", true);
        check(r#"version = "03""#, false);
        check("title > 5", false);
        check("author ~ åL", true);
    }

    #[test]
    fn dates_compare_as_far_as_the_filter_says() {
        check("date >= 2024-01-01", true);
        check("date = 2024-05-31", true);
        check("date <= 2024-05", true);
        check("date > 2024-05", false);
        check("date >= 2024", true);
        check("date < 2024", false);
        check("date = 2024-05-31T16:30:00Z", true);
        check("date < 2024-05-31T16:30:01Z", true);
        check("modified = 2024-06-01", true);
        check("title >= 2024-01-01", false);
    }

    #[test]
    fn words_join_as_usual() {
        check("kind = pdf and tag = draft or kind = x", true);
        check("kind = x or kind = pdf and tag = draft", true);
        check("kind = x and (kind = pdf or tag = draft)", false);
        check("not kind = x and not (tag = hidden)", true);
        check("not not kind = pdf", true);
        check("NOT kind = x AND kind = pdf", true);
    }

    #[test]
    fn a_missing_key_is_never_true() {
        check("colour = red", false);
        check("colour != red", false);
        check("colour !~ red", false);
        check("not colour = red", true);
        check(r#""odd key" = x"#, true);
    }
}
