//! W3C Trace Context: the ids that a request carries from one machine to the
//! next.

use axum::http::HeaderMap;

/// Which span of which trace something belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    pub is_sampled: bool,
    /// What others want carried along.
    pub state: Option<String>,
}

/// Bytes of a `tracestate` that are carried along.
const MAX_STATE: usize = 512;

impl TraceContext {
    /// The context that a request names. A header that is none is ignored, as
    /// the standard says.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let mut context = Self::parse(text("traceparent")?)?;
        let state = text("tracestate").filter(|state| state.len() <= MAX_STATE);
        context.state = state.map(str::to_owned);
        Some(context)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, digits: usize| {
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == digits && text.bytes().all(is_digit)
        };
        let is_known = is_hex(version, 2) && version != "ff";
        // Later versions may have more parts; the first has not.
        let has_more = parts.next().is_some() && version == "00";
        if !is_known || has_more || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|&id| id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|&id| id != 0)?;
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, span_id, is_sampled, state: None })
    }

    /// A trace that begins here.
    pub fn root(is_sampled: impl FnOnce(u128) -> bool) -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self { trace_id, span_id: random(), is_sampled: is_sampled(trace_id), state: None }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: random(), ..self.clone() }
    }

    /// As `traceparent` says it.
    pub fn header(&self) -> String {
        let flags = u8::from(self.is_sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// A number that is not 0, which no id may be.
fn random() -> u64 {
    // Without randomness traces cannot be told apart, which harms no request.
    getrandom::u64().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_as_it_was() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert!(context.is_sampled);
        assert_eq!(context.header(), GOOD);
        let child = context.child();
        assert_eq!(child.trace_id, context.trace_id);
        assert_ne!(child.span_id, context.span_id);
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled);
    }

    #[test]
    fn what_the_standard_forbids_is_ignored() {
        for bad in [
            "",
            "00",
            &GOOD.replace("00-", "ff-"),
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.replace("4bf92f", "+bf92f"),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
        // What a later version may say more is not looked at.
        assert!(TraceContext::parse(&format!("{}-more", GOOD.replace("00-", "01-"))).is_some());
    }
}
