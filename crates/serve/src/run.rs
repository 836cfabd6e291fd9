//! Start, serve, stop.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpListener;

use crate::error::Error;
use crate::observe::Log;
use crate::router::router;
use crate::settings::Settings;
use crate::shutdown::signal;
use crate::state::App;

/// Threads that read and write connections: engines and workers have the cores.
const SERVER_THREADS: usize = 2;

/// Serves until Ctrl-C or SIGTERM, and lets running requests finish.
///
/// `on_listen` is told the address as soon as connections are taken, before
/// models are loaded; `log` gets a JSON object a line.
pub fn run(
    settings: Settings,
    log: Box<dyn Write + Send>,
    on_listen: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVER_THREADS)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(|source| Error::Start { source })?;
    let app = Arc::new(App::new(settings, Log::new(log)));
    let served = runtime.block_on(serve(&app, on_listen));
    // What did not end by the deadline is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(app: &Arc<App>, on_listen: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let listen = app.settings.listen;
    let failed = |source| Error::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    on_listen(address);
    app.log.write("listening", json!({"address": address.to_string()}));
    let server = axum::serve(listener, router(app.clone()));
    let drain = app.drain.clone();
    let serving = tokio::spawn(async move {
        server.with_graceful_shutdown(async move { drain.over().await }).await
    });
    let loading = load(app);
    tokio::select! {
        loaded = loading => loaded?,
        () = signal() => return Ok(()),
    }
    signal().await;
    app.drain.begin();
    app.log.write("stopping", json!({"running": app.drain.running()}));
    let in_time = app.drain.finish(app.settings.limits.drain).await;
    app.log.write("stopped", json!({"all_finished": in_time}));
    serving.abort();
    Ok(())
}

async fn load(app: &Arc<App>) -> Result<(), Error> {
    let started = std::time::Instant::now();
    let loading = app.clone();
    let loaded = tokio::task::spawn_blocking(move || loading.load()).await;
    loaded.map_err(|error| Error::Start { source: std::io::Error::other(error) })??;
    app.log.write("ready", json!({"seconds": started.elapsed().as_secs_f64()}));
    Ok(())
}
