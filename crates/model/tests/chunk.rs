//! Keys and values that are moved to other positions.

#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::num::NonZeroUsize;
use std::path::Path;

use plumb_kernels::{DType, Isa, Pool, dequantize};
use plumb_model::{ChunkType, Decoder, Error, KvCache, KvChunk, Logits};

/// Families whose keys can be moved: plain, stretched in three ways, and with
/// layers that see a window and are rotated otherwise.
const MOVABLE: [&str; 6] = ["qwen3", "mistral", "llama3", "llama-linear", "qwen2-yarn", "gemma3"];

fn pool() -> Pool {
    Pool::new(NonZeroUsize::new(2).unwrap())
}

fn load(name: &str) -> Decoder {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny").join(name);
    let mut decoder = Decoder::load(&folder).unwrap();
    decoder.pack(&pool());
    decoder
}

fn read(decoder: &Decoder, cache: &mut KvCache, tokens: &[u32]) -> Vec<f32> {
    decoder.forward(&pool(), tokens, cache, Logits::Last).unwrap()
}

/// The keys of the first layer, which follow from tokens and positions alone.
fn first_keys(decoder: &Decoder, chunk: &KvChunk) -> Vec<f32> {
    let spec = decoder.spec();
    let count = chunk.tokens() * spec.kv_heads * spec.head_width;
    let mut keys = vec![0.0; count];
    dequantize(Isa::best(), DType::F16, &chunk.as_bytes()[..2 * count], &mut keys);
    keys
}

#[test]
fn a_chunk_where_it_was_read_is_as_if_it_were_read() {
    let (head, passage, tail) = ([3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13]);
    for name in MOVABLE {
        let decoder = load(name);
        let mut cache = decoder.new_cache();
        read(&decoder, &mut cache, &head);
        read(&decoder, &mut cache, &passage);
        let chunk = decoder.copy(&cache, 3..9).unwrap();
        let want = read(&decoder, &mut cache, &tail);
        for skipped in [0, 2, 6] {
            let mut other = decoder.new_cache();
            read(&decoder, &mut other, &head);
            if 0 < skipped {
                read(&decoder, &mut other, &passage[..skipped]);
            }
            decoder.append(&pool(), &mut other, &chunk, skipped).unwrap();
            assert_eq!(read(&decoder, &mut other, &tail), want, "{name} without {skipped}");
        }
    }
}

#[test]
fn keys_are_rotated_to_where_they_are_put() {
    let passage = [6, 7, 8, 9, 10, 11];
    for name in MOVABLE {
        let decoder = load(name);
        let (mut early, mut late) = (decoder.new_cache(), decoder.new_cache());
        read(&decoder, &mut early, &[3]);
        read(&decoder, &mut early, &passage);
        let chunk = decoder.copy(&early, 1..7).unwrap();
        let before: Vec<u32> = (3..23).collect();
        read(&decoder, &mut late, &before);
        let mut moved = late.clone();
        read(&decoder, &mut late, &passage);
        decoder.append(&pool(), &mut moved, &chunk, 0).unwrap();
        assert_eq!(moved.len(), 26);
        let of = |cache| first_keys(&decoder, &decoder.copy(cache, 20..26).unwrap());
        let (found, want) = (of(&moved), of(&late));
        let size = want.iter().copied().map(f32::abs).fold(0.0, f32::max);
        let is_near = |(a, b): (&f32, &f32)| (a - b).abs() <= 4e-3 * size;
        assert!(found.iter().zip(&want).all(is_near), "{name}: {found:?} {want:?}");
        let unmoved = first_keys(&decoder, &chunk);
        assert!(!unmoved.iter().zip(&want).all(is_near), "{name}: the test sees no rotation");
    }
}

#[test]
fn what_cannot_be_moved_is_refused() {
    for name in ["gpt2", "phi3-longrope"] {
        let found = load(name).check_movable();
        assert!(matches!(found, Err(Error::NotMovable { .. })), "{name}");
    }
    // In floats throughout.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny/qwen3");
    assert!(Decoder::load(&folder).unwrap().check_movable().is_err());
    let decoder = load("qwen3");
    let mut cache = decoder.new_cache();
    read(&decoder, &mut cache, &[1, 2, 3, 4]);
    let chunk = decoder.copy(&cache, 2..4).unwrap();
    let back = decoder.append(&pool(), &mut decoder.new_cache(), &chunk, 0);
    assert!(matches!(back, Err(Error::NotMovable { .. })));
    let bytes = |stored| (stored, chunk.as_bytes().to_vec());
    let with = |place, bytes| KvChunk::from_bytes(decoder.spec(), place, bytes);
    assert!(with((2, 2), bytes(ChunkType::F16)).is_some());
    assert!(with((2, 2), bytes(ChunkType::Q8)).is_none());
    assert!(with((3, 2), bytes(ChunkType::F16)).is_none());
    assert!(with((0, 0), (ChunkType::F16, Vec::new())).is_none());
}

#[test]
fn eight_bits_take_about_half_and_lose_little() {
    let (head, passage, tail) = ([3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13]);
    let decoder = load("qwen3");
    let mut cache = decoder.new_cache();
    read(&decoder, &mut cache, &head);
    let mut before = cache.clone();
    read(&decoder, &mut cache, &passage);
    let halves = decoder.copy(&cache, 3..9).unwrap();
    let want = read(&decoder, &mut cache, &tail);
    let bytes = decoder.store_as(&pool(), halves.clone(), ChunkType::Q8).unwrap();
    assert_eq!(bytes.as_bytes().len() * 64, halves.as_bytes().len() * 34);
    let kept = (bytes.stored(), bytes.as_bytes().to_vec());
    let again = KvChunk::from_bytes(decoder.spec(), (6, 3), kept).unwrap();
    assert_eq!(again, bytes);
    decoder.append(&pool(), &mut before, &bytes, 0).unwrap();
    let found = read(&decoder, &mut before, &tail);
    let size = want.iter().copied().map(f32::abs).fold(0.0, f32::max);
    let furthest = found.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest <= 0.05 * size, "{furthest} of {size}");
    assert_ne!(found, want, "the test sees no rounding");
}
