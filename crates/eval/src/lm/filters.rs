//! Rules that extract an answer from generated text.

use std::collections::HashMap;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use crate::Error;

/// One step.
#[derive(Clone, Debug)]
enum Step {
    Regex { regex: Regex, group_select: i64, fallback: String },
    Strip,
    Lowercase,
    Uppercase,
    Map { by: Map<String, Value>, otherwise: Value },
    First,
    FirstK(usize),
    Majority,
}

/// Steps under a name; a task may extract answers in several ways.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    /// `none` if the task names no filters.
    pub(super) name: String,
    steps: Vec<Step>,
}

impl Pipeline {
    /// Reads `filter_list`.
    pub(super) fn parse_all(list: Option<Vec<Value>>) -> Result<Vec<Self>, Error> {
        let Some(list) = list else {
            return Ok(vec![Self { name: "none".to_owned(), steps: vec![Step::First] }]);
        };
        list.iter().map(Self::parse).collect()
    }

    fn parse(value: &Value) -> Result<Self, Error> {
        let name = value.get("name").and_then(Value::as_str);
        let steps = value.get("filter").and_then(Value::as_array);
        let (Some(name), Some(steps)) = (name, steps) else {
            let message = "a filter needs a `name` and a list `filter`".to_owned();
            return Err(Error::Task { message });
        };
        let steps = steps.iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), steps })
    }

    /// The answers that `responses` of one document come to.
    pub(super) fn apply(&self, responses: &[String]) -> Result<Vec<String>, Error> {
        let mut answers = responses.to_vec();
        for step in &self.steps {
            answers = step.apply(answers)?;
        }
        Ok(answers)
    }
}

fn step(value: &Value) -> Result<Step, Error> {
    let wrong = |message: String| Error::Task { message };
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let function = text("function").unwrap_or_default();
    Ok(match function {
        "regex" => {
            let pattern = text("regex_pattern").unwrap_or(r"#### (\-?[0-9\.\,]+)");
            Step::Regex {
                regex: Regex::new(pattern).map_err(|e| wrong(format!("`{pattern}`: {e}")))?,
                group_select: value.get("group_select").and_then(Value::as_i64).unwrap_or(0),
                fallback: text("fallback").unwrap_or("[invalid]").to_owned(),
            }
        }
        "remove_whitespace" => Step::Strip,
        "lowercase" => Step::Lowercase,
        "uppercase" => Step::Uppercase,
        "map" => {
            let by = value.get("mapping_dict").and_then(Value::as_object).cloned();
            let otherwise = value.get("default_value").cloned().unwrap_or(Value::Null);
            Step::Map { by: by.unwrap_or_default(), otherwise }
        }
        "take_first" => Step::First,
        "take_first_k" => {
            let k = value.get("k").and_then(Value::as_u64).unwrap_or(0);
            Step::FirstK(usize::try_from(k).unwrap_or(usize::MAX))
        }
        "majority_vote" => Step::Majority,
        other => return Err(wrong(format!("the filter `{other}` is not known"))),
    })
}

impl Step {
    fn apply(&self, answers: Vec<String>) -> Result<Vec<String>, Error> {
        let each = |change: &dyn Fn(&str) -> String| answers.iter().map(|a| change(a)).collect();
        Ok(match self {
            Self::Strip => each(&|text| text.trim().to_owned()),
            Self::Lowercase => each(&str::to_lowercase),
            Self::Uppercase => each(&str::to_uppercase),
            Self::Map { by, otherwise } => each(&|text| plain(by.get(text).unwrap_or(otherwise))),
            Self::First => answers.into_iter().take(1).collect(),
            Self::FirstK(k) => answers.into_iter().take(*k).collect(),
            Self::Majority => vec![majority(&answers)],
            Self::Regex { regex, group_select, fallback } => answers
                .iter()
                .map(|text| Ok(matched(regex, text, *group_select)?.unwrap_or(fallback.clone())))
                .collect::<Result<_, Error>>()?,
        })
    }
}

/// A mapped value as it would be compared.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

/// The answer given most often, of equals the first.
fn majority(answers: &[String]) -> String {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for answer in answers {
        *counts.entry(answer).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    let first = answers.iter().find(|answer| counts[answer.as_str()] == most);
    first.cloned().unwrap_or_default()
}

/// Match number `select` (from the end if below 0) as Python's `findall` gives
/// it: the whole match, or of its groups the first that holds something.
fn matched(regex: &Regex, text: &str, select: i64) -> Result<Option<String>, Error> {
    let failed = |error: fancy_regex::Error| Error::Task { message: error.to_string() };
    let found = regex.captures_iter(text).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let place = if select < 0 {
        found.len().checked_sub(usize::try_from(-select).unwrap_or(usize::MAX))
    } else {
        usize::try_from(select).ok()
    };
    let Some(captures) = place.and_then(|place| found.get(place)) else { return Ok(None) };
    let groups = captures.len() - 1;
    let text = |group: usize| captures.get(group).map_or("", |found| found.as_str());
    let chosen = match groups {
        0 => Some(text(0)),
        1 => Some(text(1)),
        _ => (1..=groups).map(text).find(|text| !text.is_empty()),
    };
    Ok(chosen.map(|text| text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(filter: &Value, responses: &[&str], want: &[&str]) {
        let list = json!([{"name": "x", "filter": filter}]);
        let pipelines = Pipeline::parse_all(list.as_array().cloned()).unwrap();
        let responses: Vec<String> = responses.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(pipelines[0].apply(&responses).unwrap(), want);
    }

    #[test]
    fn numbers_are_extracted_as_by_findall() {
        let pattern = "(-?[$0-9.,]{2,})|(-?[0-9]+)";
        let last = json!([{"function": "regex", "regex_pattern": pattern, "group_select": -1}]);
        check(&last, &["first 12, then 7 apples"], &["7"]);
        check(&last, &["nothing"], &["[invalid]"]);
        let strict = json!([{"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"}]);
        check(&strict, &["so\n#### 42 apples", "42"], &["42", "[invalid]"]);
        let whole = json!([{"function": "regex", "regex_pattern": " [a-c] ", "fallback": "?"}]);
        check(&whole, &["it is b or c "], &["b"]);
    }

    #[test]
    fn steps_follow_each_other() {
        let vote = json!([
            {"function": "lowercase"}, {"function": "remove_whitespace"},
            {"function": "majority_vote"}, {"function": "take_first"},
        ]);
        check(&vote, &["A ", "b", "B", "a", "c"], &["a"]);
        let map = json!([{"function": "map", "mapping_dict": {"yes": "1"}, "default_value": "0"}]);
        check(&map, &["yes", "no"], &["1", "0"]);
        check(&json!([{"function": "take_first_k", "k": 2}]), &["a", "b", "c"], &["a", "b"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for filter in [
            json!([{"function": "nonsense"}]),
            json!([{"function": "regex", "regex_pattern": "("}]),
        ] {
            let list = json!([{"name": "x", "filter": filter}]);
            assert!(Pipeline::parse_all(list.as_array().cloned()).is_err());
        }
    }
}
