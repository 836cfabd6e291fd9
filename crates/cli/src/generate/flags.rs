//! Flags of `plumb generate`, and the settings that they stand for. The doc
//! comments are the help texts.

use std::path::PathBuf;

use plumb_infer::{BeamSearch, Dry, EarlyStopping, Sampling};

/// How tokens are drawn.
#[derive(clap::Args, Debug)]
#[group(id = "sampling", multiple = true)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingFlags {
    /// Divides the logits; 0 takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,

    /// Draw from so many of the most likely tokens; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: usize,

    /// Draw from the likeliest tokens that together reach this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,

    /// Draw from tokens at least this fraction as likely as the first
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f32,

    /// Draw from the most typical tokens that together reach this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    typical_p: f32,

    /// Makes tokens of prompt and text less likely; 1 leaves them
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,

    /// Tokens that the repetition penalty looks back on (default: all)
    #[arg(long, value_name = "N")]
    repeat_last_n: Option<usize>,

    /// Taken off the logit of every token of the text
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,

    /// Taken off the logit of a token for each time it is in the text
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,

    /// Penalty of a token that goes on with a repeated sequence (default: none)
    #[arg(long, value_name = "X")]
    dry_multiplier: Option<f32>,

    /// Factor of that penalty for each further repeated token
    #[arg(long, value_name = "X", default_value_t = Dry::default().base, requires = "dry_multiplier")]
    dry_base: f32,

    /// Tokens that may be repeated without penalty
    #[arg(long, value_name = "N", default_value_t = Dry::default().allowed_length, requires = "dry_multiplier")]
    dry_allowed_length: usize,

    /// Tokens that this penalty looks back on (default: all)
    #[arg(long, value_name = "N", requires = "dry_multiplier")]
    dry_range: Option<usize>,

    /// Text that no repetition reaches across; in place of newline, `:`, `"`, `*`
    #[arg(long, value_name = "TEXT", requires = "dry_multiplier")]
    dry_breaker: Vec<String>,

    /// Added to the logit of one token; may be given several times
    #[arg(long, value_name = "ID=VALUE", value_parser = bias)]
    logit_bias: Vec<(u32, f32)>,

    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl SamplingFlags {
    /// The settings, unchecked.
    pub fn resolve(&self) -> Sampling {
        let dry = |multiplier| Dry {
            multiplier,
            base: self.dry_base,
            allowed_length: self.dry_allowed_length,
            range: self.dry_range,
            sequence_breakers: if self.dry_breaker.is_empty() {
                Dry::default().sequence_breakers
            } else {
                self.dry_breaker.clone()
            },
        };
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            repetition_penalty: self.repetition_penalty,
            repeat_last_n: self.repeat_last_n,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            dry: self.dry_multiplier.map(dry),
            logit_bias: self.logit_bias.clone(),
            seed: self.seed,
        }
    }
}

fn bias(text: &str) -> Result<(u32, f32), String> {
    let expected = "expected a token's id and a number, such as 42=-5";
    let (id, value) = text.split_once('=').ok_or(expected)?;
    Ok((id.parse().map_err(|_| expected)?, value.parse().map_err(|_| expected)?))
}

/// What the output is held to.
#[derive(clap::Args, Debug)]
#[group(id = "constraint", multiple = false)]
#[command(next_help_heading = "Constraints")]
pub struct GrammarFlags {
    /// Write JSON that this schema describes
    #[arg(long, value_name = "FILE")]
    pub json_schema: Option<PathBuf>,

    /// Write text that this regular expression matches as a whole
    #[arg(long, value_name = "PATTERN")]
    pub regex: Option<String>,

    /// Write text of this grammar, in Lark syntax
    #[arg(long, value_name = "FILE")]
    pub grammar: Option<PathBuf>,

    /// Write a stretch of this file, word for word; may be given several times
    #[arg(long, value_name = "FILE")]
    pub quote_from: Vec<PathBuf>,
}

/// A search in place of drawing tokens.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Beam search")]
pub struct BeamFlags {
    /// Search for the likeliest text with so many beams
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["sampling", "constraint", "n", "best_of", "stop", "logprobs"]
    )]
    beams: Option<usize>,

    /// Exponent of the length that a score is divided by
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        requires = "beams"
    )]
    length_penalty: f32,

    /// When the search ends
    #[arg(long, value_enum, default_value_t = StoppingName::Heuristic, value_name = "WHEN", requires = "beams")]
    early_stopping: StoppingName,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum StoppingName {
    /// With as many texts as beams
    First,
    /// When the best beam is worse than these
    Heuristic,
    /// When no beam can become better
    Never,
}

impl BeamFlags {
    /// The search, if one is asked for.
    pub fn resolve(&self, max_tokens: usize) -> Option<BeamSearch> {
        Some(BeamSearch {
            beams: self.beams?,
            max_tokens,
            length_penalty: self.length_penalty,
            early_stopping: match self.early_stopping {
                StoppingName::First => EarlyStopping::First,
                StoppingName::Heuristic => EarlyStopping::Heuristic,
                StoppingName::Never => EarlyStopping::Never,
            },
        })
    }
}
