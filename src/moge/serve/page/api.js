// Talking to the server that this page came from.

function api_headers() {
  const key = $("api-key").value;
  return { "Content-Type": "application/json", ...(key && { Authorization: "Bearer " + key }) };
}

async function get_json(path) {
  const response = await fetch(path, { headers: api_headers() });
  if (!response.ok) throw await error_of(response);
  return response.json();
}

async function error_of(response) {
  let message = `the server answered ${response.status}`;
  try { message = (await response.json()).error.message || message; } catch { /* not OpenAI's form */ }
  return Object.assign(new Error(message), { status: response.status });
}

/** The objects of a stream of server-sent events. */
async function* events_of(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines)
      if (line.startsWith("data:") && line.trim() !== "data: [DONE]") yield JSON.parse(line.slice(5));
  }
}

function request_body(model, asked, fields, with_logprobs) {
  const { alternatives = 5, ...rest } = fields;
  const body = { model, stream: true, return_routed_experts: true, return_plain_topk_experts: true,
                 seed: Math.floor(Math.random() * 2 ** 31), ...asked, ...rest };
  if (with_logprobs && asked.messages) Object.assign(body, { logprobs: true, top_logprobs: alternatives });
  if (with_logprobs && asked.prompt !== undefined) body.logprobs = alternatives;
  return body;
}

/** Yields what each event of an answer adds: {index, text, reasoning, routed, plain, logprobs, finish, timings}. */
async function* ask(body, signal) {
  const response = await fetch(body.messages ? "/v1/chat/completions" : "/v1/completions",
    { method: "POST", headers: api_headers(), body: JSON.stringify(body), signal });
  if (!response.ok) throw await error_of(response);
  for await (const event of events_of(response)) {
    if (event.error) throw new Error(event.error.message);
    for (const choice of event.choices || []) yield {
      index: choice.index || 0,
      text: (choice.delta ? choice.delta.content : choice.text) || "",
      reasoning: choice.delta?.reasoning_content || choice.delta?.reasoning || "",
      tools: choice.delta?.tool_calls || null,
      routed: choice.routed_experts || [], plain: choice.plain_topk_experts || [],
      logprobs: token_logprobs(choice.logprobs), finish: choice.finish_reason || "", timings: event.timings,
    };
  }
}

/** Both forms, the chat's and the completion's, as [{text, logprob, top: [[text, logprob]]}]. */
function token_logprobs(logprobs) {
  if (!logprobs) return [];
  if (logprobs.content) return logprobs.content.map(t => ({ text: t.token, logprob: t.logprob,
    top: (t.top_logprobs || []).map(o => [o.token, o.logprob]) }));
  return (logprobs.tokens || []).map((text, i) => ({ text, logprob: logprobs.token_logprobs[i],
    top: Object.entries(logprobs.top_logprobs?.[i] || {}) }));
}
