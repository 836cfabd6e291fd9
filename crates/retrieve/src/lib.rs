//! Vectors, postings, filters and fusion over a snapshot.
