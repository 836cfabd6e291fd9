//! One document over HTTP, without letting its address reach into private
//! networks.
//!
//! The host is resolved here, every address it resolves to is checked, and the
//! connection is made to a checked address, so that a second answer of the
//! name server cannot help. The same holds after every redirect.

mod address;

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Response;
use ureq::http::Uri;
use ureq::http::header::CONTENT_TYPE;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, ResponseExt};
use url::Url;

const TIMEOUT: Duration = Duration::from_mins(1);

/// Which hosts may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    PublicOnly,
    /// Also this machine and its networks: for tests, and for documents of the
    /// user's own servers.
    Anywhere,
}

/// What came back.
#[derive(Debug)]
pub struct Page {
    /// A file name with an extension that says what it is.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Fetches documents.
pub struct Fetcher {
    /// From the first look-up to the last byte.
    timeout: Duration,
}

/// Why an address was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{url}` is not an address that can be fetched: {reason}")]
    BadUrl { url: String, reason: String },

    #[error("`{url}` is refused: `{host}` is at {address}, which is not on the public internet")]
    Private { url: String, host: String, address: IpAddr },

    #[error("cannot fetch `{url}`")]
    Unreachable { url: String, source: Box<ureq::Error> },

    #[error("`{url}` answered with status {status}")]
    Status { url: String, status: u16 },

    #[error("`{url}` is longer than {limit_bytes} bytes")]
    TooLong { url: String, limit_bytes: u64 },

    #[error("the connection to `{url}` broke off")]
    Broken { url: String, source: io::Error },
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::BadUrl { .. } => Some("give an address that begins with http:// or https://"),
            Self::Private { .. } => Some("if you trust it, add it with --allow-private"),
            _ => None,
        }
    }
}

impl Fetcher {
    pub fn new() -> Self {
        Self { timeout: TIMEOUT }
    }

    /// Fetches `url`, whose body must not have more than `limit_bytes`.
    pub fn get(&self, url: &str, policy: Policy, limit_bytes: u64) -> Result<Page, Error> {
        let parsed = parse(url)?;
        let agent = agent(self.timeout, policy);
        let response = agent.get(parsed.as_str()).call().map_err(|error| refused(url, error))?;
        read(url, &parsed, response, limit_bytes)
    }
}

fn agent(timeout: Duration, policy: Policy) -> Agent {
    let config = Agent::config_builder()
        // A proxy would look up the host by itself.
        .proxy(None)
        .max_redirects(5)
        .timeout_global(Some(timeout))
        .timeout_connect(Some(Duration::from_secs(10)))
        .http_status_as_error(false)
        .user_agent(concat!("plumb/", env!("CARGO_PKG_VERSION")))
        .build();
    let resolver = Checking { policy, inner: DefaultResolver::default() };
    Agent::with_parts(config, DefaultConnector::default(), resolver)
}

fn read(
    url: &str,
    asked: &Url,
    mut response: Response<Body>,
    limit_bytes: u64,
) -> Result<Page, Error> {
    let status = response.status();
    if !status.is_success() {
        return Err(Error::Status { url: url.to_owned(), status: status.as_u16() });
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let last = parse(&response.get_uri().to_string()).unwrap_or_else(|_| asked.clone());
    let name = name_of(&last, content_type.unwrap_or_default());
    let mut bytes = Vec::new();
    let mut body = response.body_mut().as_reader().take(limit_bytes.saturating_add(1));
    body.read_to_end(&mut bytes).map_err(|source| Error::Broken { url: url.to_owned(), source })?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLong { url: url.to_owned(), limit_bytes });
    }
    Ok(Page { name, bytes })
}

fn parse(url: &str) -> Result<Url, Error> {
    let bad = |reason: String| Error::BadUrl { url: url.to_owned(), reason };
    let parsed = Url::parse(url).map_err(|error| bad(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad(format!("its scheme is `{}`", parsed.scheme())));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad("it carries a user name".to_owned()));
    }
    Ok(parsed)
}

fn refused(url: &str, error: ureq::Error) -> Error {
    if let ureq::Error::Other(other) = &error
        && let Some(private) = other.downcast_ref::<PrivateHost>()
    {
        let PrivateHost { host, address } = private.clone();
        return Error::Private { url: url.to_owned(), host, address };
    }
    Error::Unreachable { url: url.to_owned(), source: Box::new(error) }
}

/// A file name for what is at an address: its own if it has an extension, and
/// one from the content type otherwise.
fn name_of(url: &Url, content_type: &str) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    let stem = if last.is_empty() { "index" } else { last };
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let extension = match media.as_str() {
        "text/html" | "application/xhtml+xml" => "html",
        "text/markdown" => "md",
        "text/csv" => "csv",
        "application/json" => "json",
        "application/pdf" => "pdf",
        "application/epub+zip" => "epub",
        "application/zip" => "zip",
        "message/rfc822" => "eml",
        "text/plain" => "txt",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        _ => return stem.to_owned(),
    };
    let own = stem.rsplit_once('.').map(|(_, own)| own.to_ascii_lowercase());
    match (own.as_deref(), extension) {
        (Some(own), extension) if own == extension => stem.to_owned(),
        // Servers call much `text/plain` that has a better name.
        (Some(_), "txt") | (Some("htm" | "xhtml"), "html") => stem.to_owned(),
        _ => format!("{stem}.{extension}"),
    }
}

/// A resolver that gives only addresses that may be asked.
#[derive(Debug)]
struct Checking {
    policy: Policy,
    inner: DefaultResolver,
}

#[derive(Clone, Debug)]
struct PrivateHost {
    host: String,
    address: IpAddr,
}

impl fmt::Display for PrivateHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is at the private address {}", self.host, self.address)
    }
}

impl std::error::Error for PrivateHost {}

impl Resolver for Checking {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.inner.resolve(uri, config, timeout)?;
        // One private address among public ones is a trick, not a choice.
        let private = addresses.iter().find(|address| !address::is_public(address.ip()));
        match (self.policy, private) {
            (Policy::PublicOnly, Some(address)) => {
                let host = uri.host().unwrap_or_default().to_owned();
                Err(ureq::Error::Other(Box::new(PrivateHost { host, address: address.ip() })))
            }
            _ => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn fetch(url: &str, policy: Policy) -> Result<Page, Error> {
        Fetcher::new().get(url, policy, 100)
    }

    /// Answers each connection with the next text; gives its base address.
    fn serve(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).unwrap();
                // A client that has seen enough hangs up.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        base
    }

    fn ok(content_type: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
    }

    fn redirect(to: &str) -> String {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    }

    #[test]
    fn a_page_is_fetched_and_named_by_its_content_type() {
        let base = serve(vec![ok("text/html; charset=utf-8", "<p>hi</p>")]);
        let fetched = fetch(&format!("{base}/guide"), Policy::Anywhere).unwrap();
        assert_eq!(
            (fetched.name.as_str(), fetched.bytes.as_slice()),
            ("guide.html", &b"<p>hi</p>"[..])
        );
    }

    #[test]
    fn a_private_address_is_refused_before_anything_is_sent() {
        for host in ["127.0.0.1", "[::1]", "localhost", "169.254.169.254", "2130706433", "0x7f.1"] {
            let failed = fetch(&format!("http://{host}:9/"), Policy::PublicOnly).unwrap_err();
            assert!(matches!(failed, Error::Private { .. }), "{host}: {failed:?}");
        }
    }

    #[test]
    fn a_redirect_to_a_private_address_is_refused() {
        // The resolver is asked anew for each hop: the first hop is allowed by
        // hand here, the second is not.
        let resolver = Checking { policy: Policy::PublicOnly, inner: DefaultResolver::default() };
        let uri: Uri = "http://10.0.0.1/".parse().unwrap();
        let timeout = NextTimeout {
            after: ureq::unversioned::transport::time::Duration::NotHappening,
            reason: ureq::Timeout::Global,
            ..NextTimeout::default()
        };
        assert!(resolver.resolve(&uri, &Config::default(), timeout).is_err());
    }

    #[test]
    fn a_redirect_to_another_scheme_is_refused() {
        let base = serve(vec![redirect("file:///etc/passwd")]);
        assert!(matches!(fetch(&base, Policy::Anywhere), Err(Error::Unreachable { .. })));
    }

    #[test]
    fn a_redirect_loop_ends() {
        let base = serve(vec![redirect("/again"); 8]);
        assert!(matches!(fetch(&base, Policy::Anywhere), Err(Error::Unreachable { .. })));
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let base = serve(vec![ok("text/plain", &"x".repeat(101))]);
        assert!(matches!(
            fetch(&base, Policy::Anywhere),
            Err(Error::TooLong { limit_bytes: 100, .. })
        ));
    }

    #[test]
    fn other_schemes_and_user_names_are_refused() {
        for url in ["ftp://example.org/x", "file:///etc/passwd", "http://a:b@example.org/", "x"] {
            assert!(matches!(fetch(url, Policy::Anywhere), Err(Error::BadUrl { .. })), "{url}");
        }
    }

    #[test]
    fn names_get_the_extension_of_what_they_are() {
        let name = |url: &str, media: &str| name_of(&Url::parse(url).unwrap(), media);
        assert_eq!(name("http://h/", "text/html"), "index.html");
        assert_eq!(name("http://h/a/b.php?x=1", "text/html"), "b.php.html");
        assert_eq!(name("http://h/b.pdf", "application/pdf"), "b.pdf");
        assert_eq!(name("http://h/b.md", "text/plain"), "b.md");
        assert_eq!(name("http://h/b.bin", "application/octet-stream"), "b.bin");
    }
}
