//! Stop strings that never reach the reader, not even in part.

/// Passes text on, except what is or may become a stop string.
#[derive(Debug)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
}

/// What the filter lets out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) text: String,
    /// A stop string came; nothing follows.
    pub(crate) is_end: bool,
}

impl StopFilter {
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes the next piece and returns what is certainly no stop string.
    pub(crate) fn push(&mut self, piece: &str) -> Released {
        self.held.push_str(piece);
        let stops = self.stops.iter().filter(|stop| !stop.is_empty());
        // The first to end counts, and of those the first to begin: what has
        // been let out cannot depend on how the text was cut into pieces.
        let places = stops.filter_map(|stop| Some((self.held.find(stop.as_str())?, stop.len())));
        if let Some((at, _)) = places.min_by_key(|(at, len)| (at + len, *at)) {
            self.held.truncate(at);
            return Released { text: std::mem::take(&mut self.held), is_end: true };
        }
        let kept = self.held.split_off(self.certain());
        Released { text: std::mem::replace(&mut self.held, kept), is_end: false }
    }

    /// What is held when no more text comes.
    pub(crate) fn finish(self) -> String {
        self.held
    }

    /// Bytes of the held text before the first place where a stop string may
    /// have begun.
    fn certain(&self) -> usize {
        let may_begin = |&(at, _): &(usize, char)| {
            self.stops.iter().any(|stop| stop.starts_with(&self.held[at..]))
        };
        self.held.char_indices().find(may_begin).map_or(self.held.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(stops: &[&str], pieces: &[&str], want: &[&str], want_rest: Option<&str>) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut filter = StopFilter::new(stops.clone());
        let mut ended = false;
        let found: Vec<String> = pieces
            .iter()
            .map(|piece| {
                let released = filter.push(piece);
                ended = released.is_end;
                released.text
            })
            .collect();
        assert_eq!(found, want);
        assert_eq!((!ended).then(|| filter.finish()).as_deref(), want_rest);
    }

    #[test]
    fn text_without_stop_strings_passes_at_once() {
        check(&[], &["a", "b"], &["a", "b"], Some(""));
        check(&["", "###"], &["a", "ü"], &["a", "ü"], Some(""));
    }

    #[test]
    fn a_stop_string_over_several_pieces_never_leaks() {
        check(&["###"], &["a#", "#", "# b"], &["a", "", ""], None);
        check(&["\n\nQ:", "END"], &["x\n", "\nEN", "D y"], &["x", "\n\n", ""], None);
    }

    #[test]
    fn a_beginning_that_comes_to_nothing_is_released() {
        check(&["###"], &["a##", "b#"], &["a", "##b"], Some("#"));
    }

    #[test]
    fn the_earliest_stop_string_counts() {
        check(&["c", "b"], &["abc"], &["a"], None);
        check(&["abc", "b"], &["abc"], &["a"], None);
        check(&["abc", "b"], &["a", "b"], &["", "a"], None);
        check(&["abc", "bc"], &["a", "bc"], &["", ""], None);
    }

    /// What a reader may see of `text`, and whether a stop string ends it.
    fn slow<'a>(text: &'a str, stops: &[String]) -> (&'a str, bool) {
        for (end, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let ending = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str()));
            if let Some(longest) = ending.map(String::len).max() {
                return (&text[..end - longest], true);
            }
        }
        (text, false)
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_stop_string_leaks_however_the_text_is_cut(
            text in "[a\u{fc}\u{1f600}]{0,40}",
            stops in prop::collection::vec("[a\u{fc}\u{1f600}]{1,5}", 0..4),
            cuts in prop::collection::vec(1_usize..5, 1..50),
        ) {
            let (want, want_end) = slow(&text, &stops);
            let mut filter = StopFilter::new(stops.clone());
            let (mut streamed, mut ended) = (String::new(), false);
            let mut rest = text.chars();
            for &cut in cuts.iter().cycle() {
                let piece: String = rest.by_ref().take(cut).collect();
                if piece.is_empty() || ended {
                    break;
                }
                let released = filter.push(&piece);
                streamed.push_str(&released.text);
                ended = released.is_end;
                // All that came may be a beginning of what a reader may see,
                // and never more.
                prop_assert!(want.starts_with(&streamed), "{streamed:?} of {want:?}");
                let held = &filter.held;
                let may_become = |stop: &String| stop.starts_with(held.as_str());
                prop_assert!(held.is_empty() || stops.iter().any(may_become));
            }
            if !ended {
                streamed.push_str(&filter.finish());
            }
            prop_assert_eq!((streamed.as_str(), ended), (want, want_end));
        }
    }
}
