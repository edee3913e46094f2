#!/usr/bin/env python3
"""Renders our chat templates and expression snippets with jinja2, set up as transformers does.

    python3 -m venv /tmp/jinja && /tmp/jinja/bin/pip install jinja2==3.1.6
    /tmp/jinja/bin/python tests/tools/make_chat_cases.py tests/goldens/chat

Writes conversations.json (the *.jinja of the folder times conversations) and snippets.json. Every case holds
either `output` or, where Python fails, `error` (the class) and, for raise_exception, `message`.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat_snippets import CONTEXT, SNIPPETS  # noqa: E402

NOW = datetime.datetime(2026, 3, 9, 14, 5, 7)


class Generation(jinja2.ext.Extension):
    """{% generation %}: a block that renders as its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    @staticmethod
    def _render(caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda pattern: NOW.strftime(pattern)
    return env


def attempt(env, source, variables):
    try:
        return {"output": env.from_string(source).render(**variables)}
    except jinja2.exceptions.TemplateError as error:
        case = {"error": type(error).__name__}
        if type(error) is jinja2.exceptions.TemplateError:
            case["message"] = str(error)
        return case
    except Exception as error:
        return {"error": type(error).__name__}


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": " The weather of a place, now or later. ",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town, e.g. \"Zürich\" or '東京'"},
                "days": {"type": "integer", "default": 1, "minimum": 0, "maximum": 18446744073709551615},
                "units": {"type": ["string", "null"], "enum": ["metric", "imperial", None]},
            },
            "required": ["place"],
        },
    },
}
MATRIX = {
    "type": "function",
    "function": {
        "name": "solve",
        "description": "Solves A x = b <fast> & exactly",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                "options": {"type": "object", "additionalProperties": {"type": "boolean"}},
                "tolerance": {"type": "number", "default": 1e-7},
                "verbose": {"type": "boolean", "default": False},
            },
            "required": ["a"],
        },
    },
}


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = [
    {"messages": [{"role": "user", "content": "Hi"}]},
    {"messages": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "  Why?  "}]},
    {
        "messages": [
            {"role": "user", "content": "1 < 2 && 'a' != \"b\"\n\néß 漢字 🙂\u00a0"},
            {"role": "assistant", "content": "<think>\nLet me see.\n</think>\n\nTrue."},
            {"role": "user", "content": "Sure?\r\n"},
            {"role": "assistant", "content": "\n\n<think>Again.</think>Yes."},
        ]
    },
    {
        "messages": [
            {"role": "system", "content": "You use tools."},
            {"role": "user", "content": "Weather in Bern and Zürich?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [call("get_weather", {"place": "Zürich", "days": 2, "x": [1.5, None, True]})],
            },
            {"role": "tool", "content": "{\"sun\": true}"},
            {"role": "tool", "content": {"rain": 0.1, "wind": [1, 2.0, 1e22], "note": "</b> & so"}},
            {"role": "assistant", "content": "Sunny."},
        ],
        "tools": [WEATHER, MATRIX],
    },
    {
        "messages": [
            {"role": "user", "content": "Solve it."},
            {
                "role": "assistant",
                "content": "On it.",
                "reasoning_content": "\nA is regular.\n",
                "tool_calls": [call("solve", "{\"a\": [[1]]}"), call("solve", {"a": [[2]], "verbose": False})],
            },
            {"role": "tool", "content": "[1.0]"},
        ],
        "tools": [MATRIX["function"]],
    },
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "image", "url": "x"},
                                         {"type": "text", "text": "this?", "hidden": True}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A \"cat\".\n"}]},
            {"role": "user", "content": []},
        ]
    },
    {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
    {"messages": [{"role": "assistant", "content": "First!"}]},
    {"messages": [{"role": "critic", "content": "Hm."}, {"role": "user", "content": None}]},
    {"messages": [{"role": "user", "content": "Brave?"},
                  {"role": "assistant", "tool_calls": [call("brave_search", {"query": "a b", "lang": "de"})]},
                  {"role": "ipython", "content": ["x", 1]}],
     "extra": {"builtin_tools": ["brave_search", "code_interpreter"], "tools_in_user_message": False,
               "date_string": "1 Jan 2026"}},
    {"messages": [{"role": "user", "content": "No thoughts, please"}], "tools": [WEATHER],
     "extra": {"enable_thinking": False, "tools_in_user_message": False}},
    {"messages": []},
]


def conversations(folder, env):
    cases = []
    for template in sorted(folder.glob("*.jinja")):
        source = template.read_text()
        for number, talk in enumerate(CONVERSATIONS):
            for prompt in (False, True):
                variables = {"messages": talk["messages"], "tools": talk.get("tools"), "documents": None,
                             "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                             **talk.get("extra", {})}
                cases.append({"template": template.stem, "conversation": number,
                              "add_generation_prompt": prompt, **attempt(env, source, variables)})
    return {"conversations": CONVERSATIONS, "cases": cases}


def snippets(env):
    cases = [{"template": source, **attempt(env, source, CONTEXT)} for source in SNIPPETS]
    return {"context": CONTEXT, "cases": cases}


def main():
    folder = pathlib.Path(sys.argv[1])
    env = environment()
    for name, content in (("conversations", conversations(folder, env)), ("snippets", snippets(env))):
        lines = ",\n".join("  " + json.dumps(case) for case in content.pop("cases"))
        head = json.dumps(content)[:-1]
        (folder / f"{name}.json").write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
        print(name, lines.count("\n") + 1, "cases,", lines.count('"error"'), "of them errors")


main()
