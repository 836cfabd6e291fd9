//! A change of settings: as it is asked for, and as it stands in `plumb.toml`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_retrieve::Mode;

use super::Choice;
use crate::context::Context;
use crate::project::Project;

/// `present` with what each of `changes`, KEY=VALUE, says.
pub(super) fn changed(present: Choice, changes: &[String]) -> Result<Choice> {
    let mut choice = present;
    for change in changes {
        let Some((key, value)) = change.split_once('=') else {
            bail!("`{change}` is no KEY=VALUE");
        };
        let failed = || format!("`{value}` is no value of `{key}`");
        match key.trim() {
            "dense_weight" => choice.dense_weight = value.parse().with_context(failed)?,
            "max_tokens" => choice.chunking.max_tokens = value.parse().with_context(failed)?,
            "headings" => choice.chunking.headings = value.parse().with_context(failed)?,
            other => bail!("`{other}` cannot be set: dense_weight, max_tokens and headings can"),
        }
    }
    if !(0.0..=1.0).contains(&choice.dense_weight) {
        bail!("`dense_weight` is {}; it must be in 0.0..=1.0", choice.dense_weight);
    }
    if choice == present {
        bail!("that is how the project is set already");
    }
    Ok(choice)
}

/// Lines of `plumb.toml` that make `present` to `choice`: section, key and value.
pub(super) fn lines(present: Choice, choice: Choice) -> Vec<(&'static str, &'static str, String)> {
    let mut lines = Vec::new();
    if choice.dense_weight.to_bits() != present.dense_weight.to_bits() {
        lines.push(("retrieval", "dense_weight", format!("{:?}", choice.dense_weight)));
    }
    let (old, new) = (present.chunking, choice.chunking);
    if new.max_tokens != old.max_tokens {
        lines.push(("chunks", "max_tokens", new.max_tokens.to_string()));
    }
    if new.headings != old.headings {
        lines.push(("chunks", "headings", new.headings.to_string()));
    }
    lines
}

/// Writes them, and gives the file that they stand in.
pub(super) fn write(
    project: &Project,
    present: Choice,
    choice: Choice,
    context: &Context,
) -> Result<String> {
    let in_project = || project.root.join("plumb.toml");
    let path: PathBuf = context.config_path.clone().unwrap_or_else(in_project);
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
    };
    for (section, key, value) in lines(present, choice) {
        text = with_line(&text, section, key, &value);
    }
    // A weight is used by fused search alone.
    if !matches!(project.config.mode, Mode::Fused(_))
        && choice.dense_weight.to_bits() != present.dense_weight.to_bits()
    {
        text = with_line(&text, "retrieval", "mode", "\"fused\"");
    }
    replace(&path, &text).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path.display().to_string())
}

/// Puts `text` in the place of a file at once: whoever is interrupted, or reads
/// meanwhile, has the old settings or the new ones.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let unfinished = path.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::File::create(&unfinished)?;
        if let Ok(old) = std::fs::metadata(&path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// `text` with `key = value` in `section`: in the place of the key, also of one that is
/// commented out, or below the head of the section, or at the end.
fn with_line(text: &str, section: &str, key: &str, value: &str) -> String {
    let head = format!("[{section}]");
    let line = format!("{key} = {value}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(start) = lines.iter().position(|line| line.trim() == head) else {
        lines.extend([String::new(), head, line]);
        return lines.join("\n").trim_start().to_owned() + "\n";
    };
    let rest = lines[start + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let end = rest.map_or(lines.len(), |rest| start + 1 + rest);
    let is_key = |line: &String, commented: bool| {
        let line = line.trim_start();
        let bare = if commented { line.strip_prefix('#').unwrap_or("") } else { line };
        bare.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let among = &lines[start + 1..end];
    let place = among.iter().position(|line| is_key(line, false));
    let place = place.or_else(|| among.iter().position(|line| is_key(line, true)));
    match place {
        Some(place) => lines[start + 1 + place] = line,
        None => lines.insert(start + 1, line),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use plumb_index::Chunking;

    const PRESENT: Choice =
        Choice { dense_weight: 0.6, chunking: Chunking { max_tokens: 200, headings: true } };

    #[test]
    fn a_change_is_read_and_what_is_none_is_named() {
        let set = |change: &str| changed(PRESENT, &[change.to_owned()]);
        assert_eq!(set("max_tokens=100").unwrap().chunking.max_tokens, 100);
        assert!(!set("headings=false").unwrap().chunking.headings);
        for (change, want) in [
            ("dense_weight", "`dense_weight` is no KEY=VALUE"),
            ("dense_weight=2", "`dense_weight` is 2; it must be in 0.0..=1.0"),
            ("top_k=2", "`top_k` cannot be set: dense_weight, max_tokens and headings can"),
            ("headings=maybe", "`maybe` is no value of `headings`"),
            ("max_tokens=200", "that is how the project is set already"),
        ] {
            assert_eq!(set(change).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn a_key_takes_the_place_that_it_has() {
        let text = "name = \"a\"\n\n[chunks]\n# max_tokens = 200   # longest\n\n[retrieval]\ndense_weight = 0.6\n";
        let found = with_line(text, "chunks", "max_tokens", "100");
        assert_eq!(found, text.replace("# max_tokens = 200   # longest", "max_tokens = 100"));
        let found = with_line(text, "retrieval", "dense_weight", "0.3");
        assert_eq!(found, text.replace("0.6", "0.3"));
        let found = with_line(text, "chunks", "headings", "false");
        assert!(found.contains("[chunks]\nheadings = false\n# max_tokens"), "{found}");
        assert_eq!(with_line("", "chunks", "headings", "false"), "[chunks]\nheadings = false\n");
        assert!(
            with_line(text, "answer", "threshold", "1.0").ends_with("[answer]\nthreshold = 1.0\n")
        );
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_link_to_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("plumb.toml"), folder.path().join("link.toml"));
        std::fs::write(&path, "a = 1\n").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, "a = 2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        replace(&folder.path().join("new.toml"), "a = 3\n").unwrap();
        assert!(replace(&folder.path().join("none/plumb.toml"), "").is_err());
    }

    #[test]
    fn only_what_changes_is_written() {
        let choice =
            Choice { chunking: Chunking { max_tokens: 100, ..PRESENT.chunking }, ..PRESENT };
        assert_eq!(lines(PRESENT, choice), [("chunks", "max_tokens", "100".to_owned())]);
        let choice = Choice { dense_weight: 0.3, ..PRESENT };
        assert_eq!(lines(PRESENT, choice), [("retrieval", "dense_weight", "0.3".to_owned())]);
    }
}
