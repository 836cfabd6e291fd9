//! Where the first right page stands, for every question and every way to retrieve.

use anyhow::{Result, bail};
use plumb_index::Chunking;
use plumb_infer::Embedder;
use plumb_retrieve::{Bm25, Fusion, Mode, Query};
use plumb_store::Snapshot;

use super::{Choice, DEPTH, STEPS, TuneArgs, chunks};
use crate::add::made;
use crate::context::Context;
use crate::labelled::Labelled;
use crate::models::locate;
use crate::project::{LoadedEmbedder, Project, analyzer};

/// One way with the reciprocal rank of the first right page of each question.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    pub(super) choice: Choice,
    pub(super) ranks: Vec<f64>,
}

/// The present way, then all that are tried.
pub(super) fn search(
    project: &Project,
    questions: &[Labelled],
    (present, args): (Choice, &TuneArgs),
    context: &Context,
) -> Result<Vec<Ranked>> {
    let mut ways = vec![present];
    let weights = (0..=STEPS).map(|step| f32::from(step) / f32::from(STEPS));
    let mut cuts = vec![present.chunking];
    if args.chunks {
        let other_length = |&max_tokens: &usize| Chunking { max_tokens, ..present.chunking };
        cuts.extend(args.max_tokens.iter().map(other_length));
        cuts.push(Chunking { headings: !present.chunking.headings, ..present.chunking });
    }
    for chunking in cuts {
        ways.extend(weights.clone().map(|dense_weight| Choice { dense_weight, chunking }));
    }
    of(project, questions, &ways, context)
}

/// Of each of `ways`, those of one cut next to each other.
pub(super) fn of(
    project: &Project,
    questions: &[Labelled],
    ways: &[Choice],
    context: &Context,
) -> Result<Vec<Ranked>> {
    let snapshot = project.snapshot()?;
    let located = locate(context, &project.config.embedder)?;
    // Settings that were changed since say nothing of the passages that are there.
    made(project, &located).check(&snapshot)?;
    let embedder = LoadedEmbedder::load(&located, project.config.threads)?.embedder;
    let vectors = questions.iter().map(|question| embedder.embed_query(&question.text));
    let vectors: Vec<Vec<f32>> = vectors.collect::<Result<_, _>>()?;
    let fusion = project.config.mode.fusion();
    let asked = Asked { questions, vectors: &vectors, fusion, context };
    let mut all = Vec::with_capacity(ways.len());
    for ways in ways.chunk_by(|a, b| a.chunking == b.chunking) {
        let chunking = ways[0].chunking;
        if chunking == project.config.chunking {
            all.extend(asked.ranked(&snapshot, ways)?);
            continue;
        }
        if chunking.max_tokens == 0 {
            bail!("a passage of 0 tokens cannot be: `max_tokens` is at least 1");
        }
        let built = build(project, &snapshot, (chunking, &embedder), context)?;
        all.extend(asked.ranked(&built.snapshot(), ways)?);
    }
    Ok(all)
}

fn build(
    project: &Project,
    snapshot: &Snapshot,
    (chunking, embedder): (Chunking, &Embedder),
    context: &Context,
) -> Result<chunks::Built> {
    let Chunking { max_tokens, headings } = chunking;
    let with = if headings { "with" } else { "without" };
    context.note(format!("indexing in passages of {max_tokens} tokens, {with} headings"));
    chunks::build(project, snapshot, (chunking, embedder), context)
}

/// Questions with their vectors.
struct Asked<'a> {
    questions: &'a [Labelled],
    vectors: &'a [Vec<f32>],
    /// The project's, with a weight of the vectors.
    fusion: Fusion,
    context: &'a Context,
}

impl Asked<'_> {
    fn ranked(&self, snapshot: &Snapshot, ways: &[Choice]) -> Result<Vec<Ranked>> {
        let analyzer = analyzer();
        let count = self.questions.len() as u64;
        let bar = self.context.progress(count, "{bar:30} {pos}/{len} questions");
        let new = |choice: &Choice| Ranked { choice: *choice, ranks: Vec::new() };
        let mut ranked: Vec<Ranked> = ways.iter().map(new).collect();
        for (question, vector) in self.questions.iter().zip(self.vectors) {
            if self.context.stop.is_set() {
                bail!("interrupted; nothing was changed");
            }
            let terms = analyzer.terms(&question.text);
            for way in &mut ranked {
                let query = Query {
                    terms: &terms,
                    vector: Some(vector),
                    top_k: DEPTH,
                    mode: Mode::Fused(self.fusion.with_weight(way.choice.dense_weight)),
                    bm25: Bm25::default(),
                    filter: None,
                };
                let hits = plumb_retrieve::search(snapshot, &query)?;
                let first = hits.iter().find(|hit| question.is_answered_by(&hit.uri));
                way.ranks.push(first.map_or(0.0, |hit| 1.0 / hit.rank as f64));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(ranked)
    }
}
