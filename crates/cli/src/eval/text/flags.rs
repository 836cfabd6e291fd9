//! Flags of `plumb eval text`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use plumb_metrics::text::{
    Bleu, Chrf, Punctuation, Smoothing, Stemming, Ter, Tokenizer, WordNet, WordNetFiles,
};
use plumb_metrics::{Method, Resampling};

use super::measures::Settings;

/// Where Debian's package `wordnet-base` puts its files.
const INSTALLED: &str = "/usr/share/wordnet";

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "How measures are computed")]
pub(super) struct MeasureFlags {
    /// Ignore case in bleu, chrf and chrf++ [the others have rules of their own]
    #[arg(long)]
    lowercase: bool,

    /// How BLEU cuts texts into tokens: 13a, intl, zh, char or none
    #[arg(long, value_name = "NAME", default_value = "13a")]
    bleu_tokenize: Tokenizer,

    /// What BLEU does about orders without a match: exp, floor, add-k or none
    #[arg(long, value_name = "NAME", default_value = "exp")]
    bleu_smooth: Smoothing,

    /// The number of floor (0.1) or add-k (1)
    #[arg(long, value_name = "NUMBER")]
    bleu_smooth_value: Option<f64>,

    /// Leave orders that all texts are too short for out of BLEU
    #[arg(long)]
    bleu_effective_order: bool,

    /// Options of TER, with commas between: normalized, no-punct, asian, case-sensitive
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    ter: Vec<TerOption>,

    /// Compare stems in ROUGE
    #[arg(long)]
    stem: bool,

    /// Folder with the files of WordNet, for METEOR [default: /usr/share/wordnet, if it is there]
    #[arg(long, value_name = "FOLDER")]
    wordnet: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TerOption {
    Normalized,
    NoPunct,
    Asian,
    CaseSensitive,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Intervals")]
pub(super) struct ResamplingFlags {
    /// Times to draw as many texts from the texts
    #[arg(long, value_name = "N", default_value_t = 1000)]
    resamples: usize,

    /// Start of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Confidence of the intervals, between 0 and 1
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    confidence: f64,
}

impl ResamplingFlags {
    fn resampling(&self) -> Resampling {
        Resampling {
            resamples: self.resamples,
            seed: self.seed,
            level: self.confidence,
            method: Method::BiasCorrected,
        }
    }
}

impl MeasureFlags {
    /// What the flags say; WordNet is read only if it is `wanted`.
    pub(super) fn settings(&self, how: &ResamplingFlags, wanted: bool) -> Result<Settings> {
        let has = |option| self.ter.contains(&option);
        let punctuation =
            if has(TerOption::NoPunct) { Punctuation::Removed } else { Punctuation::Kept };
        Ok(Settings {
            bleu: Bleu {
                tokenizer: self.bleu_tokenize,
                smoothing: self.smoothing()?,
                lowercase: self.lowercase,
                effective_order: self.bleu_effective_order,
            },
            chrf: Chrf { lowercase: self.lowercase, ..Chrf::default() },
            ter: Ter {
                normalized: has(TerOption::Normalized),
                punctuation,
                asian_support: has(TerOption::Asian),
                case_sensitive: has(TerOption::CaseSensitive),
            },
            stemming: if self.stem { Stemming::Porter } else { Stemming::Off },
            wordnet: if wanted { self.wordnet()? } else { None },
            resampling: how.resampling(),
        })
    }

    fn smoothing(&self) -> Result<Smoothing> {
        let Some(value) = self.bleu_smooth_value else { return Ok(self.bleu_smooth) };
        if !(value.is_finite() && value >= 0.0) {
            bail!("--bleu-smooth-value is {value}, which is not a number of at least 0");
        }
        let smoothing = self.bleu_smooth.with_value(value);
        smoothing.context("--bleu-smooth-value needs --bleu-smooth floor or add-k")
    }

    fn wordnet(&self) -> Result<Option<WordNet>> {
        let folder = match &self.wordnet {
            Some(folder) => folder.as_path(),
            None if Path::new(INSTALLED).is_dir() => Path::new(INSTALLED),
            None => return Ok(None),
        };
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        let mut files = Vec::new();
        for [index, data, exceptions] in WordNet::FILES {
            files.push(WordNetFiles {
                index: read(index)?,
                data: read(data)?,
                exceptions: read(exceptions)?,
            });
        }
        let files = files.try_into().unwrap_or_else(|_| <[WordNetFiles; 4]>::default());
        let found = WordNet::new(files);
        Ok(Some(found.with_context(|| format!("`{}` is no WordNet", folder.display()))?))
    }
}
