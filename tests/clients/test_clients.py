"""Clients as their users use them, against the server at PLUMB_URL."""

import json
import os

import pytest

URL = os.environ["PLUMB_URL"]
MODEL = "smollm2-135m-instruct"
DOCS = "docs/rules"
EMBEDDER = "all-minilm-l6-v2"
QUESTION = [{"role": "user", "content": "For how long are invoices kept?"}]
TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Geneva", "Bern"]}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def openai():
    from openai import OpenAI

    return OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)


def test_openai_chat_and_stream_say_the_same(openai):
    ask = dict(model=MODEL, messages=QUESTION, temperature=0, max_tokens=10)
    whole = openai.chat.completions.create(**ask)
    assert whole.usage.completion_tokens == 10
    stream = openai.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 10


def test_openai_seed_n_logprobs_and_stop(openai):
    ask = dict(model=MODEL, messages=QUESTION, seed=7, n=2, max_tokens=8, logprobs=True, top_logprobs=3)
    first, again = (openai.chat.completions.create(**ask) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices] and len(texts) == 2
    assert len(first.choices[0].logprobs.content[0].top_logprobs) == 3
    stopped = openai.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=30, stop=[" "])
    assert " " not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"


def test_openai_structured_output(openai):
    schema = {"name": "place", "strict": True, "schema": TOOL}
    reply = openai.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=40,
        response_format={"type": "json_schema", "json_schema": schema})
    assert json.loads(reply.choices[0].message.content)["city"] in ("Geneva", "Bern")


@pytest.mark.parametrize("stream", [False, True])
def test_openai_required_tool_call(openai, stream):
    tool = {"type": "function", "function": {"name": "weather", "parameters": TOOL}}
    reply = openai.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=60, tools=[tool], tool_choice="required", stream=stream)
    if stream:
        deltas = [c.choices[0].delta for c in reply if c.choices]
        call = next(d.tool_calls[0] for d in deltas if d.tool_calls)
    else:
        assert reply.choices[0].finish_reason == "tool_calls"
        call = reply.choices[0].message.tool_calls[0]
        history = [*QUESTION, reply.choices[0].message, {
            "role": "tool", "tool_call_id": call.id, "content": "Rain."}]
        after = openai.chat.completions.create(model=MODEL, messages=history, tools=[tool], max_tokens=5)
        assert after.choices[0].message is not None
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Geneva", "Bern")


@pytest.mark.parametrize("stream", [False, True])
def test_openai_responses_say_what_chat_says(openai, stream):
    ask = dict(model=MODEL, temperature=0)
    chat = openai.chat.completions.create(**ask, messages=QUESTION, max_tokens=10)
    reply = openai.responses.create(
        **ask, input=QUESTION[0]["content"], max_output_tokens=10, stream=stream)
    if stream:
        events = list(reply)
        assert [e.sequence_number for e in events] == list(range(len(events)))
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        assert events[0].type == "response.created"
        assert events[-1].type in ("response.completed", "response.incomplete")
        reply = events[-1].response
        assert "".join(deltas) == reply.output_text
    assert reply.output_text == chat.choices[0].message.content
    assert reply.usage.output_tokens == 10
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_openai_responses_follow_one_another(openai):
    first = openai.responses.create(
        model=MODEL, instructions="Answer briefly.", input="My name is Ada.", max_output_tokens=8)
    second = openai.responses.create(
        model=MODEL, input="What is my name?", previous_response_id=first.id, max_output_tokens=8)
    assert second.previous_response_id == first.id
    # The turn before is read again; the instructions are not.
    assert second.usage.input_tokens > first.usage.input_tokens
    assert openai.responses.retrieve(first.id).output_text == first.output_text
    openai.responses.delete(first.id)
    kept = openai.responses.create(model=MODEL, input="Hi", store=False, max_output_tokens=4)
    for gone in (first.id, kept.id):
        with pytest.raises(Exception, match="there is no response"):
            openai.responses.create(model=MODEL, input="x", previous_response_id=gone)


def test_openai_responses_structured_output_and_tools(openai):
    text = {"format": {"type": "json_schema", "name": "place", "schema": TOOL, "strict": True}}
    reply = openai.responses.create(
        model=MODEL, input=QUESTION, text=text, max_output_tokens=40)
    assert json.loads(reply.output_text)["city"] in ("Geneva", "Bern")
    tool = {"type": "function", "name": "weather", "parameters": TOOL, "strict": True}
    reply = openai.responses.create(
        model=MODEL, input=QUESTION, tools=[tool], tool_choice="required", max_output_tokens=60)
    call = next(item for item in reply.output if item.type == "function_call")
    assert json.loads(call.arguments)["city"] in ("Geneva", "Bern")
    after = openai.responses.create(
        model=MODEL, previous_response_id=reply.id, tools=[tool], max_output_tokens=5,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}])
    assert after.status in ("completed", "incomplete")
    events = list(openai.responses.create(
        model=MODEL, input=QUESTION, tools=[tool], tool_choice={"type": "function", "name": "weather"},
        max_output_tokens=60, stream=True))
    done = next(e for e in events if e.type == "response.function_call_arguments.done")
    assert json.loads(done.arguments)["city"] in ("Geneva", "Bern")


def test_openai_responses_answer_from_documents(openai):
    reply = openai.responses.create(model=DOCS, input=QUESTION[0]["content"])
    annotation = reply.output[0].content[0].annotations[0]
    assert annotation.url.endswith("/docs/retention.md")
    assert "ten years" in reply.output_text
    assert reply.plumb["status"] == "answered"
    events = list(openai.responses.create(model=DOCS, input=QUESTION[0]["content"], stream=True))
    assert any(e.type == "response.output_text.annotation.added" for e in events)
    assert events[-1].response.output_text == reply.output_text


def test_openai_documents_heed_tokens_and_temperature(openai):
    cut = openai.chat.completions.create(model=DOCS, messages=QUESTION, max_tokens=1)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("", "length")
    drawn = openai.chat.completions.create(model=DOCS, messages=QUESTION, temperature=0.8, seed=3)
    assert "ten years" in drawn.choices[0].message.content


def test_openai_answers_from_documents_with_citations(openai):
    whole = openai.chat.completions.create(model=DOCS, messages=QUESTION)
    message = whole.choices[0].message
    assert "ten years" in message.content and "[1]" in message.content
    assert message.annotations[0].url_citation.url.endswith("/docs/retention.md")
    assert whole.model_extra["plumb"]["status"] == "answered"
    *_, last = openai.chat.completions.create(model=DOCS, messages=QUESTION, stream=True)
    assert last.model_extra["plumb"]["claims"] == whole.model_extra["plumb"]["claims"]


def test_openai_completions_models_and_errors(openai):
    import openai as package

    ids = [model.id for model in openai.models.list()]
    assert {MODEL, DOCS, EMBEDDER} <= set(ids)
    assert openai.models.retrieve(MODEL).id == MODEL
    two = openai.completions.create(model=MODEL, prompt=["One", "Two"], max_tokens=4, temperature=0)
    assert [choice.index for choice in two.choices] == [0, 1]
    parts = openai.completions.create(model=MODEL, prompt="One", max_tokens=4, temperature=0, stream=True)
    assert "".join(part.choices[0].text for part in parts) == two.choices[0].text
    with pytest.raises(package.NotFoundError):
        openai.chat.completions.create(model="gpt-4", messages=QUESTION)
    with pytest.raises(package.BadRequestError) as refused:
        openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 9000}])
    assert refused.value.code == "context_length_exceeded" and "8192" in refused.value.message


def test_openai_embeddings_are_the_same_in_both_encodings(openai):
    import openai as package

    texts = ["Invoices", "Drafts are deleted."]
    as_base64 = openai.embeddings.create(model=EMBEDDER, input=texts)
    as_float = openai.embeddings.create(model=EMBEDDER, input=texts, encoding_format="float")
    for one, other in zip(as_base64.data, as_float.data):
        assert one.embedding == pytest.approx(other.embedding) and len(one.embedding) == 384
    for wrong in (dict(dimensions=12), dict(input="word " * 400)):
        with pytest.raises(package.BadRequestError):
            openai.embeddings.create(**{"model": EMBEDDER, "input": "x", **wrong})


def test_rerank_in_the_shape_of_cohere():
    import httpx

    body = {"model": EMBEDDER, "query": "How long are bills kept?", "top_n": 1,
            "documents": ["Cats sleep.", "Invoices are kept for ten years."]}
    reply = httpx.post(f"{URL}/v1/rerank", json=body).json()
    assert [result["index"] for result in reply["results"]] == [1]


@pytest.fixture(scope="module")
def anthropic():
    from anthropic import Anthropic

    return Anthropic(base_url=URL, api_key="none", max_retries=0)


def test_anthropic_messages_streams_and_counts(anthropic):
    ask = dict(model=MODEL, messages=QUESTION, max_tokens=10, extra_body={"temperature": 0})
    whole = anthropic.messages.create(**ask)
    assert whole.stop_reason == "max_tokens" and whole.usage.output_tokens == 10
    with anthropic.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().usage.output_tokens == 10
    counted = anthropic.messages.count_tokens(model=MODEL, messages=QUESTION)
    usage = whole.usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


def test_anthropic_tools_documents_and_errors(anthropic):
    import anthropic as package

    tool = {"name": "weather", "description": "The weather.", "input_schema": TOOL}
    reply = anthropic.messages.create(
        model=MODEL, messages=QUESTION, max_tokens=60, tools=[tool], tool_choice={"type": "any"})
    assert reply.stop_reason == "tool_use"
    assert reply.content[0].input["city"] in ("Geneva", "Bern")
    answer = anthropic.messages.create(model=DOCS, messages=QUESTION, max_tokens=500)
    assert "ten years" in answer.content[0].text
    with pytest.raises(package.NotFoundError):
        anthropic.messages.create(model="claude", messages=QUESTION, max_tokens=5)


def test_langchain_invokes_streams_and_embeds():
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    chat = ChatOpenAI(model=DOCS, base_url=f"{URL}/v1", api_key="none")
    assert "ten years" in chat.invoke("For how long are invoices kept?").content
    assert "ten years" in "".join(part.content for part in chat.stream("For how long are invoices kept?"))
    embeddings = OpenAIEmbeddings(
        model=EMBEDDER, base_url=f"{URL}/v1", api_key="none", check_embedding_ctx_length=False)
    assert len(embeddings.embed_query("Invoices")) == 384


def test_llama_index_chats_and_embeds():
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding
    from llama_index.llms.openai_like import OpenAILike

    llm = OpenAILike(model=DOCS, api_base=f"{URL}/v1", api_key="none", is_chat_model=True)
    reply = llm.chat([ChatMessage(role="user", content="For how long are invoices kept?")])
    assert "ten years" in reply.message.content
    embedder = OpenAILikeEmbedding(model_name=EMBEDDER, api_base=f"{URL}/v1", api_key="none")
    assert len(embedder.get_text_embedding("Invoices")) == 384
