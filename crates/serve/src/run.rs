//! Start, serve, stop.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::jobs;
use crate::mcp;
use crate::observe::{Level, Log};
use crate::reload::{self, HangUp, Source, Watching};
use crate::router::router;
use crate::settings::Settings;
use crate::shutdown::signal;
use crate::state::App;
use crate::tls::TlsListener;
use crate::trace;

/// Threads that read and write connections: engines and workers have the cores.
const SERVER_THREADS: usize = 2;

/// Between two times that the use of keys is written down: what a process that
/// is killed forgets.
const SAVE_USAGE: Duration = Duration::from_secs(5);

/// How long the last spans may take to leave.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// What the server has of the world around it.
pub struct Outside {
    /// Gets a JSON object a line.
    pub log: Box<dyn Write + Send>,
    /// Says when settings have changed; they never do without it.
    pub settings: Option<Source>,
}

/// Serves until Ctrl-C or SIGTERM, and lets running requests finish.
///
/// `on_listen` is told the address as soon as connections are taken, before
/// models are loaded.
pub fn run(
    settings: Settings,
    outside: Outside,
    on_listen: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVER_THREADS)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(|source| Error::Start { source })?;
    let app = Arc::new(App::new(settings, Log::new(outside.log))?);
    let served = runtime.block_on(serve(&app, outside.settings, on_listen));
    // What did not end by the deadline is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(
    app: &Arc<App>,
    source: Option<Source>,
    on_listen: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let hang_up = HangUp::listen();
    let listen = app.settings.listen;
    let failed = |source| Error::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    on_listen(address);
    app.log.write("listening", json!({"address": address.to_string()}));
    let serving = accept(app, listener).map_err(failed)?;
    let exporting = tokio::spawn(trace::export(app.tracer.clone()));
    let mut watching = Watching::default();
    watching.begin(&app.pools());
    let counting = tokio::spawn(count(app.clone()));
    let loading = load(app);
    tokio::select! {
        loaded = loading => loaded?,
        () = signal() => return Ok(()),
    }
    let mut working = jobs::start(app);
    let following = tokio::spawn(reload::follow(app.clone(), source, hang_up, watching));
    signal().await;
    app.drain.begin();
    app.log.write("stopping", json!({"running": app.drain.running()}));
    let in_time = app.drain.finish(app.limits().drain).await;
    app.log.write("stopped", json!({"all_finished": in_time}));
    working.abort_all();
    counting.abort();
    following.abort();
    save_usage(app).await;
    app.tracer.close();
    // A collector that does not answer holds up nobody for long.
    let _ = tokio::time::timeout(LAST_SPANS, exporting).await;
    serving.abort();
    Ok(())
}

/// Serves one client over standard input and output until the input ends, over
/// the Model Context Protocol.
pub fn mcp_stdio(
    settings: Settings,
    input: impl io::BufRead,
    output: impl Write,
) -> Result<(), Error> {
    let app = App::new(settings, Log::new(Box::new(io::sink())))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVER_THREADS)
        .enable_all()
        .build()
        .map_err(|source| Error::Start { source })?;
    {
        // Pools of other machines need it.
        let _inside = runtime.enter();
        app.load()?;
    }
    mcp::serve_stdio(&Arc::new(app), input, output).map_err(|source| Error::Start { source })
}

/// Serves what comes in, in the clear or with TLS.
fn accept(app: &Arc<App>, listener: TcpListener) -> io::Result<JoinHandle<io::Result<()>>> {
    let routes = router(app);
    let drain = app.drain.clone();
    let over = async move { drain.over().await };
    let Some(identity) = &app.guard.identity else {
        let server = axum::serve(listener, routes).with_graceful_shutdown(over);
        return Ok(tokio::spawn(async move { server.await }));
    };
    let listener = TlsListener::new(listener, identity)?;
    let server = axum::serve(listener, routes).with_graceful_shutdown(over);
    Ok(tokio::spawn(async move { server.await }))
}

/// Writes down what keys have used, from time to time.
async fn count(app: Arc<App>) {
    let mut ticks = tokio::time::interval(SAVE_USAGE);
    loop {
        ticks.tick().await;
        save_usage(&app).await;
    }
}

async fn save_usage(app: &Arc<App>) {
    let guard = app.guard.clone();
    let saved = tokio::task::spawn_blocking(move || guard.limiter.flush()).await;
    if let Ok(Err(error)) = saved {
        let told = json!({"error": crate::failure::chain(&error)});
        app.log.write_at(Level::Error, "usage_not_saved", told);
    }
}

async fn load(app: &Arc<App>) -> Result<(), Error> {
    let started = std::time::Instant::now();
    let loading = app.clone();
    let loaded = tokio::task::spawn_blocking(move || loading.load()).await;
    loaded.map_err(|error| Error::Start { source: io::Error::other(error) })??;
    app.log.write("ready", json!({"seconds": started.elapsed().as_secs_f64()}));
    Ok(())
}
