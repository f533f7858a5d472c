// The one way in: a spec's text, or IR of any phase, to a runnable program or to the text of a phase. The tools, the embedded
// JIT and the tests all come through here.
#pragma once
#include "frontend/Diagnostic.h"
#include "rondo/Artifact.h"
#include "rondo/Program.h"
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rondo::driver {

/// What is compiled. A name that ends in ".mlir" holds IR and enters at the phase that options.from names.
struct Source {
  std::string name;
  std::string text;
};

struct Options {
  std::string model;                   // which model of the file; empty: the last one
  std::string target = "cpu";          // "cpu", "cpu:x86-64-v3", "cuda:sm_90a" or "reference"
  std::map<std::string, int64_t> dims; // sizes of the spec's dimensions
  DType type = DType::F32;             // element type of tensors that `types` does not name
  std::map<std::string, DType> types;
  std::string form = "auto";     // how recurrences are computed: auto, step, scan, chunk or attention
  std::string schedule = "auto"; // how time is gone through: auto, carry or segment
  int64_t chunk = 0;             // steps per chunk; 0 leaves them to the compiler
  int64_t interval = 0;          // gradients: chunks from one kept state to the next; 0 leaves them to the compiler
  std::string plan;              // of all scans, or of some: "<chunk = 32>", "S: <form = step>"; by semicolon
  bool resets = false;           // the program takes `resets`
  bool packed = false;           // the program takes the `offsets` of packed sequences
  int64_t gradient = 0;          // 1: the gradient of the model instead of the model; 2: the gradient of that
  std::string half; // with a gradient: "there", the model with what its gradient keeps; "back", the rest; empty: all
  bool tangent = false; // the derivative along a direction beside the results (of the gradient, where one is asked for)
  std::vector<std::string> wrt; // the tensors that the (last) gradient is by; empty: all
  std::string suffix;           // of the names of a CPU's functions, for code that is linked beside other code
  uint64_t noise = 0;           // target "reference": a seed; operations are off by 2^-24 then
  bool noiseInSingle = false;   // and infinite or 0 where f32 has no number for them
  std::string
      roundings;    // target "reference": operands are rounded as by this target's matrix instructions, "cuda:sm_90a"
  std::string from; // IR sources: the phase that the text was printed after
  std::string dumpPhases; // a directory that gets one file per phase; empty: none
};

struct Times {
  double frontend = 0, passes = 0, codegen = 0; // seconds
};

/// A compile's result. `value` is empty exactly when `diagnostics` has an error. `sources` resolves the diagnostics' places.
template <typename T> struct Outcome {
  std::optional<T> value;
  std::vector<frontend::Diagnostic> diagnostics;
  std::shared_ptr<frontend::SourceManager> sources;
  Times times;
  explicit operator bool() const { return value.has_value(); }
};

/// A program whose code nothing has loaded yet.
struct Compiled {
  Program program;    // without addresses, image and device
  std::string target; // "cpu" for the host, "cpu:x86-64-v3", "cuda:sm_90a"
  std::string code;   // a relocatable object, or PTX
  /// cpu: makes the object of the launches' second functions; empty where there are none. To be called once.
  std::function<Result<std::string>()> splitCode;
  std::vector<FileSeen> files; // that were imported
};

/// The plans that one recurrence can follow, the one that is expected to be cheapest first.
struct PlanChoices {
  std::string state; // names the recurrence in Options::plan: "S", or "d_S.2" for the second of several that have one
  struct Choice {
    std::string plan;               // "<form = chunk, schedule = carry, chunk = 16>"
    double cost = 0;                // expected; only ratios mean something
    std::vector<double> terms = {}; // how often each of the cost model's terms is in it
  };
  std::vector<Choice> choices;
};

/// Facts about a model that need no sizes, for `check` and `explain`.
struct ModelFacts {
  std::string name;
  std::vector<std::string> models;    // every model of the file, in the order of the text
  std::vector<std::string> dims;      // in the order of the declaration
  std::vector<TensorSpec> tensors;    // sizes of named axes are -1
  std::vector<std::string> families;  // of each group of states, e.g. "S: expand, decay scalar"
  std::vector<std::string> forms;     // "step"; "scan", "chunk" and "attention" where a scan has that form
  std::vector<std::string> schedules; // "carry", and "segment" where a scan can be cut
  std::vector<std::string>
      planTexts; // the same as `Options::plan` takes it, e.g. "S: <form = chunk, schedule = carry, chunk = 16>"
  std::vector<std::string> plans;   // of each raised scan, e.g. "S: chunk of 16"; only where every dimension has a size
  std::vector<PlanChoices> choices; // of each raised scan; only where every dimension has a size
  std::string report;               // what the analysis found, as text
  /// Multiply-adds of products per step, of a sequence and of each of its heads; where every dimension has a size.
  double productsOnce = 0, productsPerHead = 0;
  bool hasHeads = false;
};

/// Holds what is costly to make once: the MLIR context with its dialects, the host's machine description. Used from one thread at a
/// time.
class Compiler {
public:
  Compiler();
  ~Compiler();
  Compiler(const Compiler &) = delete;
  Compiler &operator=(const Compiler &) = delete;

  /// Compiles to a program for options.target.
  Outcome<std::shared_ptr<const Program>> compile(const Source &source, const Options &options);
  /// Compiles for a target that is not "reference", and loads nothing.
  Outcome<Compiled> translate(const Source &source, const Options &options);
  /// The text after phase `what`: "ast", the name of a phase (see phaseNames), "llvm" or "asm".
  Outcome<std::string> emit(const Source &source, const Options &options, const std::string &what);
  /// Names, shapes and findings; all errors of the frontend.
  Outcome<ModelFacts> inspect(const Source &source, const Options &options);

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// All that code for the host depends on: "znver3 +avx2,... 256 bits, 2 threads".
std::string describeHost();

/// The phases in order: name and one line of description.
std::vector<std::pair<std::string, std::string>> phaseNames();

} // namespace rondo::driver
