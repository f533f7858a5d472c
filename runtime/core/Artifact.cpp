// Artifacts as bytes, and the choice of a variant. See rondo/Artifact.h.
//   0   8 bytes  "RONDOART"
//   8   u32      format
//   12  u32      0
//   16  u64      bytes of the description
//   24  16 bytes XXH3 of all that follows
//   40           the description, CBOR; then the codes, end to end
#include "rondo/Artifact.h"
#include "rondo/Cuda.h"
#include "runtime/core/AtomicFile.h"
#include "runtime/core/ProgramFile.h"
#include <bit>
#include <cstring>
#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rondo {
namespace {

using Json = nlohmann::json;

constexpr char kMagic[8] = {'R', 'O', 'N', 'D', 'O', 'A', 'R', 'T'};
/// Counts changes of the file, of the description of a program, and of how kernels are called.
constexpr uint32_t kFormat = 2;
constexpr size_t kHeader = 40;

Error damaged(std::string_view what) {
  Error error(fmt::format("not a sound artifact: {}", what));
  error.diagnostics.front().slug = "artifact";
  return error;
}

std::string digest(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return {reinterpret_cast<const char *>(canonical.digest), sizeof canonical.digest};
}

/// Takes the next `bytes` off `rest`; fails where there are fewer.
std::string take(std::string_view &rest, size_t bytes) {
  if (bytes > rest.size())
    throw std::out_of_range("its code is cut off");
  std::string taken(rest.substr(0, bytes));
  rest.remove_prefix(bytes);
  return taken;
}

Artifact describe(const Json &json, std::string_view codes) {
  Artifact artifact;
  json.at("compiler").get_to(artifact.compiler);
  json.at("key").get_to(artifact.key);
  for (const Json &file : json.at("files"))
    artifact.files.push_back({file.at(0).get<std::string>(), file.at(1).get<std::string>()});
  for (const Json &one : json.at("variants")) {
    Result<Program> program = core::programFromJson(one.at("program"));
    if (!program)
      throw std::out_of_range(program.error().message());
    Variant variant{
        one.at("target").get<std::string>(), one.at("plan").get<std::string>(), std::move(*program), {}, {}, {}};
    variant.code = take(codes, one.at("code").get<size_t>());
    variant.splitCode = take(codes, one.at("split_code").get<size_t>());
    variant.cubin = take(codes, one.at("cubin").get<size_t>());
    artifact.variants.push_back(std::move(variant));
  }
  for (const Json &one : json.at("choices")) {
    artifact.choices.push_back({{one.at(0).get<int64_t>(), one.at(1).get<int64_t>()}, one.at(2).get<size_t>()});
    if (artifact.choices.back().variant >= artifact.variants.size())
      throw std::out_of_range("a choice is of no variant");
  }
  return artifact;
}

/// How far a call is from what a choice was made for: twice as long, or as many, is one step.
int distance(CallSizes a, CallSizes b) {
  const auto scale = [](int64_t size) { return std::bit_width(uint64_t(std::max<int64_t>(1, size)) - 1); };
  return std::abs(int(scale(a.rows)) - int(scale(b.rows))) + std::abs(int(scale(a.time)) - int(scale(b.time)));
}

/// "sm_90a" as a number, and whether it is for that GPU alone.
bool parseArchitecture(std::string_view name, int &number, bool &only) {
  if (name.substr(0, 3) != "sm_")
    return false;
  number = int(std::strtol(std::string(name.substr(3)).c_str(), nullptr, 10));
  only = !name.empty() && !std::isdigit(static_cast<unsigned char>(name.back()));
  return number > 0;
}

/// "x86-64-v3" as 3, "x86-64" as 1.
int levelOf(std::string_view level) { return level.size() > 6 ? level.back() - '0' : 1; }

/// How well code for `target` suits `device`; 0: not at all.
int suits(std::string_view target, std::string_view device) {
  const bool onHost = device == "cpu";
  if (onHost)
    return target == "cpu"                                               ? 5
           : target.substr(0, 4) == "cpu:" && hostRuns(target.substr(4)) ? levelOf(target.substr(4))
                                                                         : 0;
  int made = 0, has = 0;
  bool only = false, ignored = false;
  if (target.substr(0, 5) != "cuda:" || device.substr(0, 5) != "cuda:" ||
      !parseArchitecture(target.substr(5), made, only) || !parseArchitecture(device.substr(5), has, ignored))
    return 0;
  return (only ? made == has : made <= has) ? 2 * made + only : 0;
}

} // namespace

std::string contentHash(std::string_view text) {
  std::string hex;
  for (const char byte : digest(text))
    hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

bool hostRuns(std::string_view level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return level == "x86-64" || (level == "x86-64-v2" && __builtin_cpu_supports("x86-64-v2")) ||
         (level == "x86-64-v3" && __builtin_cpu_supports("x86-64-v3")) ||
         (level == "x86-64-v4" && __builtin_cpu_supports("x86-64-v4"));
#else
  return false;
#endif
}

std::string Artifact::toBytes() const {
  Json json{{"compiler", compiler},
            {"key", key},
            {"files", Json::array()},
            {"variants", Json::array()},
            {"choices", Json::array()}};
  std::string codes;
  for (const FileSeen &file : files)
    json["files"].push_back({file.path, file.hash});
  for (const Variant &variant : variants) {
    json["variants"].push_back({{"target", variant.target},
                                {"plan", variant.plan},
                                {"program", core::toJson(variant.program)},
                                {"code", variant.code.size()},
                                {"split_code", variant.splitCode.size()},
                                {"cubin", variant.cubin.size()}});
    codes += variant.code + variant.splitCode + variant.cubin;
  }
  for (const Choice &choice : choices)
    json["choices"].push_back({choice.sizes.rows, choice.sizes.time, choice.variant});
  std::string bytes(kHeader, '\0');
  Json::to_cbor(json, bytes);
  const uint64_t described = bytes.size() - kHeader;
  bytes += codes;
  std::memcpy(bytes.data(), kMagic, sizeof kMagic);
  std::memcpy(bytes.data() + 8, &kFormat, sizeof kFormat);
  std::memcpy(bytes.data() + 16, &described, sizeof described);
  const std::string hash = digest(std::string_view(bytes).substr(kHeader));
  std::memcpy(bytes.data() + 24, hash.data(), hash.size());
  return bytes;
}

Result<Artifact> Artifact::fromBytes(std::string_view bytes) try {
  uint32_t format = 0;
  uint64_t described = 0;
  if (bytes.size() < kHeader || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return damaged("it does not begin as one");
  std::memcpy(&format, bytes.data() + 8, sizeof format);
  std::memcpy(&described, bytes.data() + 16, sizeof described);
  if (format != kFormat)
    return damaged(fmt::format("its format is {}, this version of rondo reads {}; compile it again", format, kFormat));
  const std::string_view rest = bytes.substr(kHeader);
  if (described > rest.size() || digest(rest) != bytes.substr(24, 16))
    return damaged("its contents are not those that were written");
  return describe(Json::from_cbor(rest.substr(0, described)), rest.substr(described));
} catch (const std::exception &exception) { // of the JSON library, or thrown above
  return damaged(exception.what());
}

Result<void> Artifact::write(const std::string &path) const {
  core::AtomicFile file;
  const std::string bytes = toBytes();
  Result<void> done = file.open(path);
  done = done ? file.write(bytes.data(), bytes.size()) : done;
  return done ? file.commit() : done;
}

Result<Artifact> Artifact::read(const std::string &path) {
  Result<std::string> bytes = core::readWholeFile(path);
  if (!bytes)
    return bytes.error();
  Result<Artifact> artifact = fromBytes(*bytes);
  if (artifact)
    return artifact;
  Error error = artifact.error();
  error.diagnostics.front().place.file = path;
  return error;
}

Result<const Variant *> Artifact::choose(std::string_view device, CallSizes sizes) const {
  int best = 0;
  for (const Variant &variant : variants)
    best = std::max(best, suits(variant.target, device));
  if (best == 0) {
    std::string targets;
    for (const Variant &variant : variants)
      targets += (targets.empty() ? "" : ", ") + variant.target;
    return Error(fmt::format("no code for {} in this artifact; it has {}", device, targets.empty() ? "none" : targets));
  }
  const Variant *chosen = nullptr;
  int nearest = 0;
  for (const Choice &choice : choices) {
    const Variant &variant = variants[choice.variant];
    const int far = distance(choice.sizes, sizes);
    if (suits(variant.target, device) == best && (!chosen || far < nearest)) {
      chosen = &variant;
      nearest = far;
    }
  }
  for (const Variant &variant : variants) // without a choice the first is as good as any
    if (!chosen && suits(variant.target, device) == best)
      chosen = &variant;
  return chosen;
}

Result<Kernel> Artifact::loadOnHost(CallSizes sizes) const {
  Result<const Variant *> variant = choose("cpu", sizes);
  if (!variant)
    return variant.error();
  std::function<Result<std::string>()> split;
  if (!(*variant)->splitCode.empty())
    split = [code = (*variant)->splitCode]() -> Result<std::string> { return code; };
  auto program = loadHostCode((*variant)->program, (*variant)->code, std::move(split));
  if (!program)
    return program.error();
  return Kernel(*program);
}

std::string joinImage(const DeviceImage &image) {
  std::string code = image.code;
  for (const std::string &text : image.more)
    code.append(1, '\0').append(text);
  return code;
}

std::shared_ptr<const DeviceImage> splitImage(std::string_view target, std::string_view code) {
  const size_t colon = target.find(':');
  DeviceImage image{std::string(target.substr(0, colon)), std::string(target.substr(colon + 1)), ""};
  std::string *text = &image.code;
  for (const char byte : code) {
    if (byte)
      text->push_back(byte);
    else
      text = &image.more.emplace_back();
  }
  return std::make_shared<const DeviceImage>(std::move(image));
}

std::string packCubins(const std::vector<std::string> &cubins) {
  std::string packed;
  for (const std::string &cubin : cubins) {
    const uint64_t size = cubin.size();
    packed.append(reinterpret_cast<const char *>(&size), sizeof size).append(cubin);
  }
  return packed;
}

std::vector<std::string> unpackCubins(std::string_view packed) {
  std::vector<std::string> cubins;
  for (uint64_t size = 0; packed.size() >= sizeof size; packed.remove_prefix(size)) {
    std::memcpy(&size, packed.data(), sizeof size);
    packed.remove_prefix(sizeof size);
    if (size > packed.size())
      break;
    cubins.emplace_back(packed.substr(0, size));
  }
  return cubins;
}

bool runsMachineCode(std::string_view target, std::string_view device) {
  int made = 0, has = 0;
  bool only = false, ignored = false;
  return suits(target, device) > 0 && parseArchitecture(target.substr(5), made, only) &&
         parseArchitecture(device.substr(5), has, ignored) && made / 10 == has / 10;
}

/// The image of machine code; null where there is none for each of the texts.
static std::shared_ptr<const DeviceImage> machineCode(const Variant &variant, const DeviceImage &texts) {
  std::vector<std::string> cubins = unpackCubins(variant.cubin);
  if (cubins.size() != 1 + texts.more.size())
    return nullptr;
  DeviceImage image{texts.device, texts.architecture, std::move(cubins.front())};
  image.more.assign(std::make_move_iterator(cubins.begin() + 1), std::make_move_iterator(cubins.end()));
  return std::make_shared<const DeviceImage>(std::move(image));
}

Result<Kernel> Artifact::loadOnGpu(CallSizes sizes, int ordinal) const {
  Result<cuda::DeviceInfo> device = cuda::deviceInfo(ordinal);
  if (!device)
    return device.error();
  const std::string name = "cuda:" + device->architecture();
  Result<const Variant *> variant = choose(name, sizes);
  if (!variant)
    return variant.error();
  auto program = std::make_shared<Program>((*variant)->program);
  const std::shared_ptr<const DeviceImage> texts = splitImage((*variant)->target, (*variant)->code);
  if (runsMachineCode((*variant)->target, name))
    if ((program->image = machineCode(**variant, *texts)))
      if (Result<Kernel> kernel =
              cuda::load(program, ordinal)) // a driver may be older than the assembler; it reads PTX then
        return kernel;
  program = std::make_shared<Program>((*variant)->program);
  program->image = texts;
  return cuda::load(program, ordinal);
}

} // namespace rondo
