// Compiling ahead of time. See Ahead.h.
#include "runtime/jit/Ahead.h"
#include "compiler/Driver/CHeader.h"
#include "compiler/Driver/MachineCode.h"
#include "runtime/jit/CodeCaching.h"
#include <algorithm>

namespace rondo::jit {
namespace {

bool isCpu(const std::string &target) { return target.compare(0, 4, "cpu:") == 0; }

/// "cpu:x86-64-v3" as part of a C name: "_x86_64_v3".
std::string suffixOf(const std::string &target) {
  std::string suffix = "_" + target.substr(target.find(':') + 1);
  std::replace(suffix.begin(), suffix.end(), '-', '_');
  return suffix;
}

/// The plans for a target: what was asked for it, or the compiler's choice.
std::vector<PlanFor> plansFor(const std::string &target, const std::vector<PlanFor> &plans) {
  std::vector<PlanFor> own;
  for (const PlanFor &plan : plans)
    if (plan.target == target)
      own.push_back(plan);
  return own.empty() ? std::vector<PlanFor>{{target, "", {}}} : own;
}

/// The object and the header that C links, of a target's first plan.
void addForC(std::vector<MadeFile> &files, const Variant &variant, bool several, const std::string &source) {
  const std::string &model = variant.program.model;
  const std::string level = variant.target.substr(4);
  const std::string file = several ? model + "." + level : model;
  const std::string name = several ? model + suffixOf(variant.target) : model;
  const std::string plan = variant.plan.empty() ? "" : ", plan " + variant.plan;
  files.push_back({file + ".o", variant.code});
  files.push_back(
      {file + ".h", driver::makeCHeader(variant.program, {name, model + " of " + source + " for " + level + plan +
                                                                    ". Made by rondo " RONDO_VERSION "."})});
}

} // namespace

Result<std::vector<MadeFile>> compileAhead(const driver::Options &options, const std::vector<std::string> &targets,
                                           const std::vector<PlanFor> &plans, const std::string &source,
                                           const Translate &translate) {
  Artifact artifact;
  artifact.compiler = compilerIdentity();
  std::vector<MadeFile> files;
  const bool several = std::count_if(targets.begin(), targets.end(), isCpu) > 1;
  for (const std::string &target : targets) {
    if (target == "cpu" || target == "reference")
      return Error("'" + target +
                   "' is no target to compile for ahead of time; name a level, such as cpu:x86-64-v3, or a "
                   "GPU, such as cuda:sm_90a");
    bool isFirst = true;
    for (const PlanFor &plan : plansFor(target, plans)) {
      driver::Options how = options;
      how.target = target;
      how.plan = plan.plan.empty() ? options.plan : plan.plan;
      how.suffix = isCpu(target) && several ? suffixOf(target) : "";
      Result<driver::Compiled> compiled = translate(how);
      if (!compiled)
        return compiled.error();
      Variant variant{compiled->target, how.plan, std::move(compiled->program), std::move(compiled->code), "", ""};
      if (!isCpu(target))
        variant.cubin = driver::assembleImage(variant.target, variant.code);
      if (compiled->splitCode) {
        Result<std::string> split = compiled->splitCode();
        if (!split)
          return split.error();
        variant.splitCode = std::move(*split);
      }
      if (isCpu(target) && isFirst)
        addForC(files, variant, several, source);
      isFirst = false;
      if (!plan.plan.empty())
        artifact.choices.push_back({plan.sizes, artifact.variants.size()});
      artifact.files = compiled->files;
      artifact.variants.push_back(std::move(variant));
    }
  }
  if (!artifact.variants.empty())
    files.push_back({artifact.variants.front().program.model + ".artifact", artifact.toBytes()});
  return files;
}

} // namespace rondo::jit
