// The just-in-time compiler, embedded. The only public header whose library needs LLVM; it includes nothing of it.
#pragma once
#include "rondo/Artifact.h"
#include "rondo/Kernel.h"
#include "rondo/Records.h"
#include "rondo/Result.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rondo {

/// How to compile. Everything has a default except the sizes of the spec's dimensions.
struct CompileOptions {
  std::string model; // which model of the file; empty: the last one
  /// "cpu", "cpu:x86-64-v3" (code for any such processor); "cuda", "cuda:1" (the second GPU), "cuda:sm_80" (code for an older one); or "reference". Code is made for the GPU that will
  /// run it; text (emit) for sm_80 where nothing else is said.
  std::string target = "cpu";
  std::map<std::string, int64_t> dims; // sizes of the spec's dimensions
  DType type = DType::F32;             // element type of tensors that `types` does not name
  std::map<std::string, DType> types;  // element types by tensor name
  /// How recurrences are computed: "step", "scan", "chunk" or "attention"; in which order: "carry" or "segment"; or "auto".
  std::string form = "auto", schedule = "auto";
  int64_t chunk = 0;    // steps per chunk; 0 leaves them to the compiler
  int64_t interval = 0; // gradients: chunks from one kept state to the next; 0 leaves them to the compiler
  /// Plans in full or in part, by semicolon: "<form = chunk, chunk = 32>" for every recurrence, "S: <form = step>" for the one with
  /// state S. What is left out is the compiler's choice; what a recurrence cannot follow is an error.
  std::string plan;
  bool resets = false;         // the kernel takes a tensor `resets`: where the states begin again
  bool packed = false;         // the kernel takes a tensor `offsets`: sequences of any lengths, end to end
  bool cache = true;           // look for the code on disk, and keep it there (rondo/Cache.h)
  bool checkIntervals = false; // debug: run fails where an input leaves its declared interval
  /// 1: the kernel is the gradient of the model: it takes the model's tensors and the cotangents of its results, `d_y` for `y`
  /// (final states' may be left out and are zero), and gives those of its inputs, `d_x` for `x`. 2: the gradient of that, `d2_`.
  int64_t gradient = 0;
  /// With gradient 1, half of a training step. "there": the model itself; beside its results the kernel gives what its gradient
  /// needs of the way there, `kept.1`, `kept.2` and so on, with their own shapes and types (Kernel::program). "back": the gradient; the kernel takes these,
  /// too, and does not compute them again. The two halves are compiled with the same options but for this.
  std::string half;
  /// Forward mode: the kernel also takes tangents, `t_x` for `x` (initial states' may be left out and are zero), and gives `t_y`, the
  /// derivative of `y` along them. With `gradient` above 0, of the gradient.
  bool tangent = false;
  std::vector<std::string> wrt; // tensors that the (last) gradient is by, or that have tangents; empty: all
  /// target "reference": above 0 a seed; every operation is off by a factor 1 +- 2^-24 then, which shows what rounding can do.
  uint64_t noise = 0;
  bool noiseInSingle = false; // with noise: results are infinite or 0 where f32 has no number for them
  /// target "reference": a target such as "cuda", with type, types, form and chunk as a kernel would have them. Operands of matrix products
  /// are rounded as that kernel's matrix instructions round them, and nothing else is: what they cost in accuracy.
  std::string roundings;
  std::string from;       // texts named "*.mlir" hold IR: the phase that it was printed after
  std::string dumpPhases; // a directory that gets one file per phase; empty: none
  bool colour = false;    // Diagnostic::rendered carries ANSI colours
};

/// Where the time went, in seconds.
struct CompileTimes {
  double frontend = 0, passes = 0, codegen = 0;
};

/// The plans that one recurrence can follow, the one that is expected to be cheapest first.
struct PlanChoices {
  std::string state; // names the recurrence in CompileOptions::plan
  struct Choice {
    std::string plan;               // "<form = chunk, schedule = carry, chunk = 16>"
    double cost = 0;                // expected; only ratios mean something
    std::vector<double> terms = {}; // how often each of the cost model's terms is in it
  };
  std::vector<Choice> choices;
};

/// What is known about a model before its dimensions have sizes.
struct ModelInfo {
  std::string name;
  std::vector<std::string> models;    // every model of the file, in the order of the text
  std::vector<std::string> dims;      // in the order of the declaration
  std::vector<TensorSpec> tensors;    // inputs, params, inits, outputs, finals; sizes of named axes are -1
  bool hasHeads = false;              // the head axis is left to the caller
  std::vector<std::string> families;  // what kind of recurrence each group of states is, e.g. "S: expand, decay scalar"
  std::vector<std::string> planTexts; // the plans in full, as CompileOptions::plan takes them
  std::vector<std::string> plans;     // what was chosen for each recurrence, where every dimension was given a size
  std::vector<PlanChoices> choices;   // the plans to choose from, where every dimension was given a size
  /// How its recurrences can be computed: "step", and "scan", "chunk" and "attention" where one has that form; and in which order: "carry",
  /// and "segment" where one can be cut.
  std::vector<std::string> forms, schedules;
  /// Multiply-adds of the products (elementwise work is not counted) per step of a sequence, and per step and head; known where every
  /// dimension was given a size, of the form that was chosen.
  double productsOnce = 0, productsPerHead = 0;
  std::string report; // what the analysis found, as text
};

/// A plan on a target for calls of about these sizes.
struct PlanFor {
  std::string target, plan;
  CallSizes sizes;
};

/// What a compile ahead of time makes.
struct MadeFile {
  std::string name, bytes;
};

/// Compiles specs. One Engine may be used from one thread at a time; different Engines from different threads. Kernels outlive it.
class Engine {
public:
  Engine();
  ~Engine();
  Engine(Engine &&) noexcept;
  Engine &operator=(Engine &&) noexcept;

  /// Compiles a spec's text. `name` stands for the file in diagnostics. Imports are looked up beside the file and in the library.
  Result<Kernel> compileText(const std::string &text, const std::string &name, const CompileOptions &options);
  /// Compiles a spec's file.
  Result<Kernel> compileFile(const std::string &path, const CompileOptions &options);

  /// Compiles ahead of time, for machines like "cpu:x86-64-v3" and "cuda:sm_90a" (options.target is not looked at). Makes MODEL.artifact,
  /// which rondo/Artifact.h loads, with code for every target and for each plan of it, and for a CPU MODEL.o and MODEL.h for programs in C,
  /// of its first plan; MODEL.x86-64-v3.o and so on where there are several CPUs.
  Result<std::vector<MadeFile>> compileAhead(const std::string &text, const std::string &name,
                                             const CompileOptions &options, const std::vector<std::string> &targets,
                                             const std::vector<PlanFor> &plans = {});

  /// The text after phase `what`: "ast", the name of a phase (see `phases`), "llvm", and "asm" or, for CUDA, "ptx" and "cubin"
  /// (machine code, by ptxas).
  Result<std::string> emitText(const std::string &text, const std::string &name, const CompileOptions &options,
                               const std::string &what);
  Result<std::string> emitFile(const std::string &path, const CompileOptions &options, const std::string &what);

  /// Checks a spec and tells what it takes and gives. Needs no sizes.
  Result<ModelInfo> inspectText(const std::string &text, const std::string &name, const CompileOptions &options);
  Result<ModelInfo> inspectFile(const std::string &path, const CompileOptions &options);

  /// What a tuning record of these calls is kept under (rondo/Records.h). Of the options all but the plan counts. Fails where the target is
  /// a GPU that is not there. `threads`: as RunOptions::threads.
  static Result<RecordKey> recordKey(const std::string &text, const CompileOptions &options, CallSizes sizes,
                                     int threads = 0);

  /// The compiler's phases in order: name and one line of description.
  static std::vector<std::pair<std::string, std::string>> phases();

  /// Warnings and remarks of the last call.
  const std::vector<Diagnostic> &remarks() const;
  CompileTimes times() const;
  /// Whether the last kernel was not compiled, but came from the cache.
  bool fromCache() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace rondo
