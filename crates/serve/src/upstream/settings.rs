//! What a pool is given; nothing is left open.

use std::time::Duration;

/// A pool of servers that serve one model.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    /// Under which clients ask for it.
    pub name: String,
    /// At least one.
    pub endpoints: Vec<EndpointSettings>,
    /// How it is used.
    pub tuning: Tuning,
}

/// One server.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Base address, such as `http://10.0.0.7:8000/v1`.
    pub url: String,
    /// The server's name for the model, where it differs from the pool's.
    pub model: Option<String>,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// Requests at once, at least 1.
    pub concurrency: usize,
}

impl std::fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, model, api_key, concurrency } = self;
        let api_key = api_key.as_ref().map(|_| "..");
        write!(f, "EndpointSettings({url}, {model:?}, key {api_key:?}, {concurrency} at once)")
    }
}

/// How a pool is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// For a connection.
    pub connect: Duration,
    /// From the request to the first piece of the response.
    pub first_byte: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// How long a request waits for a free place.
    pub wait: Duration,
    /// Attempts for one request, hedges not counted; at least 1.
    pub attempts: usize,
    /// Retries and hedges for each request that was asked for.
    pub retry_ratio: f64,
    /// Failures in a row that take an endpoint out.
    pub failures: u32,
    /// For how long; doubled each time up to sixteenfold.
    pub rest: Duration,
    /// After which a second endpoint is asked as well, if nothing came.
    pub hedge: Option<Duration>,
    /// Whether requests with the same beginning go to the same endpoint, which
    /// has that beginning in its cache.
    pub prefix_affine: bool,
    /// How many more requests than the idlest an endpoint may have and still
    /// be preferred for a prefix.
    pub affinity_slack: usize,
    /// Between two looks at an endpoint's health: it is asked for its models.
    pub probe_every: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            wait: Duration::from_secs(30),
            attempts: 3,
            retry_ratio: 0.2,
            failures: 3,
            rest: Duration::from_secs(5),
            hedge: None,
            prefix_affine: true,
            affinity_slack: 4,
            probe_every: Duration::from_secs(5),
        }
    }
}
