//! `plumb key`: API keys of the server.

use anyhow::{Result, bail};
use plumb_serve::auth::key::{self, KeyInfo, NewKey};
use plumb_serve::auth::role::{KeyLimits, Role, Scope};
use plumb_serve::data::Database;
use serde_json::json;

use crate::access::database;
use crate::context::Context;
use crate::exit::Exit;
use crate::project::{Project, resolve};

/// Make, list and revoke API keys of the server
#[derive(clap::Subcommand, Debug)]
pub enum KeyVerb {
    /// Make a key; its secret is shown once
    Create(CreateArgs),
    /// List the keys, without their secrets
    #[command(visible_alias = "ls")]
    List,
    /// End a key at once
    Revoke {
        /// The public part of the key: the digits after `plumb_`
        id: String,
    },
}

/// Make a key; its secret is shown once
///
/// As soon as there is a key, `plumb serve` asks everyone for one. A running
/// server knows a new key at once.
#[derive(clap::Args, Debug)]
pub struct CreateArgs {
    /// Who or what the key is for
    #[arg(long)]
    name: String,

    /// What it may do: read, write (documents too) or admin (keys and models too)
    #[arg(long, value_parser = role, default_value = "read")]
    role: Role,

    /// Collections that it may see (default: every one)
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,

    /// Days until it ends (default: never)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,

    /// Requests a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,

    /// Tokens a minute, read and written
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tokens_per_minute: Option<u32>,

    /// Requests a day
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_day: Option<u32>,

    /// Tokens a day, read and written
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_day: Option<u64>,

    /// Seconds that a request may take, from its arrival to its last byte
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    deadline: Option<u32>,

    /// Seconds until the first text that is generated, and between two
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    token_deadline: Option<u32>,

    /// Share beside other keys when the server is full (default: 1)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    weight: Option<u32>,
}

/// Who is in the audit log when the command line did it.
const ACTOR: &str = "cli";

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| "the roles are read, write and admin".to_owned())
}

pub fn run(verb: &KeyVerb, context: &Context) -> Result<Exit> {
    let database = open(context)?;
    match verb {
        KeyVerb::Create(args) => create(args, &database, context),
        KeyVerb::List => list(&database, context),
        KeyVerb::Revoke { id } => revoke(id, &database, context),
    }
}

/// The database of the project, or of the server that runs without one.
fn open(context: &Context) -> Result<Database> {
    let project = Project::find(context).ok();
    let location = match &project {
        Some(project) => database(&project.config, Some(&project.root), context)?,
        None => database(&resolve(context, &context.folder)?, None, context)?,
    };
    Ok(Database::open(&location)?)
}

fn create(args: &CreateArgs, database: &Database, context: &Context) -> Result<Exit> {
    let now = context.now_millis();
    let new = NewKey {
        name: args.name.clone(),
        role: args.role,
        scope: Scope::of(&args.collections),
        limits: KeyLimits {
            deadline_seconds: args.deadline,
            token_deadline_seconds: args.token_deadline,
            requests_per_minute: args.requests_per_minute,
            tokens_per_minute: args.tokens_per_minute,
            requests_per_day: args.requests_per_day,
            tokens_per_day: args.tokens_per_day,
            weight: args.weight,
        },
        expires_at: args.expires_in_days.map(|days| now + i64::from(days) * 86_400_000),
    };
    let (info, secret) = key::create(database, &new, ACTOR, now)?;
    if context.json {
        let mut json = serde_json::to_value(&info)?;
        json["secret"] = json!(secret.reveal());
        context.print_json(&json)?;
    } else {
        context.say(secret.reveal())?;
        context.note(format!(
            "key {} for {} may {}; this is the only time that its secret is shown",
            info.id,
            info.name,
            info.role.name()
        ));
    }
    Ok(Exit::Done)
}

fn list(database: &Database, context: &Context) -> Result<Exit> {
    let keys = key::list(database)?;
    if context.json {
        context.print_json(&keys)?;
        return Ok(Exit::Done);
    }
    let now = context.now_millis();
    for info in &keys {
        context.say(line(info, now))?;
    }
    context.say(format!("{} keys", keys.len()))?;
    Ok(Exit::Done)
}

fn line(info: &KeyInfo, now: i64) -> String {
    let state = if info.revoked_at.is_some() {
        "revoked"
    } else if info.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "good"
    };
    let scope = match &info.collections {
        Scope::All => "every collection".to_owned(),
        Scope::Only(names) => names.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    format!("{}  {state:7}  {:5}  {}  ({scope})", info.id, info.role.name(), info.name)
}

fn revoke(id: &str, database: &Database, context: &Context) -> Result<Exit> {
    if !key::revoke(database, id, ACTOR, context.now_millis())? {
        bail!("there is no key `{id}` that could be revoked: `plumb key list` shows the keys");
    }
    if context.json {
        context.print_json(&json!({"revoked": id}))?;
    } else {
        context.say(format!("{id} lets nobody in any more"))?;
    }
    Ok(Exit::Done)
}
