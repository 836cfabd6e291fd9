//! Memory that forward passes use again.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plumb_kernels::{Pool, QuantizedRows};

/// Buffers that are free. Fresh memory for every product would cost more in
/// page faults than the product.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    free: Mutex<Vec<Vec<f32>>>,
    inputs: Mutex<Vec<QuantizedRows>>,
}

/// What the parts of a model compute with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) workspace: &'a Workspace,
}

/// Numbers that go back to the workspace when they are dropped.
#[derive(Debug)]
pub(crate) struct Buffer<'a> {
    /// At least `len`: what is cut off would have to be written anew.
    numbers: Vec<f32>,
    len: usize,
    workspace: &'a Workspace,
}

impl<'a> Bench<'a> {
    /// `len` numbers of any value.
    pub(crate) fn buffer(&self, len: usize) -> Buffer<'a> {
        let mut numbers = take(&mut lock(&self.workspace.free), len);
        if numbers.len() < len {
            numbers.resize(len, 0.0);
        }
        Buffer { numbers, len, workspace: self.workspace }
    }

    /// Calls `use_rows` with `x` (T, K) quantised, after multiplying its rows
    /// by `factors`, if there are any.
    pub(crate) fn quantized<R>(
        &self,
        x: (&[f32], usize),
        factors: &[f32],
        use_rows: impl FnOnce(&QuantizedRows) -> R,
    ) -> R {
        let mut rows = lock(&self.workspace.inputs).pop().unwrap_or_default();
        rows.fill(self.pool, x, factors);
        let result = use_rows(&rows);
        lock(&self.workspace.inputs).push(rows);
        result
    }
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[..self.len]
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.len]
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        lock(&self.workspace.free).push(std::mem::take(&mut self.numbers));
    }
}

/// The smallest of `free` that holds `len` numbers, or else the largest: taken
/// as they come, all of them would grow to the size of the largest.
fn take(free: &mut Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let fits = |numbers: &Vec<f32>| (numbers.capacity() < len, numbers.capacity().abs_diff(len));
    let best = (0..free.len()).min_by_key(|&i| fits(&free[i]));
    best.map_or_else(Vec::new, |i| free.swap_remove(i))
}

/// Locks without regard to poisoning: a list of buffers is never half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_that_fits_best_is_used_again() {
        let mut free: Vec<Vec<f32>> = [10, 1_000, 100].map(Vec::with_capacity).into();
        assert_eq!(take(&mut free, 50).capacity(), 100);
        assert_eq!(take(&mut free, 50).capacity(), 1_000);
        assert_eq!(take(&mut free, 50).capacity(), 10);
        assert_eq!(take(&mut free, 50).capacity(), 0);
    }
}
