// A small highlighter for the languages models write most: comments, strings, numbers, keywords.

const kKeywords = new Set((
  "and as assert async await auto bool break case catch class const continue def default del delete do double elif " +
  "else enum except export extends extern false finally float fn for from func function global go if impl import in " +
  "include int interface is lambda let long loop match mod mut namespace new nil None nonlocal not null nullptr or " +
  "package pass private protected pub public raise return self Self short static struct super switch template this " +
  "throw trait True False true try type typedef typename union unsigned use using var virtual void volatile where " +
  "while with yield then fi done esac echo local select insert update create table into values join on group by order").split(" "));
const kHashComments = new Set(["python", "py", "bash", "sh", "shell", "zsh", "yaml", "yml", "toml", "ruby", "rb", "r",
                               "perl", "make", "cmake", "dockerfile"]);
const kString = String.raw`"""[^]*?(?:"""|$)|"[^"\\\n]*(?:\\[^][^"\\\n]*)*"?|'[^'\\\n]*(?:\\[^][^'\\\n]*)*'?`;
const kWords = String.raw`(\b\d[\w.]*)|([A-Za-z_]\w*)`;
const kCode = {
  hash: new RegExp(String.raw`(#[^\n]*)|(${kString})|${kWords}`, "g"),
  slash: new RegExp(String.raw`(\/\/[^\n]*|\/\*[^]*?(?:\*\/|$))|(${kString})|${kWords}`, "g"),
};

function highlight(parent, text, language) {
  if (!language || /^(text|txt|plain|md|markdown)$/i.test(language) || text.length > 200000) {
    parent.append(text);
    return;
  }
  const pattern = kHashComments.has(language.toLowerCase()) ? kCode.hash : kCode.slash;
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    const [all, comment, string, number, word] = found;
    const kind = comment ? "comment" : string ? "string" : number ? "number" : kKeywords.has(word) ? "keyword" : "";
    if (!kind) continue;
    parent.append(text.slice(at, found.index), element("span", { className: "hl-" + kind }, all));
    at = found.index + all.length;
  }
  parent.append(text.slice(at));
}
