// The arguments that several subcommands share: which spec, and how it is compiled and drawn for.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Engine.h"
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace rondo::tool {

/// As written on the command line.
struct SpecArguments {
  std::string spec;
  std::string model;
  std::string target = "cpu";
  std::vector<std::string> dims;   // "K=64", "K=64,V=32"
  std::vector<std::string> dtypes; // "bf16", "bf16,g=f32"
  std::string random;              // "seed,B=2,T=128"
  std::string form = "auto", schedule = "auto";
  int64_t chunk = 0, interval = 0;
  std::vector<std::string> plans; // "<chunk = 32>", "S: <form = step>"
  bool resets = false, packed = false;
  int gradient = 0;
  bool tangent = false;
  std::string half;
  bool derives() const { return gradient > 0 || tangent; }
  std::vector<std::string> wrt;
  int threads = 0;
  bool noCache = false, noRecords = false;
};

/// Each adds options to a subcommand; badly written values end the parse as usage errors.
void addSpec(CLI::App &command, SpecArguments &arguments);
void addModel(CLI::App &command, SpecArguments &arguments);
void addTarget(CLI::App &command, SpecArguments &arguments);
void addDims(CLI::App &command, SpecArguments &arguments);
void addTypes(CLI::App &command, SpecArguments &arguments, const std::string &help);
void addRandom(CLI::App &command, SpecArguments &arguments, const std::string &help);
void addPlan(CLI::App &command, SpecArguments &arguments);
void addGradient(CLI::App &command, SpecArguments &arguments);
void addBoundaries(CLI::App &command, SpecArguments &arguments);
void addThreads(CLI::App &command, SpecArguments &arguments);
void addCaching(CLI::App &command, SpecArguments &arguments);
void addRecords(CLI::App &command, SpecArguments &arguments);

/// Joins the values of `--dim K=64 V=32` into `--dim K=64,V=32`, so that the spec's name may stand behind them.
std::vector<std::string> joinDims(int argc, char **argv);

/// "bf16,g=f32": an element type for all tensors, and for some by name.
struct TypeChoice {
  std::optional<DType> type;
  std::map<std::string, DType> types;
};
/// Both return an error message, empty when all is well.
std::string parseTypes(const std::string &text, TypeChoice &choice);
std::string parseDims(const std::string &text, std::map<std::string, int64_t> &dims);

/// What --random asks for; sizes that it leaves open are the subcommand's to choose.
struct RandomRequest {
  bool given = false;
  uint64_t seed = 1;
  std::optional<int64_t> batch, time, time1, heads, sequences;
  CallShape over(CallShape shape) const;
};
std::string parseRandom(const std::string &text, RandomRequest &request);

/// The options of a compile, from arguments that have been parsed before.
CompileOptions compileOptions(const SpecArguments &arguments);
RandomRequest randomRequest(const SpecArguments &arguments);

/// Gives every dimension of the model that has no size yet the next size of `sizes`; names that the model does not have are errors.
Result<void> completeDims(const ModelInfo &info, const std::vector<int64_t> &sizes,
                          std::map<std::string, int64_t> &dims);

/// "K=7 V=5", in the order of the declaration.
std::string describeDims(const ModelInfo &info, const std::map<std::string, int64_t> &dims);

} // namespace rondo::tool
