//! Who reaches the server, and which other machines it uses: from flags and
//! settings to what the server is given.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use plumb_serve::auth::guard::{Access, Rules};
use plumb_serve::data::Location;
use plumb_serve::limits::FairSettings;
use plumb_serve::upstream::{EndpointSettings, PoolSettings, Tuning};

use crate::config::{Config, PoolFile};
use crate::context::Context;
use crate::paths;
use crate::project::DATA_FOLDER;

/// Flags of who reaches the server
#[derive(clap::Args, Clone, Debug, Default)]
pub struct AccessArgs {
    /// Ask nobody for an API key, also where other machines reach the server
    #[arg(long)]
    allow_open: bool,

    /// Certificates to speak TLS with, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// The requests of a key that wait at most, as part of all that may.
const SHARE_OF_QUEUE: usize = 2;

/// Where a project keeps keys, conversations and the audit log, unless the
/// settings say otherwise; without a project, in the user's cache folder.
pub fn database(config: &Config, root: Option<&Path>, context: &Context) -> Result<Location> {
    if let Some(setting) = &config.serve.database {
        return Ok(match (Location::parse(setting), root) {
            // A file is named from the folder of the settings.
            (Location::Sqlite(path), Some(root)) => Location::Sqlite(root.join(path)),
            (location, _) => location,
        });
    }
    let folder = match root {
        Some(root) => root.join(DATA_FOLDER),
        None => context.models.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    Ok(Location::Sqlite(paths::absolute(folder.join("serve.db"))?))
}

/// What the server is told of who may reach it.
pub fn access(args: &AccessArgs, config: &Config, database: Location) -> Result<Access> {
    let serve = &config.serve;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        _ => match (&serve.tls_cert, &serve.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => bail!("`serve.tls_cert` and `serve.tls_key` go together: one of them is missing"),
        },
    };
    if let Some(origin) = serve.cors_origins.iter().find(|origin| !is_origin(origin)) {
        bail!(
            "`serve.cors_origins` has `{origin}`, which is no origin such as https://chat.example"
        );
    }
    let waiting = serve.waiting;
    Ok(Access {
        database,
        allow_open: args.allow_open,
        hosts: serve.allowed_hosts.clone(),
        cors: serve.cors_origins.clone(),
        tls,
        queue: FairSettings {
            running: serve.running,
            waiting,
            waiting_per_key: waiting.div_ceil(SHARE_OF_QUEUE),
            quantum: 1024,
        },
        rules: Rules {
            request: Duration::from_secs(serve.request_seconds),
            roles: serve.limits.clone(),
        },
    })
}

/// A scheme, a host and at most a port.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

/// The pools that the settings name, and the endpoint as one.
pub fn pools(config: &Config, context: &Context) -> Result<Vec<PoolSettings>> {
    let mut pools = Vec::new();
    for (name, file) in &config.serve.pools {
        pools.push(pool(name, file, context)?);
    }
    if let Some(url) = &config.endpoint {
        pools.push(PoolSettings {
            name: config.generator.clone(),
            endpoints: vec![EndpointSettings {
                url: url.clone(),
                model: None,
                api_key: context.api_key.clone(),
                concurrency: 64,
            }],
            tuning: Tuning::default(),
        });
    }
    Ok(pools)
}

fn pool(name: &str, file: &PoolFile, context: &Context) -> Result<PoolSettings> {
    if file.endpoints.is_empty() {
        bail!("`serve.pools.{name}.endpoints` is empty");
    }
    let mut endpoints = Vec::new();
    for endpoint in &file.endpoints {
        if endpoint.concurrency == Some(0) {
            bail!("`serve.pools.{name}`: the `concurrency` of `{}` is 0", endpoint.url);
        }
        endpoints.push(EndpointSettings {
            url: endpoint.url.clone(),
            model: endpoint.model.clone(),
            api_key: context.api_key.clone(),
            concurrency: endpoint.concurrency.unwrap_or(16),
        });
    }
    let default = Tuning::default();
    let tuning = Tuning {
        attempts: file.attempts.unwrap_or(default.attempts),
        hedge: file.hedge_ms.map(Duration::from_millis),
        prefix_affine: file.prefix_affine.unwrap_or(default.prefix_affine),
        first_byte: file.timeout_seconds.map_or(default.first_byte, Duration::from_secs),
        ..default
    };
    Ok(PoolSettings { name: name.to_owned(), endpoints, tuning })
}

/// The scheme of the server's address.
pub fn url(address: SocketAddr, access: &Access) -> String {
    let scheme = if access.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}
