//! From a question to an [`Answer`]: search, choose, word, verify, or abstain.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use plumb_infer::{Embedder, VectorStore};
use plumb_retrieve::{Bm25, Filter, Hit, Mode, Query};
use plumb_store::Snapshot;
use plumb_text::{Analyzer, sentences};

use crate::answer::{Answer, ChunkReuse, Claim, Dropped, ModelId, Status, Support, joined_text};
use crate::claims::{Quote, check, evidence_hash, meant, numbered, quoted, readable};
use crate::error::Error;
use crate::evidence::SourcePassage;
use crate::prompt::{answer_messages, pieces, rewrite_messages};
use crate::rewrite::{Turn, is_faithful, leans_on_history, with_subject};
use crate::select::{Candidate, QuestionTerms, choose, is_dangling};
use crate::support::question_support;
use crate::writer::{Request, Subject, Writer};

/// Most sentences embedded for one question.
const MAX_CANDIDATES: usize = 72;
const MAX_ANSWER_TOKENS: usize = 160;
const MAX_REWRITE_TOKENS: usize = 48;

/// How questions are answered.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Passages whose sentences are considered.
    pub top_k: usize,
    pub mode: Mode,
    /// Sentences of evidence, at most.
    pub max_sentences: usize,
    /// Support below which the answer is an abstention, in `0.0..=1.0`.
    pub threshold: f32,
    pub filter: Option<Filter>,
    /// How the writer reuses what it read of the evidence, as answers say it.
    pub chunk_reuse: Option<ChunkReuse>,
}

/// What a question is asked of.
pub struct Sources<'a> {
    pub snapshot: &'a Snapshot,
    pub embedder: &'a Embedder,
    pub embedder_id: ModelId,
    pub analyzer: &'a Analyzer,
    /// Where vectors of sentences are kept, if anywhere.
    pub vectors: Option<&'a VectorStore>,
    pub settings: &'a Settings,
}

/// What happens on the way to an answer.
#[derive(Debug)]
pub enum Event<'a> {
    /// The question as it is searched for, when that differs.
    Rewritten(&'a str),
    Passages(&'a [Hit]),
    /// A claim that passed its check. Claims come in the order of the answer.
    Claim(&'a Claim),
    Dropped(&'a Dropped),
}

/// Receives events; `Break` stops the question.
pub type OnEvent<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// Answers `question`, which follows the turns of `history` (oldest first).
///
/// Without a `writer` the answer is made of quotes alone.
pub fn ask(
    sources: &Sources<'_>,
    question: &str,
    history: &[Turn],
    mut writer: Option<&mut dyn Writer>,
    on_event: &mut OnEvent<'_>,
) -> Result<Answer, Error> {
    if question.trim().is_empty() {
        return Err(Error::EmptyQuestion);
    }
    let mut clock = Clock::start();
    let mut models = BTreeMap::from([("embedder".to_owned(), sources.embedder_id.clone())]);
    if let Some(writer) = &writer {
        models.insert("generator".to_owned(), writer.id());
    }
    let standalone = standalone_question(question, history, &mut writer)?;
    if standalone != question {
        announce(on_event, Event::Rewritten(&standalone))?;
        clock.lap("rewrite");
    }
    let found = Findings::search(sources, &standalone, &mut clock)?;
    announce(on_event, Event::Passages(&found.hits))?;
    let chosen = found.choose(sources, &standalone);
    let support = Support {
        score: found.support(sources, &standalone, &chosen),
        threshold: sources.settings.threshold,
    };
    clock.lap("select");
    let mut outcome = Outcome::default();
    let mut chunk_reuse = None;
    if support.score >= support.threshold && !chosen.is_empty() {
        chunk_reuse = sources.settings.chunk_reuse.clone().filter(|_| writer.is_some());
        let quotes = found.quotes(sources.snapshot, &chosen)?;
        let asked = (standalone.as_str(), found.vector.as_slice());
        outcome = word(asked, &quotes, sources.analyzer, &mut writer, on_event)?;
        clock.lap("write");
    }
    let answer = outcome.into_answer(Heading {
        question,
        standalone,
        support,
        snapshot: sources.snapshot.id().to_string(),
        models,
        chunk_reuse,
        timings_ms: clock.finish(),
    });
    Ok(answer)
}

fn announce(on_event: &mut OnEvent<'_>, event: Event<'_>) -> Result<(), Error> {
    if on_event(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Milliseconds of each step.
struct Clock {
    started: Instant,
    lap: Instant,
    laps: BTreeMap<String, f64>,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, lap: now, laps: BTreeMap::new() }
    }

    fn lap(&mut self, name: &str) {
        self.laps.insert(name.to_owned(), milliseconds(self.lap));
        self.lap = Instant::now();
    }

    fn finish(mut self) -> BTreeMap<String, f64> {
        self.laps.insert("total".to_owned(), milliseconds(self.started));
        self.laps
    }
}

/// Since `start`, to the microsecond: no exponent in JSON.
fn milliseconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

fn standalone_question(
    question: &str,
    history: &[Turn],
    writer: &mut Option<&mut dyn Writer>,
) -> Result<String, Error> {
    if history.is_empty() || !leans_on_history(question) {
        return Ok(question.to_owned());
    }
    let recent = &history[history.len().saturating_sub(3)..];
    if let Some(writer) = writer {
        let turns: Vec<(String, String)> =
            recent.iter().map(|turn| (turn.question.clone(), turn.answer.clone())).collect();
        let mut vocabulary = vec![question];
        vocabulary.extend(recent.iter().flat_map(|t| [t.question.as_str(), t.answer.as_str()]));
        let request = Request {
            messages: &rewrite_messages(&turns, question),
            pieces: &[],
            vocabulary: &vocabulary,
            max_tokens: MAX_REWRITE_TOKENS,
            subject: None,
        };
        let proposal = writer.write(&request, &mut |_| ControlFlow::Continue(()))?;
        if is_faithful(proposal.trim(), question, recent) {
            return Ok(proposal.trim().to_owned());
        }
    }
    Ok(with_subject(question, recent))
}

/// Passages and sentences found for a question.
struct Findings {
    /// Of the whole question.
    vector: Vec<f32>,
    hits: Vec<Hit>,
    passages: Vec<SourcePassage>,
    candidates: Vec<Candidate>,
}

impl Findings {
    fn search(sources: &Sources<'_>, question: &str, clock: &mut Clock) -> Result<Self, Error> {
        let parts = question_parts(question);
        let mut vectors: Vec<Vec<f32>> = parts
            .iter()
            .map(|part| sources.embedder.embed_query(part))
            .collect::<Result<_, _>>()?;
        clock.lap("embed");
        let hits = search_parts(sources, &parts, &vectors)?;
        clock.lap("search");
        let passages: Vec<SourcePassage> = hits
            .iter()
            .map(|hit| SourcePassage::read(sources.snapshot, hit))
            .collect::<Result<_, _>>()?;
        let mut candidates = listed(&hits, &passages);
        let embedded = embedded(sources, &candidates)?;
        for (candidate, vector) in candidates.iter_mut().zip(&embedded) {
            candidate.cosine =
                vectors.iter().map(|query| cosine(query, vector)).fold(f32::MIN, f32::max);
        }
        clock.lap("sentences");
        let vector = vectors.swap_remove(0);
        Ok(Self { vector, hits, passages, candidates })
    }

    fn choose(&self, sources: &Sources<'_>, question: &str) -> Vec<usize> {
        let terms = question_terms(sources, question);
        let max = sources.settings.max_sentences;
        let best = choose(&self.candidates, &terms, sources.analyzer, max);
        self.completed(best, max)
    }

    /// Puts before each sentence that refers back the sentence it refers to,
    /// and leaves out those whose antecedent is no candidate.
    fn completed(&self, best: Vec<usize>, max: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        for index in best {
            let candidate = &self.candidates[index];
            if !is_dangling(&candidate.text) {
                chosen.push(index);
                continue;
            }
            let before = self.candidates.iter().position(|other| {
                other.passage == candidate.passage && other.position + 1 == candidate.position
            });
            match before {
                Some(before) if !is_dangling(&self.candidates[before].text) => {
                    chosen.extend([before, index]);
                }
                _ => {}
            }
        }
        let mut seen = Vec::new();
        chosen.retain(|index| {
            !seen.contains(index) && {
                seen.push(*index);
                true
            }
        });
        chosen.truncate(max.max(2));
        self.in_reading_order(chosen)
    }

    /// Keeps the best passage first and the sentences of each in its order.
    fn in_reading_order(&self, mut chosen: Vec<usize>) -> Vec<usize> {
        let mut passages: Vec<usize> = Vec::new();
        for &index in &chosen {
            let passage = self.candidates[index].passage;
            if !passages.contains(&passage) {
                passages.push(passage);
            }
        }
        let rank = |passage| passages.iter().position(|&p| p == passage);
        chosen.sort_by_key(|&i| (rank(self.candidates[i].passage), self.candidates[i].position));
        chosen
    }

    fn support(&self, sources: &Sources<'_>, question: &str, chosen: &[usize]) -> f32 {
        let terms = question_terms(sources, question);
        let chosen: Vec<&Candidate> = chosen.iter().map(|&i| &self.candidates[i]).collect();
        let passages = |index: usize| self.passages[index].source.text.as_str();
        question_support(&chosen, &passages, &terms, sources.analyzer)
    }

    fn quotes(&self, snapshot: &Snapshot, chosen: &[usize]) -> Result<Vec<Quote>, Error> {
        chosen
            .iter()
            .map(|&index| {
                let candidate = &self.candidates[index];
                self.passages[candidate.passage].quote(snapshot, candidate.position)
            })
            .collect()
    }
}

fn question_terms(sources: &Sources<'_>, question: &str) -> QuestionTerms {
    let idf = |term: &str| plumb_retrieve::idf(sources.snapshot, term).unwrap_or(0.0);
    QuestionTerms::new(question, sources.analyzer, &idf)
}

/// The question, and its sentences if it has several.
fn question_parts(question: &str) -> Vec<String> {
    let mut parts = vec![question.trim().to_owned()];
    let ranges = sentences(question);
    if ranges.len() > 1 {
        parts.extend(ranges.into_iter().map(|range| question[range].trim().to_owned()));
    }
    parts.truncate(4);
    parts
}

/// The hits of every part, best rank first, each passage once.
fn search_parts(
    sources: &Sources<'_>,
    parts: &[String],
    vectors: &[Vec<f32>],
) -> Result<Vec<Hit>, Error> {
    let settings = sources.settings;
    let mut all: Vec<Hit> = Vec::new();
    for (part, vector) in parts.iter().zip(vectors) {
        let query = Query {
            terms: &sources.analyzer.terms(part),
            vector: Some(vector),
            top_k: settings.top_k,
            mode: settings.mode,
            bm25: Bm25::default(),
            filter: settings.filter.as_ref(),
        };
        for hit in plumb_retrieve::search(sources.snapshot, &query)? {
            match all.iter_mut().find(|known| known.passage == hit.passage) {
                Some(known) if known.rank <= hit.rank => {}
                Some(known) => *known = hit,
                None => all.push(hit),
            }
        }
    }
    all.sort_by(|a, b| a.rank.cmp(&b.rank).then(b.score.total_cmp(&a.score)));
    all.truncate(settings.top_k + 2 * (parts.len() - 1));
    Ok(all)
}

fn listed(hits: &[Hit], passages: &[SourcePassage]) -> Vec<Candidate> {
    let best = hits.iter().map(|hit| hit.score).fold(f32::MIN_POSITIVE, f32::max);
    let mut candidates = Vec::new();
    for (index, (hit, passage)) in hits.iter().zip(passages).enumerate() {
        for position in 0..passage.sentences.len() {
            if let Some(text) = passage.sentence(position) {
                candidates.push(Candidate {
                    passage: index,
                    position,
                    text,
                    context: passage.context(position),
                    cosine: 0.0,
                    passage_score: (hit.score / best).clamp(0.0, 1.0),
                });
            }
        }
    }
    candidates.truncate(MAX_CANDIDATES);
    candidates
}

/// A vector for each candidate, in their order, which is that of passages.
fn embedded(sources: &Sources<'_>, candidates: &[Candidate]) -> Result<Vec<Vec<f32>>, Error> {
    let texts: Vec<String> =
        candidates.iter().map(|c| format!("{}: {}", c.context, c.text)).collect();
    let Some(vectors) = sources.vectors else {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        return Ok(sources.embedder.embed_documents(&texts)?);
    };
    let mut texts = texts.iter().map(String::as_str);
    let groups: Vec<Vec<&str>> = candidates
        .chunk_by(|a, b| a.passage == b.passage)
        .map(|passage| texts.by_ref().take(passage.len()).collect())
        .collect();
    let found = vectors.embed_documents(sources.embedder, &groups)?;
    Ok(found.into_iter().flatten().collect())
}

/// Dot product of two normalised vectors.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// What was said.
#[derive(Default)]
struct Outcome {
    claims: Vec<Claim>,
    dropped: Vec<Dropped>,
}

fn word(
    asked: (&str, &[f32]),
    quotes: &[Quote],
    analyzer: &Analyzer,
    writer: &mut Option<&mut dyn Writer>,
    on_event: &mut OnEvent<'_>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    if let Some(writer) = writer {
        outcome = written(asked, quotes, analyzer, *writer, on_event)?;
    }
    // What the model left out or got wrong, the quotes themselves say.
    if outcome.claims.is_empty() || !outcome.dropped.is_empty() {
        for claim in quoted(quotes) {
            if !outcome.cites(&claim) && outcome.push(claim, on_event).is_break() {
                return Err(Error::Interrupted);
            }
        }
    }
    Ok(outcome)
}

/// Lets the model write, and takes each sentence as soon as it is complete.
fn written(
    (question, vector): (&str, &[f32]),
    quotes: &[Quote],
    analyzer: &Analyzer,
    writer: &mut dyn Writer,
    on_event: &mut OnEvent<'_>,
) -> Result<Outcome, Error> {
    let texts: Vec<String> = quotes.iter().map(|quote| quote.text.clone()).collect();
    let pieces = pieces(&texts);
    let vocabulary: Vec<&str> =
        quotes.iter().flat_map(|quote| [quote.text.as_str(), quote.context.as_str()]).collect();
    let request = Request {
        messages: &answer_messages(question, &pieces),
        pieces: &pieces,
        vocabulary: &vocabulary,
        max_tokens: MAX_ANSWER_TOKENS,
        subject: Some(Subject { question, vector, evidence: evidence_hash(quotes) }),
    };
    let mut outcome = Outcome::default();
    let mut pending = String::new();
    let mut stopped = false;
    let text = writer.write(&request, &mut |piece| {
        pending.push_str(piece);
        let ends = sentences(&pending);
        // The last sentence may still grow.
        for range in ends.iter().take(ends.len().saturating_sub(1)) {
            let sentence = readable(&pending[range.clone()]);
            stopped |= outcome.take(&sentence, quotes, analyzer, on_event).is_break();
        }
        if let Some(last) = ends.last().filter(|_| ends.len() > 1) {
            pending.drain(..last.start);
        }
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let is_whole = text.trim_end().ends_with(['.', '!', '?', '\u{3002}']);
    if is_whole && !stopped && !pending.trim().is_empty() {
        stopped |= outcome.take(&readable(&pending), quotes, analyzer, on_event).is_break();
    }
    if stopped { Err(Error::Interrupted) } else { Ok(outcome) }
}

impl Outcome {
    /// Checks one written sentence. One that fails is dropped, and the quote
    /// that it was made from takes its place.
    fn take(
        &mut self,
        sentence: &str,
        quotes: &[Quote],
        analyzer: &Analyzer,
        on_event: &mut OnEvent<'_>,
    ) -> ControlFlow<()> {
        match check(sentence, self.claims.last(), quotes, analyzer) {
            Ok(claim) => self.push(claim, on_event),
            Err(dropped) => {
                let flow = on_event(Event::Dropped(&dropped));
                self.dropped.push(dropped);
                let meant = meant(sentence, quotes, analyzer);
                let claim = meant.and_then(|quote| quoted(std::slice::from_ref(quote)).pop());
                match (flow, claim) {
                    (ControlFlow::Continue(()), Some(claim)) => self.push(claim, on_event),
                    _ => flow,
                }
            }
        }
    }

    /// True if the place that `claim` cites is cited already.
    fn cites(&self, claim: &Claim) -> bool {
        let place = |claim: &Claim| {
            claim.citations.first().map(|citation| (citation.uri.clone(), citation.byte_range))
        };
        self.claims.iter().any(|known| place(known) == place(claim))
    }

    /// Adds `claim` unless the answer says the same already.
    fn push(&mut self, claim: Claim, on_event: &mut OnEvent<'_>) -> ControlFlow<()> {
        if self.claims.iter().any(|known| known.text == claim.text) {
            return ControlFlow::Continue(());
        }
        self.claims.push(claim);
        self.claims = numbered(std::mem::take(&mut self.claims));
        self.claims.last().map_or(ControlFlow::Continue(()), |claim| on_event(Event::Claim(claim)))
    }

    fn into_answer(self, heading: Heading<'_>) -> Answer {
        let status = if self.claims.is_empty() { Status::Abstained } else { Status::Answered };
        let text = match status {
            Status::Answered => joined_text(&self.claims),
            Status::Abstained => ABSTENTION.to_owned(),
        };
        let standalone = heading.standalone;
        let answer = Answer {
            status,
            question: heading.question.to_owned(),
            standalone_question: (standalone != heading.question).then_some(standalone),
            answer: text,
            claims: self.claims,
            dropped: self.dropped,
            support: heading.support,
            snapshot: heading.snapshot,
            answer_id: String::new(),
            models: heading.models,
            timings_ms: heading.timings_ms,
            chunk_reuse: heading.chunk_reuse,
            guarantee: None,
            cache: None,
            digest: String::new(),
        };
        answer.sealed()
    }
}

/// What an abstention says.
pub const ABSTENTION: &str = "The documents do not support an answer to this question.";

/// Everything about an answer but what it says.
struct Heading<'a> {
    question: &'a str,
    standalone: String,
    support: Support,
    snapshot: String,
    models: BTreeMap<String, ModelId>,
    chunk_reuse: Option<ChunkReuse>,
    timings_ms: BTreeMap<String, f64>,
}
