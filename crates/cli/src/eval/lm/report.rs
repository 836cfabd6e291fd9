//! What a model reached, as JSON and as a table.

use std::collections::BTreeMap;

use anyhow::Result;
use plumb_eval::compare::{Values, Verdict, compare_systems};
use plumb_eval::lm::{Cache, Evaluated, Task};
use serde_json::{Map, Value, json};

use super::{LmArgs, Outcome};
use crate::context::Context;
use crate::eval::scores;

/// The scores by name, without items.
pub(super) fn results(
    found: &Evaluated,
    task: &Task,
    args: &LmArgs,
    cache: &Cache,
) -> Map<String, Value> {
    let signature = |name: &str| {
        let drawn =
            if task.shots > 0 { format!("|seed:{}", args.fewshot_seed) } else { String::new() };
        format!(
            "{name}|task:{}|shots:{}{drawn}|plumb:{}",
            task.name,
            task.shots,
            env!("CARGO_PKG_VERSION")
        )
    };
    let named = found.scores.iter();
    let named = named.map(|(name, score)| (name.clone(), scores::as_json(score, &signature(name))));
    let mut results: Map<String, Value> = named.collect();
    results.insert("cache".to_owned(), json!(cache.used));
    results
}

/// Prints all outcomes; the first is the task's own prompt.
pub(super) fn print(
    args: &LmArgs,
    context: &Context,
    outcomes: &[Outcome],
    cache: &Cache,
) -> Result<()> {
    let Some(base) = outcomes.first() else { return Ok(()) };
    let sensitivity = sensitivity(args, outcomes)?;
    if context.json {
        let mut object = results(&base.found, &base.task, args, cache);
        if args.per_item {
            add_items(&mut object, &base.found);
        }
        if outcomes.len() > 1 {
            let of = |one: &Outcome| {
                let mut results = results(&one.found, &one.task, args, cache);
                results.remove("cache");
                (one.name.clone(), Value::Object(results))
            };
            object.insert("variants".to_owned(), outcomes.iter().skip(1).map(of).collect());
            object.insert("sensitivity".to_owned(), Value::Object(sensitivity));
        }
        return context.print_json(&Value::Object(object));
    }
    for outcome in outcomes {
        if outcomes.len() > 1 {
            context.say(format!("prompt `{}`", outcome.name))?;
        }
        let named = outcome.found.scores.iter().map(|(name, score)| (name.as_str(), score));
        scores::print_table(context, named)?;
    }
    for (name, spread) in &sensitivity {
        let number = |field: &str| spread[field].as_f64().unwrap_or_default();
        context.say(format!(
            "{name}: {:.4} to {:.4} over {} prompts, {} of them different from the task's",
            number("lowest"),
            number("highest"),
            spread["prompts"],
            spread["different"]
        ))?;
    }
    if args.per_item {
        for item in &base.found.items {
            context.say(format!("{} {}", item.id, json!(item.scores)))?;
        }
    }
    let used = cache.used;
    context.note(format!(
        "{} answers computed, {} from before, {} of these computed again and equal",
        used.misses, used.hits, used.audited
    ));
    Ok(())
}

fn add_items(object: &mut Map<String, Value>, found: &Evaluated) {
    for item in &found.items {
        for (name, score) in &item.scores {
            if let Some(result) = object.get_mut(name) {
                result["per_item"][&item.id] = json!(score);
            }
        }
    }
}

/// Of each measure how far it moves with the prompt, and how many prompts
/// differ from the task's own beyond chance.
fn sensitivity(args: &LmArgs, outcomes: &[Outcome]) -> Result<Map<String, Value>> {
    let mut spread = Map::new();
    let [base, others @ ..] = outcomes else { return Ok(spread) };
    if others.is_empty() || base.found.items.len() < 2 {
        return Ok(spread);
    }
    let mut different: BTreeMap<String, usize> = BTreeMap::new();
    for other in others {
        let how = args.sampling.resampling();
        for one in compare_systems(&by_measure(&base.found), &by_measure(&other.found), &how)? {
            let count = usize::from(one.verdict != Verdict::Undecided);
            *different.entry(one.name).or_default() += count;
        }
    }
    for (name, score) in &base.found.scores {
        let of = |outcome: &Outcome| {
            let found = outcome.found.scores.iter().find(|(known, _)| known == name);
            found.map(|(_, score)| score.value)
        };
        let values: Vec<f64> = outcomes.iter().filter_map(of).collect();
        let lowest = values.iter().copied().fold(score.value, f64::min);
        let highest = values.iter().copied().fold(score.value, f64::max);
        let different = different.get(name).copied().unwrap_or(0);
        spread.insert(
            name.clone(),
            json!({
                "lowest": lowest, "highest": highest, "prompts": values.len(),
                "different": different,
            }),
        );
    }
    Ok(spread)
}

fn by_measure(found: &Evaluated) -> BTreeMap<String, Values> {
    let mut measures: BTreeMap<String, Values> = BTreeMap::new();
    for item in &found.items {
        for (name, score) in &item.scores {
            measures.entry(name.clone()).or_default().insert(item.id.clone(), *score);
        }
    }
    measures
}
