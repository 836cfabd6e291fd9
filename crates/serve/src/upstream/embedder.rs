//! A pool that embeds documents in place of an embedder of this machine.
//!
//! Vectors can be compared only if one model made them all, and a server may be
//! set to another model at any time, under the same name. So each request carries
//! probes: texts whose vectors the index's own embedder computed. An endpoint
//! that gives them other vectors has failed the request, as one that answers with
//! nothing has, and another is asked; when none is left, the error says in what
//! the vectors differ.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use plumb_index::DocumentEmbedder;
use plumb_infer::{Embedder, TextRole};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::upstream::pool::{Check, Pool, UpstreamRequest};
use crate::upstream::reply::Reply;
use crate::vectors::{cosine, length};

/// Texts that models tell apart: plain words, digits, capitals, another script,
/// signs, a long one.
const PROBES: [&str; 6] = [
    "Invoices are kept for ten years.",
    "42 of 1,337 requests failed on 2024-02-29.",
    "PLUMB serves models; NASA launches rockets.",
    "\u{417}\u{434}\u{440}\u{430}\u{432}\u{441}\u{442}\u{432}\u{443}\u{439}, \u{4e16}\u{754c}!",
    "let x = |y| y + 1; // a closure",
    "The committee that had met in the spring decided, after a discussion which took longer than \
     anybody had expected, that the report should be written again by the end of the year.",
];

/// Probes of one request. The next has the ones after.
const PROBES_AT_ONCE: usize = 2;

/// Least cosine of a probe's vector to the one of the index's embedder. Weights
/// rounded to eight bits stay above it, and another model far below.
const SAME: f32 = 0.999;

/// How far the length of a vector may be from what it is to be, as a part of it.
const LENGTH_TOLERANCE: f32 = 0.01;

/// Texts with the vectors that the index's embedder gives them.
#[derive(Debug)]
pub struct Fingerprint(Vec<(&'static str, Vec<f32>)>);

impl Fingerprint {
    /// Of the embedder that `embed` is.
    pub fn of<E>(embed: impl Fn(&[&str]) -> Result<Vec<Vec<f32>>, E>) -> Result<Self, E> {
        let vectors = embed(&PROBES)?;
        Ok(Self(PROBES.into_iter().zip(vectors).collect()))
    }

    /// Whether the embedder makes all vectors of length 1.
    fn is_normalized(&self) -> bool {
        self.0.iter().all(|(_, vector)| (length(vector) - 1.0).abs() < LENGTH_TOLERANCE)
    }

    /// `vectors` as long as the embedder makes them.
    fn scaled(&self, mut vectors: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        if self.is_normalized() {
            for vector in &mut vectors {
                let length = length(vector);
                for number in vector {
                    *number /= length;
                }
            }
        }
        vectors
    }

    /// The probes of request number `number`.
    fn probes(&self, number: usize) -> impl Iterator<Item = &(&'static str, Vec<f32>)> {
        let start = (number * PROBES_AT_ONCE) % self.0.len();
        self.0[start..].iter().take(PROBES_AT_ONCE)
    }

    /// In what the vectors of these probes differ from those of the embedder.
    fn difference(&self, number: usize, found: &[Vec<f32>]) -> Option<String> {
        self.probes(number).zip(found).find_map(|((text, own), found)| {
            if own.len() != found.len() {
                let (has, wants) = (found.len(), own.len());
                return Some(format!(
                    "its vectors have {has} numbers and those of the index {wants}: it serves \
                     another model"
                ));
            }
            let cosine = cosine(own, found);
            if cosine < SAME || cosine.is_nan() {
                return Some(format!(
                    "its vector of a probe has the cosine {cosine:.3} to that of the index's \
                     embedder, and {SAME} is the least: it serves another model, or other \
                     settings of it (`{}`)",
                    text.chars().take(40).collect::<String>()
                ));
            }
            let ratio = length(found) / length(own);
            (!self.is_normalized() && LENGTH_TOLERANCE < (ratio - 1.0).abs()).then(|| {
                format!(
                    "its vector of a probe is {ratio:.3} times as long as that of the index's \
                     embedder, which does not make all vectors as long as each other"
                )
            })
        })
    }
}

/// A pool that embeds. It blocks its thread, which must not be one that drives
/// the runtime.
pub struct PoolEmbedder {
    pool: Pool,
    runtime: Handle,
    /// The index's own.
    embedder: Arc<Embedder>,
    fingerprint: OnceLock<Arc<Fingerprint>>,
    requests: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Pool(#[from] crate::upstream::Error),
    #[error("an endpoint of the pool refused the request with status {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("an endpoint of the pool sent a stream in place of vectors")]
    Stream,
    #[error("an endpoint of the pool sent {found} vectors for {wanted} texts")]
    Number { found: usize, wanted: usize },
}

impl PoolEmbedder {
    /// Lets `pool` embed what `embedder` would. `runtime` is where its
    /// connections live.
    pub fn new(pool: Pool, embedder: Arc<Embedder>, runtime: Handle) -> Self {
        let (fingerprint, requests) = (OnceLock::new(), AtomicUsize::new(0));
        Self { pool, runtime, embedder, fingerprint, requests }
    }

    fn fingerprint(&self) -> Result<Arc<Fingerprint>, plumb_infer::Error> {
        if let Some(known) = self.fingerprint.get() {
            return Ok(known.clone());
        }
        let made = Arc::new(Fingerprint::of(|texts| self.embedder.embed_documents(texts))?);
        Ok(self.fingerprint.get_or_init(|| made).clone())
    }

    async fn embed(
        &self,
        fingerprint: Arc<Fingerprint>,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let prefix = self.embedder.prefix(TextRole::Document);
        let probes = fingerprint.probes(number).map(|(text, _)| format!("{prefix}{text}"));
        let input: Vec<String> = probes.chain(texts.iter().cloned()).collect();
        let count = input.len();
        let own = fingerprint.clone();
        let check = Check::new(move |reply: &Value| {
            let vectors = vectors(reply).ok_or("it holds no vectors")?;
            if vectors.len() != count {
                return Err(format!("it holds {} vectors for {count} texts", vectors.len()));
            }
            fingerprint.difference(number, &vectors).map_or(Ok(()), Err)
        });
        let body = json!({"input": input, "encoding_format": "float"});
        let request = UpstreamRequest { path: "/embeddings", body, check: Some(check) };
        let body = match self.pool.send(&request).await? {
            Reply::Whole { status: 200, body } => body,
            Reply::Whole { status, body } => {
                let message = String::from_utf8_lossy(&body).chars().take(300).collect();
                return Err(Failure::Refused { status, message });
            }
            Reply::Stream(_) => return Err(Failure::Stream),
        };
        let reply: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut all = vectors(&reply).unwrap_or_default();
        if all.len() != count {
            return Err(Failure::Number { found: all.len(), wanted: count });
        }
        let texts = all.split_off(count - texts.len());
        Ok(own.scaled(texts))
    }

    /// `text` as the embedder reads it: with its prefix, and cut where it stops.
    fn read(&self, text: &str) -> Result<String, plumb_infer::Error> {
        let length = |text: &str| self.embedder.full_length(TextRole::Document, text);
        let most = self.embedder.max_tokens();
        let mut end = text.len();
        if most < length(text)? {
            let (mut low, mut high) = (0, text.len());
            while low + 1 < high {
                let middle = text.floor_char_boundary(low.midpoint(high));
                if middle <= low {
                    break;
                }
                if length(&text[..middle])? <= most { low = middle } else { high = middle }
            }
            end = low;
        }
        Ok(format!("{}{}", self.embedder.prefix(TextRole::Document), &text[..end]))
    }
}

impl DocumentEmbedder for PoolEmbedder {
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, plumb_index::Error> {
        let fingerprint = self.fingerprint()?;
        let texts: Vec<String> =
            texts.iter().map(|text| self.read(text)).collect::<Result<_, _>>()?;
        let embedded = self.runtime.block_on(self.embed(fingerprint, &texts));
        embedded.map_err(|error| plumb_index::Error::Elsewhere {
            pool: self.pool.name().to_owned(),
            source: Box::new(error),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "vectors have single precision")]
fn single(number: &Value) -> Option<f32> {
    Some(number.as_f64()? as f32)
}

/// The vectors of a reply in the order of the texts.
fn vectors(reply: &Value) -> Option<Vec<Vec<f32>>> {
    let mut all: Vec<(u64, Vec<f32>)> = Vec::new();
    for (place, item) in reply["data"].as_array()?.iter().enumerate() {
        let numbers = item["embedding"].as_array()?.iter();
        let numbers: Vec<f32> = numbers.map(single).collect::<Option<_>>()?;
        if !length(&numbers).is_normal() {
            return None;
        }
        all.push((item["index"].as_u64().unwrap_or(place as u64), numbers));
    }
    all.sort_by_key(|(index, _)| *index);
    Some(all.into_iter().map(|(_, vector)| vector).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors that depend on the text, of so many numbers.
    fn embedder(width: usize, salt: usize) -> impl Fn(&[&str]) -> Result<Vec<Vec<f32>>, ()> {
        move |texts| {
            let of = |text: &&str| {
                let mut vector = vec![0.1; width];
                for (place, byte) in text.bytes().enumerate() {
                    vector[(place * salt + usize::from(byte)) % width] += 1.0;
                }
                let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                vector.into_iter().map(|x| x / length).collect()
            };
            Ok(texts.iter().map(of).collect())
        }
    }

    #[test]
    fn another_model_is_known_by_its_size_and_by_its_vectors_whatever_probes_are_sent() {
        let own = Fingerprint::of(embedder(8, 1)).unwrap();
        for number in 0..7 {
            let texts: Vec<&str> = own.probes(number).map(|(text, _)| *text).collect();
            assert_eq!(texts.len(), PROBES_AT_ONCE);
            let of = |width, salt| embedder(width, salt)(&texts).unwrap();
            assert_eq!(own.difference(number, &of(8, 1)), None);
            let size = own.difference(number, &of(16, 1)).unwrap();
            assert!(size.contains("have 16 numbers and those of the index 8"), "{size}");
            let other = own.difference(number, &of(8, 3)).unwrap();
            assert!(other.contains("another model"), "{other}");
        }
    }

    #[test]
    fn vectors_are_as_long_as_the_embedder_makes_them() {
        let long = |factor: f32| {
            move |texts: &[&str]| -> Result<Vec<Vec<f32>>, ()> {
                let vectors = embedder(8, 1)(texts)?;
                let scaled = |vector: Vec<f32>| vector.iter().map(|x| x * factor).collect();
                Ok(vectors.into_iter().map(scaled).collect())
            }
        };
        let (short, own) = (Fingerprint::of(long(1.0)), Fingerprint::of(long(3.0)));
        let (short, own) = (short.unwrap(), own.unwrap());
        let texts: Vec<&str> = own.probes(0).map(|(text, _)| *text).collect();
        let of = |factor: f32| long(factor)(&texts).unwrap();
        // Of one that makes all of length 1, any length will do.
        assert_eq!(short.difference(0, &of(7.0)), None);
        assert_eq!(short.scaled(vec![vec![3.0, 4.0]]), [[0.6, 0.8]]);
        assert_eq!(own.difference(0, &of(3.0)), None);
        assert!(own.difference(0, &of(1.0)).unwrap().contains("times as long"));
        assert_eq!(own.scaled(vec![vec![3.0, 4.0]]), [[3.0, 4.0]]);
        // Another model is told apart at any length.
        let other: Vec<Vec<f32>> = embedder(8, 3)(&texts)
            .unwrap()
            .iter()
            .map(|v| v.iter().map(|x| x * 3.0).collect())
            .collect();
        assert!(own.difference(0, &other).unwrap().contains("another model"));
    }

    #[test]
    fn vectors_are_in_the_order_of_the_texts() {
        let reply = json!({"data": [
            {"index": 1, "embedding": [0.0, 5.0]},
            {"index": 0, "embedding": [3.0, 4.0]},
        ]});
        assert_eq!(vectors(&reply).unwrap(), [[3.0, 4.0], [0.0, 5.0]]);
        for bad in [
            json!({}),
            json!({"data": [{"embedding": [0.0, 0.0]}]}),
            json!({"data": [{"embedding": "base64"}]}),
        ] {
            assert_eq!(vectors(&bad), None, "{bad}");
        }
    }
}
