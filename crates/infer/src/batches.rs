//! Texts of different lengths in batches, for encoders.

/// Tokens of a batch: enough to keep matrix products efficient, few enough
/// that their activations stay small.
const BATCH_TOKENS: usize = 512;

/// The indices of texts with these lengths, shortest first.
pub(crate) fn by_length(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| lengths[i]);
    order
}

/// Cuts `order` into runs of at most [`BATCH_TOKENS`] tokens, or one text.
pub(crate) fn batches<'a>(order: &'a [usize], lengths: &[usize]) -> Vec<&'a [usize]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (end, &i) in order.iter().enumerate() {
        if start < end && BATCH_TOKENS < size + lengths[i] {
            batches.push(&order[start..end]);
            (start, size) = (end, 0);
        }
        size += lengths[i];
    }
    if start < order.len() {
        batches.push(&order[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_respect_the_limit() {
        let lengths = [1, 230, 230, 230, 800, 800];
        let order: Vec<usize> = (0..lengths.len()).collect();
        let sizes: Vec<usize> = batches(&order, &lengths).iter().map(|b| b.len()).collect();
        assert_eq!(sizes, [3, 1, 1, 1]);
        assert!(batches(&[], &[]).is_empty());
    }
}
