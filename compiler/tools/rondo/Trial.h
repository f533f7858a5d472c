// One draw of random inputs, what the reference makes of it, and the judgement on what a kernel makes of it.
#pragma once
#include "compiler/tools/rondo/ErrorBound.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "rondo/Kernel.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rondo::tool {

struct TrialOptions {
  CallShape shape;
  uint64_t seed = 0;
  Inits inits = Inits::Drawn;
  int threads = 0;
  /// The programs are gradients. They are not run step by step, and a draw is good where some blocks have a tolerance of at most
  /// largestTolerance: a gradient has blocks that next to nothing depends on, or whose terms cancel altogether. Those keep the bound that
  /// is derived for them, however large.
  bool gradient = false;
  /// The reference with noise in its operations (CompileOptions::noise), always where gradients are judged. Terms that cancel for any inputs,
  /// and numbers between operations that leave the range of f32, show up there alone.
  std::vector<Kernel> noisy = {};
  /// The reference with the roundings of the kernel's matrix instructions (CompileOptions::roundings), where it has such.
  std::vector<Kernel> rounded = {}; // at most one
};

/// How many draws were thrown away, and why.
struct Redraws {
  int range = 0;     // a result of the reference left 1e+-30, or is not finite
  int f16 = 0;       // a result of the reference does not fit into f16
  int condition = 0; // the tolerance would exceed largestTolerance
  int total() const { return range + f16 + condition; }
  /// "2 redrawn (range)"; empty when there are none.
  std::string describe() const;
};

/// Inputs in the kernel's types, and the reference's results on the same rounded values.
struct Trial {
  CallShape shape;
  NamedBuffers inputs;
  NamedBuffers results; // of the reference, in its types
  /// The tolerance of every tensor (in the program's order) and block.
  std::vector<std::vector<double>> tolerances;
  std::vector<std::vector<double>> largest; // the same for the largest element; empty: 10 times those
  /// With roundings: the reference that makes them, the tolerances without them, and what they add.
  std::vector<Kernel> rounded; // at most one
  std::vector<Kernel> noisy;   // TrialOptions::noisy
  std::vector<std::vector<double>> unrounded;
  std::vector<std::vector<RoundingBound>> roundings;
  bool isFixed = false; // the tolerances are f64's, and stand for no growth
  bool byStep = false;  // the model may be run step by step
  int weak = 0;         // blocks whose tolerance exceeds largestTolerance
  Redraws redraws;
  void setTolerances(); // of `unrounded` and `roundings`
};

/// The block of a result that comes closest to its tolerance, or exceeds it most.
struct Verdict {
  std::string tensor;
  int64_t batch = 0, head = 0;
  double error = 0, tolerance = 0; // ||x - ref||_2 / ||ref||_2
  double largest = 0;              // max |x - ref| / RMS
  double most = 0;                 // its tolerance
  double ratio = 0;                // of the worse of the two; at most 1 passes
  bool passed() const { return ratio <= 1; }
};

/// Draws until the reference's results can be judged. Fails where 40 draws were not enough.
Result<Trial> drawTrial(const Kernel &reference, const Kernel &kernel, const TrialOptions &options);

/// Runs the kernel on the trial's inputs, whole or (piece > 0) in pieces of so many steps.
Result<NamedBuffers> runTrial(const Kernel &kernel, const Trial &trial, int threads, int64_t piece = 0);

/// Adds to a trial's tolerances what the roundings of `rounded` do to its results.
Result<void> addRoundings(Trial &trial, const Kernel &rounded, const Kernel &reference, int threads);

Verdict judge(const Program &program, const NamedBuffers &results, const NamedBuffers &reference,
              const std::vector<std::vector<double>> &tolerances, const std::vector<std::vector<double>> &mostOf = {});

/// Judges by a trial's tolerances; where they are exceeded, over all draws of roundings (ErrorBound.h), which the trial keeps.
Result<Verdict> judge(const Program &program, const NamedBuffers &results, Trial &trial, const Kernel &reference,
                      int threads);

/// Runs and judges. Where f64's fixed tolerance is exceeded, the growth of these very results decides: a number that is a small rest of large
/// terms has a larger one (ErrorBound.h).
Result<Verdict> verdictOn(const Kernel &kernel, const Kernel &reference, Trial &trial, int threads, int64_t piece);

/// A draw, and the verdicts on a kernel that ran on it whole and, where that was asked for and the model can be run so, step by step.
struct Judgement {
  Trial trial;
  Verdict whole;
  std::optional<Verdict> stepped;
  bool passed() const { return whole.passed() && (!stepped || stepped->passed()); }
};

/// Draws, runs and judges. Where that fails and nothing is known of noise in the reference's operations, `makeNoisy` is asked for references with
/// it, by which the same is judged again: a draw whose roundings alone explain such errors shows nothing, and gives way to another.
Result<Judgement> judgeKernel(const Kernel &kernel, const Kernel &reference, TrialOptions options, bool stepped,
                              const std::function<Result<std::vector<Kernel>>()> &makeNoisy);

/// Tolerances from growths.
std::vector<std::vector<double>> tolerancesOf(const Program &program, const Growth &growth);

} // namespace rondo::tool
