//! `plumb model`: the models of this machine.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Error, Import, Kind, Model, Models, catalogue};
use crate::context::Context;
use crate::exit::Exit;

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelVerb {
    /// List the models that can be had, and those that are here
    List,
    /// Show what is known of a model
    Show {
        /// A name of `plumb model list`, or a path
        name: String,
    },
    /// Download models and check their hashes
    Pull(PullArgs),
    /// Take in a GGUF file, or a Hugging Face folder of an embedder
    ///
    /// A generator must be a GGUF file. A Hugging Face folder, with config.json,
    /// tokenizer.json and safetensors, can be an embedder only.
    Import(ImportArgs),
    /// Print the tokens of a text and the logits of the token after it
    Logits(super::logits::LogitsArgs),
    /// Remove a model from this machine
    Rm {
        /// A name of `plumb model list`
        name: String,
    },
}

#[derive(clap::Args, Debug)]
pub struct PullArgs {
    /// Names of `plumb model list` [default: the default generator and embedder]
    names: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub struct ImportArgs {
    /// A GGUF file, or the Hugging Face folder of an embedder
    path: PathBuf,

    /// What to call it [default: the name of the file or folder]
    #[arg(long)]
    name: Option<String>,

    /// Leave the files where they are instead of copying them
    #[arg(long)]
    link: bool,
}

/// Runs the verb.
pub fn run(verb: &ModelVerb, context: &Context) -> Result<Exit> {
    let models = Models::open(&context.models)?;
    match verb {
        ModelVerb::List => list(context, &models)?,
        ModelVerb::Show { name } => show(context, &models, name)?,
        ModelVerb::Pull(args) => pull(context, &models, args)?,
        ModelVerb::Import(args) => import(context, &models, args)?,
        ModelVerb::Logits(args) => super::logits::run(args, context)?,
        ModelVerb::Rm { name } => {
            models.remove(name)?;
            if context.json {
                context.print_json(&json!({"removed": name}))?;
            } else {
                writeln!(io::stdout().lock(), "removed {name}")?;
            }
        }
    }
    Ok(Exit::Done)
}

fn list(context: &Context, models: &Models) -> Result<()> {
    let imported: Vec<_> = models
        .imported_names()
        .into_iter()
        .filter_map(|name| Some((models.imported(&name).ok()??, name)))
        .collect();
    if context.json {
        let mut all: Vec<Value> = models
            .catalogue
            .models
            .iter()
            .map(|model| facts(model, models.is_there(model)))
            .collect();
        all.extend(imported.iter().map(|(imported, name)| {
            let bytes: u64 = imported.files.iter().map(|file| file.bytes).sum();
            json!({"name": name, "kind": imported.kind, "bytes": bytes, "installed": true,
                   "imported": true, "default": false})
        }));
        return context.print_json(&json!({"models": all, "cache": models.cache}));
    }
    let mut out = io::stdout().lock();
    for kind in Kind::ALL {
        let is_one = |found: Kind| found == kind;
        if !models.catalogue.models.iter().any(|model| is_one(model.kind))
            && !imported.iter().any(|(imported, _)| is_one(imported.kind))
        {
            continue;
        }
        writeln!(out, "{}s:", kind.name())?;
        for model in models.catalogue.models.iter().filter(|model| model.kind == kind) {
            let here = if models.is_there(model) { "here" } else { "" };
            let (name, size) = (&model.name, megabytes(total_bytes(model)));
            writeln!(out, "  {name:<28} {size:>8}  {here:<4}  {}", model.summary)?;
        }
        for (imported, name) in imported.iter().filter(|(imported, _)| imported.kind == kind) {
            let size = megabytes(imported.files.iter().map(|file| file.bytes).sum());
            let origin = imported.origin.display();
            writeln!(out, "  {name:<28} {size:>8}  here  Imported from {origin}")?;
        }
    }
    Ok(())
}

fn total_bytes(model: &Model) -> u64 {
    model.files.iter().map(|file| file.bytes).sum()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// What the catalogue says of a model.
fn facts(model: &Model, is_installed: bool) -> Value {
    json!({
        "name": model.name,
        "kind": model.kind,
        "default": model.default,
        "summary": model.summary,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "context": model.context,
        "dimension": model.dimension,
        "license": model.licence,
        "bytes": total_bytes(model),
        "installed": is_installed,
        "imported": false,
    })
}

fn show(context: &Context, models: &Models, name: &str) -> Result<()> {
    let model = models.catalogue.find(name);
    let installed = match models.resolve(name) {
        Ok(installed) => Some(installed),
        Err(Error::NotInstalled { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let mut value = match model {
        Some(model) => facts(model, installed.is_some()),
        None => json!({"name": name, "installed": true, "license": null}),
    };
    if let Some(model) = model {
        value["files"] = json!(model.files);
        let weights = catalogue::weights(&model.files);
        value["sha256"] = json!(super::identity(&model.files));
        value["bytes"] = json!(weights.iter().map(|file| file.bytes).sum::<u64>());
    }
    value["path"] = json!(null);
    if let Some(installed) = &installed {
        value["path"] = json!(installed.weights);
        value["sha256"] = json!(installed.sha256);
        value["bytes"] = json!(installed.bytes);
        if let Some(kind) = installed.kind {
            value["kind"] = json!(kind);
        }
    }
    if context.json {
        return context.print_json(&value);
    }
    let mut out = io::stdout().lock();
    let keys = [
        ("name", "name"),
        ("kind", "kind"),
        ("summary", "summary"),
        ("architecture", "architecture"),
        ("parameters", "parameters"),
        ("context", "context"),
        ("dimension", "dimension"),
        ("licence", "license"),
        ("weights", "path"),
        ("bytes", "bytes"),
        ("sha256", "sha256"),
    ];
    for (label, key) in keys {
        match &value[key] {
            Value::Null => {}
            Value::String(text) => writeln!(out, "{label:<13} {text}")?,
            other => writeln!(out, "{label:<13} {other}")?,
        }
    }
    if installed.is_none() {
        writeln!(out, "{:<13} no; plumb model pull {name}", "installed")?;
    }
    Ok(())
}

fn pull(context: &Context, models: &Models, args: &PullArgs) -> Result<()> {
    let catalogue = &models.catalogue;
    let wanted: Vec<&Model> = if args.names.is_empty() {
        catalogue.models.iter().filter(|model| model.default).collect()
    } else {
        let find = |name: &String| catalogue.find(name).ok_or_else(|| models.unknown(name));
        args.names.iter().map(find).collect::<Result<_, _>>()?
    };
    let how = super::how(context);
    let mut done = Vec::new();
    for model in wanted {
        let is_new = models.pull(model, &how)?;
        let folder = models.folder(&model.name);
        if context.json {
            done.push(json!({"name": model.name, "pulled": is_new, "path": folder}));
        } else {
            let what = if is_new { "pulled and checked" } else { "already there" };
            writeln!(io::stdout().lock(), "{}: {what}, in {}", model.name, folder.display())?;
        }
    }
    if context.json {
        context.print_json(&json!({"models": done}))?;
    }
    Ok(())
}

fn import(context: &Context, models: &Models, args: &ImportArgs) -> Result<()> {
    let name = models.import(&Import {
        path: &args.path,
        name: args.name.as_deref(),
        is_linked: args.link,
    })?;
    let installed = models.resolve(&name)?;
    if context.json {
        context.print_json(&json!({
            "name": name, "kind": installed.kind, "path": installed.weights,
            "sha256": installed.sha256, "bytes": installed.bytes, "license": null,
        }))
    } else {
        let kind = installed.kind.map_or("model", Kind::name);
        writeln!(io::stdout().lock(), "imported {name} ({kind}, {})", megabytes(installed.bytes))?;
        Ok(())
    }
}
