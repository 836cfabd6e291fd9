//! What `plumb generate` prints beside text.

use plumb_infer::{
    Finish, Generation, Hypothesis, LanguageModel, Timings, TokenLogprob, mean_logprob,
};
use serde_json::{Value, json};

use crate::models::Located;

/// Generated texts with everything that is known about them.
pub fn generated(located: &Located, model: &LanguageModel, all: &[Generation]) -> Value {
    let continuation = |done: &Generation| {
        let mut value = json!({
            "text": done.text,
            "finish": finish(done.finish),
            "tokens": done.tokens,
            "timings": timings(&done.timings, done.tokens.len()),
        });
        if let Some(logprobs) = &done.logprobs {
            value["mean_logprob"] = mean_logprob(logprobs).into();
            value["logprobs"] = logprobs.iter().map(|token| logprob(model, token)).collect();
        }
        value
    };
    json!({
        "model": located.name,
        "sha256": located.sha256,
        "prompt_tokens": all.first().map_or(0, |done| done.timings.prompt_tokens),
        "continuations": all.iter().map(continuation).collect::<Vec<_>>(),
    })
}

/// The texts that a search found.
pub fn searched(located: &Located, prompt: usize, found: &[(Hypothesis, String)]) -> Value {
    let continuation = |(found, text): &(Hypothesis, String)| {
        json!({
            "text": text,
            "finish": finish(if found.is_finished { Finish::EndOfTurn } else { Finish::Length }),
            "tokens": found.tokens,
            "logprob": found.logprob,
            "score": found.score,
        })
    };
    json!({
        "model": located.name,
        "sha256": located.sha256,
        "prompt_tokens": prompt,
        "continuations": found.iter().map(continuation).collect::<Vec<_>>(),
    })
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfTurn => "end_of_turn",
        Finish::StopString => "stop_string",
        Finish::Length => "length",
        Finish::Cancelled => "cancelled",
    }
}

fn timings(timings: &Timings, generated: usize) -> Value {
    let (prefill, decode) = (timings.prefill.as_secs_f64(), timings.decode.as_secs_f64());
    let rate =
        |tokens: usize, seconds: f64| (tokens as f64 / seconds.max(1e-9) * 10.0).round() / 10.0;
    json!({
        "cached_tokens": timings.cached_tokens,
        "forced_tokens": timings.forced_tokens,
        "drafted_tokens": timings.drafted_tokens,
        "accepted_tokens": timings.accepted_tokens,
        "prefill_seconds": prefill,
        "decode_seconds": decode,
        "prefill_tokens_per_second": rate(timings.prompt_tokens - timings.cached_tokens, prefill),
        "decode_tokens_per_second": rate(generated, decode),
    })
}

fn logprob(model: &LanguageModel, token: &TokenLogprob) -> Value {
    let top = |&(token, logprob): &(u32, f32)| json!({"token": token, "piece": piece(model, token), "logprob": logprob});
    json!({
        "token": token.token,
        "piece": piece(model, token.token),
        "logprob": token.logprob,
        "top": token.top.iter().map(top).collect::<Vec<_>>(),
    })
}

/// A token with its log-probability and the likeliest others.
pub fn logprob_line(model: &LanguageModel, token: &TokenLogprob) -> String {
    let shown = |id: u32, logprob: f32| format!("{logprob:8.4} {:?}", piece(model, id));
    let top: String =
        token.top.iter().map(|&(id, logprob)| format!("  |{}", shown(id, logprob))).collect();
    format!("{}{top}", shown(token.token, token.logprob))
}

fn piece(model: &LanguageModel, token: u32) -> String {
    String::from_utf8_lossy(&model.tokenizer().piece_bytes(token)).into_owned()
}
