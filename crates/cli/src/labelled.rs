//! Questions with the pages that answer them.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::session::Session;

/// One line of a list of questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    pub id: String,
    #[serde(rename = "question")]
    pub text: String,
    /// Paths or addresses of the right pages, or ends of them; empty if no
    /// document answers the question.
    pub pages: Vec<String>,
    /// What sort of question it is, in a set that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Addresses that are left out when it is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hides: Vec<String>,
}

impl Labelled {
    /// True if `uri` is one of the right pages: it ends in its path.
    pub fn is_answered_by(&self, uri: &str) -> bool {
        self.pages.iter().any(|page| {
            uri.strip_suffix(page.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('/'))
        })
    }
}

/// Reads a list: one JSON object a line, further fields left alone.
pub fn parse(text: &str) -> Result<Vec<Labelled>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("line {number}"))
    };
    let questions: Vec<Labelled> = lines.map(parse).collect::<Result<_>>()?;
    if questions.is_empty() {
        bail!("it has no question");
    }
    Ok(questions)
}

/// What `ask` makes of each question in turn, while the documents that it hides
/// are left out.
pub fn ask_each<T>(
    session: &mut Session,
    questions: &[Labelled],
    context: &Context,
    mut ask: impl FnMut(&mut Session, &Labelled) -> Result<T>,
) -> Result<Vec<T>> {
    let bar = context.progress(questions.len() as u64, "{bar:30} {pos}/{len} questions");
    let mut all = Vec::new();
    for question in questions {
        session.leave_out(&question.hides)?;
        all.push(ask(session, question)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    session.leave_out(&[])?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_the_end_of_its_address() {
        let line = r#"{"id": "1", "question": "Why?", "pages": ["docs/a.md"], "heading": "A"}"#;
        let question = parse(line).unwrap().remove(0);
        assert!(question.is_answered_by("file:///x/docs/a.md"));
        assert!(question.is_answered_by("docs/a.md"));
        assert!(!question.is_answered_by("file:///x/mydocs/a.md"));
        assert!(!Labelled { pages: Vec::new(), ..question }.is_answered_by("docs/a.md"));
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        let error = parse("{\"id\": \"1\"}").unwrap_err();
        assert!(error.to_string().starts_with("line 1"), "{error:#}");
        assert!(parse("\n").is_err());
    }
}
