//! One request to one server.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::trace;
use crate::upstream::error::Fault;
use crate::upstream::settings::EndpointSettings;

/// Connections to all endpoints, kept open between requests.
#[derive(Clone, Debug)]
pub(super) struct Client(Web);

/// Speaks HTTP, in the clear or with TLS, to servers that the settings name.
pub(crate) type Web = Connections<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections that are kept open between requests.
pub(crate) fn connections(connect: Duration) -> Web {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(connect));
    tcp.set_nodelay(true);
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map(|builder| builder.https_or_http().enable_http1().wrap_connector(tcp));
    // The provider has every version that is asked of it.
    let tls = tls.expect("the ring provider speaks TLS 1.2 and 1.3");
    Connections::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(tls)
}

/// A response whose body has not been read yet.
pub(super) type Answered = Response<Incoming>;

impl Client {
    pub(super) fn new(connect: Duration) -> Self {
        Self(connections(connect))
    }

    /// Sends JSON to `path` below the base address.
    pub(super) async fn post(
        &self,
        to: &EndpointSettings,
        path: &str,
        body: Bytes,
    ) -> Result<Answered, Fault> {
        let url = format!("{}{path}", to.url.trim_end_matches('/'));
        let request = request(Method::POST, &url, to, body)?;
        self.send(request, &to.url).await
    }

    /// Asks for an address that needs no body.
    pub(super) async fn get(&self, to: &EndpointSettings, url: &str) -> Result<Answered, Fault> {
        self.send(request(Method::GET, url, to, Bytes::new())?, &to.url).await
    }

    async fn send(&self, request: Request<Full<Bytes>>, url: &str) -> Result<Answered, Fault> {
        self.0.request(request).await.map_err(|error| Fault::Unreachable {
            url: url.to_owned(),
            reason: crate::failure::chain(&error),
        })
    }
}

fn request(
    method: Method,
    url: &str,
    to: &EndpointSettings,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Fault> {
    let wrong =
        |reason: &str| Fault::Unreachable { url: url.to_owned(), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|_| wrong("not an address"))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Pieces are passed on as they come, and so must not be compressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    trace::propagate(headers);
    if let Some(key) = &to.api_key {
        let bearer = HeaderValue::from_str(&format!("Bearer {key}"));
        let mut bearer =
            bearer.map_err(|_| wrong("its key has characters that no header holds"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

/// The fault that a status is, if it says that another endpoint may do better.
/// What is wrong with the request itself would be wrong everywhere.
pub(super) fn fault_of_status(response: &Answered, url: &str) -> Option<Fault> {
    let status = response.status().as_u16();
    let url = url.to_owned();
    match status {
        429 | 503 => {
            let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let seconds = after.and_then(|text| text.parse::<u64>().ok());
            let retry_after = seconds.map(|seconds| Duration::from_secs(seconds.min(60)));
            Some(Fault::Busy { url, retry_after })
        }
        200..=299 | 400 | 413 | 415 | 422 => None,
        _ => Some(Fault::Status { url, status }),
    }
}
