// Shared arguments: declaration, parsing, defaults.
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Terminal.h"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

std::vector<std::string> splitAtCommas(const std::string &text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end = text.find(','); end != std::string::npos; begin = end + 1, end = text.find(',', begin))
    parts.push_back(text.substr(begin, end - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

template <typename T> bool parseNumber(const std::string &text, T &number) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool isName(const std::string &text) {
  return !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
}

/// "K=64" into its halves.
bool splitAssignment(const std::string &text, std::string &name, std::string &value) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos)
    return false;
  name = text.substr(0, equals);
  value = text.substr(equals + 1);
  return isName(name);
}

bool isDimAssignment(const std::string &text) {
  std::map<std::string, int64_t> ignored;
  return parseDims(text, ignored).empty();
}

} // namespace

void addSpec(CLI::App &command, SpecArguments &arguments) {
  command.add_option("spec", arguments.spec, "a spec's file, or the name of an example (see rondo list)")
      ->type_name("SPEC")
      ->required();
}

void addModel(CLI::App &command, SpecArguments &arguments) {
  command.add_option("--model", arguments.model, "which model of the file; default: the last")->type_name("NAME");
}

/// "cpu", "cpu:x86-64-v3"; which levels there are is the compiler's to say.
static bool isCpuTarget(const std::string &text) {
  return text == "cpu" || (text.rfind("cpu:", 0) == 0 && text.size() > 4);
}

/// "cuda", "cuda:1", "cuda:sm_90a", "cuda:1:sm_80"; which architectures there are is the compiler's to say.
static bool isCudaTarget(const std::string &text) {
  return text == "cuda" || (text.rfind("cuda:", 0) == 0 && text.size() > 5);
}

void addTarget(CLI::App &command, SpecArguments &arguments) {
  command
      .add_option("--target", arguments.target,
                  "what runs it: cpu, cpu:x86-64-v3 (code for that level); cuda, cuda:1 (the second GPU), cuda:sm_80 "
                  "(code for that); reference (the interpreter, "
                  "slow and exact)")
      ->type_name("TARGET")
      ->check([](const std::string &text) {
        return isCpuTarget(text) || text == "reference" || isCudaTarget(text)
                   ? std::string()
                   : fmt::format("'{}' is no target; expected cpu, cuda or reference", text);
      })
      ->capture_default_str();
}

void addDims(CLI::App &command, SpecArguments &arguments) {
  command.add_option("--dim", arguments.dims, "sizes of the spec's dimensions, e.g. --dim K=64 V=32")
      ->type_name("K=64")
      ->allow_extra_args(false)
      ->check([](const std::string &text) {
        std::map<std::string, int64_t> ignored;
        return parseDims(text, ignored);
      });
}

void addTypes(CLI::App &command, SpecArguments &arguments, const std::string &help) {
  command.add_option("--dtype", arguments.dtypes, help)
      ->type_name("bf16,g=f32")
      ->allow_extra_args(false)
      ->check([](const std::string &text) {
        TypeChoice ignored;
        return parseTypes(text, ignored);
      });
}

void addRandom(CLI::App &command, SpecArguments &arguments, const std::string &help) {
  command.add_option("--random", arguments.random, help)
      ->type_name("seed,B=2,T=128,H=4")
      ->check([](const std::string &text) {
        RandomRequest ignored;
        return parseRandom(text, ignored);
      });
}

void addPlan(CLI::App &command, SpecArguments &arguments) {
  command
      .add_option("--form", arguments.form,
                  "how recurrences are computed: step, one step after another; scan, segments by an associative "
                  "operator; chunk, "
                  "many steps at once; attention, 128 of them (or --chunk); auto chooses")
      ->check(CLI::IsMember({"auto", "step", "scan", "chunk", "attention"}))
      ->capture_default_str();
  command
      .add_option(
          "--schedule", arguments.schedule,
          "how time is gone through: carry, from the beginning to the end; segment, pieces of it side by side; auto "
          "chooses")
      ->check(CLI::IsMember({"auto", "carry", "segment"}))
      ->capture_default_str();
  command.add_option("--chunk", arguments.chunk, "steps per chunk; default: the compiler's choice")
      ->type_name("N")
      ->check(CLI::Range(2, 1024));
  command
      .add_option("--plan", arguments.plans,
                  "parameters of the plan, as rondo explain prints them: of every recurrence, or 'S: <...>' of the one "
                  "with state S; what is left out is the compiler's choice")
      ->type_name("'<form = chunk, chunk = 32>'")
      ->allow_extra_args(false);
  command
      .add_option("--interval", arguments.interval,
                  "with --grad, for what goes by chunks: keep a state every N chunks, and compute those between again; "
                  "default: the compiler's choice")
      ->type_name("N")
      ->check(CLI::Range(1, 65536));
}

void addGradient(CLI::App &command, SpecArguments &arguments) {
  command.add_flag("--grad", arguments.gradient,
                   "the gradient in place of the model: takes cotangents d_y of its results, gives d_x; twice: the "
                   "gradient of that");
  command.add_flag(
      "--jvp", arguments.tangent,
      "forward mode: takes tangents t_x beside the inputs, gives the derivatives t_y along them beside the "
      "results; with --grad: of the gradient");
  command
      .add_option("--wrt", arguments.wrt,
                  "with --grad: the tensors whose gradients are wanted, with --jvp: those that move; default: all")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--half", arguments.half,
                  "with --grad: half of a training step; there, the model, which also gives what the way back needs "
                  "(kept.1 ...); back, its gradient, which takes that")
      ->check(CLI::IsMember({"there", "back"}));
}

void addBoundaries(CLI::App &command, SpecArguments &arguments) {
  command.add_flag("--resets", arguments.resets,
                   "the kernel takes 'resets', bool [B, T]: where the states begin again from their initial values");
  command.add_flag(
      "--packed", arguments.packed,
      "the kernel takes 'offsets', [N+1] from 0 to T: sequences of any lengths, end to end in one batch entry");
}

void addThreads(CLI::App &command, SpecArguments &arguments) {
  command.add_option("--threads", arguments.threads, "threads; default: as many as the machine has")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
}

void addCaching(CLI::App &command, SpecArguments &arguments) {
  command.add_flag("--no-cache", arguments.noCache, "compile, even if the code is on disk (see rondo cache)");
}

void addRecords(CLI::App &command, SpecArguments &arguments) {
  command.add_flag("--no-records", arguments.noRecords, "do not look for a plan that rondo tune found");
}

std::vector<std::string> joinDims(int argc, char **argv) {
  std::vector<std::string> words;
  bool afterDim = false; // the last word is a value of --dim
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (afterDim && isDimAssignment(word)) {
      words.back() += "," + word;
      continue;
    }
    afterDim = !words.empty() && words.back() == "--dim" && isDimAssignment(word);
    words.push_back(word);
  }
  return words;
}

std::string parseTypes(const std::string &text, TypeChoice &choice) {
  for (const std::string &part : splitAtCommas(text)) {
    std::string name, value;
    const bool named = splitAssignment(part, name, value);
    DType type;
    if (!parseDType(named ? value : part, type) || type > DType::F16)
      return fmt::format("'{}' names no element type; expected f64, f32, bf16 or f16", named ? value : part);
    if (named)
      choice.types[name] = type;
    else
      choice.type = type;
  }
  return "";
}

std::string parseDims(const std::string &text, std::map<std::string, int64_t> &dims) {
  for (const std::string &part : splitAtCommas(text)) {
    std::string name, value;
    int64_t size = 0;
    if (!splitAssignment(part, name, value) || !parseNumber(value, size) || size < 1)
      return fmt::format("'{}' is no size of a dimension; expected e.g. K=64", part);
    dims[name] = size;
  }
  return "";
}

CallShape RandomRequest::over(CallShape shape) const {
  shape.batch = batch.value_or(shape.batch);
  shape.time = time.value_or(shape.time);
  shape.time1 = time1.value_or(shape.time1);
  shape.heads = heads.value_or(shape.heads);
  shape.sequences = sequences.value_or(shape.sequences);
  return shape;
}

std::string parseRandom(const std::string &text, RandomRequest &request) {
  request.given = true;
  for (const std::string &part : splitAtCommas(text)) {
    std::string name, value;
    int64_t size = 0;
    if (!splitAssignment(part, name, value)) {
      if (!parseNumber(part, request.seed))
        return fmt::format("'{}' is no seed; expected a whole number", part);
      continue;
    }
    if (!parseNumber(value, size) || size < 1)
      return fmt::format("'{}' is no size", part);
    if (name == "B")
      request.batch = size;
    else if (name == "T")
      request.time = size;
    else if (name == "T1")
      request.time1 = size;
    else if (name == "H")
      request.heads = size;
    else if (name == "N")
      request.sequences = size;
    else
      return fmt::format("'{}' is no axis of a call; expected B, T, T1, H or N (sizes of dimensions: --dim)", name);
  }
  return "";
}

CompileOptions compileOptions(const SpecArguments &arguments) {
  CompileOptions options;
  options.model = arguments.model;
  options.target = arguments.target;
  options.colour = colourOnStderr();
  TypeChoice choice;
  for (const std::string &text : arguments.dtypes)
    parseTypes(text, choice);
  options.type = choice.type.value_or(DType::F32);
  options.types = choice.types;
  options.form = arguments.form;
  options.schedule = arguments.schedule;
  options.chunk = arguments.chunk;
  options.cache = !arguments.noCache;
  options.plan = fmt::format("{}", fmt::join(arguments.plans, "; "));
  options.interval = arguments.interval;
  options.gradient = arguments.gradient;
  options.half = arguments.half;
  options.tangent = arguments.tangent;
  options.wrt = arguments.wrt;
  options.resets = arguments.resets;
  options.packed = arguments.packed;
  for (const std::string &text : arguments.dims)
    parseDims(text, options.dims);
  return options;
}

RandomRequest randomRequest(const SpecArguments &arguments) {
  RandomRequest request;
  if (!arguments.random.empty())
    parseRandom(arguments.random, request);
  return request;
}

Result<void> completeDims(const ModelInfo &info, const std::vector<int64_t> &sizes,
                          std::map<std::string, int64_t> &dims) {
  for (const auto &[name, size] : dims)
    if (std::find(info.dims.begin(), info.dims.end(), name) == info.dims.end())
      return Error(fmt::format("model '{}' has no dimension '{}'; it has {}", info.name, name,
                               info.dims.empty() ? "none" : fmt::format("{}", fmt::join(info.dims, ", "))));
  size_t next = 0;
  for (const std::string &name : info.dims) {
    if (dims.count(name))
      continue;
    if (sizes.empty()) {
      Error error(fmt::format("dimension '{}' of model '{}' has no size", name, info.name));
      return withNote(error, fmt::format("give it with --dim {}=64", name));
    }
    dims[name] =
        sizes[std::min(next, sizes.size() - 1)] + (next < sizes.size() ? 0 : 2 * int64_t(next - sizes.size() + 1));
    ++next;
  }
  return {};
}

std::string describeDims(const ModelInfo &info, const std::map<std::string, int64_t> &dims) {
  std::vector<std::string> parts;
  for (const std::string &name : info.dims)
    if (auto found = dims.find(name); found != dims.end())
      parts.push_back(fmt::format("{}={}", name, found->second));
  return fmt::format("{}", fmt::join(parts, " "));
}

} // namespace rondo::tool
