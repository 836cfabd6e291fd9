//! `plumb snapshots`: the states that the index has been in.

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::project::Project;

pub fn run(context: &Context) -> Result<Exit> {
    let project = Project::find(context)?;
    let list = project.reader()?.snapshots();
    if context.json {
        let list: Vec<_> = list
            .iter()
            .map(|info| {
                json!({
                    "id": info.id.to_string(),
                    "sequence": info.sequence,
                    "documents": info.documents,
                    "passages": info.passages,
                    "bytes": info.bytes,
                })
            })
            .collect();
        context.print_json(&list)?;
        return Ok(Exit::Done);
    }
    for info in &list {
        let id = info.id.to_string();
        context.say(format!(
            "{:5}  {id:.12}  {:6} documents  {:7} passages  {:>11} bytes",
            info.sequence, info.documents, info.passages, info.bytes
        ))?;
    }
    Ok(Exit::Done)
}
