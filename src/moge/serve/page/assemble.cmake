# cmake -P: puts style and scripts into index.html, and writes the Content-Security-Policy under
# which the browser runs these alone: it names their SHA-256.
# in: SOURCE (this folder), SCRIPTS (names with | between), OUTPUT (a folder)

function(base64_of_sha256 text result)
  set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  string(SHA256 hex "${text}")
  set(made "")
  foreach(at RANGE 0 59 6)  # three bytes become four letters
    string(SUBSTRING ${hex} ${at} 6 bytes)
    foreach(shift 18 12 6 0)
      math(EXPR index "(0x${bytes} >> ${shift}) & 63")
      string(SUBSTRING ${alphabet} ${index} 1 letter)
      string(APPEND made ${letter})
    endforeach()
  endforeach()
  string(SUBSTRING ${hex} 60 4 bytes)  # the last two bytes: three letters and a pad
  foreach(shift 10 4 -2)
    math(EXPR index "((0x${bytes} << 2) >> (${shift} + 2)) & 63")
    string(SUBSTRING ${alphabet} ${index} 1 letter)
    string(APPEND made ${letter})
  endforeach()
  set(${result} "${made}=" PARENT_SCOPE)
endfunction()

file(READ ${SOURCE}/index.html page)
file(READ ${SOURCE}/page.css style)
set(script "")
string(REPLACE "|" ";" names "${SCRIPTS}")
foreach(name IN LISTS names)
  file(READ ${SOURCE}/${name} text)
  string(APPEND script "\n${text}")
endforeach()
string(REPLACE "{{style}}" "${style}" page "${page}")
string(REPLACE "{{script}}" "${script}" page "${page}")
file(WRITE ${OUTPUT}/index.html "${page}")

base64_of_sha256("${style}" style_hash)
base64_of_sha256("${script}" script_hash)
string(CONCAT policy
  "default-src 'none'; script-src 'sha256-${script_hash}'; style-src 'sha256-${style_hash}'; "
  "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
  "require-trusted-types-for 'script'; trusted-types 'none'")
file(WRITE ${OUTPUT}/content_security_policy.txt "${policy}")
