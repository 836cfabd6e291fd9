//! What each element means for the text.

use html5gum::StartTag;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Heading(u8),
    Pre,
    Item,
    Row,
    Cell,
    /// Begins and ends a paragraph.
    Block,
    /// Has no end tag.
    Void,
    /// Its text is not for readers.
    LeftOut,
    Inline,
}

pub(super) fn role(name: &str) -> Role {
    match name {
        "title" => Role::Title,
        "h1" => Role::Heading(1),
        "h2" => Role::Heading(2),
        "h3" => Role::Heading(3),
        "h4" => Role::Heading(4),
        "h5" => Role::Heading(5),
        "h6" => Role::Heading(6),
        "pre" => Role::Pre,
        "li" => Role::Item,
        "tr" => Role::Row,
        "td" | "th" => Role::Cell,
        "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "dd"
        | "details" | "dialog" | "div" | "dl" | "dt" | "fieldset" | "figcaption" | "figure"
        | "footer" | "form" | "header" | "hgroup" | "html" | "legend" | "main" | "ol"
        | "option" | "p" | "search" | "section" | "summary" | "table" | "tbody" | "tfoot"
        | "thead" | "ul" => Role::Block,
        "area" | "base" | "br" | "col" | "embed" | "hr" | "img" | "input" | "link" | "meta"
        | "param" | "source" | "track" | "wbr" => Role::Void,
        "canvas" | "iframe" | "nav" | "noframes" | "noscript" | "object" | "script" | "style"
        | "svg" | "template" => Role::LeftOut,
        _ => Role::Inline,
    }
}

/// Elements whose end tag may be missing: one that is hidden has no sure end.
pub(super) fn has_optional_end(name: &str) -> bool {
    matches!(
        name,
        "html"
            | "head"
            | "body"
            | "p"
            | "li"
            | "dt"
            | "dd"
            | "option"
            | "tr"
            | "td"
            | "th"
            | "tbody"
            | "thead"
            | "tfoot"
            | "colgroup"
    )
}

/// Whether a style, in lower case and without spaces, shows nothing to a reader:
/// text that only a program reads is a way to talk to the program.
fn is_invisible(style: &str) -> bool {
    const HIDING: &[&str] = &["display:none", "visibility:hidden", "text-indent:-", "left:-9"];
    const TRANSPARENT: &[&str] = &["color:transparent", "opacity:0", "font-size:0"];
    const WHITE: &[&str] = &["color:white", "color:#fff", "color:#ffffff"];
    let declarations = || style.split([';', '!']);
    // `opacity:0.5` shows something, and so does white on a background.
    let is_zero = |value: &str| {
        let value = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
        TRANSPARENT.iter().any(|known| {
            value.strip_prefix(known).is_some_and(|rest| rest.bytes().all(|b| b"0.".contains(&b)))
        })
    };
    HIDING.iter().any(|hiding| style.contains(hiding))
        || declarations().any(|value| value == "color:transparent" || is_zero(value))
        || (!style.contains("background") && declarations().any(|value| WHITE.contains(&value)))
}

/// Whether the element is not shown, or is navigation.
pub(super) fn is_hidden(tag: &StartTag<usize>) -> bool {
    let attribute = |name: &str| {
        let value = tag.attributes.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).to_ascii_lowercase())
    };
    let is = |name: &str, value: &str| attribute(name).is_some_and(|found| found.trim() == value);
    if attribute("hidden").is_some_and(|value| value != "until-found") {
        return true;
    }
    let style = attribute("style").unwrap_or_default().replace(' ', "");
    let class = attribute("class").unwrap_or_default();
    is("aria-hidden", "true")
        || is("role", "navigation")
        || is_invisible(&style)
        // The sign beside a heading that links to itself.
        || class.split_whitespace().any(|class| class == "headerlink")
}
