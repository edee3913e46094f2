#include "help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "moge/kernels/table.h"

namespace moge {

namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), ::toupper);
  return text;
}

std::string metavar_of(const Field& field) {
  if (!field.metavar.empty()) return field.metavar;
  if (field.is_flag()) return "";
  if (!field.choices.empty()) return fmt::format("{}", fmt::join(field.choices, "|"));
  if (std::holds_alternative<std::string*>(field.value)) return "TEXT";
  if (std::holds_alternative<std::vector<std::string>*>(field.value)) return "TEXT...";
  if (std::holds_alternative<std::vector<int64_t>*>(field.value)) return "N,N,...";
  if (std::holds_alternative<std::vector<double>*>(field.value)) return "X,X,...";
  const bool real = std::holds_alternative<float*>(field.value) ||
                    std::holds_alternative<double*>(field.value) ||
                    std::holds_alternative<std::optional<double>*>(field.value);
  return real ? "X" : "N";
}

std::string left_side(const Field& field) {
  if (field.is_positional) return "  " + upper(field.name);
  const bool on = field.is_flag() && *std::get<bool*>(field.value);
  const std::string letter =
      field.short_name ? fmt::format("-{}, ", field.short_name) : std::string();
  const std::string metavar = metavar_of(field);
  return fmt::format("  {}--{}{}{}", letter, on ? "[no-]" : "", field.name,
                     metavar.empty() ? "" : " " + metavar);
}

std::string option_line(const Field& field, size_t width) {
  std::string text = field.help;
  if (!field.aliases.empty()) text += fmt::format(" (also --{})", fmt::join(field.aliases, ", --"));
  const std::string value = to_text(field);
  if (field.is_required)
    text += " [required]";
  else if (!value.empty() && !(field.is_flag() && value == "false"))
    text += fmt::format(" [default: {}]", value);
  return fmt::format("{:<{}}  {}\n", left_side(field), width, text);
}

std::string list_of(const std::vector<const Command*>& commands) {
  size_t width = 0;
  for (const Command* command : commands) width = std::max(width, command->name.size());
  std::string text;
  for (const Command* command : commands)
    text += fmt::format("  {:<{}}  {}\n", command->name, width, command->summary);
  return text;
}

std::string compiler_text() {
#ifdef __clang__
  return fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

}  // namespace

std::string help_of_program(const std::vector<Command>& commands) {
  std::vector<const Command*> all;
  for (const Command& command : commands) all.push_back(&command);
  return "moge trains, samples and serves grouped-expert (MoGE) language models.\n\n"
         "Usage: moge COMMAND [MODEL] [options]\n\n" +
         list_of(all) +
         "\n`moge COMMAND --help` lists a command's options; `moge --version` tells what is built "
         "in.\nMODEL is a Hugging Face folder, a training run's --save folder or preset:NAME.\n";
}

std::string help_of_group(const std::vector<Command>& commands, const std::string& group) {
  std::vector<const Command*> members;
  for (const Command& command : commands)
    if (command.name.starts_with(group + " ")) members.push_back(&command);
  if (members.empty()) return "";
  return fmt::format("Usage: moge {} COMMAND [options]\n\n{}", group, list_of(members));
}

std::string help_of_command(const Command& command, const std::vector<Field>& fields) {
  std::string usage = "Usage: moge " + command.name;
  size_t width = 0;
  for (const Field& field : fields) {
    if (field.is_positional)
      usage += field.is_required ? " " + upper(field.name) : " [" + upper(field.name) + "]";
    width = std::max(width, left_side(field).size());
  }
  std::string text = fmt::format("{}\n\n{} [options]\n\n", command.summary, usage);
  for (const Field& field : fields) text += option_line(field, std::min<size_t>(width, 40));
  return text;
}

std::string version_text() {
  return fmt::format(
      "moge {}\ncompiler          {}\ninstruction sets  {}\nMPI               not built in\n"
      "CUDA              not built in\n",
      MOGE_VERSION, compiler_text(), fmt::join(kernels::compiled_isas(), " "));
}

}  // namespace moge
