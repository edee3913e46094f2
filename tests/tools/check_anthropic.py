#!/usr/bin/env python3
"""PyPI's anthropic client against a running `moge serve --served-model-name small`.

    venv/bin/python tests/tools/check_anthropic.py http://127.0.0.1:8080
"""
import sys

import anthropic

client = anthropic.Anthropic(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=60)
COMMON = dict(model="small", max_tokens=16, temperature=0)
ASK = [dict(role="user", content="How many apples?")]
TOOL = dict(name="add", description="adds", input_schema=dict(type="object", properties={}))


def check_messages():
    whole = client.messages.create(messages=ASK, **COMMON)
    assert whole.type == "message" and whole.role == "assistant", whole
    assert whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens > 0, whole
    text = whole.content[0].text
    with client.messages.stream(messages=ASK, **COMMON) as stream:
        assert "".join(stream.text_stream) == text, "stream differs from the whole"
        final = stream.get_final_message()
    assert final.stop_reason == whole.stop_reason and final.usage == whole.usage, (final, whole)
    names = [event.type for event in client.messages.create(messages=ASK, stream=True, **COMMON)]
    assert names[0] == "message_start" and names[-2:] == ["message_delta", "message_stop"], names
    return whole


def check_conversation():
    messages = ASK + [
        dict(role="assistant", content=[dict(type="text", text="Let me add."),
                                        dict(type="tool_use", id="t1", name="add", input=dict(a=1))]),
        dict(role="user", content=[dict(type="tool_result", tool_use_id="t1", content="42")])]
    answer = client.messages.create(messages=messages, system="Be brief.", tools=[TOOL],
                                    stop_sequences=["\n\n\n"], **COMMON)
    assert answer.usage.output_tokens > 0, answer


def check_demanded_calls():
    tool = dict(name="add", input_schema=dict(
        type="object", properties=dict(a=dict(type="integer", minimum=0, maximum=9)), required=["a"]))
    for choice in (dict(type="any", disable_parallel_tool_use=True), dict(type="tool", name="add")):
        answer = client.messages.create(messages=ASK, tools=[tool], tool_choice=choice,
                                        **{**COMMON, "max_tokens": 120})
        call, = answer.content
        assert answer.stop_reason == call.type == "tool_use" and call.name == "add", answer
        assert 0 <= call.input["a"] <= 9, answer


def check_count(whole):
    counted = client.messages.count_tokens(model="small", messages=ASK)
    assert counted.input_tokens == whole.usage.input_tokens, (counted, whole)
    longer = client.messages.count_tokens(model="small", messages=ASK, system="Be very brief.")
    assert longer.input_tokens > counted.input_tokens, (longer, counted)


def expect(error, **request):
    try:
        client.messages.create(**{**COMMON, "messages": ASK, **request})
    except error as e:
        assert e.body["type"] == "error" and e.body["error"]["message"], e.body
        return
    sys.exit(f"check_anthropic: {request} was accepted")


whole = check_messages()
check_conversation()
check_demanded_calls()
check_count(whole)
expect(anthropic.NotFoundError, model="other")
expect(anthropic.BadRequestError, temperature=-1)
expect(anthropic.BadRequestError, messages=[])
print(f"anthropic {anthropic.__version__}: messages, streams, tool results, demanded calls, counts, errors agree")
