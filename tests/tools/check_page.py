#!/usr/bin/env python3
"""Uses the page of a running `moge serve` as a visitor would, in headless Chromium.

    check_page.py URL FOLDER PROMPT          # everything; pictures go to FOLDER
    check_page.py URL FOLDER PROMPT KEY      # of a server that wants this API key: only that
"""
import json
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.request

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from browser_page import BrowserPage, chromium

OTHER_PROMPTS = ["Once upon a time", "def longest_word(words):"]
HOSTILE = [
    "<script>window.ran = 1</script>", "<img src=x onerror='window.ran = 1'>",
    "<svg onload='window.ran = 1'>", "<iframe srcdoc='<script>top.ran = 1</script>'></iframe>",
    "[x](javascript:window.ran=1)", "[x](  javascript:window.ran=1)", "[x](java\nscript:window.ran=1)",
    "[x](data:text/html,<script>opener.ran=1</script>)", "![x](javascript:window.ran=1)",
    "<javascript:window.ran=1>", "[x](https://x.org/\" onclick=\"window.ran=1)",
    "[x](https://x.org 'a\" onmouseover=\"window.ran=1')", "[<img src=x onerror=ran=1>](https://x.org)",
    "```\"><script>window.ran=1</script>\n</code></pre><script>window.ran=1</script>\n```",
    "|<script>window.ran=1</script>|\n|-|\n|<img src=x onerror=ran=1>|", "`<script>window.ran=1</script>`",
    "# <script>window.ran=1</script>", "&lt;script&gt;window.ran=1&lt;/script&gt;", "</article></div><script>ran=1</script>",
    "<style>body { display: none }</style><link rel=stylesheet href=https://x.org><meta http-equiv=refresh content=0>",
    "<think><script>window.ran=1</script></think><a href=javascript:ran=1>x</a>", "<base href=https://x.org><form action=https://x.org>",
]
SLOW_TEXTS = ["[" * 50000, "*a _b " * 20000, "`" * 30000 + "a", ">" * 50000, "- " * 20000, "[](" * 20000,
              "a|" * 40000 + "\n" + "-|" * 400, "`a``b```c````d" * 3000, "!" * 10 + "[x](" * 15000, "| " * 400 + " " * 50000 + "x",
              "```" + " " * 80000 + "`", "<https://" * 10000, "https://x.org/" + "." * 50000, "  - a\n" * 8000, "***a" * 20000,
              "\n".join(" " * i + "- a" for i in range(300)), "\\" * 60000, "&" * 60000, "# " + "#" * 60000]


def check_policy(url):
    with urllib.request.urlopen(url) as answer:
        policy, body = answer.headers["Content-Security-Policy"], answer.read().decode()
    for part in ("default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "base-uri 'none'",
                 "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
        assert part in policy, (part, policy)
    assert "unsafe" not in policy, policy
    assert not any(word in body for word in (" onclick=", " style=", "http://", 'src="')), "markup beside the policy"
    return len(body)


def check_markdown(page):
    cases = json.loads(pathlib.Path(__file__).with_name("markdown_cases.json").read_text())
    for name, text, html in cases:
        made = page.run("""const root = document.createElement("div");
            root.append(...write_blocks(lines_of(arguments[0]))); return root.innerHTML""", text)
        assert made == html, f"markdown, {name}:\n made {made}\n want {html}"
        grown = page.run("""const root = document.createElement("div"), view = new MarkdownView(root);
            for (let i = 0; i <= arguments[0].length; i++) view.update(arguments[0].slice(0, i));
            return root.innerHTML""", text)
        assert grown == html, f"markdown letter by letter, {name}:\n made {grown}\n want {html}"
    for text in SLOW_TEXTS:
        ms = page.run("""const start = performance.now();
            write_blocks(lines_of(arguments[0])); return performance.now() - start""", text)
        assert ms < 3000, f"{len(text)} letters of {text[:20]!r} took {ms:.0f} ms"
    return len(cases)


def check_answer(page, prompt):
    text, stats = page.ask(prompt)
    assert text.strip() and "tokens" in stats and "first after" in stats, (text, stats)
    assert "tokens/s" in stats or stats.startswith("1 token"), stats
    meta, rows, plain = page.value(
        "[page.meta, [...page.routing_of(page.shown_node).rows], [...page.routing_of(page.shown_node).plain]]")
    cells, per_token = meta["num_layers"] * meta["num_experts"], meta["num_layers"] * meta["num_experts_per_tok"]
    tokens = int(stats.split()[0])
    assert len(rows) == cells and sum(rows) == sum(plain) == tokens * per_token, (tokens, sum(rows), sum(plain))
    figures = page.texts("#figures b")
    assert figures[0] == "1.00 ×" and float(figures[1].split()[0]) >= 1, figures
    return f"{stats}; {sum(c > 0 for c in rows)} of {cells} cells lit; imbalance {figures[0]}, plain top-K {figures[1]}"


def colors_of(page, canvas):
    return page.run("""const c = document.getElementById(arguments[0]), seen = new Set();
        const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        for (let i = 0; i < p.length; i += 4) seen.add(p[i] << 16 | p[i + 1] << 8 | p[i + 2]);
        return seen.size""", canvas)


def check_map(page):
    assert colors_of(page, "map") > 8 and colors_of(page, "strip") > 3, "the map or the strip is empty"
    page.run("""const at = page.map.layout(), box = page.map.canvas.getBoundingClientRect();
        page.map.canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: box.x + at.x(2) + at.cell / 2,
          clientY: box.y + at.y(1) + at.height / 2}))""")
    page.settle()
    told = page.texts("#readout")[0]
    assert told.startswith("Layer 1, expert 2 (group 0, device 0)") and "% of its group" in told, told
    assert "Plain top-" in told, told
    page.find("#map").send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    page.settle()
    assert page.texts("#readout")[0].startswith("Layer 2, expert 3"), "arrows do not walk over the map"
    page.run("page.map.point(null)")
    for press in (lambda: page.find("#map-toggle").click(), lambda: page.press("m", alt=True)):
        shown = page.find("#experts").is_displayed()
        press()
        page.settle()
        assert page.find("#experts").is_displayed() != shown, "the map does not toggle"


def check_window(page):
    answer = page.texts("#readout")[0]
    assert answer.startswith("This answer: "), answer
    page.choose("#window input[value=minute]")
    page.until("document.getElementById('readout').textContent.startsWith('The server\\'s last minute: ')",
               "the server's last minute is not shown")
    figures = page.texts("#figures b")
    assert figures[0] == "1.00 ×", figures
    page.choose("#window input[value=answer]")
    assert page.texts("#readout")[0] == answer
    page.run("const d = document.getElementById('devices'); d.value = '2'; d.dispatchEvent(new Event('change'))")
    page.settle()
    assert "on 2 devices" in page.texts("#legend")[0], page.texts("#legend")
    page.run("const d = document.getElementById('devices'); d.value = '4'; d.dispatchEvent(new Event('change'))")


def check_reload(page, prompt):
    before = page.texts(".message .body"), page.texts(".message .stats"), page.value("[...page.routing_of(page.shown_node).rows]")
    page.open()
    page.settle()
    after = page.texts(".message .body"), page.texts(".message .stats"), page.value("[...page.routing_of(page.shown_node).rows]")
    assert before == after and prompt in after[0], (before, after)
    assert len(page.texts("#list .open")) == 1


def check_branches(page):
    page.find(".message.assistant .regenerate").click()
    page.answer()
    assert page.texts(".siblings") == ["2/2"], page.texts(".siblings")
    page.find(".message.assistant button[title='The one before']").click()
    assert page.texts(".siblings") == ["1/2"]
    page.find("#prompt").send_keys(Keys.ARROW_UP)  # edits the prompt
    field = page.find(".editing textarea")
    field.clear()
    field.send_keys("Another prompt", Keys.ENTER)
    page.answer()
    assert page.texts(".message.user .body") == ["Another prompt"] and page.texts(".siblings") == ["2/2"]
    page.find(".message.user button[title='The one before']").click()
    assert page.texts(".siblings") == ["2/2", "1/2"] or page.texts(".siblings") == ["1/2", "1/2"], page.texts(".siblings")


def check_stop(page):
    page.press("n", alt=True)
    page.set("max_tokens", "")
    page.set("ignore_eos", "")
    page.run("""document.getElementById("set-ignore_eos").checked = true; page.settings.take()""")
    page.run("""window.buttons = ""; new MutationObserver((_, observer) => {
        if (!(document.querySelector(".message.assistant .body > div")?.textContent.length > 5)) return;
        observer.disconnect();
        buttons = ["send", "stop"].map(id => getComputedStyle(document.getElementById(id)).display !== "none").join();
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
      }).observe(document.getElementById("thread"), {subtree: true, childList: true, characterData: true})""")
    page.send("Go on and on")
    page.until("buttons === 'false,true'", "Stop does not stand in Send's place")
    stats = page.answer()[1]
    assert stats.endswith("stopped") and not stats.startswith("no tokens"), stats
    assert page.find("#send").is_displayed()
    page.defaults()
    end = time.monotonic() + 20
    while any(s["is_processing"] for s in json.load(urllib.request.urlopen(page.url + "/slots"))):
        assert time.monotonic() < end, "the server goes on with a stopped answer"
    return stats


def check_settings(page):
    """Every field reaches the request; a wrong one is named; the server's own words are shown."""
    wanted = {"max_tokens": ("7", 7), "temperature": ("0.5", .5), "top_p": ("0.9", .9), "top_k": ("20", 20),
              "min_p": ("0.01", .01), "typical_p": ("0.95", .95), "repetition_penalty": ("1.1", 1.1),
              "presence_penalty": ("0.2", .2), "frequency_penalty": ("0.3", .3), "seed": ("12", 12),
              "min_tokens": ("2", 2), "n": ("2", 2), "stop": ("zzz\n\\n\\n\\n", ["zzz", "\n\n\n"]),
              "stop_token_ids": ("3, 4", [3, 4]), "logit_bias": ('{"5": -1}', {"5": -1}), "more": ('{"user": "me"}', None)}
    forms = {("JSON", ""): {"json_object": True}, ("choices", "a\nb"): {"choice": ["a", "b"]}, ("regular expression", "a+"): {"regex": "a+"},
             ("JSON Schema", '{"type": "null"}'): {"json": {"type": "null"}}, ("GBNF grammar", "root ::= x"): {"grammar": "root ::= x"}}
    page.press("n", alt=True)
    page.press("s", alt=True)
    assert page.find("#settings").is_displayed()
    page.find("#system").send_keys("Be brief.")
    for name, (text, _) in wanted.items():
        page.set(name, text)
    page.set("top_p", "7")
    assert "Top-p must be a number from 0.01 to 1" == page.texts("#settings-error")[0], page.texts("#settings-error")
    page.set("top_p", "0.9")
    assert page.texts("#settings-error") == [""]
    for (form, text), sent in forms.items():
        made = page.value("sampling_fields({form: arguments[0], form_text: arguments[1]})", form, text)
        assert made == {"structured_outputs": sent}, made
    page.press(Keys.ESCAPE)
    page.run("""window.bodies = []; window.real_fetch = window.fetch;
        window.fetch = (path, options) => { bodies.push(options.body && JSON.parse(options.body)); return real_fetch(path, options); }""")
    page.ask("Hello")
    body = page.value("bodies[0]")
    for name, (_, value) in wanted.items():
        assert value is None or body[name] == value, (name, body.get(name))
    assert body["user"] == "me" and body["messages"][0] == {"role": "system", "content": "Be brief."}, body
    assert page.texts(".siblings") == ["1/2"], "two answers at once"
    page.set("n", "1")
    page.set("more", '{"temperature": -1}')
    assert "temperature" in page.ask("Hello")[1], "the server's error is not shown"
    assert page.find(".message.assistant .stats.wrong")
    page.run("window.fetch = real_fetch; $('system').value = ''; $('system').oninput()")
    page.defaults()
    return len(wanted) + len(forms)


def check_logprobs(page):
    page.press("n", alt=True)
    page.press("l", alt=True)
    page.ask("A small")
    tokens = page.all(".message.assistant .tokens span")
    assert tokens and all(t.get_attribute("class") in {f"p{i}" for i in range(6)} for t in tokens)
    tokens[0].click()
    assert page.texts(".message.assistant footer")[0].count(" %") >= 3, page.texts(".message.assistant footer")
    page.press("l", alt=True)
    page.settle()
    assert not page.all(".tokens") and page.all(".message.assistant .markdown")


def check_text_form(page):
    page.press("n", alt=True)
    page.choose("#form input[value=text]")
    page.ask("In a small")
    page.ask("")  # goes on
    assert page.texts(".message.user .body") == ["In a small", ""] and len(page.all(".message.assistant")) == 2
    page.press("n", alt=True)
    page.choose("#form input[value=chat]")


def check_list(page, downloads):
    count = len(page.texts("#list .open"))
    page.find("#list li[aria-current=true] .rename").click()
    page.press("Quaint name", Keys.ENTER)
    assert "Quaint name" in page.texts("#list .open")
    page.find("#search").send_keys("quaint")
    assert page.texts("#list .open") == ["Quaint name"]
    page.find("#search").send_keys("zzzz")
    assert page.texts("#list .open") == []
    page.find("#search").clear()
    page.run("document.getElementById('search').dispatchEvent(new Event('input'))")
    page.find("#export-all").click()
    made = downloads / "moge conversations.json"
    for _ in range(200):
        if made.exists():
            break
        page.settle()
    exported = json.loads(made.read_text())
    assert exported["format"] == "moge.conversations" and len(exported["conversations"]) == count
    page.find("#import-file").send_keys(str(made))
    page.until("document.querySelectorAll('#list .open').length === arguments[0]",
               "the import does not arrive", 2 * count)
    while len(page.all("#list .delete")) > count:
        ActionChains(page.driver).move_to_element(page.find("#list li:last-child")).perform()
        for _ in range(2):  # it asks first
            page.find("#list li:last-child .delete").click()
        page.settle()
    page.open()
    assert len(page.texts("#list .open")) == count
    made.write_text("{}")
    page.find("#import-file").send_keys(str(made))
    page.until("document.getElementById('status').textContent.startsWith('not imported')", "a wrong file is taken")
    return count


STREAM = """const events = arguments[0].map(choice => "data: " + JSON.stringify({choices: [choice]}) + "\\n\\n");
    window.real_fetch = window.real_fetch || window.fetch;
    window.fetch = async () => new Response(events.join("") + "data: [DONE]\\n\\n")"""


def check_reasoning(page):
    """Reasoning is folded away, whether it comes in the text or in a field of its own."""
    in_text = [{"index": 0, "delta": {"content": text}} for text in ("<thi", "nk>\nfirst *this*", "</th", "ink>\nThe **answer**")]
    apart = [{"index": 0, "delta": {"reasoning_content": "first *this*"}}, {"index": 0, "delta": {"content": "The **answer**"}}]
    for choices in (in_text, apart):
        page.run(STREAM, choices + [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        page.press("n", alt=True)
        page.ask("think")
        folded = page.find(".message.assistant details")
        assert folded.is_displayed() and not folded.get_attribute("open") and folded.text == "Reasoning", folded.text
        assert page.find(".message.assistant .body > .markdown").get_attribute("innerHTML") == "<p>The <strong>answer</strong></p>"
        folded.find_element("css selector", "summary").click()
        page.settle()
        assert "first this" in folded.text, folded.text
    sent = page.value("question(page.conversation, 0).messages.concat([split_reasoning('<think>a</think>b').answer])")
    assert sent == [{"role": "user", "content": "think"}, "b"], sent
    page.run("window.fetch = real_fetch")


def check_sums(page):
    """Imbalance by hand: two layers, four experts, two devices."""
    made = page.run("""const two = {layers: 2, experts: 4}, r = new Routing(1, 4);
        for (let i = 0; i < 40; i++) r.add([[i < 20 ? 0 : 3, 1]], [[0, 1]]);
        return [imbalance_of([4, 0, 0, 0, 1, 1, 1, 1], two, 2), imbalance_of([4, 0, 0, 0, 0, 0, 0, 0], two, 4),
                imbalance_of([0, 0, 0, 0, 0, 0, 0, 0], two, 2), course_of(r, "routed", 2).at(0), course_of(r, "routed", 2).at(27),
                course_of(r, "routed", 2).at(-1), course_of(r, "plain", 2).at(-1), [...r.rows], r.tokens]""")
    assert made == [1.5, 4, None, 2, 1.5, 1, 2, [20, 40, 0, 20], 40], made


def hostile_conversation(text, i):
    return {"id": f"hostile{i}", "title": text, "system": text, "form": "chat", "created": 1, "updated": 1, "chosen": {},
            "nodes": [{"role": "user", "parent": -1, "text": text},
                      {"role": "assistant", "parent": 0, "text": text, "reasoning": text, "stats": text, "error": text},
                      {"role": "user", "parent": 1, "text": text},
                      {"role": "assistant", "parent": 2, "text": text,
                       "tokens": [{"text": text, "logprob": -1, "top": [[text, -1]]}]}]}


def assert_nothing_ran(page):
    page.settle()
    assert page.value("window.ran === undefined"), "a script of the model ran"
    bad = page.run("""return [...document.querySelectorAll("#layout *")].filter(e =>
        ["SCRIPT", "IFRAME", "IMG", "STYLE", "LINK", "META", "BASE", "OBJECT", "EMBED", "SVG"].includes(e.tagName.toUpperCase()) ||
        [...e.attributes].some(a => a.name.startsWith("on") || (a.name === "style" && e.tagName !== "CANVAS")) ||
        (e.tagName === "A" && !/^(https?|mailto):/.test(e.href))).map(e => e.outerHTML)""")
    assert not bad, bad


def check_hostile(page):
    """Hostile texts as a stored conversation, and as an answer that arrives in pieces."""
    for i, text in enumerate(HOSTILE):
        conversation = json.dumps({"format": "moge.conversations", "version": 1,
                                   "conversations": [hostile_conversation(text, i)]})
        page.driver.execute_async_script("""const done = arguments[1];
            (async () => { for (const c of read_export(arguments[0])) { await page.take_in(c); page.show(c); } done(); })()""",
            conversation)
        assert_nothing_ran(page)
        page.run("page.toggle('colours')")
        assert_nothing_ran(page)
        page.run("page.toggle('colours')")
        page.run(STREAM, [{"index": 0, "delta": {"content": text[at:at + 5]}} for at in range(0, len(text), 5)])
        page.press("n", alt=True)
        page.ask("hostile")
        assert_nothing_ran(page)
    page.run("""window.fetch = real_fetch;
        for (const c of [...page.conversations]) if (/hostile/.test(c.id + c.title)) page.remove(c)""")
    return len(HOSTILE)


def check_policy_holds(page):
    """The last check: it leaves violations in the log."""
    ran = page.run("""window.ran = 0; const s = document.createElement("script");
        try { s.textContent = "window.ran = 1"; document.body.append(s); } catch (e) { }
        try { document.body.setAttribute("onclick", "window.ran = 1"); document.body.click(); } catch (e) { }
        try { document.createElement("div").innerHTML = "<b>x</b>"; window.ran = 2; } catch (e) { }
        return window.ran""")
    assert ran == 0, f"the policy lets scripts in: {ran}"


def fits(page):
    return page.value("document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth")


def check_sizes(page, folder, prompt):
    page.run("""page.panels.side = true; page.panels.map = true; page.apply_panels();
        page.set_form("chat"); page.conversation.system = ""; for (const c of [...page.conversations]) page.remove(c)""")
    page.run("page.settings.set({...kDefaults, temperature: '0'})")
    for text in (*OTHER_PROMPTS, prompt):
        page.press("n", alt=True)
        page.ask(text)
    for width, height, dark, picture in ((1400, 700, False, "page.png"), (1400, 700, True, None),
                                         (834, 1100, False, None), (390, 844, True, "page_phone.png"),
                                         (2200, 1200, True, None), (320, 640, False, None)):
        page.emulate(width, height, dark)
        page.run("page.panels.side = innerWidth >= 1000; page.apply_panels()")
        page.settle()
        assert fits(page), f"the page is wider than {width}"
        for css in ("#prompt", "#send", "#map", "#settings-open", ".message.assistant"):
            assert page.find(css).is_displayed(), (css, width)
        back = page.value("getComputedStyle(document.body).backgroundColor")
        light = sum(int(n) for n in back[4:-1].split(", ")) > 384
        assert light != dark, (back, dark)
        if picture:
            page.driver.save_screenshot(str(folder / picture))
    page.emulate(390, 844, True)
    page.find("#side-toggle").click()
    assert page.find("#list").is_displayed() and fits(page)
    page.press("c", alt=True)
    page.find("#map-toggle").click()
    assert not page.find("#experts").is_displayed()
    page.run("page.panels.theme = 'light'; page.apply_panels()")  # against the system's
    back = page.value("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(251, 250, 247)", back
    page.run("page.panels.theme = ''; page.apply_panels()")


def check_errors(page):
    page.read_logs()
    unexpected = [e for e in page.errors if "status of 400" not in e["message"]]
    assert not unexpected, unexpected
    assert not page.outside, page.outside


def check_key(page, key, prompt):
    page.driver.get(page.url)
    page.until("document.getElementById('model').textContent.includes('API key')", "the page asks for no key")
    page.press("s", alt=True)
    page.find("#api-key").send_keys(key, Keys.TAB)
    page.until("page.meta !== null", "the key does not open the server")
    page.press(Keys.ESCAPE)
    page.defaults()
    text, stats = page.ask(prompt)
    assert text, stats
    assert key not in page.value("JSON.stringify(localStorage)"), "the key is kept"
    print("page of a server with keys: asks for one, and answers with it")


def check_all(page, folder, downloads, prompt):
    size = check_policy(page.url)
    page.open()
    page.defaults()
    told = [f"one file of {size} bytes, strict policy", f"{check_markdown(page)} Markdown cases"]
    told.append(check_answer(page, prompt))
    check_map(page)
    check_window(page)
    check_reload(page, prompt)
    check_branches(page)
    told.append("stop: " + check_stop(page))
    told.append(f"{check_settings(page)} settings reach the request")
    check_logprobs(page)
    check_text_form(page)
    check_reasoning(page)
    check_sums(page)
    told.append(f"{check_list(page, downloads)} conversations renamed, found, exported, imported, deleted")
    told.append(f"{check_hostile(page)} hostile texts run nothing")
    check_sizes(page, folder, prompt)
    check_errors(page)
    check_policy_holds(page)
    print("page: " + "\n  ".join(told + ["no outside request, no error in the console"]))


def main():
    url, folder, prompt = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    downloads = pathlib.Path(tempfile.mkdtemp())
    driver = chromium(downloads)
    try:
        page = BrowserPage(driver, url)
        if len(sys.argv) > 4:
            check_key(page, sys.argv[4], prompt)
        else:
            check_all(page, folder, downloads, prompt)
    finally:
        driver.quit()
        shutil.rmtree(downloads)


main()
