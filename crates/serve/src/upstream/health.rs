//! Asking endpoints how they are, from time to time.
//!
//! One good answer brings an endpoint back and two bad ones in a row take it
//! out. What is learnt here is a hint for routing only: a breaker that failed
//! requests opened is not closed by it.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::upstream::client::Client;
use crate::upstream::pool::Pool;
use crate::upstream::settings::EndpointSettings;

/// How long an endpoint may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks after the endpoints of a pool until the future is dropped.
pub async fn watch(pool: Pool) {
    let shared = pool.shared();
    let mut ticks = interval(shared.tuning.probe_every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let probes = shared.settings().into_iter().enumerate().map(|(index, settings)| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let shared = pool.shared();
                let is_well = is_well(&shared.client, &settings).await;
                shared.with(index, |endpoint| {
                    endpoint.failed_probes = if is_well { 0 } else { endpoint.failed_probes + 1 };
                    endpoint.is_up = endpoint.failed_probes < 2;
                });
            })
        });
        for probe in probes.collect::<Vec<_>>() {
            // A probe that panicked has said nothing.
            let _ = probe.await;
        }
    }
}

async fn is_well(client: &Client, to: &EndpointSettings) -> bool {
    let url = format!("{}/models", to.url.trim_end_matches('/'));
    let answered = timeout(PATIENCE, client.get(to, &url)).await;
    answered.is_ok_and(|answered| answered.is_ok_and(|answer| answer.status().is_success()))
}
