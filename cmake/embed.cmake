# moge_embed(TARGET SYMBOL FILES...) compiles files into TARGET as `const EmbeddedFiles SYMBOL` of
# namespace moge (core/embedded.h), sorted by name.
#
# Called as a script (cmake -P) it writes that source file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(number 0)
  file(WRITE ${OUTPUT}.tmp "#include \"moge/core/embedded.h\"\n\nnamespace moge {\nnamespace {\n")
  set(table "")
  string(REPLACE "|" ";" FILES "${FILES}")
  foreach(file IN LISTS FILES)
    # Bytes as numbers: no limit on length and nothing to escape.
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    get_filename_component(name ${file} NAME)
    file(APPEND ${OUTPUT}.tmp
         "const unsigned char kFile${number}[] = {\n${bytes}0};\n")
    string(APPEND table "    {\"${name}\", {reinterpret_cast<const char*>(kFile${number}), "
                        "sizeof(kFile${number}) - 1}},\n")
    math(EXPR number "${number} + 1")
  endforeach()
  file(APPEND ${OUTPUT}.tmp "const EmbeddedFile kFiles[] = {\n${table}};\n}  // namespace\n\n"
                            "extern const EmbeddedFiles ${SYMBOL};\n"
                            "const EmbeddedFiles ${SYMBOL}(kFiles);\n}  // namespace moge\n")
  file(RENAME ${OUTPUT}.tmp ${OUTPUT})
  return()
endif()

set(MOGE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(moge_embed target symbol)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cc)
  list(SORT ARGN)
  string(REPLACE ";" "|" files "${ARGN}")
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DSYMBOL=${symbol} "-DFILES=${files}" -P
            ${MOGE_EMBED_SCRIPT}
    DEPENDS ${ARGN} ${MOGE_EMBED_SCRIPT}
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
