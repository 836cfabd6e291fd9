//! `plumb bench kernels`: matrix products and attention beside the limits of
//! this machine.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use plumb_kernels::{
    Attention, CacheType, DType, Image, Isa, KeyValues, Limits, Mask, PackedMatrix, Pool,
    QuantizedRows, packed_matmul,
};
use serde::Serialize;
use serde_json::json;

use super::tenths;
use crate::context::Context;
use crate::exit::Exit;
use crate::project;

/// Bytes of weights that one pass reads: more than the caches hold.
const WEIGHT_BYTES: usize = 96 << 20;
/// Columns of every matrix: what a small model has.
const COLUMNS: usize = 1536;
/// Rows of the matrix that many inputs are multiplied with.
const FEW_ROWS: usize = 1536;
/// Inputs of a prompt.
const PROMPT: usize = 512;

const DTYPES: [(DType, &str); 8] = [
    (DType::Q4_0, "Q4_0"),
    (DType::Q4_1, "Q4_1"),
    (DType::Q5_0, "Q5_0"),
    (DType::Q5_1, "Q5_1"),
    (DType::Q8_0, "Q8_0"),
    (DType::Q4K, "Q4_K"),
    (DType::Q5K, "Q5_K"),
    (DType::Q6K, "Q6_K"),
];

#[derive(clap::Args, Debug)]
pub struct KernelsArgs {
    /// Instruction set [default: the fastest of this machine]
    #[arg(long)]
    isa: Option<String>,

    /// Times that each is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// Speed of the products with one type of weights.
#[derive(Serialize)]
struct Products {
    dtype: &'static str,
    /// Bytes of weights read a second for one input, in 10⁹.
    read_gb: f64,
    /// The same as a share of the read limit.
    read_share: f64,
    /// Price of four and of eight inputs, in passes of one.
    price_of_4: f64,
    price_of_8: f64,
    /// Operations a second for a prompt, in 10⁹.
    prompt_gops: f64,
    /// The same as a share of the limit for bytes.
    prompt_share: f64,
}

pub(super) fn run(args: &KernelsArgs, context: &Context) -> Result<Exit> {
    let threads = project::resolve(context, &context.folder)?.threads;
    let isa = match &args.isa {
        Some(name) => Isa::named(name)
            .with_context(|| format!("this machine has no instruction set `{name}`"))?,
        None => Isa::best(),
    };
    let pool = Pool::with_isa(threads, isa);
    let limits = Limits::measure(&pool);
    if !context.json {
        context.say(format!(
            "{} threads, {}: {:.0} Gop/s f32, {:.0} Gop/s int8, {:.1} GB/s read",
            threads,
            isa.name(),
            limits.f32_gflops,
            limits.int8_gops,
            limits.read_gb
        ))?;
        context.say("weights     1 input     of limit   4 cost  8 cost   512 inputs   of limit")?;
    }
    let mut products = Vec::new();
    for (dtype, name) in DTYPES {
        if context.stop.is_set() {
            bail!("interrupted");
        }
        let row = measure(&pool, (dtype, name), &limits, args.runs.max(1))?;
        if !context.json {
            context.say(format!(
                "{name:8} {:6.1} GB/s {:9.0} % {:8.2} {:7.2} {:7.0} Gop/s {:7.0} %",
                row.read_gb,
                100.0 * row.read_share,
                row.price_of_4,
                row.price_of_8,
                row.prompt_gops,
                100.0 * row.prompt_share
            ))?;
        }
        products.push(row);
    }
    let attention = attention(&pool, &limits, args.runs.max(1));
    if context.json {
        context.print_json(&json!({
            "threads": threads,
            "isa": isa.name(),
            "limits": {"f32_gflops": tenths(limits.f32_gflops), "int8_gops": tenths(limits.int8_gops),
                       "read_gb": tenths(limits.read_gb)},
            "products": products,
            "attention": attention,
        }))?;
    } else {
        for row in &attention {
            context.say(format!(
                "attention, {:4} queries over {:4} positions: {:7.1} Gop/s ({:.0} % of f32), {:.1} GB/s of keys and values",
                row.queries, row.positions, row.gflops, 100.0 * row.share, row.read_gb
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// The median of the seconds that `once` takes.
fn median(runs: usize, mut once: impl FnMut()) -> f64 {
    once();
    let mut seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            once();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn measure(
    pool: &Pool,
    (dtype, name): (DType, &'static str),
    limits: &Limits,
    runs: usize,
) -> Result<Products> {
    let row_bytes = dtype.bytes_of(COLUMNS).context("columns are whole blocks")?;
    let rows = WEIGHT_BYTES / row_bytes / 16 * 16;
    let large = matrix(pool, dtype, rows, row_bytes)?;
    let seconds_of = |matrix: &PackedMatrix, inputs: usize| {
        let x: Vec<f32> = (0..inputs * COLUMNS).map(|i| (i as f32 * 0.37).sin()).collect();
        let x = QuantizedRows::new(pool, &x, COLUMNS);
        let mut out = vec![0.0; inputs * matrix.rows()];
        median(runs, || {
            let out = &mut out;
            packed_matmul(pool, &mut [Image { matrix, bias: &[], out }], &x);
        })
    };
    let one = seconds_of(&large, 1);
    let read_gb = large.bytes() as f64 / one / 1e9;
    let small = matrix(pool, dtype, FEW_ROWS, row_bytes)?;
    let operations = 2.0 * (FEW_ROWS * COLUMNS * PROMPT) as f64;
    let prompt_gops = operations / seconds_of(&small, PROMPT) / 1e9;
    Ok(Products {
        dtype: name,
        read_gb,
        read_share: read_gb / limits.read_gb,
        price_of_4: seconds_of(&large, 4) / one,
        price_of_8: seconds_of(&large, 8) / one,
        prompt_gops,
        prompt_share: prompt_gops / limits.int8_gops,
    })
}

/// Weights without meaning whose scales are finite in every type.
fn matrix(pool: &Pool, dtype: DType, rows: usize, row_bytes: usize) -> Result<PackedMatrix> {
    let bytes: Vec<u8> = (0..rows * row_bytes)
        .map(|i| 0x20 | i.wrapping_mul(2_654_435_761).to_le_bytes()[1] & 0x0f)
        .collect();
    PackedMatrix::new(pool, dtype, &bytes, (rows, COLUMNS)).context("a type with blocks")
}

/// Speed of attention at one shape.
#[derive(Serialize)]
struct Attended {
    queries: usize,
    positions: usize,
    gflops: f64,
    share: f64,
    read_gb: f64,
}

/// Nine query heads over three key heads of width 64, as in SmolLM2-135M.
fn attention(pool: &Pool, limits: &Limits, runs: usize) -> Vec<Attended> {
    const HEADS: usize = 9;
    const KEY_HEADS: usize = 3;
    const WIDTH: usize = 64;
    let shapes = [(512, 512), (1, 512), (1, 2048), (4, 2048), (8, 2048)];
    let rows = shapes.into_iter().map(|(queries, positions)| {
        let numbers = |count: usize| -> Vec<f32> { (0..count).map(|i| (i as f32).sin()).collect() };
        let mut past = KeyValues::new(KEY_HEADS, WIDTH, CacheType::F32);
        let new = numbers(positions * KEY_HEADS * WIDTH);
        past.push(pool, &new, &new);
        let x = numbers(queries * HEADS * WIDTH);
        let mut out = vec![0.0; x.len()];
        let attention = Attention {
            heads: HEADS,
            scale: 0.125,
            mask: Mask::Causal,
            distance_bias: &[],
            soft_cap: None,
            sinks: &[],
        };
        let seconds = median(10 * runs, || attention.apply(pool, &x, &past, &mut out));
        let pairs = queries * positions - queries * (queries - 1) / 2;
        let gflops = (4 * pairs * HEADS * WIDTH) as f64 / seconds / 1e9;
        let bytes = (2 * 4 * positions * KEY_HEADS * WIDTH) as f64;
        Attended {
            queries,
            positions,
            gflops,
            share: gflops / limits.f32_gflops,
            read_gb: bytes / seconds / 1e9,
        }
    });
    rows.collect()
}
