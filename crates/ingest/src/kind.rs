//! What a file is, by its first bytes and its name.

use crate::document::Kind;

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One document.
    Document(Kind),
    /// A ZIP that is an archive, not an office file.
    Zip,
    Tar,
    /// One compressed file, often a tar.
    Gzip,
    /// Nothing that is read; the reason.
    Skip(&'static str),
}

/// The format of a file. Bytes decide where they can, the extension of `name`
/// where they cannot.
pub(crate) fn format_of(name: &str, bytes: &[u8]) -> Format {
    let extension = extension_of(name);
    if let Some(format) = by_magic(&extension, bytes) {
        return format;
    }
    if let Some(reason) = skipped_extension(&extension) {
        return Format::Skip(reason);
    }
    Format::Document(by_extension(name, &extension).unwrap_or_else(|| by_look(bytes)))
}

/// In lower case, empty if there is none. Queries and fragments of a URL are
/// no part of it.
pub(crate) fn extension_of(name: &str) -> String {
    let file = file_name(name);
    file.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase())
}

/// The last part of a path or URL.
pub(crate) fn file_name(name: &str) -> &str {
    let is_url = name.contains("://");
    let path = if is_url { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or(path)
}

fn by_magic(extension: &str, bytes: &[u8]) -> Option<Format> {
    let is = |magic: &[u8]| bytes.starts_with(magic);
    if is(b"%PDF-") || (extension == "pdf" && contains(bytes, b"%PDF-")) {
        return Some(Format::Document(Kind::Pdf));
    }
    if is(b"PK\x03\x04") || is(b"PK\x05\x06") {
        return Some(zip_format(extension, bytes));
    }
    if is(b"\x1f\x8b") {
        return Some(Format::Gzip);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(Format::Tar);
    }
    if is(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(match extension {
            "xls" => Format::Document(Kind::Spreadsheet),
            _ => Format::Skip("old or encrypted office file; save it in today's format"),
        });
    }
    let other: &[(&[u8], &'static str)] = &[
        (b"\x7fELF", "program"),
        (b"MZ\x90", "program"),
        (b"\x89PNG", "image"),
        (b"\xff\xd8\xff", "image"),
        (b"GIF8", "image"),
        (b"RIFF", "sound, image or film"),
        (b"OggS", "sound or film"),
        (b"fLaC", "sound"),
        (b"ID3", "sound"),
        (b"GGUF", "model file"),
        (b"wOF", "font"),
        (b"SQLite format 3\0", "database"),
        (b"BZh", "archive of a kind that is not read"),
        (b"\xfd7zXZ\0", "archive of a kind that is not read"),
        (b"\x28\xb5\x2f\xfd", "archive of a kind that is not read"),
        (b"7z\xbc\xaf", "archive of a kind that is not read"),
        (b"Rar!", "archive of a kind that is not read"),
    ];
    other.iter().find(|(magic, _)| is(magic)).map(|&(_, reason)| Format::Skip(reason))
}

/// Office files and EPUBs are ZIPs; their names, or the first member, say so.
fn zip_format(extension: &str, bytes: &[u8]) -> Format {
    let head = &bytes[..bytes.len().min(4096)];
    let kind = match extension {
        "docx" | "docm" | "dotx" => Kind::Docx,
        "pptx" | "pptm" | "ppsx" | "potx" => Kind::Pptx,
        "xlsx" | "xlsm" | "xlsb" | "ods" => Kind::Spreadsheet,
        "epub" => Kind::Epub,
        "odt" | "odp" => return Format::Skip("OpenDocument text, which is not read"),
        _ if contains(head, b"mimetypeapplication/epub+zip") => Kind::Epub,
        _ if !contains(head, b"[Content_Types].xml") => return Format::Zip,
        _ if contains(bytes, b"word/document.xml") => Kind::Docx,
        _ if contains(bytes, b"ppt/presentation.xml") => Kind::Pptx,
        _ if contains(bytes, b"xl/workbook.") => Kind::Spreadsheet,
        _ => return Format::Zip,
    };
    Format::Document(kind)
}

/// Whether `needle` lies in the first or last 64 KiB.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    const NEAR: usize = 64 << 10;
    let find = |part: &[u8]| part.windows(needle.len()).any(|window| window == needle);
    find(&bytes[..bytes.len().min(NEAR)]) || find(&bytes[bytes.len().saturating_sub(NEAR)..])
}

fn skipped_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "png" | "jpg" | "jpeg" | "gif" | "bmp" | "webp" | "ico" | "tif" | "tiff" | "svg" => "image",
        "mp3" | "wav" | "ogg" | "flac" | "m4a" => "sound",
        "mp4" | "mkv" | "avi" | "mov" | "webm" => "film",
        "woff" | "woff2" | "ttf" | "otf" | "eot" => "font",
        "safetensors" | "gguf" | "onnx" | "pt" | "pth" | "npy" | "npz" => "model file",
        "so" | "dll" | "dylib" | "exe" | "o" | "a" | "rlib" | "pyc" | "class" | "wasm" => "program",
        "map" => "source map",
        _ => return None,
    })
}

fn by_extension(name: &str, extension: &str) -> Option<Kind> {
    // Published sources of pages: `library/os.rst.txt`.
    if extension == "txt"
        && let Some((stem, _)) = name.rsplit_once('.')
        && let inner @ ("rst" | "md") = &*extension_of(stem)
    {
        return by_extension(stem, inner);
    }
    Some(match extension {
        "md" | "markdown" | "mdx" | "mkd" | "qmd" | "rmd" => Kind::Markdown,
        "txt" | "text" | "log" | "adoc" | "asciidoc" | "org" | "tex" | "srt" | "vtt" => Kind::Text,
        "rst" => Kind::ReStructuredText,
        "html" | "htm" | "xhtml" => Kind::Html,
        "csv" | "tsv" | "tab" => Kind::Csv,
        "json" | "geojson" | "ipynb" => Kind::Json,
        "jsonl" | "ndjson" => Kind::JsonLines,
        "eml" => Kind::Mail,
        _ if CODE.contains(&extension) => Kind::Code,
        _ if matches!(file_name(name), "Makefile" | "Dockerfile" | "CMakeLists.txt") => Kind::Code,
        _ => return None,
    })
}

const CODE: &[&str] = &[
    "asm", "awk", "bash", "bat", "c", "cc", "cfg", "clj", "cmake", "conf", "cpp", "cs", "css",
    "cu", "cuh", "cxx", "dart", "el", "erl", "ex", "exs", "f90", "fish", "fs", "go", "gradle",
    "graphql", "groovy", "h", "hh", "hpp", "hs", "hxx", "ini", "java", "jl", "js", "jsx", "kt",
    "kts", "less", "lisp", "lua", "m", "mjs", "ml", "mli", "mm", "nim", "nix", "php", "pl", "pm",
    "proto", "ps1", "py", "pyi", "pyx", "r", "rb", "rs", "sass", "scala", "scm", "scss", "sh",
    "sql", "svelte", "swift", "tcl", "tf", "toml", "ts", "tsx", "v", "vb", "vhd", "vim", "vue",
    "xml", "yaml", "yml", "zig", "zsh",
];

/// For names without a known extension: HTML by its first tag, otherwise text.
fn by_look(bytes: &[u8]) -> Kind {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let is_html = ["<!doctype html", "<html"].iter().any(|tag| head.starts_with(tag));
    match is_html {
        true => Kind::Html,
        false if head.starts_with("#!") => Kind::Code,
        false => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, bytes: &[u8], want: Format) {
        assert_eq!(format_of(name, bytes), want);
    }

    #[test]
    fn the_name_decides_between_texts() {
        check("a/README.md", b"# Hi", Format::Document(Kind::Markdown));
        check("https://example.org/a.html?x=1.md#y", b"<p>", Format::Document(Kind::Html));
        check("library/os.rst.txt", b"x", Format::Document(Kind::ReStructuredText));
        check("main.RS", b"fn main() {}", Format::Document(Kind::Code));
        check("LICENSE", b"Permission", Format::Document(Kind::Text));
        check("index", b"\n<!DOCTYPE html><p>", Format::Document(Kind::Html));
    }

    #[test]
    fn bytes_win_over_names() {
        check("report.txt", b"%PDF-1.7", Format::Document(Kind::Pdf));
        check("notes.md", b"\x89PNG\r\n", Format::Skip("image"));
        check("data", b"PK\x05\x06", Format::Zip);
        check("x.docx", b"PK\x03\x04", Format::Document(Kind::Docx));
    }

    #[test]
    fn pictures_and_models_are_named_as_the_reason() {
        check("a.safetensors", b"{}", Format::Skip("model file"));
        check("logo.svg", b"<svg/>", Format::Skip("image"));
    }
}
