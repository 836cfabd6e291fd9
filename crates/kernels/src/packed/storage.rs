//! Where the bytes of packed matrices are: in memory of their own, or in
//! memory that something else provides, such as the map of a file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::wide::{self, Line};

/// Bytes that several matrices may share.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

#[derive(Clone)]
pub(super) enum Storage {
    Own(Vec<Line>),
    /// A part that begins where a line may begin.
    Shared(SharedBytes, Range<usize>),
}

impl Storage {
    /// The part `range` of `bytes`, or `None` if there is none or it begins
    /// where no line may.
    pub(super) fn shared(bytes: SharedBytes, range: Range<usize>) -> Option<Self> {
        let part = (*bytes).as_ref().get(range.clone())?;
        let is_aligned = part.as_ptr().addr().is_multiple_of(size_of::<Line>());
        is_aligned.then_some(Self::Shared(bytes, range))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(lines) => wide::bytes(lines),
            Self::Shared(bytes, range) => &(**bytes).as_ref()[range.clone()],
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if matches!(self, Self::Own(_)) { "Own" } else { "Shared" };
        write!(f, "{name}({} bytes)", self.bytes().len())
    }
}
