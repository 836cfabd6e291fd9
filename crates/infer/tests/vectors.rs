//! Vectors that are kept, and come back to the bit.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plumb_infer::{Embedder, VectorStore};
use sha2::{Digest, Sha256};

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(12)
}

#[test]
fn kept_vectors_are_those_that_embedding_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny");
    let embedder = Embedder::load(&folder.join("bert-classifier"), NonZeroUsize::MIN).unwrap();
    let kept = tempfile::tempdir().unwrap();
    let groups = [vec!["a", "b c"], vec!["d"]];
    let want: Vec<Vec<Vec<f32>>> =
        groups.iter().map(|texts| embedder.embed_documents(texts).unwrap()).collect();
    let embed = |model: &str| {
        let store = VectorStore::new(kept.path(), model, u64::MAX, noon);
        store.embed_documents(&embedder, &groups).unwrap()
    };
    let files = || -> Vec<PathBuf> {
        fs::read_dir(kept.path()).unwrap().map(|file| file.unwrap().path()).collect()
    };
    assert_eq!(embed("a"), want);
    assert_eq!((embed("a"), files().len()), (want.clone(), 2));
    for path in files() {
        let whole = fs::read(&path).unwrap();
        for len in [0, 20, whole.len() - 1] {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(embed("a"), want, "{len} bytes");
        }
        // A sound file is believed: that is what it is for.
        let (content, _) = whole.split_at(whole.len() - 32);
        let mut other = content.to_vec();
        other[content.len() - 2] ^= 1;
        let sum = Sha256::digest(&other);
        fs::write(&path, [&other, &sum[..]].concat()).unwrap();
        assert_ne!(embed("a"), want);
        fs::write(&path, whole).unwrap();
    }
    assert_eq!((embed("b"), files().len()), (want, 4));
}
