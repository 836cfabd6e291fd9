//! One span, from its beginning to its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{TraceContext, Tracer};

/// What a span is to the one that it is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Work of this process.
    Internal = 1,
    /// A request that came.
    Server = 2,
    /// A request to another machine.
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

/// Names and values.
pub(super) type Attributes = Vec<(&'static str, Value)>;

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SpanEvent {
    pub(super) at: u64,
    pub(super) name: &'static str,
    pub(super) attributes: Attributes,
}

/// A span that is over. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) context: TraceContext,
    pub(super) parent: Option<u64>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<SpanEvent>,
    /// What went wrong, if something did.
    pub(super) fault: Option<String>,
}

/// A span; it ends when it is dropped. Where nothing is recorded it is empty,
/// and knows only the caller's context, which is passed on.
#[derive(Debug, Default)]
pub struct Span {
    open: Option<Box<(Arc<Tracer>, Finished)>>,
    caller: Option<TraceContext>,
    has_end: bool,
}

impl Span {
    /// Records nothing.
    pub(super) fn none(caller: Option<TraceContext>) -> Self {
        Self { open: None, caller, has_end: false }
    }

    /// A span that begins now; nothing is recorded if its trace is not.
    pub(super) fn begin(
        tracer: &Arc<Tracer>,
        (context, parent): (TraceContext, Option<u64>),
        name: String,
        kind: Kind,
    ) -> Self {
        if !context.is_sampled {
            return Self::none(Some(context));
        }
        let start = tracer.nanos(Instant::now());
        let finished = Finished {
            context,
            parent,
            name,
            kind,
            start,
            end: start,
            attributes: Vec::new(),
            events: Vec::new(),
            fault: None,
        };
        let open = Some(Box::new((tracer.clone(), finished)));
        Self { open, caller: None, has_end: false }
    }

    /// Whether what is said of it goes anywhere.
    pub fn is_recorded(&self) -> bool {
        self.open.is_some()
    }

    /// Sets an attribute.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.open {
            open.1.attributes.push((name, value.into()));
        }
    }

    /// Something happens.
    pub(super) fn event(&mut self, name: &'static str, attributes: Attributes) {
        if let Some(open) = &mut self.open {
            let at = open.0.nanos(Instant::now());
            open.1.events.push(SpanEvent { at, name, attributes });
        }
    }

    /// What it stands for did not work.
    pub fn fail(&mut self, kind: &'static str, message: &str) {
        self.set("error.type", kind);
        if let Some(open) = &mut self.open {
            open.1.fault = Some(message.to_owned());
        }
    }

    /// It lasted from one moment to another.
    #[must_use]
    pub(super) fn between(mut self, start: Instant, end: Instant) -> Self {
        if let Some(open) = &mut self.open {
            (open.1.start, open.1.end) = (open.0.nanos(start), open.0.nanos(end));
            self.has_end = true;
        }
        self
    }

    /// Where spans below this one begin.
    pub fn scope(&self) -> Scope {
        match &self.open {
            Some(open) => {
                Scope { tracer: Some(open.0.clone()), context: Some(open.1.context.clone()) }
            }
            None => Scope { tracer: None, context: self.caller.clone() },
        }
    }

    /// Held by several, and over when the last has let go.
    pub fn shared(self) -> SharedSpan {
        SharedSpan(Arc::new(Mutex::new(self)))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let (tracer, mut finished) = *open;
            if !self.has_end {
                finished.end = tracer.nanos(Instant::now());
            }
            tracer.take(finished);
        }
    }
}

/// A span that several hold.
#[derive(Clone, Debug)]
pub struct SharedSpan(Arc<Mutex<Span>>);

impl SharedSpan {
    /// Says something of it.
    pub fn with<T>(&self, work: impl FnOnce(&mut Span) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where spans begin: below a span of this process, or nowhere.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    tracer: Option<Arc<Tracer>>,
    context: Option<TraceContext>,
}

impl Scope {
    /// What requests to other machines are told.
    pub fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// Whether spans may hold texts of prompts and answers.
    pub fn has_content(&self) -> bool {
        self.tracer.as_ref().is_some_and(|tracer| tracer.has_content())
    }

    /// A span below.
    pub(super) fn span(&self, name: String, kind: Kind) -> Span {
        match (&self.tracer, &self.context) {
            (Some(tracer), Some(above)) => {
                Span::begin(tracer, (above.child(), Some(above.span_id)), name, kind)
            }
            _ => Span::none(self.context.clone()),
        }
    }
}
