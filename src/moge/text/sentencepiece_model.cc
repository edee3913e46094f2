#include "moge/text/sentencepiece_model.h"

#include <cstdint>
#include <optional>

namespace moge::text {

namespace {

/// One field of a message: a number, or the bytes of a string or message.
struct WireField {
  uint64_t number = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  /// The next field; nothing at the end or where the bytes are malformed.
  std::optional<WireField> next() {
    const auto tag = varint();
    if (!tag) return {};
    WireField field{.number = *tag >> 3};
    switch (*tag & 7) {
      case 0: {
        const auto value = varint();
        if (!value) return {};
        field.value = *value;
        return field;
      }
      case 1:
        return take(8, field);
      case 2: {
        const auto size = varint();
        return size ? take(*size, field) : std::nullopt;
      }
      case 5:
        return take(4, field);
      default:
        return {};
    }
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[0]);
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return {};
  }

  std::optional<WireField> take(uint64_t size, WireField field) {
    if (size > bytes_.size()) return {};
    field.bytes = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return field;
  }

  std::string_view bytes_;
};

void read_trainer(std::string_view bytes, SentencePieceOptions& options) {
  WireReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number == 3) options.kind = static_cast<SentencePieceOptions::Kind>(field->value);
    if (field->number == 24) options.space_is_suffix = field->value != 0;
  }
}

void read_normalizer(std::string_view bytes, SentencePieceOptions& options) {
  WireReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number == 1) options.normalization = field->bytes;
    if (field->number == 2) options.has_normalization = !field->bytes.empty();
    if (field->number == 3) options.add_dummy_prefix = field->value != 0;
    if (field->number == 4) options.remove_extra_whitespaces = field->value != 0;
    if (field->number == 5) options.escape_whitespaces = field->value != 0;
  }
}

}  // namespace

SentencePieceOptions read_sentencepiece_options(std::string_view model) {
  SentencePieceOptions options;
  WireReader reader(model);
  while (const auto field = reader.next()) {
    if (field->number == 2) read_trainer(field->bytes, options);
    if (field->number == 3) read_normalizer(field->bytes, options);
  }
  return options;
}

}  // namespace moge::text
