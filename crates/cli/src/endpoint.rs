//! A remote model behind an OpenAI-compatible address, as a writer of answers.
//!
//! Such a model cannot be constrained from here, so what it writes is only
//! checked; and it need not say the same thing twice, so a replay uses the
//! text that was recorded.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::time::Duration;

use plumb_answer::{ModelId, Request, Writer, WriterError};
use serde_json::{Value, json};

/// Longest line of a response that is read.
const MAX_LINE: usize = 1 << 20;

/// An OpenAI-compatible `/chat/completions` endpoint.
pub struct Endpoint {
    /// Base address, such as `http://127.0.0.1:8080/v1`.
    url: String,
    model: String,
    api_key: Option<String>,
    agent: ureq::Agent,
}

/// Why an endpoint gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("cannot reach `{url}`")]
    Unreachable { url: String, source: Box<ureq::Error> },

    #[error("`{url}` answered with status {status}: {message}")]
    Status { url: String, status: u16, message: String },

    #[error("`{url}` sent a line that is not a chat completion")]
    BadLine { url: String, source: serde_json::Error },

    #[error("the connection to `{url}` broke off")]
    Broken { url: String, source: std::io::Error },
}

impl Endpoint {
    /// Speaks to `model` at `url`; nothing is sent yet.
    pub fn new(url: &str, model: &str, api_key: Option<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_mins(5)))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let url = url.trim_end_matches('/').to_owned();
        Self { url, model: model.to_owned(), api_key, agent }
    }

    fn stream(
        &self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, EndpointError> {
        let messages: Vec<Value> = request
            .messages
            .iter()
            .map(|message| json!({"role": message.role, "content": message.content}))
            .collect();
        let body = json!({
            "model": self.model,
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": true,
        });
        let url = format!("{}/chat/completions", self.url);
        let mut post = self.agent.post(&url);
        if let Some(key) = &self.api_key {
            post = post.header("authorization", &format!("Bearer {key}"));
        }
        let unreachable = |e| EndpointError::Unreachable { url: url.clone(), source: Box::new(e) };
        let mut response = post.send_json(&body).map_err(unreachable)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let text = response.body_mut().read_to_string().unwrap_or_default();
            let message = text.chars().take(300).collect();
            return Err(EndpointError::Status { url, status, message });
        }
        let reader = BufReader::new(response.body_mut().as_reader());
        read_events(reader, &url, on_text)
    }
}

/// Reads server-sent events until `[DONE]`, the end, or a break.
fn read_events(
    mut reader: impl BufRead,
    url: &str,
    on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<String, EndpointError> {
    let mut text = String::new();
    let mut line = String::new();
    loop {
        line.clear();
        let mut limited = std::io::Read::take(&mut reader, MAX_LINE as u64);
        let read = limited
            .read_line(&mut line)
            .map_err(|source| EndpointError::Broken { url: url.to_owned(), source })?;
        if read == 0 {
            return Ok(text);
        }
        let Some(data) = line.trim().strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            return Ok(text);
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|source| EndpointError::BadLine { url: url.to_owned(), source })?;
        let piece = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        text.push_str(piece);
        if !piece.is_empty() && on_text(piece).is_break() {
            return Ok(text);
        }
    }
}

impl Writer for Endpoint {
    fn id(&self) -> ModelId {
        ModelId { name: format!("{} at {}", self.model, self.url), sha256: None }
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        self.stream(request, on_text)
            .map_err(|e| WriterError { model: self.model.clone(), source: Box::new(e) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, want: &str) {
        let text = read_events(stream.as_bytes(), "u", &mut |_| ControlFlow::Continue(()));
        assert_eq!(text.unwrap(), want);
    }

    #[test]
    fn pieces_are_joined_until_done() {
        check(
            "data: {\"choices\":[{\"delta\":{\"content\":\"Drop\"}}]}\n\n: ping\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"out.\"}}]}\n\ndata: [DONE]\n\ndata: x\n",
            "Dropout.",
        );
    }

    #[test]
    fn a_stream_without_content_is_empty() {
        check("data: {\"choices\":[]}\n\n", "");
    }

    #[test]
    fn a_line_that_is_not_json_is_named() {
        let failed =
            read_events("data: <html>\n".as_bytes(), "u", &mut |_| ControlFlow::Continue(()));
        assert!(matches!(failed, Err(EndpointError::BadLine { .. })));
    }
}
