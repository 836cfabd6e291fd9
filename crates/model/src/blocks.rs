//! The parts that decoders and encoders share: linear maps, norms and
//! feed-forward blocks over rows of numbers.

use plumb_kernels::{
    Activation, Pool, activate, activate_and_multiply, layer_norm, matmul, rms_norm,
};

use crate::weights::{Parameters, Tensor};

/// A matrix and perhaps a bias.
#[derive(Debug)]
pub(crate) struct Linear {
    weights: Tensor,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// The map called `name`, with a bias if the spec lists one.
    pub(crate) fn load(parameters: &Parameters, name: &str) -> Self {
        Self {
            weights: parameters.get(&format!("{name}.weight")),
            bias: parameters.try_get(&format!("{name}.bias")).map(|bias| bias.to_f32()),
        }
    }

    /// Cuts the map `name` into maps with so many outputs each.
    pub(crate) fn load_parts<const N: usize>(
        parameters: &Parameters,
        name: &str,
        outputs: [usize; N],
    ) -> [Self; N] {
        let whole = Self::load(parameters, name);
        let mut start = 0;
        outputs.map(|rows| {
            let part = start..start + rows;
            start = part.end;
            Self {
                bias: whole.bias.as_ref().map(|bias| bias[part.clone()].to_vec()),
                weights: whole.weights.slice(part),
            }
        })
    }

    /// The images (T, O) of the rows of `x` (T, D).
    pub(crate) fn apply(&self, pool: &Pool, x: &[f32]) -> Vec<f32> {
        let weights = self.weights.matrix();
        let tokens = x.len() / weights.columns();
        let mut out = vec![0.0; tokens * weights.rows()];
        matmul(pool, weights, x, &mut out);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(bias.len()) {
                add(row, bias);
            }
        }
        out
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

    /// Normalises each row of `x`, as long as the gain, in place.
    pub(crate) fn apply(&self, pool: &Pool, x: &mut [f32]) {
        match &self.bias {
            None => rms_norm(pool.isa(), x, &self.gain, self.eps),
            Some(bias) => layer_norm(pool.isa(), x, (&self.gain, bias), self.eps),
        }
    }

    /// A normalised copy of `x`.
    pub(crate) fn of(&self, pool: &Pool, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        self.apply(pool, &mut x);
        x
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
    pub(crate) fn apply(&self, pool: &Pool, x: &[f32]) -> Vec<f32> {
        let mut inner = self.up.apply(pool, x);
        match &self.gate {
            None => activate(pool.isa(), self.activation, &mut inner),
            Some(gate) => {
                let mut gate = gate.apply(pool, x);
                activate_and_multiply(pool.isa(), self.activation, &mut gate, &inner);
                inner = gate;
            }
        }
        self.down.apply(pool, &inner)
    }
}

/// Adds `y` to `x`.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
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
