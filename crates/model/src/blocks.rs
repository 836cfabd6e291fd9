//! The parts that decoders and encoders share: linear maps, norms and
//! feed-forward blocks over rows of numbers.

use plumb_kernels::{
    Activation, Image, Isa, PackedMatrix, Pool, activate, activate_and_multiply, exponentials,
    largest_products, layer_norm, matmul, packed_matmul, rms_norm,
};

use crate::weights::{Parameters, Tensor};
use crate::workspace::{Bench, Buffer};

/// Rows that a task takes together where rows do not depend on each other.
const ROWS_PER_TASK: usize = 16;

/// Numbers that a task caps.
const CAPPED_PER_TASK: usize = 8192;

/// A matrix and perhaps a bias.
#[derive(Debug)]
pub(crate) struct Linear {
    weights: Weights,
    /// What rows of the input are multiplied by before they are rounded, the
    /// weights having been divided by it; or empty.
    factors: Vec<f32>,
    bias: Option<Vec<f32>>,
}

#[derive(Debug)]
enum Weights {
    /// As in the file: products in floats.
    Stored(Tensor),
    /// Products in integers.
    Packed(PackedMatrix),
}

impl Linear {
    /// The map called `name`, with a bias if the spec lists one.
    pub(crate) fn load(parameters: &Parameters, name: &str) -> Self {
        Self {
            weights: Weights::Stored(parameters.get(&format!("{name}.weight"))),
            factors: Vec::new(),
            bias: parameters.try_get(&format!("{name}.bias")).map(|bias| bias.to_f32()),
        }
    }

    /// The same map, of whose images mostly the largest number is wanted.
    pub(crate) fn searched(mut self) -> Self {
        if let Weights::Stored(tensor) = self.weights {
            self.weights = Weights::Stored(tensor.searched());
        }
        self
    }

    /// Cuts the map `name` into maps with so many outputs each.
    pub(crate) fn load_parts<const N: usize>(
        parameters: &Parameters,
        name: &str,
        outputs: [usize; N],
    ) -> [Self; N] {
        let weights = parameters.get(&format!("{name}.weight"));
        let bias = parameters.try_get(&format!("{name}.bias")).map(|bias| bias.to_f32());
        let mut start = 0;
        outputs.map(|rows| {
            let part = start..start + rows;
            start = part.end;
            Self {
                bias: bias.as_ref().map(|bias| bias[part.clone()].to_vec()),
                weights: Weights::Stored(weights.slice(part)),
                factors: Vec::new(),
            }
        })
    }

    /// Repacks the weights for products in integers, if their type allows it.
    pub(crate) fn pack(&mut self, pool: &Pool) {
        if let Weights::Stored(tensor) = &self.weights
            && let Some(packed) = tensor.pack(pool)
        {
            tensor.release();
            self.weights = Weights::Packed(packed);
        }
    }

    /// The weights as they are in the file, unless they are packed.
    pub(crate) fn stored(&self) -> Option<&Tensor> {
        match &self.weights {
            Weights::Stored(tensor) => Some(tensor),
            Weights::Packed(_) => None,
        }
    }

    /// Computes with `packed` from now on: the same weights.
    pub(crate) fn set_packed(&mut self, packed: PackedMatrix) {
        self.weights = Weights::Packed(packed);
    }

    /// Repacks the weights, of any type, after rounding them to eight bits.
    ///
    /// `sizes` are the usual magnitudes of the input's numbers, or none if they
    /// are alike. Both weights and inputs lose by rounding what stands beside
    /// something large, so that magnitude is shared between them: Xiao et al.
    /// 2023, arXiv:2211.10438.
    pub(crate) fn round(&mut self, pool: &Pool, sizes: &[f32]) {
        let Weights::Stored(tensor) = &self.weights else { return };
        let shared: Vec<f32> = sizes.iter().map(|size| size.max(1e-3).sqrt()).collect();
        if let Some(packed) = tensor.round(pool, &shared) {
            tensor.release();
            self.weights = Weights::Packed(packed);
            self.factors = shared.iter().map(|factor| 1.0 / factor).collect();
        }
    }

    fn shape(&self) -> (usize, usize) {
        match &self.weights {
            Weights::Stored(tensor) => (tensor.rows(), tensor.columns()),
            Weights::Packed(packed) => (packed.rows(), packed.columns()),
        }
    }

    /// The images (T, O) of the rows of `x` (T, D).
    pub(crate) fn apply<'a>(&self, bench: Bench<'a>, x: &[f32]) -> Buffer<'a> {
        let [out] = Self::apply_all(bench, [self], x);
        out
    }

    /// Numbers of the images of the rows of `x` (T, D).
    pub(crate) fn size_for(&self, x: &[f32]) -> usize {
        let (rows, columns) = self.shape();
        x.len() / columns * rows
    }

    /// Writes to `out` the images (T, O) of the rows of `x` (T, D), of which numbers
    /// that are not the largest of the first `among` may be minus infinity.
    pub(crate) fn apply_largest(
        &self,
        bench: Bench<'_>,
        x: &[f32],
        among: Option<usize>,
        out: &mut [f32],
    ) {
        match (&self.weights, &self.bias, among) {
            (Weights::Packed(matrix), None, Some(among)) => {
                bench.quantized((x, matrix.columns()), &self.factors, |x| {
                    largest_products(bench.pool, (matrix, among), x, out);
                });
            }
            _ => Self::apply_all_to(bench, [self], x, [out]),
        }
    }

    /// The images of the rows of `x` (T, D) under several maps.
    pub(crate) fn apply_all<'a, const N: usize>(
        bench: Bench<'a>,
        maps: [&Self; N],
        x: &[f32],
    ) -> [Buffer<'a>; N] {
        let mut outs = maps.map(|map| bench.buffer(map.size_for(x)));
        Self::apply_all_to(bench, maps, x, outs.each_mut().map(|out| &mut **out));
        outs
    }

    /// The same, written to `outs`.
    fn apply_all_to<const N: usize>(
        bench: Bench<'_>,
        maps: [&Self; N],
        x: &[f32],
        mut outs: [&mut [f32]; N],
    ) {
        let columns = maps.first().map_or(1, |map| map.shape().1);
        let mut packed = Vec::with_capacity(N);
        for (map, out) in maps.iter().zip(&mut outs) {
            let bias = map.bias.as_deref().unwrap_or_default();
            match &map.weights {
                Weights::Stored(tensor) => {
                    matmul(bench.pool, tensor.matrix(), x, out);
                    add_to_rows(bench.pool, out, bias);
                }
                Weights::Packed(matrix) => packed.push(Image { matrix, bias, out }),
            }
        }
        if !packed.is_empty() {
            // Maps of one input have the same factors.
            let factors = maps.first().map_or(&[][..], |map| &map.factors);
            bench.quantized((x, columns), factors, |x| packed_matmul(bench.pool, &mut packed, x));
        }
    }
}

/// A norm of rows.
#[derive(Debug)]
pub(crate) struct Norm {
    gain: Vec<f32>,
    /// Only norms that remove the mean have one.
    bias: Option<Vec<f32>>,
    eps: f32,
}

impl Norm {
    /// The norm called `name`; one with a bias removes the mean.
    pub(crate) fn load(parameters: &Parameters, name: &str, eps: f32) -> Self {
        Self {
            gain: parameters.get(&format!("{name}.weight")).to_f32(),
            bias: parameters.try_get(&format!("{name}.bias")).map(|bias| bias.to_f32()),
            eps,
        }
    }

    /// The same norm with `offset` added to its gains.
    pub(crate) fn with_offset(mut self, offset: f32) -> Self {
        for gain in &mut self.gain {
            *gain += offset;
        }
        self
    }

    /// How large the numbers that it makes usually are.
    pub(crate) fn sizes(&self) -> Vec<f32> {
        let biases = self.bias.iter().flatten().copied().chain(std::iter::repeat(0.0));
        self.gain.iter().zip(biases).map(|(gain, bias)| gain.hypot(bias)).collect()
    }

    /// Normalises each row of `x`, as long as the gain, in place.
    pub(crate) fn apply(&self, pool: &Pool, x: &mut [f32]) {
        pool.for_parts(x, self.part_len(), &|_, x| self.apply_here(pool, x));
    }

    /// Adds `y` to `x`, and normalises the rows.
    pub(crate) fn add_and_apply(&self, pool: &Pool, x: &mut [f32], y: &[f32]) {
        let part_len = self.part_len();
        pool.for_parts(x, part_len, &|part, x| {
            add(x, &y[part * part_len..][..x.len()]);
            self.apply_here(pool, x);
        });
    }

    /// A normalised copy of `x`.
    pub(crate) fn of<'a>(&self, bench: Bench<'a>, x: &[f32]) -> Buffer<'a> {
        let mut out = bench.buffer(x.len());
        bench.pool.for_parts(&mut out, self.part_len(), &|part, out| {
            out.copy_from_slice(&x[part * self.part_len()..][..out.len()]);
            self.apply_here(bench.pool, out);
        });
        out
    }

    /// Numbers of a task: whole rows, which are short for norms of heads.
    fn part_len(&self) -> usize {
        self.gain.len() * (8192 / self.gain.len()).max(1)
    }

    fn apply_here(&self, pool: &Pool, x: &mut [f32]) {
        match &self.bias {
            None => rms_norm(pool.isa(), x, &self.gain, self.eps),
            Some(bias) => layer_norm(pool.isa(), x, (&self.gain, bias), self.eps),
        }
    }
}

/// Two linear maps with an activation between them, perhaps gated.
#[derive(Debug)]
pub(crate) struct FeedForward {
    pub(crate) activation: Activation,
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
}

impl FeedForward {
    /// Its linear maps, in an order that never changes.
    pub(crate) fn maps(&mut self) -> impl Iterator<Item = &mut Linear> {
        [Some(&mut self.up), Some(&mut self.down), self.gate.as_mut()].into_iter().flatten()
    }

    /// See [`Linear::round`].
    pub(crate) fn round(&mut self, pool: &Pool, sizes: &[f32]) {
        for map in [Some(&mut self.up), self.gate.as_mut()].into_iter().flatten() {
            map.round(pool, sizes);
        }
        self.down.round(pool, &[]);
    }

    pub(crate) fn apply<'a>(&self, bench: Bench<'a>, x: &[f32]) -> Buffer<'a> {
        let (pool, part_len) = (bench.pool, ROWS_PER_TASK * self.up.shape().0);
        let inner = match &self.gate {
            None => {
                let mut inner = self.up.apply(bench, x);
                pool.for_parts(&mut inner, part_len, &|_, x| {
                    activate(pool.isa(), self.activation, x);
                });
                inner
            }
            Some(gate) => {
                let [mut gate, up] = Linear::apply_all(bench, [gate, &self.up], x);
                pool.for_parts(&mut gate, part_len, &|part, gate| {
                    let up = &up[part * part_len..][..gate.len()];
                    activate_and_multiply(pool.isa(), self.activation, gate, up);
                });
                gate
            }
        };
        self.down.apply(bench, &inner)
    }
}

/// Replaces each `x` by `cap * tanh(x / cap)`.
pub(crate) fn soft_cap(pool: &Pool, x: &mut [f32], cap: f32) {
    pool.for_parts(x, CAPPED_PER_TASK, &|_, x| {
        for x in &mut *x {
            *x /= cap;
        }
        tanh(pool.isa(), x);
        for x in x {
            *x *= cap;
        }
    });
}

/// Replaces each `x` by its hyperbolic tangent, as `(1 - e) / (1 + e)` with
/// `e = exp(-2|x|)`, which cannot overflow and has the same bits on every
/// system.
pub(crate) fn tanh(isa: Isa, x: &mut [f32]) {
    let mut powers: Vec<f32> = x.iter().map(|x| -2.0 * x.abs()).collect();
    exponentials(isa, &mut powers, 0.0);
    for (x, e) in x.iter_mut().zip(powers) {
        *x = ((1.0 - e) / (1.0 + e)).copysign(*x);
    }
}

/// Adds `y` to `x`.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Adds `bias` (D), unless there is none, to the rows of `x` (T, D), on all threads.
fn add_to_rows(pool: &Pool, x: &mut [f32], bias: &[f32]) {
    if !bias.is_empty() {
        pool.for_parts(x, ROWS_PER_TASK * bias.len(), &|_, rows| {
            rows.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
        });
    }
}

/// Adds `y` to `x` (T, D), on all threads.
pub(crate) fn add_rows(pool: &Pool, width: usize, x: &mut [f32], y: &[f32]) {
    let part_len = ROWS_PER_TASK * width;
    pool.for_parts(x, part_len, &|part, x| add(x, &y[part * part_len..][..x.len()]));
}

/// The rows of `embedding` for `ids`, which the caller has checked.
pub(crate) fn embed(pool: &Pool, embedding: &Tensor, ids: &[u32]) -> Vec<f32> {
    let matrix = embedding.matrix();
    let mut x = vec![0.0; ids.len() * matrix.columns()];
    for (row, &id) in x.chunks_exact_mut(matrix.columns()).zip(ids) {
        matrix.row(pool, id as usize, row);
    }
    x
}
