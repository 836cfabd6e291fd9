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
