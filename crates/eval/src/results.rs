//! Reading what `plumb eval` printed as JSON: values by measure and item.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;
use crate::compare::Values;

/// Fields that hold a value an item, whatever the items are.
const PER_ITEM: [&str; 3] = ["per_query", "per_item", "segments"];

/// The values by item of each measure in printed results. Measures without
/// them are passed over; if none has them, that is an error. Items of a list
/// are named by their place, from 1.
pub fn parse_results(text: &str) -> Result<BTreeMap<String, Values>, Error> {
    let results: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|source| Error::NotResults { source })?;
    let mut found = BTreeMap::new();
    for (name, result) in &results {
        if let Some(values) = values_of(name, result)? {
            found.insert(name.clone(), values);
        }
    }
    if found.is_empty() {
        return Err(Error::NoItems);
    }
    Ok(found)
}

/// The values by item of one result, if it has them.
pub(crate) fn values_of(name: &str, result: &Value) -> Result<Option<Values>, Error> {
    let items = PER_ITEM.iter().find_map(|field| result.get(field));
    items.map(|items| values(name, items)).transpose()
}

fn values(name: &str, items: &Value) -> Result<Values, Error> {
    let one = |item: String, value: &Value| match value {
        Value::Null => Ok((item, None)),
        value => match value.as_f64() {
            Some(number) => Ok((item, Some(number))),
            None => Err(Error::NotANumber { name: name.to_owned(), item }),
        },
    };
    match items {
        Value::Object(items) => {
            items.iter().map(|(item, value)| one(item.clone(), value)).collect()
        }
        Value::Array(items) => {
            (1_usize..).zip(items).map(|(place, value)| one(place.to_string(), value)).collect()
        }
        _ => Err(Error::NotANumber { name: name.to_owned(), item: "all".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_lists_are_read_and_null_is_unscored() {
        let text = r#"{"map": {"value": 0.5, "per_query": {"q1": 0.5, "q2": null}},
            "bleu": {"segments": [1, 2.5]}, "old": {"value": 3}}"#;
        let found = parse_results(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found["map"]["q2"], None);
        assert_eq!(found["bleu"]["2"], Some(2.5));
    }

    #[test]
    fn results_without_items_are_refused() {
        assert!(matches!(parse_results(r#"{"map": {"value": 1}}"#), Err(Error::NoItems)));
        assert!(matches!(parse_results("[]"), Err(Error::NotResults { .. })));
        let text = r#"{"map": {"per_item": {"a": "x"}}}"#;
        assert!(matches!(parse_results(text), Err(Error::NotANumber { .. })));
    }
}
