// Keys, and artifacts of one variant. See CodeCaching.h.
#include "runtime/jit/CodeCaching.h"
#include <cstring>
#include <link.h>
#include <sys/stat.h>

namespace rondo::jit {
namespace {

/// The build identifier of a loaded object, as hexadecimal digits; empty where the linker wrote none.
std::string buildIdOf(const dl_phdr_info &info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    if (info.dlpi_phdr[i].p_type != PT_NOTE)
      continue;
    const char *at = reinterpret_cast<const char *>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr);
    const char *end = at + info.dlpi_phdr[i].p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char *name = at + sizeof note, *value = name + ((note.n_namesz + 3) & ~3u);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
        std::string hex;
        for (unsigned b = 0; b < note.n_descsz; ++b) {
          constexpr const char *digits = "0123456789abcdef";
          hex += digits[static_cast<unsigned char>(value[b]) >> 4];
          hex += digits[static_cast<unsigned char>(value[b]) & 15];
        }
        return hex;
      }
      at = value + ((note.n_descsz + 3) & ~3u);
    }
  }
  return "";
}

/// Size and time stand in for an identifier.
std::string stampOf(const char *path) {
  struct stat status{};
  return ::stat(*path ? path : "/proc/self/exe", &status) == 0
             ? std::to_string(status.st_size) + "." + std::to_string(status.st_mtim.tv_sec) + "." +
                   std::to_string(status.st_mtim.tv_nsec)
             : "";
}

bool holds(const dl_phdr_info &info, const void *address) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto &part = info.dlpi_phdr[i];
    const uintptr_t begin = info.dlpi_addr + part.p_vaddr, at = reinterpret_cast<uintptr_t>(address);
    if (part.p_type == PT_LOAD && at >= begin && at < begin + part.p_memsz)
      return true;
  }
  return false;
}

int addIdentity(dl_phdr_info *info, size_t, void *text) {
  const char *name = info->dlpi_name ? info->dlpi_name : "";
  const bool compiles = std::strstr(name, "libLLVM") || std::strstr(name, "libMLIR") ||
                        holds(*info, reinterpret_cast<const void *>(&compilerIdentity));
  if (compiles) {
    const std::string id = buildIdOf(*info);
    *static_cast<std::string *>(text) += " " + (id.empty() ? stampOf(name) : id);
  }
  return 0;
}

void addField(std::string &key, const char *name, const std::string &value) {
  key += std::string(name) + " " + std::to_string(value.size()) + " " + value + "\n"; // sizes keep fields apart
}

} // namespace

const std::string &compilerIdentity() {
  static const std::string identity = [] {
    std::string text = "rondo " RONDO_VERSION;
    ::dl_iterate_phdr(addIdentity, &text);
    return text;
  }();
  return identity;
}

std::string cacheKey(const driver::Source &source, const driver::Options &options) {
  // A field that is new does not compile before it is considered here.
  const auto &[model, target, dims, type, types, form, schedule, chunk, interval, plan, resets, packed, gradient, half,
               tangent, wrt, suffix, noise, noiseInSingle, roundings, from, dumpPhases] = options;
  (void)noise, (void)noiseInSingle, (void)roundings; // of the reference, which is not kept
  const bool isText = source.name.size() < 5 || source.name.compare(source.name.size() - 5, 5, ".mlir") != 0;
  if (!isText || target == "reference" || !dumpPhases.empty() || !from.empty())
    return "";
  std::string key;
  addField(key, "compiler", compilerIdentity());
  addField(key, "target", target);
  if (target == "cpu")
    addField(key, "host", driver::describeHost());
  addField(key, "model", model);
  for (const auto &[name, size] : dims)
    addField(key, "dim", name + "=" + std::to_string(size));
  addField(key, "type", std::string(nameOf(type)));
  for (const auto &[name, own] : types)
    addField(key, "type", name + "=" + std::string(nameOf(own)));
  addField(key, "form", form);
  addField(key, "schedule", schedule);
  addField(key, "chunk", std::to_string(chunk));
  addField(key, "interval", std::to_string(interval));
  addField(key, "plan", plan);
  addField(key, "boundaries", std::string(resets ? "resets" : "") + (packed ? " packed" : ""));
  addField(key, "gradient", std::to_string(gradient) + (tangent ? " tangent" : "") + (half.empty() ? "" : " " + half));
  for (const std::string &name : wrt)
    addField(key, "wrt", name);
  addField(key, "suffix", suffix);
  // What a path in an import means depends on where the importing file lies.
  if (source.text.find("import") != std::string::npos)
    addField(key, "folder", source.name.substr(0, source.name.rfind('/') + 1));
  addField(key, "text", source.text);
  return key;
}

CachedCode::CachedCode(Cache cache, driver::Source source, driver::Options options)
    : cache(std::move(cache)), source(std::move(source)), options(std::move(options)),
      key(this->cache ? cacheKey(this->source, this->options) : "") {}

static bool hasSplits(const Program &program) {
  for (const Launch &launch : program.launches)
    if (!launch.splitSymbol.empty() || !launch.team.symbol.empty() || !launch.rowTeam.symbol.empty() ||
        !launch.segments.symbol.empty())
      return true;
  return false;
}

std::shared_ptr<const Program> CachedCode::find() const {
  std::optional<Artifact> artifact = key.empty() ? std::nullopt : cache.find(key);
  if (!artifact)
    return nullptr;
  Variant &variant = artifact->variants.front();
  if (variant.target.compare(0, 5, "cuda:") == 0) {
    variant.program.image = splitImage(variant.target, variant.code);
    return std::make_shared<const Program>(std::move(variant.program));
  }
  Split split;
  if (hasSplits(variant.program))
    split = splitBy([source = source, options = options]() -> Result<std::string> { // nobody has wanted it before
      auto compiled = driver::Compiler().translate(source, options);
      if (!compiled || !compiled.value->splitCode)
        return Error("the second functions were not compiled");
      return compiled.value->splitCode();
    });
  auto loaded = loadHostCode(std::move(variant.program), variant.code, std::move(split));
  return loaded ? *loaded : nullptr;
}

static Artifact makeArtifact(std::string key, const std::vector<FileSeen> &files, Variant variant) {
  Artifact artifact;
  artifact.compiler = compilerIdentity();
  artifact.key = std::move(key);
  artifact.files = files;
  artifact.variants.push_back(std::move(variant));
  return artifact;
}

void CachedCode::store(const driver::Compiled &compiled) const {
  if (!key.empty()) // what cannot be kept is compiled again
    (void)cache.store(
        makeArtifact(key, compiled.files, {compiled.target, options.plan, compiled.program, compiled.code, ""}));
}

Result<std::shared_ptr<const Program>> CachedCode::load(driver::Compiled compiled) const {
  if (compiled.target.compare(0, 5, "cuda:") == 0) {
    compiled.program.image = splitImage(compiled.target, compiled.code);
    return std::make_shared<const Program>(std::move(compiled.program));
  }
  return loadHostCode(std::move(compiled.program), compiled.code,
                      compiled.splitCode ? splitBy(std::move(compiled.splitCode)) : nullptr);
}

CachedCode::Split CachedCode::splitBy(Split make) const {
  return [cache = cache, key = key.empty() ? "" : key + "second functions\n", target = options.target,
          make = std::move(make)]() -> Result<std::string> {
    if (!key.empty())
      if (std::optional<Artifact> kept = cache.find(key))
        return std::move(kept->variants.front().code);
    Result<std::string> object = make();
    if (object && !key.empty())
      (void)cache.store(makeArtifact(key, {}, {target, "", Program(), *object, ""}));
    return object;
  };
}

} // namespace rondo::jit
