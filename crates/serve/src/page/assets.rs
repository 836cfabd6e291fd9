//! The files of the page.

/// One file.
pub(super) struct Asset {
    /// Its name under `/assets/`.
    pub(super) name: &'static str,
    /// Its content.
    pub(super) bytes: &'static [u8],
}

impl Asset {
    /// The content type.
    pub(super) fn kind(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}

macro_rules! assets {
    ($($name:literal,)*) => {
        &[$(Asset { name: $name, bytes: include_bytes!(concat!("../../page/", $name)) },)*]
    };
}

/// All of them.
pub(super) const ASSETS: &[Asset] = assets![
    "api.js",
    "ask.css",
    "ask.js",
    "asking.js",
    "base.css",
    "chart.js",
    "composer.js",
    "conversations.js",
    "document-view.js",
    "documents.js",
    "dom.js",
    "early.js",
    "exposition.js",
    "feedback.js",
    "format.js",
    "icons.js",
    "index.html",
    "inline.js",
    "jobs.js",
    "keys.js",
    "layout.css",
    "login.js",
    "main.js",
    "markdown.js",
    "models.js",
    "monitor.js",
    "notice.js",
    "pages.css",
    "plumb.svg",
    "quote.js",
    "router.js",
    "scores.js",
    "search.js",
    "shell.js",
    "shortcuts.js",
    "source.css",
    "source.js",
    "sse.js",
    "state.js",
    "support.js",
    "theme.js",
    "tokens.css",
    "trace.js",
    "turn.js",
    "utf8.js",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Ways to turn text into markup or script, or to leave the page's own server.
    const FORBIDDEN: [&str; 14] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "createContextualFragment",
        "DOMParser",
        "setHTMLUnsafe",
        "eval(",
        "new Function",
        "javascript:",
        "http:",
        "https:",
        "@import",
        "url(",
    ];

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    /// What stands between `before` and the next quote, wherever that is.
    fn quoted_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let found: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(found, served);
    }

    #[test]
    fn every_file_that_one_refers_to_is_there() {
        let is_there = |name: &str| ASSETS.iter().any(|asset| asset.name == name);
        let mut references = 0;
        for asset in ASSETS {
            let mut names = quoted_after(text(asset), "\"/assets/");
            names.extend(quoted_after(text(asset), "from \"./"));
            for name in names {
                assert!(is_there(name), "{} refers to {name}", asset.name);
                references += 1;
            }
        }
        assert!(references > ASSETS.len(), "{references} references are too few to be all");
    }

    #[test]
    fn no_file_makes_markup_of_text_or_refers_to_another_server() {
        for asset in ASSETS {
            // The name of a vocabulary, which nobody fetches.
            let text = text(asset).replace("http://www.w3.org/2000/svg", "");
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{} has `{word}`", asset.name);
            }
        }
    }

    #[test]
    fn the_document_has_no_script_or_style_of_its_own() {
        let index = ASSETS.iter().find(|asset| asset.name == "index.html").unwrap();
        let html = text(index);
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script src=").count()
                + html.matches("<script type=\"module\" src=").count()
        );
        assert_eq!(html.matches("></script>").count(), html.matches("<script").count());
        for word in ["<style", "style=", " onload", " onclick", " onerror"] {
            assert!(!html.contains(word), "{word}");
        }
    }
}
