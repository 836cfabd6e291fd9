//! New files: written beside the collection as they come, then indexed by a job.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::http::StatusCode;
use axum::{Extension, Json};
use plumb_index::address::file_url;
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use utoipa::{IntoParams, ToSchema};

use crate::auth::gate as audit;
use crate::auth::role::{Principal, Role};
use crate::clock;
use crate::collection::Collection;
use crate::data::{self, NewJob};
use crate::failure::{Failure, Kind};
use crate::jobs::{INCOMING, IndexInput, NewFile, UPLOADS, make_kind};
use crate::native::jobs::JobInfo;
use crate::query::Parameters;
use crate::state::App;

/// A client that sends nothing for so long has gone.
const STALLED: Duration = Duration::from_mins(1);

/// Bytes of a file's name.
const MAX_NAME: usize = 200;

/// Where the files go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Target {
    /// May be left out where there is one
    collection: Option<String>,
}

/// The files, as `multipart/form-data`.
#[derive(ToSchema)]
pub(super) struct Form {
    /// One or more files, each with its name.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    #[expect(dead_code, reason = "describes what is read from the stream")]
    file: Vec<String>,
}

/// What will be indexed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uploaded {
    job: JobInfo,
    files: Vec<Taken>,
    refused: Vec<Refused>,
}

/// A file that was taken.
#[derive(Debug, Serialize, ToSchema)]
struct Taken {
    name: String,
    bytes: u64,
    /// Whether a document of that name is there already.
    replaces: bool,
}

/// A part of the upload that was not taken.
#[derive(Debug, Serialize, ToSchema)]
struct Refused {
    name: String,
    reason: String,
}

/// Upload files
///
/// A job indexes them. A file takes the place of an uploaded one of its name.
#[utoipa::path(post, path = "/api/v1/documents", tag = "documents", params(Target),
    request_body(content = Form, content_type = "multipart/form-data"),
    responses((status = 202, body = Uploaded, description = "They are kept, and will be indexed"),
        (status = 400, description = "There is no file in it, or the form is malformed"),
        (status = 403, description = "Needs the role `write`"), (status = 404, description = "There is no such collection"),
        (status = 413, description = "A file, or all of them, are too large")))]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(target): Parameters<Target>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Extension<audit::Target>, Json<Uploaded>), Failure> {
    let collection =
        crate::native::collection(&app, &who, target.collection.as_deref(), Role::Write)?;
    let form = form.map_err(|_| {
        Failure::new(Kind::MediaType, "send multipart/form-data with a boundary, and files in it")
    })?;
    let batch = Batch::new(&collection).await?;
    let received = receive(&app, &collection, &batch, form).await?;
    let Received { files, refused } = received;
    if files.is_empty() {
        let reasons: Vec<String> =
            refused.iter().map(|part| format!("`{}`: {}", part.name, part.reason)).collect();
        let why =
            if reasons.is_empty() { String::new() } else { format!("; {}", reasons.join(", ")) };
        return Err(Failure::invalid("file", format!("there is no file that can be taken{why}")));
    }
    let input = IndexInput {
        collection: collection.name.clone(),
        batch: batch.name.clone(),
        files: files.iter().map(|f| NewFile { name: f.name.clone(), bytes: f.bytes }).collect(),
    };
    let input = serde_json::to_string(&input).map_err(|e| Failure::internal(e.to_string()))?;
    let kind = make_kind(&collection).map_err(|error| unkept(&error))?;
    let new = NewJob { owner: who.id, kind, input };
    let job = app.guard.database().call(move |data| data.add_job(&new, clock::now())).await;
    let job = job?;
    batch.keep();
    app.jobs.changed();
    let target = Extension(audit::Target(collection.name.clone()));
    Ok((StatusCode::ACCEPTED, target, Json(Uploaded { job: JobInfo::from(job), files, refused })))
}

/// A folder of files that are coming in; goes with this unless it is kept.
struct Batch {
    name: String,
    folder: PathBuf,
    is_kept: bool,
}

impl Batch {
    async fn new(collection: &Collection) -> Result<Self, Failure> {
        let name = data::random_hex::<12>()?;
        let folder = collection.folder.join(UPLOADS).join(INCOMING).join(&name);
        tokio::fs::create_dir_all(&folder).await.map_err(|error| unkept(&error))?;
        Ok(Self { name, folder, is_kept: false })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.is_kept {
            // Left-overs take room and do no other harm.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

struct Received {
    files: Vec<Taken>,
    refused: Vec<Refused>,
}

async fn receive(
    app: &App,
    collection: &Collection,
    batch: &Batch,
    mut form: Multipart,
) -> Result<Received, Failure> {
    let snapshot = collection.snapshot()?;
    let most = app.limits().upload_files;
    let mut received = Received { files: Vec::new(), refused: Vec::new() };
    while let Some(field) = timely(form.next_field()).await?.map_err(|e| malformed(&e))? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let shown = field.name().unwrap_or("").chars().take(MAX_NAME).collect();
            received.refused.push(Refused { name: shown, reason: "no file".to_owned() });
            continue;
        };
        let is_twice = received.files.iter().any(|file| file.name == name);
        let wrong =
            wrong_name(&name).or(is_twice.then_some("another file of the upload has this name"));
        if let Some(reason) = wrong {
            let shown = name.chars().take(MAX_NAME).collect();
            received.refused.push(Refused { name: shown, reason: reason.to_owned() });
            continue;
        }
        if received.files.len() == most {
            let message = format!("an upload has at most {most} files");
            return Err(Failure::new(Kind::TooLarge, message));
        }
        let path = batch.folder.join(received.files.len().to_string());
        let bytes = write(field, &path, &name).await?;
        let uri = file_url(&collection.folder.join(UPLOADS).join(&name));
        let replaces = snapshot.binding(&uri).is_some();
        received.files.push(Taken { name, bytes, replaces });
    }
    Ok(received)
}

/// Writes a file as it comes, and gives its length.
async fn write(mut field: Field<'_>, path: &Path, name: &str) -> Result<u64, Failure> {
    let most = plumb_ingest::Limits::default().file_bytes;
    let mut file = File::create_new(path).await.map_err(|error| unkept(&error))?;
    let mut bytes = 0;
    while let Some(chunk) = timely(field.chunk()).await?.map_err(|e| malformed(&e))? {
        bytes += chunk.len() as u64;
        if most < bytes {
            let message =
                format!("`{name}` has more than the {most} bytes that are read of a file");
            return Err(Failure::new(Kind::TooLarge, message));
        }
        file.write_all(&chunk).await.map_err(|error| unkept(&error))?;
    }
    file.flush().await.map_err(|error| unkept(&error))?;
    Ok(bytes)
}

/// Why a file cannot be kept under its name, if it cannot: a name is one part of
/// a path, and nothing hidden.
fn wrong_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("it has no name");
    }
    if name.len() > MAX_NAME {
        return Some("its name is longer than 200 bytes");
    }
    if name.starts_with('.') {
        return Some("its name begins with a dot");
    }
    if name.contains(['/', '\\', ':']) || name.chars().any(char::is_control) {
        return Some("its name has `/`, `\\`, `:` or a control character in it");
    }
    None
}

/// Waits for what a client sends, for a time.
async fn timely<T>(coming: impl Future<Output = T>) -> Result<T, Failure> {
    let waited = tokio::time::timeout(STALLED, coming).await;
    waited.map_err(|_| Failure::new(Kind::Deadline, "nothing came for a minute"))
}

fn malformed(error: &MultipartError) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::new(Kind::TooLarge, "the upload is larger than this server takes");
    }
    Failure::new(Kind::Invalid, format!("the form: {}", error.body_text()))
}

fn unkept(error: &std::io::Error) -> Failure {
    Failure::internal(format!("the files cannot be kept: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        for name in [
            "",
            " ",
            "..",
            ".",
            "../a",
            "a/b",
            "/etc/passwd",
            "..\\a",
            "C:\\a",
            "C:a",
            "a\0b",
            ".plumb",
            ".incoming",
            "a\nb",
        ] {
            assert!(wrong_name(name).is_some(), "{name:?}");
        }
        for name in ["a.md", "B\u{fc}cher (2).pdf", "a..b", "~", "$(x)"] {
            assert_eq!(wrong_name(name), None, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_stays_in_its_folder(name in any::<String>()) {
            if wrong_name(&name).is_none() {
                let path = Path::new("/uploads").join(&name);
                prop_assert_eq!(path.parent(), Some(Path::new("/uploads")));
                prop_assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(name.as_str()));
            }
        }
    }
}
