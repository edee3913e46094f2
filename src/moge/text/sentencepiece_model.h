// The options inside a tokenizer.model that libsentencepiece does not tell.
#pragma once

#include <string>
#include <string_view>

namespace moge::text {

/// Of ModelProto's trainer_spec and normalizer_spec; the values are the format's defaults.
struct SentencePieceOptions {
  enum class Kind { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };
  Kind kind = Kind::kUnigram;
  bool space_is_suffix = false;    ///< treat_whitespace_as_suffix
  std::string normalization;       ///< name of its rules: "nmt_nfkc", "identity", ...
  bool has_normalization = false;  ///< a charsmap changes characters
  bool add_dummy_prefix = true;    ///< a space in front of the text
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Reads them from the bytes of a model (protocol buffers' wire format). What is malformed ends the
/// reading: the library refuses such a model anyway.
SentencePieceOptions read_sentencepiece_options(std::string_view model);

}  // namespace moge::text
