// The reference's own derivatives against differences of the model, on as many draws as it takes for the differences to settle.
#pragma once
#include "compiler/tools/rondo/GradientCheck.h"
#include "compiler/tools/rondo/Trial.h"
#include <string>
#include <vector>

namespace rondo::tool {

/// Programs of the reference, and what is drawn for them.
struct DerivativePrograms {
  const Kernel &derivative;  // a gradient, or a linearised model
  const Kernel &model;       // what it is the derivative of
  const Kernel *transposed;  // of a linearised model: the gradient of the same
  std::string prefix = "d_"; // of a gradient: what it puts before names
};

template <typename Difference> struct SettledDifferences {
  std::vector<Difference> differences;
  CallShape shape; // of the last draw
  /// "differences of 3 tensors: worst 1.0e-09, tolerance 1.0e-06"
  std::string summary() const;
};

/// Where next to nothing depends on a tensor, its differences drown in the rounding of the others: then another draw decides.
Result<SettledDifferences<GradientDifference>> settleGradient(const DerivativePrograms &programs,
                                                              const TrialOptions &options);
Result<SettledDifferences<TangentDifference>> settleTangent(const DerivativePrograms &programs,
                                                            const TrialOptions &options);

} // namespace rondo::tool
