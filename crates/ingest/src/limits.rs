//! How much one file may cost.

/// Bounds on what is read; whatever goes over one is skipped with a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of one file, or of one member of an archive.
    pub file_bytes: u64,
    /// The size of the text of one document.
    pub text_bytes: u64,
    /// The sizes of all members of one file together, unpacked, at all depths.
    pub archive_bytes: u64,
    /// The number of members of one file, at all depths.
    pub archive_members: usize,
    /// How many times larger than its packed form a member may be.
    pub archive_ratio: u64,
    /// How many archives may lie inside each other.
    pub nesting: u32,
}

const MIB: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 256 * MIB,
            text_bytes: 64 * MIB,
            archive_bytes: 1024 * MIB,
            archive_members: 10_000,
            archive_ratio: 200,
            nesting: 3,
        }
    }
}
