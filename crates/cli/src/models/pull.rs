//! Getting a model: source after source, into `partial/`, checked, and then
//! into its place all at once.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ureq::Agent;

use super::catalogue::{Model, Source};
use super::checked::CheckedFile;
use super::error::Attempt;
use super::http::{self, Failed, Repository};
use super::python::Wheels;
use super::{Error, ModelFile, Models};
use crate::context::Stop;
use crate::progress::{Progress, Show};

/// Where to pull from and whom to tell.
pub struct Pull<'a> {
    /// Such as `https://huggingface.co`.
    pub endpoint: &'a str,
    pub show: Show,
    pub stop: &'a Stop,
    /// Told the bytes that are there, of so many, beside what is shown.
    pub on_bytes: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

/// What a source needs while a model is pulled.
pub struct Pulling<'a> {
    pub agent: &'a Agent,
    pub progress: &'a Progress,
    pub stop: &'a Stop,
    /// Told the same as `progress`.
    pub on_bytes: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Bytes of the whole model.
    pub total: u64,
    /// Bytes of the model that were there before the present file.
    pub done_before: u64,
}

impl Pulling<'_> {
    /// Tells how many bytes of the model are there.
    pub fn set(&self, done: u64) {
        self.progress.set(done);
        if let Some(on_bytes) = self.on_bytes {
            on_bytes(done, self.total);
        }
    }
}

impl Models {
    /// Gets every file of a model, unless they are there, and says whether
    /// anything had to be done.
    pub fn pull(&self, model: &Model, how: &Pull<'_>) -> Result<bool, Error> {
        let _lock = self.lock(&model.name)?;
        if self.is_whole(model)? {
            return Ok(false);
        }
        let staging = self.partial().join(&model.name);
        fs::create_dir_all(&staging).map_err(Error::io(&staging))?;
        let total = model.files.iter().map(|file| file.bytes).sum();
        let progress = how.show.bytes(&model.name, total);
        let mut attempts = Vec::new();
        for source in &model.sources {
            let place = describe(source, how.endpoint);
            progress.note(&format!("from {place}"));
            match self.try_source(source, model, how, &progress) {
                Ok(()) => {
                    progress.clear();
                    return self.place(model, &staging).map(|()| true);
                }
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Source(reason)) => attempts.push(Attempt { place, reason }),
            }
        }
        progress.clear();
        Err(Error::NoSource { name: model.name.clone(), attempts })
    }

    fn try_source(
        &self,
        source: &Source,
        model: &Model,
        how: &Pull<'_>,
        progress: &Progress,
    ) -> Result<(), Failed> {
        let staging = self.partial().join(&model.name);
        let agent = http::agent();
        let mut pulling = Pulling {
            agent: &agent,
            progress,
            stop: how.stop,
            on_bytes: how.on_bytes,
            total: model.files.iter().map(|file| file.bytes).sum(),
            done_before: 0,
        };
        let mut missing: Vec<(&ModelFile, PathBuf)> = Vec::new();
        for file in &model.files {
            let path = staging.join(&file.name);
            if is_right(&path, file)? {
                pulling.done_before += file.bytes;
            } else {
                make_parent(&path)?;
                missing.push((file, path));
            }
        }
        match source {
            Source::HuggingFace { repository, revision } => {
                let from = Repository { endpoint: how.endpoint, name: repository, revision };
                for (want, path) in &missing {
                    from.download(want, path, &pulling)?;
                    pulling.done_before += want.bytes;
                }
            }
            Source::Local { path: folder } => {
                for (want, path) in &missing {
                    http::copy_local(folder, want, path, &pulling)?;
                    pulling.done_before += want.bytes;
                }
            }
            Source::Python { blobs } => {
                let folder = staging.join(".wheels");
                fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
                let wheels = Wheels { folder: &folder };
                for blob in blobs {
                    wheels.unpack(blob, &missing, &pulling)?;
                }
                fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
            }
        }
        for (want, path) in &missing {
            if !is_right(path, want)? {
                return Err(Failed::Source(format!("does not have `{}`", want.name)));
            }
        }
        Ok(())
    }

    /// Moves the files of a complete model to where they are used.
    fn place(&self, model: &Model, staging: &Path) -> Result<(), Error> {
        let folder = self.folder(&model.name);
        if !folder.exists() {
            return fs::rename(staging, &folder).map_err(Error::io(&folder));
        }
        for file in &model.files {
            let to = folder.join(&file.name);
            make_parent(&to)?;
            fs::rename(staging.join(&file.name), &to).map_err(Error::io(&to))?;
        }
        fs::remove_dir_all(staging).map_err(Error::io(staging))
    }

    /// Keeps other processes away from a model until it is dropped.
    pub(super) fn lock(&self, name: &str) -> Result<File, Error> {
        let partial = self.partial();
        fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
        let path = partial.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(Error::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { name: name.to_owned() }),
            Err(TryLockError::Error(source)) => Err(Error::Io { path, source }),
        }
    }

    fn partial(&self) -> PathBuf {
        self.cache.join("partial")
    }
}

/// Whether a file is there with every byte as it should be.
fn is_right(path: &Path, want: &ModelFile) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == want.bytes => {
            Ok(CheckedFile::resume(path, want)?.finish().is_ok())
        }
        _ => Ok(false),
    }
}

pub(super) fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::io(parent)),
        None => Ok(()),
    }
}

fn describe(source: &Source, endpoint: &str) -> String {
    match source {
        Source::HuggingFace { repository, .. } => {
            format!("{}/{repository}", endpoint.trim_end_matches('/'))
        }
        Source::Local { path } => path.display().to_string(),
        Source::Python { blobs } => {
            let parts = blobs.iter().flat_map(|blob| &blob.parts);
            let packages: HashSet<&str> = parts.map(|part| part.package.as_str()).collect();
            match packages.len() {
                1 => "1 Python package".to_owned(),
                count => format!("{count} Python packages"),
            }
        }
    }
}
