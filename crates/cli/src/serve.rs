//! `plumb serve`: models and documents over HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use plumb_index::META_COLLECTION;
use plumb_serve::{CollectionSource, Limits, ModelSource, Outside, Settings};
use serde_json::json;

use crate::access::{AccessArgs, access, database, pools, url};
use crate::config::{self, Config, KvCacheName};
use crate::context::Context;
use crate::exit::Exit;
use crate::models::{self, Located, locate};
use crate::project::{DATA_FOLDER, Project, resolve};
use crate::reload::{self, Started};
use crate::reuse::{self, ReuseName};
use crate::session;
use crate::traces;

/// Serve models and documents to other programs over HTTP
///
/// The project's documents are the model `docs/NAME`, which answers with
/// citations; its generator is a model under its own name. Without a project,
/// give a generator with --model. Ctrl-C lets running requests finish.
#[derive(clap::Args, Debug, Default)]
pub struct ServeArgs {
    /// Address to listen on (default: 127.0.0.1:8321; port 0 takes a free one)
    #[arg(long, value_name = "ADDRESS:PORT", env = "PLUMB_LISTEN")]
    listen: Option<SocketAddr>,

    /// Generators to serve beside the project's: names of `plumb model list`, or paths
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,

    /// Rerankers to serve: names of `plumb model list`, or paths
    #[arg(long = "reranker", value_name = "MODEL")]
    rerankers: Vec<String>,

    /// Embedders to serve beside the project's: names of `plumb model list`, or paths
    #[arg(long = "embedder", value_name = "MODEL")]
    embedders: Vec<String>,

    /// Reuse what the generator read of evidence: `off`, or the part that it reads anew
    #[arg(long, value_name = "SHARE")]
    chunk_reuse: Option<ReuseName>,

    #[command(flatten)]
    access: AccessArgs,
}

pub fn run(args: &ServeArgs, context: &Context) -> Result<Exit> {
    let settings = settings(args, context)?;
    let followed = reload::source(started(args, &settings, context)?);
    let (json, context) = (context.json, context.clone());
    let access = settings.access.clone();
    let outside = Outside { log: Box::new(io::stderr()), settings: Some(followed) };
    plumb_serve::run(settings, outside, move |address| {
        let url = url(address, &access);
        // Nothing can be done about a closed standard output.
        let _ = if json {
            context.print_json(&json!({"url": url}))
        } else {
            context.say(format!("serving at {url}"))
        };
    })?;
    Ok(Exit::Done)
}

pub fn settings(args: &ServeArgs, context: &Context) -> Result<Settings> {
    let has_project = context.folder.ancestors().any(|folder| folder.join(DATA_FOLDER).is_dir());
    let has_models =
        !(args.models.is_empty() && args.embedders.is_empty() && args.rerankers.is_empty());
    if !has_project && !has_models {
        // Says that there is none, and what to do.
        Project::find(context)?;
    }
    let mut models = args.models.clone();
    let (config, root, collections, mut embedders) = if has_project {
        let mut project = Project::find(context)?;
        if let Some(reuse) = args.chunk_reuse {
            project.config.reuse.reuse = reuse;
        }
        let (collection, embedder) = collection(&project, context, &mut models)?;
        (project.config, Some(project.root), vec![collection], vec![embedder])
    } else {
        (resolve(context, &context.folder)?, None, Vec::new(), Vec::new())
    };
    for model in all(&args.embedders, config.kv_cache, context)? {
        if !embedders.contains(&model) {
            embedders.push(model);
        }
    }
    let database = database(&config, root.as_deref(), context)?;
    models.extend(config.serve.models.iter().cloned());
    Ok(Settings {
        listen: args.listen.unwrap_or(config.serve.listen),
        threads: config.threads,
        generators: all(&models, config.kv_cache, context)?,
        embedders,
        rerankers: all(&args.rerankers, config.kv_cache, context)?,
        collections,
        access: access(&args.access, &config, database)?,
        pools: pools(&config, context)?,
        cache: config.serve.cache,
        shelf: Some(models::shelf(context)),
        limits: limits(&config),
        log: config.serve.log,
        traces: traces::settings(&config, &traces::environment)?,
    })
}

/// What requests may take.
pub fn limits(config: &Config) -> Limits {
    Limits {
        drain: Duration::from_secs(config.serve.drain_seconds),
        request: Duration::from_secs(config.serve.request_seconds),
        upload_bytes: config.serve.max_upload_mb.saturating_mul(1_000_000),
        ..Limits::default()
    }
}

/// What is followed while the server runs.
fn started(args: &ServeArgs, settings: &Settings, context: &Context) -> Result<Started> {
    let root = match Project::find(context) {
        Ok(project) => project.root,
        Err(_) => context.folder.clone(),
    };
    let path = context.config_path.clone().unwrap_or_else(|| root.join("plumb.toml"));
    Ok(Started {
        file: config::read(path.is_file().then_some(&*path))?,
        config: resolve(context, &root)?,
        path,
        access: args.access.clone(),
        context: context.clone(),
        collection: settings.collections.first().map(|collection| collection.name.clone()),
    })
}

/// The project as a collection, and its embedder. Its generator goes before
/// `models`.
fn collection(
    project: &Project,
    context: &Context,
    models: &mut Vec<String>,
) -> Result<(CollectionSource, ModelSource)> {
    let config = &project.config;
    let embedder = source(locate(context, &config.embedder)?, config.kv_cache);
    let mut settings = session::settings(config, None);
    reuse::check(&settings)?;
    let is_elsewhere =
        config.endpoint.is_some() || config.serve.pools.contains_key(&config.generator);
    if is_elsewhere && settings.chunk_reuse.is_some() {
        bail!("chunk reuse needs a generator of this machine, and the settings name another's");
    }
    if settings.writes && !is_elsewhere {
        let generator = locate(context, &config.generator)?;
        settings.generator.clone_from(&generator.name);
        models.insert(0, config.generator.clone());
    }
    let first = project.reader()?.snapshot().meta().get(META_COLLECTION).cloned();
    let collection = CollectionSource {
        name: collection_name(config, &project.root, first.as_deref()),
        folder: project.root.join(DATA_FOLDER),
        embedder: embedder.name.clone(),
        chunks: (reuse::folder(&project.data_folder()), config.reuse.budget_bytes),
        vectors: (reuse::vector_folder(&project.data_folder()), config.reuse.vector_bytes),
        chunking: config.chunking,
        settings,
    };
    Ok((collection, embedder))
}

/// What the settings say, or the name of the folder that documents were `first`
/// added from, or the project's, with what an address cannot hold left out.
fn collection_name(config: &Config, root: &Path, first: Option<&str>) -> String {
    if let Some(name) = &config.name {
        return name.clone();
    }
    let own = || root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = first.map_or_else(own, str::to_owned);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = folder.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    match plain.trim_matches(['.', '-']) {
        "" => "documents".to_owned(),
        name => name.to_owned(),
    }
}

/// Each model once.
fn all(names: &[String], kv_cache: KvCacheName, context: &Context) -> Result<Vec<ModelSource>> {
    let mut all: Vec<ModelSource> = Vec::new();
    for name in names {
        let model = source(locate(context, name)?, kv_cache);
        if !all.iter().any(|known| known.name == model.name) {
            all.push(model);
        }
    }
    Ok(all)
}

fn source(located: Located, kv_cache: KvCacheName) -> ModelSource {
    ModelSource {
        name: located.name,
        path: located.path,
        sha256: located.sha256,
        packed: Some(located.packed),
        kv_cache: kv_cache.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_called_after_the_folder_of_its_documents_unless_the_settings_say_otherwise()
    {
        let file = |text: &str| {
            let file = toml::from_str(text).unwrap();
            Config::resolve(file, &config::Overrides::default(), 1).unwrap()
        };
        let of = |text: &str, root: &str, first: Option<&str>| {
            collection_name(&file(text), Path::new(root), first)
        };
        assert_eq!(of("", "/srv/me/x", Some("hand book")), "hand-book");
        assert_eq!(of("name = \"rules\"", "/srv/me/x", Some("handbook")), "rules");
        let name = |text: &str, root: &str| of(text, root, None);
        assert_eq!(name("", "/srv/me/My notes"), "My-notes");
        assert_eq!(name("", "/"), "documents");
        assert_eq!(name("name = \"handbook\"", "/srv/me/x"), "handbook");
    }
}
