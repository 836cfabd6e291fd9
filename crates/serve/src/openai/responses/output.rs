//! The items of a reply as they grow, and the events that tell of it.

use serde_json::{Value, json};

use super::wire::{FunctionTool, ResponsesRequest};
use crate::cache::Beside;
use crate::clock;
use crate::conversation::{Call, Cited, End, Ending, Replying, Said, Usage};

/// A response on its way.
pub(super) struct Writing {
    /// Everything but what is said.
    heading: Value,
    output: Vec<Value>,
    /// The message that is being written: the last of the output.
    open: Option<Open>,
    ending: Option<Ending>,
    usage: Option<Usage>,
    beside: Option<Beside>,
    error: Option<Value>,
    sequence: usize,
    events: Vec<(&'static str, Value)>,
}

/// A message that is not whole yet.
struct Open {
    id: String,
    text: String,
    annotations: Vec<Value>,
}

impl Writing {
    pub(super) fn new(id: &str, request: &ResponsesRequest, replying: &Replying) -> Self {
        let tools: Vec<Value> = request.tools.iter().flatten().map(FunctionTool::again).collect();
        let sampling = &request.sampling;
        let heading = json!({
            "id": id,
            "object": "response",
            "created_at": clock::unix_seconds(),
            "background": false,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata.clone().unwrap_or_else(|| json!({})),
            "model": request.model,
            "parallel_tool_calls": request.parallel_tool_calls.unwrap_or(true),
            "previous_response_id": request.previous_response_id,
            "reasoning": {"effort": null, "summary": null},
            "store": request.store.unwrap_or(true),
            "temperature": sampling.temperature.unwrap_or(1.0),
            "text": {"format": request.format_again()},
            "tool_choice": request.tool_choice.clone().unwrap_or_else(|| json!("auto")),
            "tools": tools,
            "top_p": sampling.top_p.unwrap_or(1.0),
            "truncation": "disabled",
            "system_fingerprint": replying.sha256,
        });
        Self {
            heading,
            output: Vec::new(),
            open: None,
            ending: None,
            usage: None,
            beside: replying.is_kept().then(Beside::exact),
            error: None,
            sequence: 0,
            events: Vec::new(),
        }
    }

    /// The events since this was last asked.
    pub(super) fn events(&mut self) -> Vec<(&'static str, Value)> {
        std::mem::take(&mut self.events)
    }

    /// Tells that the response is begun.
    pub(super) fn begin(&mut self) {
        let response = self.response();
        self.tell("response.created", json!({"response": response.clone()}));
        self.tell("response.in_progress", json!({"response": response}));
    }

    /// Takes in what is said.
    pub(super) fn take(&mut self, said: Said) {
        match said {
            Said::Text { text, cited, .. } => self.text(&text, cited),
            Said::Call { call, .. } => self.call(call),
            Said::End { end: End { ending, .. }, .. } => {
                // A reply without calls has a message, though it be empty.
                if self.output.is_empty() {
                    self.opened();
                }
                self.close();
                self.ending = Some(ending);
            }
            Said::Answer(answer) => self.beside = Some(Beside::Answer(answer)),
        }
    }

    /// Ends the response.
    pub(super) fn end(&mut self, usage: Usage) {
        self.close();
        self.usage = Some(usage);
        let is_cut = self.ending == Some(Ending::Length);
        let name = if is_cut { "response.incomplete" } else { "response.completed" };
        let response = self.response();
        self.tell(name, json!({"response": response}));
    }

    /// Ends the response with an error.
    pub(super) fn fail(&mut self, code: &str, message: &str) {
        self.error = Some(json!({"code": code, "message": message}));
        let response = self.response();
        self.tell("response.failed", json!({"response": response}));
    }

    /// The layer of the cache that it comes from, if any.
    pub(super) fn layer(&self) -> Option<&str> {
        self.beside.as_ref().and_then(Beside::layer)
    }

    /// The response as it is now.
    pub(super) fn response(&self) -> Value {
        let mut response = self.heading.clone();
        let is_cut = self.ending == Some(Ending::Length);
        let status = match (&self.error, self.usage) {
            (Some(_), _) => "failed",
            (None, None) => "in_progress",
            (None, Some(_)) if is_cut => "incomplete",
            (None, Some(_)) => "completed",
        };
        response["status"] = json!(status);
        response["error"] = json!(self.error);
        response["incomplete_details"] =
            if is_cut { json!({"reason": "max_output_tokens"}) } else { Value::Null };
        response["output"] = json!(self.output);
        response["usage"] = json!(self.usage.map(usage));
        if let Some(beside) = &self.beside {
            response["plumb"] = beside.value();
        }
        response
    }

    fn tell(&mut self, name: &'static str, mut event: Value) {
        event["type"] = json!(name);
        event["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.events.push((name, event));
    }

    /// Where events about the last item point.
    fn place(&self, open: &str) -> Value {
        let index = self.output.len().saturating_sub(1);
        json!({"item_id": open, "output_index": index, "content_index": 0})
    }

    /// Begins a message, unless one is open, and gives its id.
    fn opened(&mut self) -> String {
        if let Some(open) = &self.open {
            return open.id.clone();
        }
        let id = clock::new_id("msg_");
        self.open = Some(Open { id: id.clone(), text: String::new(), annotations: Vec::new() });
        let item = json!({"id": id, "type": "message", "role": "assistant",
            "status": "in_progress", "content": []});
        self.output.push(item.clone());
        let index = self.output.len() - 1;
        self.tell("response.output_item.added", json!({"output_index": index, "item": item}));
        let mut event = self.place(&id);
        event["part"] = part("", &[]);
        self.tell("response.content_part.added", event);
        id
    }

    fn text(&mut self, text: &str, cited: Vec<Cited>) {
        let id = self.opened();
        let mut event = self.place(&id);
        event["delta"] = json!(text);
        event["logprobs"] = json!([]);
        self.tell("response.output_text.delta", event);
        if let Some(open) = &mut self.open {
            open.text.push_str(text);
        }
        for cited in cited {
            self.cite(&id, &cited);
        }
    }

    fn cite(&mut self, id: &str, cited: &Cited) {
        let annotation = json!({
            "type": "url_citation",
            "start_index": cited.start,
            "end_index": cited.end,
            "url": cited.uri,
            "title": cited.title,
        });
        let mut event = self.place(id);
        let Some(open) = &mut self.open else { return };
        event["annotation_index"] = json!(open.annotations.len());
        event["annotation"] = annotation.clone();
        open.annotations.push(annotation);
        self.tell("response.output_text.annotation.added", event);
    }

    /// Ends the message that is open, if one is.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let part = part(&open.text, &open.annotations);
        let item = json!({"id": open.id, "type": "message", "role": "assistant",
            "status": "completed", "content": [part]});
        let mut event = self.place(&open.id);
        event["text"] = json!(open.text);
        event["logprobs"] = json!([]);
        self.tell("response.output_text.done", event);
        let mut event = self.place(&open.id);
        event["part"] = part;
        self.tell("response.content_part.done", event);
        if let Some(last) = self.output.last_mut() {
            last.clone_from(&item);
        }
        let index = self.output.len().saturating_sub(1);
        self.tell("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    fn call(&mut self, call: Call) {
        self.close();
        let id = clock::new_id("fc_");
        let Call { id: call_id, name, arguments } = call;
        let item = |arguments: &str, status: &str| {
            json!({"id": id, "type": "function_call", "status": status,
                "call_id": call_id, "name": name, "arguments": arguments})
        };
        let (begun, done) = (item("", "in_progress"), item(&arguments, "completed"));
        self.output.push(done.clone());
        let index = self.output.len() - 1;
        self.tell("response.output_item.added", json!({"output_index": index, "item": begun}));
        let place = json!({"item_id": id, "output_index": index});
        let mut event = place.clone();
        event["delta"] = json!(arguments);
        self.tell("response.function_call_arguments.delta", event);
        let mut event = place;
        event["name"] = json!(name);
        event["arguments"] = json!(arguments);
        self.tell("response.function_call_arguments.done", event);
        self.tell("response.output_item.done", json!({"output_index": index, "item": done}));
    }
}

fn part(text: &str, annotations: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt + usage.completion,
    })
}
