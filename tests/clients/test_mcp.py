"""The official client of the Model Context Protocol, over both transports."""

import asyncio
import json
import os

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

TOOLS = ["search_documents", "get_document", "list_documents", "ask_question", "verify_answer"]


async def check(session):
    await session.initialize()
    listed = await session.list_tools()
    assert [tool.name for tool in listed.tools] == TOOLS
    assert all(tool.annotations.read_only_hint for tool in listed.tools)

    async def call(name, **arguments):
        result = await session.call_tool(name, arguments)
        assert not result.is_error, result
        return json.loads(result.content[0].text)

    found = await call("search_documents", query="How long are invoices kept?", limit=1)
    assert "ten years" in found["passages"][0]["text"]
    uri = (await call("list_documents"))["documents"][0]["uri"]
    assert "ten years" in (await call("get_document", uri=uri))["text"]
    answer = await call("ask_question", question="For how long are invoices kept?")
    assert answer["claims"][0]["citations"][0]["uri"] == uri
    assert (await call("verify_answer", answer=answer))["verified"]
    answer["claims"][0]["citations"][0]["quote"] = "Invoices are kept for two years."
    assert not (await call("verify_answer", answer=answer))["verified"]
    outside = await session.call_tool("get_document", {"uri": "file:///etc/passwd"})
    assert outside.is_error


def test_over_http():
    async def run():
        async with streamable_http_client(os.environ["PLUMB_URL"] + "/mcp") as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await check(session)

    asyncio.run(run())


def test_over_standard_input_and_output():
    async def run():
        command = StdioServerParameters(
            command=os.environ["PLUMB"], args=["mcp", "--project", os.environ["PLUMB_TEST_PROJECT"]]
        )
        async with stdio_client(command) as (read, write):
            async with ClientSession(read, write) as session:
                await check(session)

    asyncio.run(run())
