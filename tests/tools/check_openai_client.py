#!/usr/bin/env python3
"""PyPI's openai client against a running `moge serve --served-model-name small`.

    venv/bin/python tests/tools/check_openai_client.py http://127.0.0.1:8080
"""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0, timeout=60)
COMMON = dict(model="small", max_tokens=16, temperature=0)


def complete(prompt, **more):
    return client.completions.create(prompt=prompt, **COMMON, **more)


def streamed(prompt):
    return "".join(c.choices[0].text for c in complete(prompt, stream=True) if c.choices)


def check_completions():
    whole = complete("In a small town", logprobs=2)
    logprobs = whole.choices[0].logprobs
    assert whole.usage.completion_tokens == len(logprobs.tokens) > 0, whole
    assert all(p <= 0 for p in logprobs.token_logprobs), logprobs
    assert streamed("In a small town") == whole.choices[0].text, "stream differs from the whole"
    pieces = [c.choices[0] for c in complete("In a small town", stream=True, logprobs=2) if c.choices]
    together = [p for c in pieces if c.logprobs for p in c.logprobs.token_logprobs]
    assert len(together) == len(logprobs.tokens), (together, logprobs)


def check_chat():
    messages = [dict(role="user", content="How many apples?")]
    whole = client.chat.completions.create(messages=messages, **COMMON).choices[0].message
    assert whole.role == "assistant", whole
    stream = client.chat.completions.create(messages=messages, stream=True, **COMMON)
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == whole.content, (text, whole)


def check_tools():
    tool = dict(type="function", function=dict(name="add", parameters=dict(type="object", properties={})))
    messages = [dict(role="user", content="Add."),
                dict(role="assistant", tool_calls=[dict(id="c1", type="function", function=dict(
                    name="add", arguments='{"a": 1}'))]),
                dict(role="tool", tool_call_id="c1", content="42")]
    answer = client.chat.completions.create(messages=messages, tools=[tool], tool_choice="auto", **COMMON)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls"), answer
    check_demanded_calls(messages[:1])


def check_demanded_calls(messages):
    tools = [dict(type="function", function=dict(name=name, parameters=dict(
        type="object", properties={key: dict(type="integer", minimum=0, maximum=99)}, required=[key])))
        for name, key in (("add", "a"), ("sub", "b"))]
    request = dict(model="small", messages=messages, tools=tools, temperature=1, max_tokens=120)
    for choice in ("required", dict(type="function", function=dict(name="sub"))):
        answer = client.chat.completions.create(tool_choice=choice, parallel_tool_calls=False, **request)
        assert answer.choices[0].finish_reason == "tool_calls", answer
        call, = answer.choices[0].message.tool_calls
        key = dict(add="a", sub="b")[call.function.name]
        assert call.function.name == "sub" or choice == "required", call
        assert 0 <= json.loads(call.function.arguments)[key] <= 99, call
    answer = client.chat.completions.create(model="small", messages=messages, max_tokens=2,
                                            extra_body=dict(prompt_logprobs=1))
    assert len(answer.prompt_logprobs) == answer.usage.prompt_tokens, answer
    assert answer.usage.prompt_tokens_details.cached_tokens == 0, answer.usage


def check_responses():
    common = dict(model="small", temperature=0, max_output_tokens=16, input="How many apples?")
    whole = client.responses.create(instructions="Be brief.", **common)
    assert whole.output_text and whole.usage.output_tokens > 0, whole
    events = list(client.responses.create(instructions="Be brief.", stream=True, **common))
    assert [e.sequence_number for e in events] == list(range(len(events))), events
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text, (text, whole)
    with client.responses.stream(**common) as stream:
        for event in stream:
            last = event
        assert last.type in ("response.completed", "response.incomplete"), last
    listed = client.responses.create(**{**common, "input": [
        dict(role="user", content=[dict(type="input_text", text="How many apples?")])]})
    assert listed.output_text == client.responses.create(**common).output_text, listed


def check_structured_output():
    """The SDK's own way, parse() with a pydantic model: what comes is an object of that class."""
    import enum
    from typing import Literal, Optional

    from pydantic import BaseModel, Field

    class Colour(enum.Enum):
        red = "red"
        blue = "blue"

    class Item(BaseModel):
        name: str = Field(max_length=12)
        count: int = Field(ge=0, le=99)
        colour: Colour

    class Order(BaseModel):
        items: list[Item] = Field(min_length=1, max_length=2)
        state: Literal["open", "done"]
        note: Optional[str] = Field(max_length=10)
        price: float = Field(gt=0, lt=1000)

    messages = [dict(role="user", content="How many apples?")]
    for temperature in (0, 1):
        request = dict(model="small", messages=messages, max_tokens=300, temperature=temperature)
        choice = client.chat.completions.parse(response_format=Order, **request).choices[0]
        assert choice.finish_reason == "stop" and isinstance(choice.message.parsed, Order), choice
    choice = client.chat.completions.create(extra_body={"guided_choice": ["yes", "no"]}, **request)
    assert choice.choices[0].message.content in ("yes", "no"), choice
    schema = {"type": "json_schema",
              "json_schema": {"name": "x", "schema": {"type": "array", "uniqueItems": True}}}
    try:
        client.chat.completions.create(response_format=schema, **request)
        sys.exit("check_openai_client: a schema that cannot be compiled was accepted")
    except openai.BadRequestError as e:
        assert e.param == "response_format" and "uniqueItems" in e.message, e


def check_embeddings():
    texts = ["How many apples?", "def f(x):"]
    both = client.embeddings.create(model="small", input=texts)  # the client asks for base64
    plain = client.embeddings.create(model="small", input=texts, encoding_format="float")
    for one, other in zip(both.data, plain.data):
        assert one.embedding == other.embedding and abs(sum(v * v for v in one.embedding) - 1) < 1e-4
    assert both.data[0].embedding != both.data[1].embedding and both.usage.prompt_tokens > 0, both.usage


def expect(error, **request):
    try:
        client.completions.create(**{**COMMON, "prompt": "a", **request})
    except error as e:
        assert "message" in e.response.json()["error"], e.response.text
        return
    sys.exit(f"check_openai_client: {request} was accepted")


def check_parallel():
    prompts = ["In a small town", "Tom has 12 apples", "def f(x):", "Once"]
    alone = [streamed(p) for p in prompts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(streamed, prompts)) == alone, "parallel streams differ from lone ones"


assert [m.id for m in client.models.list()] == ["small"]
check_completions()
check_chat()
check_tools()
check_responses()
check_embeddings()
expect(openai.NotFoundError, model="other")
expect(openai.BadRequestError, temperature=-1)
check_structured_output()
check_parallel()
print(f"openai {openai.__version__}: models, completions, chat, parse, tools, responses, embeddings, errors, 4 parallel streams agree")
