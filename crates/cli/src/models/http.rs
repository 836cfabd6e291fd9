//! Files of a Hugging Face repository, over HTTPS, going on where an earlier
//! attempt stopped.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{CONTENT_RANGE, RANGE};

use super::checked::CheckedFile;
use super::pull::Pulling;
use super::{Error, ModelFile};

const BUFFER: usize = 1 << 17;
/// Attempts that got further, before the source is given up.
const ATTEMPTS: usize = 5;

/// A repository at a revision.
pub struct Repository<'a> {
    /// Such as `https://huggingface.co`.
    pub endpoint: &'a str,
    pub name: &'a str,
    pub revision: &'a str,
}

/// Why a source did not give a file.
pub enum Failed {
    /// This source cannot; another may.
    Source(String),
    /// Nothing can, for now.
    Final(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        if error.is_final() { Self::Final(error) } else { Self::Source(chain(&error)) }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// An agent that gives up on silent hosts within seconds.
pub fn agent() -> Agent {
    Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_mins(1)))
        .max_redirects(5)
        .http_status_as_error(false)
        .user_agent(concat!("plumb/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

impl Repository<'_> {
    /// Downloads `want` to `path`, and checks it.
    pub fn download(
        &self,
        want: &ModelFile,
        path: &Path,
        pulling: &Pulling<'_>,
    ) -> Result<(), Failed> {
        let url = self.url(want);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let mut file = CheckedFile::resume(path, want)?;
            let start = file.written();
            let result = if file.is_complete() {
                Ok(())
            } else {
                pulling.set(pulling.done_before + start);
                receive(&url, &mut file, pulling)
            };
            let end = file.written();
            match result {
                // A short file may go on; a wrong one has been removed.
                Ok(()) if end == want.bytes => return file.finish().map_err(Failed::Source),
                Ok(()) => {
                    last = Some(Failed::Source(format!("`{}`: the file is too short", want.name)));
                }
                Err(Failed::Final(error)) => return Err(Failed::Final(error)),
                Err(failed) => last = Some(failed),
            }
            if end <= start {
                break;
            }
        }
        Err(last.unwrap_or_else(|| Failed::Source(format!("`{}`: broke off too often", want.name))))
    }

    fn url(&self, want: &ModelFile) -> String {
        let Self { endpoint, name, revision } = self;
        format!("{}/{name}/resolve/{revision}/{}", endpoint.trim_end_matches('/'), want.name)
    }
}

/// One request: from the end of what is there to the end of the file.
fn receive(url: &str, file: &mut CheckedFile, pulling: &Pulling<'_>) -> Result<(), Failed> {
    let because = |reason: String| Failed::Source(format!("`{}`: {reason}", file_name(url)));
    let start = file.written();
    let mut request = pulling.agent.get(url);
    if start > 0 {
        request = request.header(RANGE, format!("bytes={start}-"));
    }
    let mut response = request.call().map_err(|error| because(chain(&error)))?;
    match response.status().as_u16() {
        206 => {
            let range = response.headers().get(CONTENT_RANGE);
            let range = range.and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {start}-")) {
                return Err(because(format!("sent `{range}` when asked for byte {start} on")));
            }
        }
        200 => file.restart()?,
        416 => {
            file.restart()?;
            return Err(because("does not have as many bytes as it should".to_owned()));
        }
        status => return Err(because(format!("status {status}"))),
    }
    let mut body = response.body_mut().as_reader();
    pulling.copy(&mut body, file).map_err(|failed| match failed {
        Failed::Source(reason) => because(reason),
        failed @ Failed::Final(_) => failed,
    })
}

/// The part of an address that tells the files of a repository apart.
fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

impl Pulling<'_> {
    /// Copies everything, showing progress and looking for Ctrl-C.
    pub fn copy(&self, from: &mut dyn Read, to: &mut CheckedFile) -> Result<(), Failed> {
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.stop.is_set() {
                return Err(Failed::Final(Error::Interrupted));
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failed::Source(chain(&error))),
            };
            to.put(&buffer[..count])?;
            self.set(self.done_before + to.written());
        }
    }
}

/// Copies the file called `want.name` below `folder` to `path`, and checks it.
pub fn copy_local(
    folder: &Path,
    want: &ModelFile,
    path: &Path,
    pulling: &Pulling<'_>,
) -> Result<(), Failed> {
    let source = folder.join(&want.name);
    let mut from = fs::File::open(&source).map_err(Error::io(&source))?;
    let mut file = CheckedFile::create(path, want)?;
    pulling.copy(&mut from, &mut file)?;
    file.finish().map_err(Failed::Source)
}
