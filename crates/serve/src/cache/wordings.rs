//! Wordings of answers from documents.
//!
//! What a writer wrote for a question is kept with the evidence that it was
//! written from. It is written again for a question of the same form whose
//! evidence, chosen anew on the present snapshot, is the same to the byte; the
//! answer is then made of it as it would be of fresh words, each sentence checked.
//! So a document that changed, went, or is not for this reader cannot speak
//! through what is kept: its sentences are not among the evidence.
//!
//! For the very question that the words were written for they are what the writer
//! would write again. For one that is put in another way they are not, and so that
//! is done only where the settings ask for it, and such an answer is replayed from
//! the recorded text.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use plumb_answer::{Cached, ModelId, NEAR, Request, Subject, Writer, WriterError, question_form};
use plumb_text::Analyzer;

use super::exact::hash;
use super::lru::{Key, Lru};
use super::policy::Policy;
use crate::vectors::cosine;

/// Wordings by evidence and question.
#[derive(Debug)]
pub(crate) struct Wordings {
    kept: Mutex<Lru<Arc<Wording>>>,
    is_on: bool,
    near_questions: bool,
}

/// What was written, and for what.
#[derive(Debug)]
struct Wording {
    question: String,
    vector: Vec<f32>,
    text: String,
}

impl Wordings {
    pub(super) fn new(most: usize, near_questions: bool) -> Self {
        Self { kept: Mutex::new(Lru::new(most)), is_on: most != 0, near_questions }
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes()
    }

    fn key(&self, scope: &str, subject: &Subject<'_>, analyzer: &Analyzer) -> Option<Key> {
        let form = if self.near_questions {
            question_form(subject.question, analyzer)
        } else {
            subject.question.to_owned()
        };
        let is_usable = self.is_on && !form.is_empty();
        is_usable.then(|| hash(&[scope.as_bytes(), &subject.evidence, form.as_bytes()]))
    }

    /// The wording kept under `key`, if its question is near enough to this one.
    fn find(&self, key: &Key, subject: &Subject<'_>) -> Option<(Arc<Wording>, f32)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key)?;
        if kept.question == subject.question {
            return Some((kept, 1.0));
        }
        let similarity = cosine(&kept.vector, subject.vector);
        (self.near_questions && NEAR <= similarity).then_some((kept, similarity.min(1.0)))
    }

    fn insert(&self, key: Key, wording: Wording) {
        let bytes = wording.question.len() + wording.text.len() + 4 * wording.vector.len();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key, Arc::new(wording), bytes);
    }
}

/// A writer that writes what was written before, where that says the same of the
/// same evidence.
pub(crate) struct KeptWriter<'a> {
    inner: &'a mut dyn Writer,
    wordings: &'a Wordings,
    /// What the words depend on beside question and evidence.
    scope: String,
    analyzer: &'a Analyzer,
    policy: Policy,
    outcome: Outcome,
}

/// What came of looking.
#[derive(Debug, Default)]
enum Outcome {
    /// Nothing was looked for.
    #[default]
    Unasked,
    /// Words were taken; whether they were written for this very question.
    Taken { cached: Cached, is_same: bool },
    /// There were none. Holds those that were written instead, if they may be
    /// kept.
    Written(Option<(Key, Wording)>),
}

impl<'a> KeptWriter<'a> {
    /// Lets `inner` write what `wordings` does not have. `scope` names the
    /// collection, and how its answers are worded.
    pub(crate) fn new(
        inner: &'a mut dyn Writer,
        (wordings, policy): (&'a Wordings, Policy),
        scope: String,
        analyzer: &'a Analyzer,
    ) -> Self {
        let outcome = Outcome::Unasked;
        Self { inner, wordings, scope, analyzer, policy, outcome }
    }

    /// The answer is there: what was written may be taken for the next. Says
    /// what was taken for this one, and whether anything was looked for.
    pub(crate) fn settle(&mut self) -> (Option<Cached>, bool) {
        match std::mem::take(&mut self.outcome) {
            Outcome::Unasked => (None, false),
            Outcome::Taken { cached, .. } => (Some(cached), true),
            Outcome::Written(new) => {
                if let Some((key, wording)) = new {
                    self.wordings.insert(key, wording);
                }
                (None, self.policy.takes)
            }
        }
    }
}

impl Writer for KeptWriter<'_> {
    fn id(&self) -> ModelId {
        self.inner.id()
    }

    /// Words that were written for a question put in another way are not what
    /// the writer would write again.
    fn is_deterministic(&self) -> bool {
        let is_foreign = matches!(self.outcome, Outcome::Taken { is_same: false, .. });
        !is_foreign && self.inner.is_deterministic()
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let key = request.subject.and_then(|subject| {
            Some((subject, self.wordings.key(&self.scope, &subject, self.analyzer)?))
        });
        let Some((subject, key)) = key else { return self.inner.write(request, on_text) };
        let found = self.policy.takes.then(|| self.wordings.find(&key, &subject)).flatten();
        if let Some((kept, similarity)) = found {
            let is_same = kept.question == subject.question;
            let cached = Cached { layer: "answer".to_owned(), similarity };
            self.outcome = Outcome::Taken { cached, is_same };
            // A break is the caller's own doing and needs no answer.
            let _ = on_text(&kept.text);
            return Ok(kept.text.clone());
        }
        let text = self.inner.write(request, on_text)?;
        let wording = Wording {
            question: subject.question.to_owned(),
            vector: subject.vector.to_vec(),
            text: text.clone(),
        };
        self.outcome = Outcome::Written(self.policy.keeps.then_some((key, wording)));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what it writes.
    struct Counter(usize);

    impl Writer for Counter {
        fn id(&self) -> ModelId {
            ModelId { name: "counter".to_owned(), sha256: None }
        }

        fn is_deterministic(&self) -> bool {
            true
        }

        fn write(
            &mut self,
            _: &Request<'_>,
            on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
        ) -> Result<String, WriterError> {
            self.0 += 1;
            let text = format!("text {}", self.0);
            let _ = on_text(&text);
            Ok(text)
        }
    }

    fn request(subject: Subject<'_>) -> Request<'_> {
        let subject = Some(subject);
        Request { messages: &[], pieces: &[], vocabulary: &[], max_tokens: 1, subject }
    }

    /// One question of one evidence, with an embedding of so many degrees.
    struct Case {
        wordings: Wordings,
        writer: Counter,
        policy: Policy,
    }

    impl Case {
        fn new(near_questions: bool) -> Self {
            let wordings = Wordings::new(10_000, near_questions);
            Self { wordings, writer: Counter(0), policy: Policy::ALLOWED }
        }

        /// What is written, the similarity if it was kept, and whether it would
        /// be written again.
        fn ask(
            &mut self,
            (scope, evidence): (&str, u8),
            question: &str,
            degrees: f32,
        ) -> (String, Option<f32>, bool) {
            let analyzer = Analyzer::english();
            let kept = (&self.wordings, self.policy);
            let mut writer = KeptWriter::new(&mut self.writer, kept, scope.to_owned(), &analyzer);
            let vector = [degrees.to_radians().cos(), degrees.to_radians().sin()];
            let subject = Subject { question, vector: &vector, evidence: [evidence; 32] };
            let request = request(subject);
            let mut told = String::new();
            let written = writer.write(&request, &mut |text| {
                told.push_str(text);
                ControlFlow::Continue(())
            });
            assert_eq!(written.unwrap(), told);
            let is_deterministic = writer.is_deterministic();
            (told, writer.settle().0.map(|cached| cached.similarity), is_deterministic)
        }
    }

    #[test]
    fn the_same_question_of_the_same_evidence_is_worded_once() {
        let mut case = Case::new(false);
        let first = case.ask(("docs", 1), "How long?", 0.0);
        assert_eq!(first, ("text 1".to_owned(), None, true));
        let again = case.ask(("docs", 1), "How long?", 0.0);
        assert_eq!(again, ("text 1".to_owned(), Some(1.0), true));
        // Evidence that changed, another collection, a question put in another way.
        assert_eq!(case.ask(("docs", 2), "How long?", 0.0).0, "text 2");
        assert_eq!(case.ask(("other", 1), "How long?", 0.0).0, "text 3");
        assert_eq!(case.ask(("docs", 1), "how long", 0.0).0, "text 4");
    }

    #[test]
    fn a_question_put_in_another_way_is_the_same_only_where_that_is_asked_for_and_near() {
        let mut case = Case::new(true);
        case.ask(("docs", 1), "How long are invoices kept?", 0.0);
        let (text, similarity, is_deterministic) =
            case.ask(("docs", 1), "Tell me how long the invoices are kept", 10.0);
        assert_eq!((&*text, is_deterministic), ("text 1", false));
        assert!(similarity.is_some_and(|cosine| (0.98..0.99).contains(&cosine)));
        assert_eq!(case.ask(("docs", 1), "how long are invoices kept", 80.0).1, None, "too far");
        for other in ["How long are drafts kept?", "How long are invoices not kept?"] {
            assert_eq!(case.ask(("docs", 1), other, 0.0).1, None, "{other}");
        }
        assert_eq!(case.ask(("docs", 2), "How long are invoices kept?", 0.0).1, None);
    }

    #[test]
    fn a_request_that_declines_takes_nothing_and_leaves_nothing() {
        let mut case = Case::new(false);
        case.policy = Policy::NEVER;
        case.ask(("docs", 1), "How long?", 0.0);
        case.policy = Policy::ALLOWED;
        assert_eq!(case.ask(("docs", 1), "How long?", 0.0).1, None);
        case.policy = Policy { takes: false, keeps: true };
        assert_eq!(case.ask(("docs", 1), "How long?", 0.0).0, "text 3");
        case.policy = Policy::ALLOWED;
        assert_eq!(case.ask(("docs", 1), "How long?", 0.0).0, "text 3", "the later counts");
    }

    #[test]
    fn words_of_an_answer_that_never_came_are_not_kept() {
        let wordings = Wordings::new(10_000, false);
        let analyzer = Analyzer::english();
        let subject = Subject { question: "q", vector: &[1.0], evidence: [1; 32] };
        let request = request(subject);
        let mut counter = Counter(0);
        let kept = (&wordings, Policy::ALLOWED);
        let mut writer = KeptWriter::new(&mut counter, kept, String::new(), &analyzer);
        writer.write(&request, &mut |_| ControlFlow::Break(())).unwrap();
        drop(writer);
        assert_eq!(wordings.bytes(), 0);
    }
}
