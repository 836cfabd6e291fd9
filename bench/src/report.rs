//! Tables for readers and objects for programs, in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// A Markdown table: one row of headings, then rows of as many cells.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let rules = vec!["---".to_owned(); headings.len()];
    let rows = rows.iter().map(|cells| row(cells));
    std::iter::once(row(&headings)).chain([row(&rules)]).chain(rows).collect()
}

/// Writes `name.md` and `name.json` and says where.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    page: &str,
    object: &Value,
) -> anyhow::Result<String> {
    let place = |extension: &str| -> PathBuf { folder.join(format!("{name}.{extension}")) };
    let context = || format!("cannot write `{name}` to `{}`", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    fs::write(place("md"), page).with_context(context)?;
    let object = serde_json::to_string_pretty(object)?;
    fs::write(place("json"), object + "\n").with_context(context)?;
    Ok(format!("written to {} and .json beside it", place("md").display()))
}

/// Prints what was found.
#[expect(clippy::print_stdout, reason = "this program reports to the terminal")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_rule_below_its_headings() {
        let rows = [vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["a", "b"], &rows), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
